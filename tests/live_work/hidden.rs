//! `/proc` hides other users' processes: a gateway that can't be seen isn't gone.

use rustix::process::Signal;
use serde_json::json;

use crate::reapers::{BEYOND_THE_GRACE, BOTH, By, POLICY, at_once};
use crate::stage::{Fork, SOMEBODY, Stage, is_possible};

/// A gateway of root with workers of the user that the reaper runs as: one below it, and one that made itself a daemon.
fn hidden(stage: &Stage, by: By) {
    stage.configure(POLICY);
    stage.gateway("gateway");
    let somebodys = json!({ "user": SOMEBODY });
    stage.worker_with("gateway", "worker", "k", &somebodys);
    stage.worker_with("gateway", "parent", "d", &somebodys);
    stage.copy("parent", "daemon", Fork::Daemon);
    stage.kill("parent");
    let running = json!({ "transport": "attached", "turn": "running" });
    stage.publish(
        "gateway",
        &[by.row(stage, "k", "worker", &running), by.row(stage, "d", "daemon", &running)],
    );
    stage.hide_from_somebody();
}

#[test]
fn the_live_workers_of_a_gateway_that_proc_hides_are_kept() {
    if !is_possible("the_live_workers_of_a_gateway_that_proc_hides_are_kept") {
        return;
    }
    at_once(BOTH.map(|by| {
        move || {
            let stage = Stage::start();
            hidden(&stage, by);
            stage.is_spared_whatever_the_code(&["worker", "daemon"]);
        }
    }));
}

#[test]
fn a_gateway_that_proc_hides_and_that_does_not_answer_is_not_taken_for_gone() {
    if !is_possible("a_gateway_that_proc_hides_and_that_does_not_answer_is_not_taken_for_gone") {
        return;
    }
    at_once(["refuses", "stops"].map(|manner| {
        move || {
            let stage = Stage::start();
            hidden(&stage, By::Pid);
            let seen = stage.once("warm");
            assert_eq!(seen.json()["totals"]["sessions"], 2, "{seen:#?}");
            if manner == "stops" {
                stage.signal("gateway", Signal::STOP);
            } else {
                stage.manner("gateway", manner);
            }
            for _ in 0..3 {
                let ran = stage.once("warm");
                assert_eq!((ran.code, &ran.json()["totals"]["reap"]), (Some(3), &json!(0)), "{ran:#?}");
                std::thread::sleep(BEYOND_THE_GRACE / 2);
            }
            let told = stage.is_spared(&["worker", "daemon"], 3);
            let (worker, daemon) = (stage.pid("worker"), stage.pid("daemon"));
            assert!(told.names(worker) && told.names(daemon), "they are listed: {told:#?}");
        }
    }));
}
