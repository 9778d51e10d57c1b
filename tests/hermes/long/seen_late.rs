//! Workers that are at work already when they are first looked at: nothing is known of what they have at rest.

use std::time::Duration;

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
    // The newer releases keep the job's threads, which rest by themselves after ten minutes.
    if release <= Release::V0_19_0 {
        ended(&reaper, &worker, "unattended-worker").await;
    }
}

fn is_sleep(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|argv| argv.starts_with(b"sleep\0" as &[u8]))
}
