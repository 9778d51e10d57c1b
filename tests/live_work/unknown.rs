//! Not knowing is no reason to end anything; a gateway that is gone for certain is.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::reapers::{By, POLICY, Reaper, at_once, by_pid_and_by_key, row};
use crate::stage::{Fork, Stage, is_possible};

/// A gateway with a live worker below it, and one that made itself a daemon.
fn live(stage: &Stage, by: By) {
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "worker", "k");
    stage.worker("gateway", "parent", "d");
    stage.copy("parent", "daemon", Fork::Daemon);
    stage.kill("parent");
    let running = json!({ "transport": "attached", "turn": "running" });
    let rows = [by.row(stage, "k", "worker", &running), by.row(stage, "d", "daemon", &running)];
    stage.publish("gateway", &rows);
}

#[test]
fn the_live_workers_of_a_gateway_that_stops_answering_are_kept_with_a_memory() {
    by_pid_and_by_key(
        "the_live_workers_of_a_gateway_that_stops_answering_are_kept_with_a_memory",
        |stage, by| {
            live(stage, by);
            let watching = stage.reaper("watching", &["watch", "--interval", "150ms"]);
            stage.eventually("it has looked", || !watching.out().is_empty());
            stage.signal("gateway", Signal::STOP);
            std::thread::sleep(std::time::Duration::from_secs(2));
            assert!(stage.lives("worker") && stage.lives("daemon"), "{:#?}", watching.acts());
            assert_eq!(watching.stop().code, Some(0));
            assert_eq!(watching.acts(), Vec::<Value>::new());
        },
    );
}

#[test]
fn the_workers_of_a_gateway_that_is_gone_for_certain_are_reaped_after_their_grace() {
    by_pid_and_by_key(
        "the_workers_of_a_gateway_that_is_gone_for_certain_are_reaped_after_their_grace",
        |stage, by| {
            live(stage, by);
            assert_eq!(stage.once("warm").code, Some(0));
            stage.kill("gateway");
            let ran = stage.once("warm");
            assert_eq!((ran.code, &ran.json()["totals"]["reap"]), (Some(3), &json!(0)), "{ran:#?}");
            // Without a memory it is as certain: nothing listens.
            let memory = if matches!(by, By::Key) { "fresh" } else { "warm" };
            let ran = stage.once_until_ended(memory, &["worker", "daemon"]);
            assert_eq!(ran.code, Some(3), "its table can't be read: {ran:#?}");
        },
    );
}
