//! What is left of a worker goes, or is named.

use std::time::Duration;

use serde_json::{Value, json};

use crate::reapers::{BEYOND_THE_GRACE, By, POLICY, Told, at_once, by_pid_and_by_key};
use crate::stage::{Fork, SOMEBODY, Stage, is_possible};

/// A worker that its gateway starts through a shell which stays; returns the shell's PID.
fn wrapped(stage: &Stage) -> u64 {
    let words = ["live-work-worker", "--session-key", "k"];
    let order = json!(["actor", "worker", words, { "wrapper": "ACTOR; true" }]);
    let shell = stage.tell("gateway", &order).as_u64().unwrap();
    stage.enters("worker");
    shell
}

/// The row of the session whose worker that is; a gateway knows the PID of what it started.
fn wrapped_row(by: By, shell: u64, changes: &Value) -> Value {
    let mut row = crate::reapers::row("k", changes);
    if matches!(by, By::Pid) {
        row["worker"] = json!({ "pid": shell });
    }
    row
}

/// Waits until a process has ended, or the report says something of it.
fn goes_or_is_named(stage: &Stage, memory: &str, name: &str) {
    let pid = stage.pid(name);
    let mut last = None;
    let mut settled = || {
        let told = Told(stage.status(memory).json());
        let named = told.names(pid);
        last = Some(told);
        named || !stage.lives(name)
    };
    let patient = (0..60).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        settled()
    });
    assert!(patient, "{name} ({pid}) leaked without a word: {last:#?}\n{:#?}", stage.acts(memory));
}

#[test]
fn a_child_of_another_user_stays_and_the_report_names_it() {
    if !is_possible("a_child_of_another_user_stays_and_the_report_names_it") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "worker", "k");
    stage.helper("worker", "child", &json!({}));
    stage.helper("worker", "somebodys", &json!({ "user": SOMEBODY }));
    stage.publish("gateway", &[]);
    let worker = stage.pid("worker");
    let ran = stage.once_until_ended("state", &["worker", "child"]);
    assert!(stage.lives("somebodys"), "another user's: {ran:#?}");
    let told = Told(ran.json());
    let survivors = &told.worker(worker)["survivors"];
    assert!(survivors.to_string().contains(&stage.pid("somebodys").to_string()), "{told:#?}");
}
