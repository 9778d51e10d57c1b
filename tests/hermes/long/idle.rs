//! Workers that do nothing, and those that only look so: what keeps a worker where its end is asked for, on the real releases.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::holds::tool;
use crate::beside::{WORKERS, as_it_is, ended, failures_until_one_works, help, with_worker};
use crate::gateway::Gateway;
use crate::reaper::Reaper;
use crate::releases::{Release, on_each_kind_of_release};
use crate::until;

on_each_kind_of_release!(
    #[ignore = "long: waits for graces"]
    no_worker_is_ended_whose_session_is_in_use_or_held,
    in_use
);
on_each_kind_of_release!(
    #[ignore = "long: waits for graces"]
    a_job_in_the_background_of_a_worker_keeps_it_without_the_plugin,
    job
);
on_each_kind_of_release!(
    #[ignore = "long: waits for graces"]
    a_turn_goes_on_when_its_resting_worker_is_ended,
    turn
);
on_each_kind_of_release!(
    #[ignore = "long: 200 returns"]
    a_client_that_comes_back_at_the_moment_of_the_signal_loses_one_command_at_most,
    many_returns
);
on_each_kind_of_release!(
    #[ignore = "long: forty agents"]
    forty_idle_workers_are_ended_while_a_client_works_on,
    forty
);

const IDLE: &str = "idle_worker = \"1s\"";

/// Looked at for several times as long as the grace.
async fn stays(reaper: &Reaper, gateway: &Gateway, what: &str) {
    let before = gateway.workers();
    for _ in 0..3 {
        let said = reaper.run(&["once", "--wait", "3s"]).await;
        let due = said.subjects().iter().any(|subject| subject["verdict"] == "reap");
        assert!(!due, "{what}: {}", said.report);
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    assert!(!before.is_empty() && before.iter().all(gateway_reaper::demo::pinned::Pinned::alive), "{what}");
}

/// What the gateway itself knows of.
async fn in_use(release: Release) {
    let Some(gateway) = Gateway::start(release).await else { return };
    let reaper = Reaper::with(&gateway, IDLE);
    let approval = tool("terminal", json!({ "command": "rm -rf /tmp/nonexistent-of-a-test" }));
    let delegation = tool("delegate_task", json!({ "goal": "HOLD:child and then say so" }));
    let process = tool("terminal", json!({ "command": "sleep 25", "background": true }));
    for (what, prompt) in [
        ("mid-turn", "HOLD:turn"),
        ("an approval", &approval),
        ("a delegation", &delegation),
        ("a process in the background", &process),
    ] {
        let mut client = gateway.client().await;
        let session = client.create().await;
        gateway.built(&session).await;
        client.prompt(&session, prompt).await.unwrap();
        let held_for = |hold: &'static str| {
            move |row: &Value| row["holds"].as_array().is_some_and(|holds| holds.contains(&json!(hold)))
        };
        match what {
            "mid-turn" => until(what, async || gateway.model.holds("turn").then_some(())).await,
            "an approval" => {
                until(what, async || (client.count("approval.request", &session) > 0).then_some(())).await;
            }
            "a delegation" => _ = gateway.row_where(&session, what, held_for("delegation")).await,
            _ => _ = gateway.row_where(&session, what, held_for("background-process")).await,
        }
        stays(&reaper, &gateway, what).await;
        // Once let go, it is for every later turn.
        match what {
            "mid-turn" => gateway.model.release("turn"),
            "a delegation" => gateway.model.release("child"),
            _ => {}
        }
        if let Some(question) = client.question("approval.request", &session) {
            client.answer(&question, json!({ "choice": "deny" })).await;
        } else if what == "an approval" {
            let denied = json!({ "session_id": session, "choice": "deny" });
            client.ask("approval.respond", denied).await.unwrap();
        }
        gateway.settled(&session).await;
        let worker = gateway.worker(&session).await;
        let said = ended(&reaper, &worker, "idle-worker").await;
        assert_eq!(said.of(&session), ("keep", "attached"), "{}", said.report);
        client.ask("session.close", json!({ "session_id": session })).await.unwrap();
    }
}

async fn job(release: Release) {
    let Some(gateway) = as_it_is(release).await else { return };
    let reaper = Reaper::of_workers(&gateway, WORKERS);
    let mut client = gateway.client().await;
    let (session, worker) = with_worker(&gateway, &mut client).await;
    // Seen at rest before.
    tokio::time::sleep(Duration::from_secs(2)).await;
    reaper.once().await;
    reaper.once().await;
    let command = json!({ "session_id": session, "command": "/background HOLD:job and then say so" });
    client.ask("slash.exec", command).await.unwrap();
    until("the job is with the model", async || gateway.model.holds("job").then_some(())).await;
    drop(client);
    stays(&reaper, &gateway, "a job in the background").await;
    gateway.model.release("job");
    // The newer releases keep the job's threads, which rest by themselves after half an hour.
    if release <= Release::V0_19_0 {
        ended(&reaper, &worker, "unattended-worker").await;
    }
}

async fn turn(release: Release) {
    let Some(mut gateway) = as_it_is(release).await else { return };
    let reaper = Reaper::of_workers(&gateway, WORKERS);
    let mut client = gateway.client().await;
    let (session, worker) = with_worker(&gateway, &mut client).await;
    client.prompt(&session, "HOLD:turn").await.unwrap();
    until("the turn is with the model", async || gateway.model.holds("turn").then_some(())).await;
    drop(client);
    ended(&reaper, &worker, "unattended-worker").await;
    gateway.model.release("turn");
    assert!(gateway.is_alive());
    // The session takes the next prompt only when that turn is over.
    let mut returns = gateway.client().await;
    until("the turn is over", async || returns.prompt(&session, "and now?").await.ok()).await;
    failures_until_one_works(&mut returns, &session).await;
}

async fn many_returns(release: Release) {
    returns(release, 25, 8).await;
}

/// Clients come back when the first signals are about to be sent, and each runs a command: in each round one race for each worker.
pub(crate) async fn returns(release: Release, rounds: usize, at_once: usize) {
    let Some(mut gateway) = as_it_is(release).await else { return };
    let reaper = Reaper::of_workers(&gateway, WORKERS);
    let mut sessions = Vec::new();
    let mut client = gateway.client().await;
    for _ in 0..at_once {
        sessions.push(with_worker(&gateway, &mut client).await.0);
    }
    drop(client);
    let (mut spared, mut ended, mut lost, mut late_by, mut step) = (0, 0, 0, 1300_i64, 200_i64);
    let mut last = None;
    for round in 0..rounds {
        until("the workers rest", async || {
            let said = reaper.once().await;
            let resting = said.subjects().iter().filter(|subject| subject["verdict"] == "wait").count();
            (resting >= at_once).then_some(())
        })
        .await;
        let wait = Duration::from_millis(late_by.try_into().unwrap_or(0));
        let come_back = sessions.iter().map(|session| comes_back(&gateway, session, wait));
        let (said, failures) =
            tokio::join!(reaper.run(&["once", "--wait", "3s"]), futures_util::future::join_all(come_back));
        let failures = failures.into_iter().filter(|failed| *failed).count();
        let is_ended = |subject: &&Value| {
            subject["orphan_kind"] == "unattended-worker" && subject["outcome"] == "reaped"
        };
        let were_ended = said.subjects().iter().filter(is_ended).count();
        println!(
            "Hermes {release}, round {round}: back after {late_by} ms; {were_ended} of {at_once} workers were ended, {failures} commands failed"
        );
        assert!(failures <= were_ended, "only the worker that was ended costs a command: {}", said.report);
        (spared, ended, lost) =
            (spared + at_once.saturating_sub(were_ended), ended + were_ended, lost + failures);
        // The one that was first is given a little less the next time, which keeps the rounds at the moment of the signal.
        let was_ended = were_ended > 0;
        step = if last == Some(was_ended) { (step * 2).min(400) } else { (step / 4).max(1) };
        last = Some(was_ended);
        late_by = (late_by + if was_ended { -step } else { step }).clamp(0, 6000);
        // Each session has a worker again: one that was ended behind the back of its client's command doesn't.
        let missing = sessions.iter().map(|session| has_a_worker(&gateway, session));
        futures_util::future::join_all(missing).await;
    }
    println!(
        "Hermes {release}: {} returns: {ended} workers ended, {spared} spared, {lost} commands had to be typed again",
        rounds * at_once
    );
    assert!(gateway.is_alive());
}

/// Whether its first command failed; the second one works.
async fn comes_back(gateway: &Gateway, session: &str, wait: Duration) -> bool {
    tokio::time::sleep(wait).await;
    let mut client = gateway.client().await;
    let has_failed = help(&mut client, session).await.is_err();
    if has_failed {
        assert_eq!(failures_until_one_works(&mut client, session).await, 0, "the second command works");
    }
    has_failed
}

async fn has_a_worker(gateway: &Gateway, session: &str) {
    let mut client = gateway.client().await;
    failures_until_one_works(&mut client, session).await;
}

async fn forty(release: Release) {
    const IDLE_WORKERS: usize = 40;
    let Some(mut gateway) = Gateway::start(release).await else { return };
    let reaper = Reaper::with(&gateway, "idle_worker = \"5s\"");
    let mut client = gateway.client().await;
    let mut sessions = Vec::new();
    for _ in 0..IDLE_WORKERS {
        let session = client.create().await;
        gateway.built(&session).await;
        sessions.push(session);
    }
    let mut works = gateway.client().await;
    let works_on = works.create().await;
    gateway.built(&works_on).await;
    works.turn(&works_on, "hello").await;
    help(&mut works, &works_on).await.unwrap();
    let own = gateway.worker(&works_on).await;
    let done = AtomicBool::new(false);
    let (back, commands) = tokio::join!(
        async {
            let mut back = 0;
            until("all others are ended", async || {
                let said = reaper.run(&["once", "--wait", "20s"]).await;
                assert_eq!(said.exit, 0, "{}", said.report);
                back += said.report["totals"]["reclaimed_bytes"].as_u64().unwrap_or_default();
                gateway.workers().iter().all(|worker| worker.pid() == own.pid()).then_some(())
            })
            .await;
            done.store(true, Ordering::Relaxed);
            back
        },
        async {
            let mut commands = 0;
            while !done.load(Ordering::Relaxed) {
                help(&mut works, &works_on).await.expect("its worker is in use");
                commands += 1;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            commands
        }
    );
    println!(
        "Hermes {release}: {IDLE_WORKERS} idle workers ended, {} MB back; {commands} commands worked meanwhile",
        back >> 20
    );
    assert!(own.alive() && gateway.is_alive() && client.is_connected() && works.is_connected());
    works.turn(&works_on, "still there?").await;
    for session in sessions.iter().take(3) {
        assert_eq!(gateway.row(session).await.unwrap()["transport"], "attached");
        assert!(failures_until_one_works(&mut client, session).await <= 1);
    }
}
