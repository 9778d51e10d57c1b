//! Beside a dashboard as it is, without the plugin and without a restart: what is told of it, and which workers are ended where that is
//! asked for. No session is ever closed.

use std::time::Duration;

use gateway_reaper::demo::pinned::Pinned;
use serde_json::{Value, json};

use super::gateway::Gateway;
use super::reaper::{Reaper, Said};
use super::releases::{Release, on_each_release, on_releases};
use super::rpc::{Client, Refusal};
use super::until;

on_each_release!(without_the_plugin_workers_are_told_of_and_end_only_if_that_is_asked_for, without_plugin);
on_each_release!(an_idle_worker_of_an_attached_client_is_ended_and_its_session_stays, idle);

mod a_client_that_comes_back_at_the_moment_of_the_signal_loses_one_command_at_most {
    use super::*;

    on_releases!(a_few_returns; on_0_19_0 V0_19_0);
}

async fn a_few_returns(release: Release) {
    super::long::idle::returns(release, 2, 2).await;
}

pub(crate) const WORKERS: &str = "without_table = \"workers\"";

/// A gateway without the plugin.
pub(crate) async fn as_it_is(release: Release) -> Option<Gateway> {
    let mut gateway = Gateway::home(release)?;
    gateway.run(release).await;
    Some(gateway)
}

/// A session with a worker that has run a command and has done with it.
pub(crate) async fn with_worker(gateway: &Gateway, client: &mut Client) -> (String, Pinned) {
    let known: Vec<u32> = gateway.workers().iter().map(Pinned::pid).collect();
    let session = client.create_without_worker().await;
    // 0.19.0 starts two workers for a session that is asked while it is built.
    client.turn(&session, "hello").await;
    let worker = until("its worker answers", async || {
        help(client, &session).await.ok()?;
        let mut new = gateway.workers().into_iter().filter(|worker| !known.contains(&worker.pid()));
        new.next()
    })
    .await;
    (session, worker)
}

pub(crate) async fn help(client: &mut Client, session: &str) -> Result<Value, Refusal> {
    client.ask("slash.exec", json!({ "session_id": session, "command": "/help" })).await
}

/// How often a command fails until one works.
pub(crate) async fn failures_until_one_works(client: &mut Client, session: &str) -> u32 {
    let mut failures = 0;
    until("a command works", async || {
        let said = help(client, session).await;
        failures += u32::from(said.is_err());
        said.ok()
    })
    .await;
    failures
}

pub(crate) fn beside(said: &Said) -> &str {
    said.gateway()["beside"].as_str().unwrap_or_default()
}

/// Runs until the worker is ended, as cron's line does.
pub(crate) async fn ended(reaper: &Reaper, worker: &Pinned, kind: &str) -> Said {
    until("the worker is ended", async || {
        let said = reaper.run(&["once", "--wait", "20s"]).await;
        if said.of_worker(worker) == ("reap", kind) {
            return Some(said);
        }
        assert!(worker.alive(), "{}", said.report);
        None
    })
    .await
}

async fn without_plugin(release: Release) {
    let Some(mut gateway) = as_it_is(release).await else { return };
    let reports = Reaper::of_workers(&gateway, "");
    let ends = Reaper::of_workers(&gateway, WORKERS);
    let mut client = gateway.client().await;
    let (session, _) = with_worker(&gateway, &mut client).await;
    let workers = gateway.workers();

    // Attached: everything stays, and it is told that a client is there.
    for reaper in [&reports, &ends] {
        let said = reaper.run(&["once", "--wait", "3s"]).await;
        assert_eq!(said.exit, 3, "{}", said.report);
        for worker in &workers {
            assert_eq!(said.of_worker(worker), ("keep", "table-not-trusted"), "{}", said.report);
        }
        assert!(
            beside(&said).contains("client is connected, to which session isn't known"),
            "{}",
            beside(&said)
        );
        assert_eq!(said.gateway()["pid"], gateway.pid(), "{}", said.report);
    }
    drop(client);
    let said = until("the client is gone, and that is told", async || {
        let said = reports.once().await;
        beside(&said).contains("no client is connected").then_some(said)
    })
    .await;
    println!("Hermes {release}: {}", beside(&said));
    for worker in &workers {
        assert_eq!(said.of_worker(worker), ("keep", "table-not-trusted"), "{}", said.report);
    }
    assert!(beside(&said).contains("without_table = \"workers\""), "{}", beside(&said));

    // Runs by themselves are points: nothing is known of the time between them.
    let worker = &workers[0];
    until("it rests", async || (ends.once().await.of_worker(worker).0 == "wait").then_some(())).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let said = ends.once().await;
        assert_eq!(said.of_worker(worker), ("wait", "unattended-worker"), "{}", said.report);
        assert!(beside(&said).contains("once --wait"), "{}", beside(&said));
    }
    let said = ended(&ends, worker, "unattended-worker").await;
    assert_eq!((said.exit, worker.alive()), (3, false), "{}", said.report);

    // Its session is as it was.
    let mut returns = gateway.client().await;
    assert!(gateway.is_alive());
    let failed = failures_until_one_works(&mut returns, &session).await;
    println!("Hermes {release}: {failed} commands failed after the worker was ended");
    assert!(failed <= 2, "one for each worker at most");
}

async fn idle(release: Release) {
    let Some(gateway) = Gateway::start(release).await else { return };
    let reaper = Reaper::with(&gateway, "idle_worker = \"2s\"");
    let mut client = gateway.client().await;
    let session = client.create().await;
    gateway.built(&session).await;
    client.turn(&session, "hello").await;
    help(&mut client, &session).await.unwrap();
    let worker = gateway.worker(&session).await;
    let said = ended(&reaper, &worker, "idle-worker").await;
    assert_eq!(said.of(&session), ("keep", "attached"), "{}", said.report);
    assert_eq!((said.exit, worker.alive(), client.is_connected()), (0, false, true), "{}", said.report);
    let back = said.report["totals"]["reclaimed_bytes"].as_u64().unwrap_or_default() >> 20;
    let failed = failures_until_one_works(&mut client, &session).await;
    println!("Hermes {release}: {back} MB back; {failed} commands failed after that");
    assert!(failed <= 1, "the first one at most");
    client.turn(&session, "still there?").await;
}
