//! Workers that are at work already when they are first looked at: nothing is known of what they have at rest.

use std::time::Duration;

use gateway_reaper::domain::activity::STARTING;
use rustix::process::Signal;
use serde_json::json;

use super::holds::tool;
use crate::beside::{WORKERS, as_it_is, ended, with_worker};
use crate::reaper::Reaper;
use crate::releases::{Release, on_each_kind_of_release};
use crate::until;

on_each_kind_of_release!(
    #[ignore = "long: waits for graces"]
    a_command_of_a_job_that_began_before_the_first_look_keeps_its_worker,
    command
);

on_each_kind_of_release!(
    #[ignore = "long: waits until a worker has started for certain"]
    a_job_that_waits_before_it_asks_its_model_again_keeps_its_worker_from_the_first_look,
    limited
);

async fn command(release: Release) {
    let Some(gateway) = as_it_is(release).await else { return };
    let reaper = Reaper::of_workers(&gateway, WORKERS);
    let mut client = gateway.client().await;
    let (session, worker) = with_worker(&gateway, &mut client).await;
    let call = tool("terminal", json!({ "command": "sleep 307", "timeout": 400 }));
    let job = json!({ "session_id": session, "command": format!("/background {call}") });
    let said = client.ask("slash.exec", job).await.unwrap();
    if said["output"].as_str().is_some_and(|output| output.contains("Unknown command")) {
        return;
    }
    let sleeps = || gateway.family().into_iter().find(|process| is_sleep(process.pid()));
    let sleep = until("the job's command runs", async || sleeps()).await;
    drop(client);
    for _ in 0..5 {
        let said = reaper.run(&["once", "--wait", "3s"]).await;
        assert!(worker.alive() && sleep.alive(), "a job's command was ended: {}", said.report);
        assert_eq!(said.of_worker(&worker), ("keep", "held"), "{}", said.report);
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    sleep.signal(Signal::TERM).unwrap();
    // The newer releases keep the job's threads, which rest by themselves after half an hour.
    if release <= Release::V0_19_0 {
        ended(&reaper, &worker, "unattended-worker").await;
    }
}

/// A job whose model has told it to come back later: it has no connection and no command, and takes next to no processor time.
async fn limited(release: Release) {
    let Some(gateway) = as_it_is(release).await else { return };
    let reaper = Reaper::of_workers(&gateway, WORKERS);
    let mut client = gateway.client().await;
    let (session, worker) = with_worker(&gateway, &mut client).await;
    // What began with the worker is at rest with it.
    tokio::time::sleep(STARTING + Duration::from_secs(3)).await;
    let job = json!({ "session_id": session, "command": "/background LIMIT:job and then say so" });
    let said = client.ask("slash.exec", job).await.unwrap();
    if said["output"].as_str().is_some_and(|output| output.contains("Unknown command")) {
        return;
    }
    until("the job was told to come back later", async || gateway.model.holds("job").then_some(())).await;
    drop(client);
    tokio::time::sleep(Duration::from_secs(5)).await;
    for _ in 0..8 {
        let said = reaper.run(&["once", "--wait", "3s"]).await;
        assert!(worker.alive(), "a job that waits for its model was ended: {}", said.report);
        println!("Hermes {release}: {:?}", said.of_worker(&worker));
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
}

fn is_sleep(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|argv| argv.starts_with(b"sleep\0" as &[u8]))
}
