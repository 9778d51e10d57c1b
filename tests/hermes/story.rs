//! What every release is shown to do, in one go: the leak, who is spared and why, who is reaped and when, and that the rest lives on.

use std::time::Instant;

use serde_json::json;

use super::gateway::Gateway;
use super::reaper::{GRACE, Reaper};
use super::releases::{Release, on_each_release};
use super::until;

on_each_release!(the_leak_is_shown_and_then_reaped_and_nobody_else_notices, story);

async fn story(release: Release) {
    let Some(mut gateway) = Gateway::start(release).await else { return };
    let reaper = Reaper::of(&gateway);
    let empty = reaper.status().await;
    assert_eq!(
        (empty.exit, &empty.report["totals"]["sessions"]),
        (0, &json!(0)),
        "before the first client there is nobody: {}",
        empty.stderr
    );

    // One client stays, one leaves in the middle of a turn, one just leaves.
    let mut stays = gateway.client().await;
    let attached = stays.create().await;
    let mut leaves = gateway.client().await;
    let (idle, busy) = (leaves.create().await, leaves.create().await);
    let bystander = gateway.worker(&attached).await;
    let (idle_worker, busy_worker) = (gateway.worker(&idle).await, gateway.worker(&busy).await);
    leaves.turn(&idle, "hello").await;
    leaves.prompt(&busy, "HOLD:work").await.unwrap();
    until("the turn is with the model", async || gateway.model.holds("work").then_some(())).await;
    let left = Instant::now();
    drop(leaves);
    gateway.row_where(&idle, "the client is gone", |row| row["transport"] == "detached").await;
    gateway.row_where(&busy, "the client is gone", |row| row["transport"] == "detached").await;

    gateway.settled(&idle).await;

    // Looked at for the first time; nothing is due, and each session has a reason.
    let first = reaper.once().await;
    assert_eq!(first.exit, 0, "{}", first.stderr);
    assert_eq!(first.of(&attached), ("keep", "attached"));
    let subject = first.subjects().iter().find(|subject| subject["id"] == attached.as_str()).unwrap();
    assert_eq!(
        (&subject["clients"], subject["last_active_ago_s"].is_f64()),
        (&json!(1), release.tells_when_active()),
        "{subject}"
    );
    assert_eq!(first.of(&busy), ("keep", "mid-turn"));
    assert_eq!(first.of(&idle), ("wait", "orphaned"));

    // Back within the grace: it starts again.
    let mut returns = gateway.client().await;
    let key = gateway.row(&idle).await.unwrap()["key"].clone();
    if !release.rebinds() {
        // There a resume makes a second session; a prompt is how a client goes on with the first, and the answer goes nowhere.
        let before = gateway.settled(&idle).await["activity"].clone();
        returns.prompt(&idle, "again").await.unwrap();
        gateway.row_where(&idle, "the turn has run", |row| row["activity"] != before).await;
    } else {
        let again = returns.ask("session.resume", json!({ "session_id": key, "cols": 80 })).await.unwrap();
        assert_eq!(again["session_id"], idle.as_str());
        assert_eq!(reaper.once().await.of(&idle), ("keep", "attached"));
    }
    drop(returns);
    gateway.row_where(&idle, "the client is gone again", |row| row["transport"] == "detached").await;
    gateway.settled(&idle).await;
    let again = reaper.once().await;
    assert_eq!(again.of(&idle), ("wait", "orphaned"), "{}", again.report);

    // That is the leak: nobody has come back, and both session and worker are there for good.
    assert!(gateway.row(&idle).await.is_some() && idle_worker.alive());
    let weight = idle_worker.rss_bytes().unwrap();
    println!(
        "Hermes {release}: {} workers after {:.1?}, {} MB of one orphan",
        gateway.workers().len(),
        left.elapsed(),
        weight >> 20
    );

    // After its grace it goes, and only it.
    let reaped = reaper.once_and_wait().await;
    assert_eq!(reaped.exit, 0, "{}", reaped.report);
    assert_eq!(reaped.of(&idle), ("reap", "reaped"), "{}", reaped.report);
    assert_eq!(reaped.of(&busy), ("keep", "mid-turn"));
    assert_eq!(reaped.of(&attached), ("keep", "attached"));
    assert!(gateway.row(&idle).await.is_none());
    if release >= Release::V0_17_0 {
        // By the word of Hermes' own timer: what recovers sessions goes by it.
        let key = key.as_str().unwrap();
        let written = gateway.sql(release, &format!("SELECT end_reason FROM sessions WHERE id = '{key}'"));
        assert_eq!(written, "[('ws_orphan_reap',)]");
    }
    assert!(!idle_worker.alive() && busy_worker.alive() && bystander.alive());
    assert!(gateway.is_alive(), "the worker shares its gateway's process group before 0.19.0");

    // The turn outlives the grace, ends, and a full grace later its session goes, too (hermes-agent #85578).
    tokio::time::sleep(GRACE).await;
    assert_eq!(reaper.once().await.of(&busy), ("keep", "mid-turn"));
    gateway.model.release("work");
    gateway.settled(&busy).await;
    let ended = reaper.once().await;
    assert_eq!(ended.of(&busy), ("wait", "orphaned"), "not before a full grace: {}", ended.report);
    let reaped = reaper.once_and_wait().await;
    assert_eq!(reaped.of(&busy), ("reap", "reaped"), "{}", reaped.report);
    assert!(!busy_worker.alive());

    // Who stayed never noticed, and its worker still works.
    assert!(stays.is_connected() && bystander.alive() && gateway.is_alive());
    let help = stays.ask("slash.exec", json!({ "session_id": attached, "command": "/help" })).await.unwrap();
    assert!(help["output"].as_str().is_some_and(|output| !output.is_empty()), "{help}");
    stays.turn(&attached, "still there?").await;
    let last = reaper.status().await;
    assert_eq!(last.of(&attached), ("keep", "attached"));
    assert_eq!(last.report["totals"]["sessions"], 1, "{}", last.report);
    assert_eq!(gateway.workers().len(), 1, "one session, one worker");
}
