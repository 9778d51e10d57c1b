//! Between the decision and a signal the world goes on: what was decided on is read again.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::{EXE, Ran};
use crate::privileges::left_out;
use crate::reapers::{
    BEYOND_THE_GRACE, By, OTHER_PORT, POLICY, Reaper, Told, at_once, by_pid_and_by_key, row,
};
use crate::stage::{SOMEBODY, Stage, is_possible};

/// Whether system calls can be delayed here.
fn has_strace(test: &str) -> bool {
    let stage = Stage::start();
    let tried = stage.place().program("strace", ["-f", "-o", "/dev/null", "true"]).command.output();
    let there = tried.is_ok_and(|tried| tried.status.success());
    if !there {
        left_out(test, "strace, and leave to trace");
    }
    there
}

/// A run that finds an ownerless worker due, and whose every write to its audit log takes that long: the first comes after the decision
/// and before the first signal. Returns once it is in that first write.
fn held_still(stage: &Stage, delay: Duration) -> Reaper<'_> {
    let first = stage.once("state");
    assert_eq!(first.json()["totals"]["reap"], 0, "{first:#?}");
    std::thread::sleep(BEYOND_THE_GRACE);
    let log = stage.place().write("state/audit.jsonl", "");
    fs::set_permissions(&log, Permissions::from_mode(0o600)).unwrap();
    let inject = format!("inject=write,writev,pwrite64:delay_exit={}", delay.as_micros());
    let strace = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-P",
        log.to_str().unwrap(),
        "-e",
        "trace=write,writev,pwrite64",
        "-e",
        inject.as_str(),
    ];
    let run = stage.reaper_under(&strace, "state", &["--json", "once"]);
    stage.eventually("it is between decision and signal", || !run.acts().is_empty());
    run
}

/// Nothing was signalled, and nothing is said to be gone.
fn did_nothing(ran: &Ran, to: &str) {
    let steps = |subject: &Value| subject["steps"].as_array().is_some_and(|steps| !steps.is_empty());
    assert!(!Told(ran.json()).subjects().any(steps), "{to}: {ran:#?}");
    assert_eq!(ran.json()["totals"]["reaped"], 0, "{to}: {ran:#?}");
}

#[test]
fn a_worker_that_got_a_session_between_decision_and_signal_is_kept() {
    let test = "a_worker_that_got_a_session_between_decision_and_signal_is_kept";
    if !is_possible(test) || !has_strace(test) {
        return;
    }
    by_pid_and_by_key(test, |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "worker", "k");
        stage.publish("gateway", &[]);
        let run = held_still(stage, Duration::from_millis(2500));
        let running = json!({ "transport": "attached", "turn": "running" });
        stage.publish("gateway", &[by.row(stage, "k", "worker", &running)]);
        let ran = run.end();
        assert!(stage.lives("worker"), "{ran:#?}");
        did_nothing(&ran, "worker");
    });
}

/// The user comes back while the worker of the session, which was closed, still ends: the gateway goes on with it.
#[test]
fn a_worker_that_another_session_has_by_the_end_of_close_timeout_is_kept() {
    by_pid_and_by_key(
        "a_worker_that_another_session_has_by_the_end_of_close_timeout_is_kept",
        |stage, by| {
            stage.configure(&POLICY.replace("close_timeout = \"300ms\"", "close_timeout = \"2500ms\""));
            stage.gateway("gateway");
            stage.worker("gateway", "worker", "k");
            stage.publish("gateway", &[by.row(stage, "k", "worker", &json!({}))]);
            assert_eq!(stage.once("seen").json()["totals"]["wait"], 1);
            std::thread::sleep(BEYOND_THE_GRACE);
            let running = json!({ "key": "k", "transport": "attached", "turn": "running" });
            let table = json!({
                "version": 1,
                "gateway": { "pid": stage.pid("gateway") },
                "sessions": [by.row(stage, "successor", "worker", &running)],
            });
            let goes_on = json!(["publish", table.to_string()]);
            stage.when_reaping("gateway", "k", &json!({ "outcome": "reaped" }), &[goes_on]);
            let ran = stage.once("seen");
            assert_eq!(stage.asked("gateway").len(), 1, "{ran:#?}");
            assert!(stage.lives("worker"), "{ran:#?}");
            assert_eq!(Told(ran.json()).session("k")["steps"], json!(["close"]), "{ran:#?}");
            stage.once("seen");
            assert!(stage.lives("worker"), "{:#?}", stage.acts("seen"));
        },
    );
}

#[test]
fn a_worker_that_became_another_program_between_decision_and_signal_is_kept() {
    let test = "a_worker_that_became_another_program_between_decision_and_signal_is_kept";
    if !is_possible(test) || !has_strace(test) {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "worker", "k");
    stage.publish("gateway", &[]);
    let run = held_still(&stage, Duration::from_millis(500));
    stage.tell("worker", &json!(["argv", "editor notes.txt"]));
    let ran = run.end();
    assert!(stage.lives("worker"), "{ran:#?}");
    did_nothing(&ran, "worker");
}

#[test]
fn a_reaper_that_was_stopped_while_it_read_the_table_reads_it_again() {
    by_pid_and_by_key("a_reaper_that_was_stopped_while_it_read_the_table_reads_it_again", |stage, by| {
        stage.configure(&POLICY.replace("worker_grace = \"500ms\"", "worker_grace = \"0s\""));
        stage.gateway("gateway");
        stage.worker("gateway", "worker", "k");
        let running = by.row(stage, "k", "worker", &json!({ "transport": "attached", "turn": "running" }));
        stage.publish("gateway", std::slice::from_ref(&running));
        let watching = stage.reaper("watching", &["watch", "--interval", "150ms"]);
        stage.eventually("it has looked", || stage.looks("gateway") > 2);
        stage.publish_and_signal("gateway", &[], watching.pid, Signal::STOP);
        let stopped = || stage.tell("init", &json!(["state", watching.pid])) == "T";
        stage.eventually("it has stopped", stopped);
        std::thread::sleep(Duration::from_millis(2500));
        stage.publish("gateway", &[running]);
        watching.signal(Signal::CONT);
        std::thread::sleep(Duration::from_millis(800));
        assert!(stage.lives("worker"), "{:#?}", watching.acts());
        assert_eq!(watching.stop().code, Some(0));
    });
}

#[test]
fn a_worker_that_executed_a_setuid_program_when_it_was_asked_to_end_is_signalled_no_more() {
    let test = "a_worker_that_executed_a_setuid_program_when_it_was_asked_to_end_is_signalled_no_more";
    if !is_possible(test) {
        return;
    }
    let stage = Stage::start();
    stage.configure_with(POLICY, "", &format!("user = \"{SOMEBODY}\"\n"));
    let setuid = stage.place().path("setuid-python");
    fs::copy("/usr/bin/python3", &setuid).unwrap();
    fs::set_permissions(&setuid, Permissions::from_mode(0o4755)).unwrap();
    stage.gateway("gateway");
    stage.worker_with("gateway", "worker", "k", &json!({ "user": SOMEBODY }));
    stage.tell("worker", &json!(["on term", [["become root", setuid]], "lives on"]));
    stage.publish("gateway", &[]);
    let first = stage.once("state");
    assert_eq!(first.json()["totals"]["wait"], 1, "{first:#?}");
    std::thread::sleep(BEYOND_THE_GRACE);
    let pid = stage.pid("worker");
    let ran = stage.once("state");
    assert!(stage.lives("worker"), "root's process was killed: {ran:#?}");
    let told = Told(ran.json());
    assert_eq!(told.worker(pid)["survivors"][0]["pid"], pid, "{told:#?}");
    assert_eq!(told.worker(pid)["steps"], json!(["SIGTERM"]), "{told:#?}");
    assert_ne!(told.worker(pid)["outcome"], "reaped", "{told:#?}");
}

#[test]
fn a_worker_has_its_whole_time_to_end_however_slow_the_audit_log_is() {
    let test = "a_worker_has_its_whole_time_to_end_however_slow_the_audit_log_is";
    if !is_possible(test) || !has_strace(test) {
        return;
    }
    at_once([By::Key].map(|by| {
        move || {
            let stage = Stage::start();
            stage.configure(&POLICY.replace("term_timeout = \"1s\"", "term_timeout = \"1500ms\""));
            stage.gateway("gateway");
            stage.worker("gateway", "worker", "k");
            stage.worker("gateway", "bystander", "b");
            stage.tell("worker", &json!(["on term", [["sleep", 0.4]], "ends"]));
            stage
                .publish("gateway", &[by.row(&stage, "b", "bystander", &json!({ "transport": "attached" }))]);
            let pid = stage.pid("worker");
            let ran = held_still(&stage, Duration::from_millis(1900)).end();
            assert!(!stage.lives("worker"), "{ran:#?}");
            assert_eq!(Told(ran.json()).worker(pid)["steps"], json!(["SIGTERM"]), "{ran:#?}");
        }
    }));
}

/// What a worker of another session has written over its argv, as setproctitle does.
fn of_session(key: &str) -> Value {
    json!(["argv", format!("python3 -ISB actor.py live-work-worker --session-key {key}")])
}

/// A pool hands its worker to another session. The one that it had is still listed.
#[test]
fn a_worker_that_wrote_another_key_over_its_argv_is_kept() {
    if !is_possible("a_worker_that_wrote_another_key_over_its_argv_is_kept") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "worker", "a");
    let running = json!({ "transport": "attached", "turn": "running" });
    stage.publish("gateway", &[row("a", &running)]);
    stage.when_reaping("gateway", "a", &json!({ "outcome": "reaped" }), &[]);
    let watching = stage.reaper("watching", &["watch", "--interval", "150ms"]);
    stage.eventually("it was looked at", || stage.looks("gateway") > 1);
    stage.tell("worker", &of_session("b"));
    stage.publish("gateway", &[row("a", &json!({})), row("b", &running)]);
    stage.eventually("the session is closed", || stage.asked("gateway") == ["a"]);
    stage.publish("gateway", &[row("b", &running)]);
    std::thread::sleep(3 * BEYOND_THE_GRACE);
    assert!(stage.lives("worker"), "{:#?}", watching.acts());
    assert_eq!(watching.stop().code, Some(0));
}

/// The gateway closes the session, and hands its worker to another one before the first signal.
#[test]
fn a_worker_that_wrote_another_key_over_its_argv_after_the_close_is_kept() {
    by_pid_and_by_key(
        "a_worker_that_wrote_another_key_over_its_argv_after_the_close_is_kept",
        |stage, by| {
            closes_late(stage, by, |stage| {
                let running = json!({ "key": "b", "transport": "attached", "turn": "running" });
                let table = json!({
                    "version": 1,
                    "gateway": { "pid": stage.pid("gateway") },
                    "sessions": [by.row(stage, "b", "worker", &running)],
                });
                vec![json!(["has", "worker", of_session("b")]), json!(["publish", table.to_string()])]
            });
        },
    );
}

#[test]
fn a_worker_is_kept_by_a_pause_that_comes_after_the_close() {
    by_pid_and_by_key("a_worker_is_kept_by_a_pause_that_comes_after_the_close", |stage, by| {
        let pause = |stage: &Stage| {
            let (config, state) = (stage.place().path("reaper.toml"), stage.place().path("state"));
            let state = format!("STATE_DIRECTORY={}", state.display());
            vec![json!(["run", ["env", state, EXE, "--config", config, "pause", "1h"]])]
        };
        closes_late(stage, by, pause);
    });
}

/// The worker of a session lives, in whose close this happens.
fn closes_late(stage: &Stage, by: By, meanwhile: impl Fn(&Stage) -> Vec<Value>) {
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "worker", "a");
    stage.publish("gateway", &[by.row(stage, "a", "worker", &json!({}))]);
    assert_eq!(stage.once("state").json()["totals"]["wait"], 1);
    std::thread::sleep(BEYOND_THE_GRACE);
    stage.when_reaping("gateway", "a", &json!({ "outcome": "reaped" }), &meanwhile(stage));
    let ran = stage.once("state");
    assert_eq!(stage.asked("gateway"), ["a"], "{ran:#?}");
    assert_eq!(Told(ran.json()).session("a")["steps"], json!(["close"]), "{ran:#?}");
    stage.once("state");
    assert!(stage.lives("worker"), "{:#?}", stage.acts("state"));
}

/// Another gateway takes its time for a close: that is none of the worker's concern, whose SIGKILL waits for another look at the tables.
#[test]
fn a_worker_is_killed_in_its_time_however_long_another_gateway_takes_to_close_a_session() {
    let test = "a_worker_is_killed_in_its_time_however_long_another_gateway_takes_to_close_a_session";
    if !is_possible(test) {
        return;
    }
    let stage = Stage::start();
    let policy =
        "grace = \"0s\"\nworker_grace = \"0s\"\nclose_timeout = \"12s\"\nterm_timeout = \"2500ms\"\n";
    stage.configure_two(policy);
    stage.gateway("gateway");
    stage.gateway_at("other", OTHER_PORT);
    stage.worker("gateway", "deaf", "deaf");
    stage.tell("deaf", &json!(["on term", [], "lives on"]));
    stage.publish("gateway", &[]);
    stage.publish("other", &[row("slow", &json!({ "worker": null }))]);
    stage.when_reaping("other", "slow", &json!({ "outcome": "reaped" }), &[json!(["sleep", 10])]);
    let (began, run) = (Instant::now(), stage.reaper("state", &["--json", "once"]));
    stage.leaves("deaf");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "it waited for the close: {took:?}, {:#?}", run.acts());
    let ran = run.end();
    assert_eq!((ran.code, &ran.json()["totals"]["reaped"]), (Some(0), &json!(2)), "{ran:#?}");
}
