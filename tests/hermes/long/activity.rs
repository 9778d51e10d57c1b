//! What the workers' own account shows: nothing at all of one that rests, and something at every look of one that is at work.

use std::time::{Duration, Instant};

use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::domain::activity::{Watched, Work};
use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::looking::Extent;
use gateway_reaper::domain::process::ProcessIdentity;
use gateway_reaper::sources::activity::Activities;
use gateway_reaper::sources::processes::{Processes, Roots};
use gateway_reaper::sources::sockets;
use serde_json::json;

use crate::gateway::Gateway;
use crate::releases::{Release, on_each_release};
use crate::until;

on_each_release!(
    #[ignore = "long: looks for half a minute"]
    a_worker_at_rest_does_nothing_and_one_at_work_shows_it,
    activity
);

/// Looks at one worker, again and again, as the reaper does.
struct Watch {
    worker: ProcessIdentity,
    activities: Activities,
    last: Option<(Watched, Instant)>,
}

impl Watch {
    fn of(gateway: &Gateway, worker: &Pinned) -> Self {
        let pid = |pid: u32| Pid::new(pid.into()).unwrap();
        let roots = Roots { gateways: &[pid(gateway.pid())], known: &[] };
        let view = Processes::new().unwrap().look(Extent::Near, &roots).unwrap();
        let worker = view.get(pid(worker.pid())).expect("a child of its gateway").identity;
        Self { worker, activities: Activities::open().unwrap(), last: None }
    }

    /// What shows that it worked since the last look.
    fn look(&mut self) -> Option<Work> {
        let connected = sockets::connected_inodes().unwrap();
        let now = self.activities.read(&self.worker, &connected).unwrap().expect("it is there");
        let Some((watched, before)) = &mut self.last else {
            self.last = Some((Watched::new(now), Instant::now()));
            return now.work_now();
        };
        let within = before.elapsed();
        *before = Instant::now();
        let work = watched.look(now, within);
        println!("{watched:?}: {work:?}");
        work
    }
}

async fn activity(release: Release) {
    const LOOKS: usize = 8;
    let pause = || tokio::time::sleep(Duration::from_secs(1));
    let Some(gateway) = Gateway::start(release).await else { return };
    let mut client = gateway.client().await;
    let session = client.create().await;
    let worker = gateway.worker(&session).await;
    client.turn(&session, "hello").await;
    gateway.settled(&session).await;
    // With its first command it loads what it needs.
    client.ask("slash.exec", json!({ "session_id": session, "command": "/help" })).await.unwrap();
    let worker = if worker.alive() { worker } else { gateway.worker(&session).await };
    let mut watch = Watch::of(&gateway, &worker);
    until("it has come to rest", async || {
        pause().await;
        let rests = watch.look().is_none();
        (rests && watch.last.is_some_and(|(watched, _)| watched.at_rest.is_some())).then_some(())
    })
    .await;

    for _ in 0..LOOKS {
        pause().await;
        assert_eq!(watch.look(), None, "it does nothing");
    }
    client.ask("slash.exec", json!({ "session_id": session, "command": "/help" })).await.unwrap();
    assert!(watch.look().is_some(), "a command ran");
    pause().await;
    let _ = watch.look();
    // A turn of its session isn't its own.
    client.turn(&session, "hello again").await;

    let job = json!({ "session_id": session, "command": "/background HOLD:job and then say so" });
    let said = client.ask("slash.exec", job).await.unwrap();
    if said["output"].as_str().is_some_and(|output| output.contains("Unknown command")) {
        assert_eq!(release, Release::V0_21_0, "there it is the gateway's own");
        return;
    }
    until("the job is with the model", async || gateway.model.holds("job").then_some(())).await;
    let _ = watch.look();
    for _ in 0..LOOKS {
        pause().await;
        assert!(watch.look().is_some(), "its job runs");
    }
    gateway.model.release("job");
    until("it rests again", async || {
        pause().await;
        // The newer releases keep the job's threads, which rest by themselves after half an hour.
        let work = watch.look();
        let kept = release > Release::V0_19_0 && matches!(work, Some(Work::MoreThreads { .. }));
        (work.is_none() || kept).then_some(())
    })
    .await;
    assert!(worker.alive());
}
