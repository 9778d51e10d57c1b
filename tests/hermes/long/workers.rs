//! Workers that a live session has lost. In every release a worker that dies is replaced by the next slash command, and up to 0.19 commands
//! that come at once start one each: the session keeps the last that is written into it, and the others stay for good.

use std::fs;
use std::time::Duration;

use gateway_reaper::demo::pinned::Pinned;
use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;
use crate::reaper::Reaper;
use crate::releases::{Release, on_each_newer_release, on_releases};
use crate::rpc::Client;
use crate::until;

mod a_superseded_worker_goes_and_its_session_never_notices {
    use super::*;

    on_releases!(#[ignore = "long: tries until one is superseded"] superseded; on_0_13_0 V0_13_0, on_0_16_0 V0_16_0,
        on_0_19_0 V0_19_0);
}

mod without_the_plugin_nobody_knows_which_of_two_workers_is_in_use {
    use super::*;

    on_releases!(#[ignore = "long: waits for graces"] without_plugin; on_0_13_0 V0_13_0, on_0_16_0 V0_16_0,
        on_0_19_0 V0_19_0);
}

on_each_newer_release!(
    #[ignore = "long: tries several times"]
    commands_that_come_at_once_start_one_worker,
    at_once
);

/// A configuration that takes a moment to read, which every release does between seeing that a session has no worker and giving it one.
async fn start(release: Release, with_plugin: bool) -> Option<Gateway> {
    let mut gateway = Gateway::home(release)?;
    let config = gateway.path().join("config.yaml");
    let padding: String = (0..1500).map(|number| format!("  of_a_test_{number}: {{a: 1}}\n")).collect();
    fs::write(&config, fs::read_to_string(&config).unwrap() + "padding:\n" + &padding).unwrap();
    if with_plugin {
        crate::install::install(gateway.path());
    }
    gateway.run(release).await;
    Some(gateway)
}

/// Several workers of one session.
async fn several(gateway: &Gateway, client: &mut Client, session: &str) -> Vec<Pinned> {
    until("there are several workers", async || {
        let workers = after_a_rush(gateway, client, session).await;
        Some(workers).filter(|workers| workers.len() > 1 && workers.iter().all(Pinned::alive))
    })
    .await
}

/// The workers of the session after its own is ended, and slash commands came at once.
async fn after_a_rush(gateway: &Gateway, client: &mut Client, session: &str) -> Vec<Pinned> {
    for worker in gateway.workers() {
        worker.signal(Signal::KILL).unwrap();
    }
    until("there is no worker", async || gateway.workers().is_empty().then_some(())).await;
    // The gateway finds out by asking the dead one.
    let _ = client.ask("slash.exec", json!({ "session_id": session, "command": "/help" })).await;
    // It is read again when it was written.
    let config = gateway.path().join("config.yaml");
    fs::write(&config, fs::read(&config).unwrap()).unwrap();
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(client.send("slash.exec", json!({ "session_id": session, "command": "/help" })).await);
    }
    until("there is a worker", async || gateway.workers().pop()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let workers = gateway.workers();
    if workers.len() == 1 {
        let _ = workers[0].signal(Signal::KILL);
    }
    for answer in answers {
        // They wait for one another, and each may start a worker.
        let answer = tokio::time::timeout(4 * crate::PATIENCE, answer).await.expect("an answer");
        assert!(answer.is_ok(), "the gateway hung up");
    }
    workers
}

/// So that no worker is ever superseded there.
async fn at_once(release: Release) {
    let Some(gateway) = start(release, true).await else { return };
    let mut client = gateway.client().await;
    let session = client.create().await;
    gateway.built(&session).await;
    for _ in 0..5 {
        assert_eq!(after_a_rush(&gateway, &mut client, &session).await.len(), 1);
    }
}

async fn superseded(release: Release) {
    let Some(gateway) = start(release, true).await else { return };
    let reaper = Reaper::of_workers(&gateway, "");
    let mut client = gateway.client().await;
    let session = client.create().await;
    gateway.built(&session).await;
    let mut younger_and_lost = 0;
    let (owned, lost) = until("a worker is superseded", async || {
        let workers = several(&gateway, &mut client, &session).await;
        let owned = gateway.worker(&session).await;
        let (lost, younger): (Vec<_>, Vec<_>) = workers
            .into_iter()
            .filter(|worker| worker.pid() != owned.pid())
            .partition(|worker| worker.start_ticks() < owned.start_ticks());
        younger_and_lost += younger.len();
        (!lost.is_empty() && younger.is_empty()).then_some((owned, lost))
    })
    .await;

    let first = reaper.once().await;
    for worker in &lost {
        assert_eq!(first.of_worker(worker), ("wait", "superseded-worker"), "{}", first.report);
    }
    assert_eq!(first.of(&session), ("keep", "attached"));
    let reaped = reaper.once_and_wait().await;
    assert_eq!(reaped.exit, 0, "{}", reaped.report);
    for worker in &lost {
        assert_eq!(reaped.of_worker(worker), ("reap", "superseded-worker"), "{}", reaped.report);
        until("it is gone", async || (!worker.alive()).then_some(())).await;
    }
    println!(
        "Hermes {release}: {} superseded workers reaped; {younger_and_lost} were younger than the one in use",
        lost.len()
    );

    assert!(owned.alive() && client.is_connected());
    let help = client.ask("slash.exec", json!({ "session_id": session, "command": "/help" })).await.unwrap();
    assert!(help["output"].as_str().is_some_and(|output| !output.is_empty()), "{help}");
    client.turn(&session, "still there?").await;
    assert_eq!(gateway.worker(&session).await.pid(), owned.pid());
}

/// The younger of two is in use more often than not, which is no certainty in any release.
async fn without_plugin(release: Release) {
    let Some(gateway) = start(release, false).await else { return };
    let pid_file = gateway.path().join("of-the-test.pid");
    fs::write(&pid_file, gateway.pid().to_string()).unwrap();
    let reaper = Reaper::of_workers(&gateway, "");
    let process = format!("[gateway.process]\npid_file = \"{}\"", pid_file.display());
    let knows_the_gateway = Reaper::of_workers(&gateway, &process);
    let mut client = gateway.client().await;
    let session = client.create().await;
    until("there is a worker", async || gateway.workers().pop()).await;
    let workers = several(&gateway, &mut client, &session).await;
    for _ in 0..3 {
        for reaper in [&reaper, &knows_the_gateway] {
            let said = reaper.once_and_wait().await;
            assert_eq!((said.exit, &said.report["totals"]["reap"]), (3, &json!(0)), "{}", said.report);
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    let said = knows_the_gateway.status().await;
    for worker in &workers {
        assert_eq!(said.of_worker(worker), ("keep", "table-not-trusted"), "{}", said.report);
    }
    assert!(workers.iter().all(Pinned::alive));
}
