//! The five ways in which a reaper took live work, beside a Hermes dashboard with the plugin: nothing is taken, and what is lost goes.

use serde_json::{Value, json};

use crate::reapers::{BEYOND_THE_GRACE, By, POLICY, at_once, by_pid_and_by_key};
use crate::stage::{Fork, Stage, is_possible};

fn busy() -> Value {
    json!({ "transport": "attached", "turn": "running" })
}

/// A dashboard whose worker left a copy of itself under init.
fn with_a_copy(stage: &Stage, by: By, changes: &Value) {
    stage.configure_hermes(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "worker", "k");
    stage.copy("worker", "daemon", Fork::Daemon);
    stage.publish("gateway", &[by.row(stage, "k", "worker", changes)]);
}

#[test]
fn a_copy_of_a_live_dashboard_worker_is_kept() {
    by_pid_and_by_key("a_copy_of_a_live_dashboard_worker_is_kept", |stage, by| {
        with_a_copy(stage, by, &busy());
        stage.is_spared(&["worker", "daemon"], 0).keeps(stage.pid("daemon"), "k");
        stage.publish("gateway", &[by.row(stage, "k", "worker", &json!({ "holds": ["delegation"] }))]);
        stage.is_spared(&["worker", "daemon"], 0).keeps(stage.pid("daemon"), "k");
    });
}

#[test]
fn a_worker_that_a_restarted_dashboard_lists_is_kept() {
    by_pid_and_by_key("a_worker_that_a_restarted_dashboard_lists_is_kept", |stage, by| {
        stage.configure_hermes(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "worker", "k");
        stage.publish("gateway", &[by.row(stage, "k", "worker", &busy())]);
        assert_eq!(stage.once("seen").code, Some(0));
        stage.kill("gateway");
        stage.gateway("again");
        stage.publish("again", &[by.row(stage, "k", "worker", &busy())]);
        for _ in 0..3 {
            assert_eq!(stage.once("seen").json()["totals"]["reap"], 0);
            std::thread::sleep(BEYOND_THE_GRACE / 2);
        }
        let told = stage.is_spared(&["worker"], 0);
        assert_eq!(told.session("k")["reason"], "attached");
    });
}

#[test]
fn a_session_below_the_worker_of_a_due_dashboard_session_is_kept() {
    by_pid_and_by_key("a_session_below_the_worker_of_a_due_dashboard_session_is_kept", |stage, by| {
        stage.configure_hermes(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "outer", "outer");
        stage.worker("outer", "inner", "inner");
        let rows = [by.row(stage, "outer", "outer", &json!({})), by.row(stage, "inner", "inner", &busy())];
        stage.publish("gateway", &rows);
        stage.is_spared(&["outer", "inner"], 0);
        assert!(stage.asked("gateway").is_empty(), "a close would end both");
    });
}

#[test]
fn workers_in_another_pid_namespace_are_not_the_dashboards() {
    by_pid_and_by_key("workers_in_another_pid_namespace_are_not_the_dashboards", |stage, by| {
        stage.configure_hermes(POLICY);
        stage.container("contained-init");
        stage.worker("contained-init", "contained", "c");
        stage.gateway("gateway");
        stage.worker("gateway", "native", "n");
        stage.publish("gateway", &[by.row(stage, "n", "native", &busy())]);
        stage.is_spared(&["contained", "native"], 0);
        stage.kill("native");
        stage.kill("gateway");
        stage.is_spared(&["contained"], 3);
    });
}

#[test]
fn the_live_workers_of_a_dashboard_that_refuses_or_hangs_are_kept() {
    let test = "the_live_workers_of_a_dashboard_that_refuses_or_hangs_are_kept";
    by_pid_and_by_key(test, |stage, by| {
        with_a_copy(stage, by, &busy());
        for manner in ["refuses", "shows a page", "hangs"] {
            stage.manner("gateway", manner);
            let told = stage.is_spared(&["worker", "daemon"], 3);
            assert_eq!(told.worker(stage.pid("daemon"))["reason"], "table-not-trusted", "{manner}");
        }
    });
}

#[test]
fn dashboard_workers_whose_keys_the_rows_do_not_carry_are_kept() {
    let test = "dashboard_workers_whose_keys_the_rows_do_not_carry_are_kept";
    if !is_possible(test) {
        return;
    }
    // Keys that rotated, with the worker's PID and without; and rows without a key.
    at_once([(true, By::Pid), (true, By::Key), (false, By::Key)].map(|(keys, by)| {
        move || {
            let stage = Stage::start();
            stage.configure_hermes(POLICY);
            stage.gateway("gateway");
            let names = ["one", "two", "three"];
            let rows = names.map(|name| {
                stage.worker("gateway", name, name);
                let mut row = by.row(&stage, &format!("id-of-{name}"), name, &busy());
                row["key"] = json!(format!("rotated-{name}"));
                if !keys {
                    row.as_object_mut().unwrap().remove("key");
                }
                row
            });
            stage.publish("gateway", &rows);
            stage.is_spared(&names, 0);
        }
    }));
}

#[test]
fn what_no_dashboard_session_owns_is_reaped_and_a_due_session_is_closed() {
    let test = "what_no_dashboard_session_owns_is_reaped_and_a_due_session_is_closed";
    by_pid_and_by_key(test, |stage, by| {
        stage.configure_hermes(POLICY);
        stage.gateway("gateway");
        for name in ["lost", "due", "bystander"] {
            stage.worker("gateway", name, name);
        }
        let due = by.row(stage, "due", "due", &json!({}));
        stage.publish("gateway", &[due, by.row(stage, "bystander", "bystander", &busy())]);
        stage.when_reaping("gateway", "due", &json!({ "outcome": "reaped" }), &[]);
        stage.once_until_ended("state", &["lost", "due"]);
        assert!(stage.lives("bystander") && stage.lives("gateway"));
        assert_eq!(stage.asked("gateway").first().map(String::as_str), Some("due"));
    });
}
