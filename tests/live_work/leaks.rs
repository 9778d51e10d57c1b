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

#[test]
fn a_worker_below_a_shell_goes_when_its_gateway_is_gone() {
    by_pid_and_by_key("a_worker_below_a_shell_goes_when_its_gateway_is_gone", |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        let shell = wrapped(stage);
        stage.publish("gateway", &[wrapped_row(by, shell, &json!({ "transport": "attached" }))]);
        // One reaper remembers them, the other sees them for the first time.
        let memory = if matches!(by, By::Pid) { "warm" } else { "fresh" };
        stage.once("warm");
        stage.kill("gateway");
        stage.once_until_ended(memory, &["worker"]);
        stage.eventually("its shell is gone", || !stage.runs(shell));
    });
}

/// Waits until a process has ended, or the report says something of it.
fn goes_or_is_named(stage: &Stage, memory: &str, name: &str) {
    goes_or_is_named_by(stage, memory, name, stage.pid(name));
}

/// The same of one that may be gone already.
fn goes_or_is_named_by(stage: &Stage, memory: &str, name: &str, pid: u64) {
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

#[test]
fn every_process_that_looks_like_a_worker_is_listed_with_its_reason() {
    by_pid_and_by_key("every_process_that_looks_like_a_worker_is_listed_with_its_reason", |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "worker", "k");
        stage.worker("worker", "below", "unheard-of");
        stage.copy("worker", "daemon", Fork::Daemon);
        stage.helper("init", "shell", &json!({}));
        stage.worker("shell", "strangers", "x");
        stage.worker("init", "services", "y");
        stage.publish("gateway", &[by.row(stage, "k", "worker", &json!({ "transport": "attached" }))]);
        let told = Told(stage.status("fresh").json());
        for name in ["worker", "below", "daemon"] {
            told.keeps(stage.pid(name), "k");
        }
        for name in ["strangers", "services"] {
            assert!(told.names(stage.pid(name)), "nothing is said of {name}: {told:#?}");
        }
    });
}

#[test]
fn a_worker_of_another_user_is_listed_with_its_reason() {
    if !is_possible("a_worker_of_another_user_is_listed_with_its_reason") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker_with("gateway", "somebodys", "s", &json!({ "user": SOMEBODY }));
    stage.publish("gateway", &[]);
    let told = Told(stage.status("fresh").json());
    assert_eq!(told.worker(stage.pid("somebodys"))["reason"], "protected", "{told:#?}");
}

#[test]
fn a_worker_that_rewrites_its_argv_after_the_first_look_goes_or_is_named() {
    by_pid_and_by_key(
        "a_worker_that_rewrites_its_argv_after_the_first_look_goes_or_is_named",
        |stage, by| {
            stage.configure(POLICY);
            stage.gateway("gateway");
            stage.worker("gateway", "worker", "k");
            // Of nobody, or of a session that is due.
            let due = by.row(stage, "k", "worker", &json!({}));
            stage.publish("gateway", if matches!(by, By::Pid) { std::slice::from_ref(&due) } else { &[] });
            stage.when_reaping("gateway", "k", &json!({ "outcome": "reaped" }), &[]);
            let pid = stage.pid("worker");
            stage.once("state");
            stage.tell("worker", &json!(["argv", "idle"]));
            for _ in 0..3 {
                std::thread::sleep(BEYOND_THE_GRACE / 2);
                let ran = stage.once("state");
                let said_gone = Told(ran.json())
                    .subjects()
                    .any(|subject| subject["worker_pid"] == pid && subject["outcome"] == "reaped");
                assert!(!said_gone || !stage.lives("worker"), "said to be reaped, and it lives: {ran:#?}");
            }
            if stage.lives("worker") {
                goes_or_is_named(stage, "state", "worker");
            }
        },
    );
}

#[test]
fn a_worker_below_a_shell_goes_where_the_close_ended_only_the_shell() {
    by_pid_and_by_key("a_worker_below_a_shell_goes_where_the_close_ended_only_the_shell", |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        let shell = wrapped(stage);
        stage.publish("gateway", &[wrapped_row(by, shell, &json!({}))]);
        let empty = json!({ "version": 1, "gateway": { "pid": stage.pid("gateway") }, "sessions": [] });
        let closes = [json!(["signal", shell, 9]), json!(["publish", empty.to_string()])];
        stage.when_reaping("gateway", "k", &json!({ "outcome": "reaped" }), &closes);
        stage.once_until_ended("state", &["worker"]);
        assert_eq!(stage.asked("gateway"), ["k"]);
    });
}

#[test]
fn the_children_of_a_worker_that_somebody_else_killed_go_or_are_named() {
    if !is_possible("the_children_of_a_worker_that_somebody_else_killed_go_or_are_named") {
        return;
    }
    // Of an ownerless worker inside its grace, and of a session inside its own.
    at_once([true, false].map(|ownerless| {
        move || {
            let stage = Stage::start();
            stage.configure(&POLICY.replace("500ms", "1500ms"));
            stage.gateway("gateway");
            stage.worker("gateway", "worker", "k");
            stage.helper("worker", "child", &json!({}));
            stage.helper("child", "grandchild", &json!({ "session": true }));
            let rows = if ownerless { vec![] } else { vec![By::Pid.row(&stage, "k", "worker", &json!({}))] };
            stage.publish("gateway", &rows);
            stage.when_reaping("gateway", "k", &json!({ "outcome": "reaped" }), &[]);
            let watching = stage.reaper("state", &["watch", "--interval", "150ms"]);
            stage.eventually("it has looked", || stage.looks("gateway") > 2);
            let helpers = ["child", "grandchild"].map(|name| (name, stage.pid(name)));
            stage.kill("worker");
            if !ownerless {
                stage.publish("gateway", &[crate::reapers::row("k", &json!({ "worker": null }))]);
            }
            for (name, pid) in helpers {
                goes_or_is_named_by(&stage, "state", name, pid);
            }
            assert_eq!(watching.stop().code, Some(0));
        }
    }));
}

#[test]
fn a_helper_that_went_to_init_after_it_was_seen_goes_with_its_session_or_is_named() {
    by_pid_and_by_key(
        "a_helper_that_went_to_init_after_it_was_seen_goes_with_its_session_or_is_named",
        |stage, by| {
            stage.configure(POLICY);
            stage.gateway("gateway");
            stage.worker("gateway", "worker", "k");
            stage.helper("worker", "launcher", &json!({}));
            stage.helper("launcher", "server", &json!({ "session": true }));
            let attached = by.row(stage, "k", "worker", &json!({ "transport": "attached" }));
            stage.publish("gateway", &[attached]);
            stage.once("state");
            stage.kill("launcher");
            stage.once("state");
            assert!(stage.lives("server"), "its session lives");
            stage.publish("gateway", &[by.row(stage, "k", "worker", &json!({}))]);
            let closes = json!(["signal", stage.pid("worker"), 9]);
            stage.when_reaping("gateway", "k", &json!({ "outcome": "reaped" }), &[closes]);
            stage.once_until_ended("state", &["worker"]);
            if stage.lives("server") {
                goes_or_is_named(stage, "state", "server");
            }
        },
    );
}

#[test]
fn what_a_worker_starts_as_a_daemon_when_it_is_asked_to_end_goes_or_is_named() {
    if !is_possible("what_a_worker_starts_as_a_daemon_when_it_is_asked_to_end_goes_or_is_named") {
        return;
    }
    let manners = [
        json!(["actor", "heir", ["live-work-helper"], { "orphan": true }]),
        json!(["actor", "heir", ["live-work-helper"], { "orphan": true, "session": true }]),
        json!(["fork", "heir", true]),
    ];
    at_once(manners.map(|heir| {
        move || {
            let stage = Stage::start();
            stage.configure(POLICY);
            stage.gateway("gateway");
            stage.worker("gateway", "worker", "k");
            stage.worker("gateway", "bystander", "b");
            stage.tell("worker", &json!(["on term", [heir, ["sleep", 0.3]], "ends"]));
            let kept = By::Pid.row(&stage, "b", "bystander", &json!({ "transport": "attached" }));
            stage.publish("gateway", &[kept]);
            stage.once_until_ended("state", &["worker"]);
            for _ in 0..3 {
                std::thread::sleep(BEYOND_THE_GRACE / 2);
                stage.once("state");
            }
            if stage.lives("heir") {
                goes_or_is_named(&stage, "state", "heir");
            }
            assert!(stage.lives("bystander") && stage.lives("gateway"));
        }
    }));
}
