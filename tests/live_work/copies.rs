//! A worker forks without exec: the copy carries its argv, and by a second fork init adopts it.

use std::time::Duration;

use serde_json::json;

use crate::reapers::{BEYOND_THE_GRACE, By, OTHER_PORT, POLICY, Told, by_pid_and_by_key};
use crate::stage::{Fork, PORT, Stage, is_possible};

#[test]
fn a_forked_copy_of_a_live_worker_is_kept() {
    by_pid_and_by_key("a_forked_copy_of_a_live_worker_is_kept", |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        let live = [
            ("attached", json!({ "transport": "attached" })),
            ("running", json!({ "transport": "attached", "turn": "running" })),
            ("away", json!({ "turn": "running" })),
            ("held", json!({ "holds": ["background-process"] })),
        ];
        let mut rows = Vec::new();
        let mut names = Vec::new();
        for (id, changes) in &live {
            let copies = [format!("{id}-daemon"), format!("{id}-child")];
            stage.worker("gateway", id, id);
            stage.copy(id, &copies[0], Fork::Daemon);
            stage.copy(id, &copies[1], Fork::Child);
            rows.push(by.row(stage, id, id, changes));
            names.extend(copies.into_iter().chain([id.to_string()]));
        }
        stage.publish("gateway", &rows);
        let told = stage.is_spared(&names.iter().map(String::as_str).collect::<Vec<_>>(), 0);
        for (id, _) in &live {
            assert_eq!(told.session(id)["verdict"], "keep", "{told:#?}");
            told.keeps(stage.pid(&format!("{id}-daemon")), id);
        }
    });
}

/// As process 1 of a container does, and whatever asks for orphans.
#[test]
fn a_copy_without_a_key_that_the_gateway_itself_adopted_is_kept() {
    if !is_possible("a_copy_without_a_key_that_the_gateway_itself_adopted_is_kept") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.tell("gateway", &json!(["adopts", "gatewayd"]));
    stage.worker_without_key("gateway", "worker");
    stage.copy("worker", "daemon", Fork::Daemon);
    assert_eq!(stage.tell("gateway", &json!(["parent", stage.pid("daemon")])), stage.pid("gateway"));
    let mut row = By::Pid.row(&stage, "s", "worker", &json!({ "transport": "attached", "turn": "running" }));
    row.as_object_mut().unwrap().remove("key");
    stage.publish("gateway", &[row]);
    let told = stage.is_spared(&["worker", "daemon"], 0);
    assert_eq!(told.worker(stage.pid("daemon"))["verdict"], "keep", "{told:#?}");
}

/// Its conversation had that key before it was compacted.
#[test]
fn the_worker_of_a_live_session_that_carries_the_key_of_another_is_not_ended_with_that() {
    if !is_possible("the_worker_of_a_live_session_that_carries_the_key_of_another_is_not_ended_with_that") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "resumed", "k");
    stage.worker("gateway", "live", "k");
    let running = json!({ "transport": "attached", "turn": "running", "key": "newer" });
    let live = By::Key.row(&stage, "compacted", "live", &running);
    let resumed = By::Pid.row(&stage, "resumed", "resumed", &json!({ "key": "k" }));
    stage.when_reaping("gateway", "resumed", &json!({ "outcome": "reaped" }), &[]);
    stage.publish("gateway", &[live.clone(), resumed]);
    stage.once_until_ended("state", &["resumed"]);
    stage.publish("gateway", &[live]);
    stage.is_spared(&["live"], 0);
}

/// Its user goes on with a conversation of before, whose worker was left; or another gateway serves a session of the same key.
#[test]
fn the_worker_of_a_live_session_is_kept_where_its_new_key_is_carried_by_what_cannot_be_its_new_worker() {
    let test =
        "the_worker_of_a_live_session_is_kept_where_its_new_key_is_carried_by_what_cannot_be_its_new_worker";
    if !is_possible(test) {
        return;
    }
    for is_of_another in [false, true] {
        let stage = Stage::start();
        stage.configure_two(POLICY);
        stage.gateway("gateway");
        stage.gateway_at("other", OTHER_PORT);
        let starts = if is_of_another { "other" } else { "gateway" };
        stage.worker(starts, "carrier", "new");
        // Started in a later tick of the kernel's clock.
        std::thread::sleep(Duration::from_millis(50));
        stage.worker("gateway", "live", "old");
        let row =
            |key: &str| By::Key.row(&stage, "s", "live", &json!({ "transport": "attached", "key": key }));
        let others = By::Key.row(&stage, "t", "carrier", &json!({ "transport": "attached", "key": "new" }));
        stage.publish("other", if is_of_another { std::slice::from_ref(&others) } else { &[] });
        stage.publish("gateway", &[row("old")]);
        stage.once("state");
        stage.publish("gateway", &[row("new")]);
        for _ in 0..3 {
            stage.once("state");
            std::thread::sleep(BEYOND_THE_GRACE);
        }
        assert!(stage.lives("live") && stage.lives("carrier"), "{:#?}", stage.acts("state"));
        let told = Told(stage.status("state").json());
        assert_eq!(told.worker(stage.pid("live"))["verdict"], "keep", "{told:#?}");
    }
}

/// One `marker` for two gateways, one of which gives no table just now.
#[test]
fn a_daemonised_worker_that_is_marked_for_two_gateways_is_kept_while_one_gives_no_table() {
    if !is_possible("a_daemonised_worker_that_is_marked_for_two_gateways_is_kept_while_one_gives_no_table") {
        return;
    }
    let stage = Stage::start();
    stage.configure_two_with(POLICY, "marker = \"ACTOR_SESSION\"\n");
    stage.gateway("gateway");
    stage.gateway_at("other", OTHER_PORT);
    stage.worker_with("other", "starts", "t", &json!({ "environment": { "ACTOR_SESSION": "s" } }));
    stage.copy("starts", "live", Fork::Daemon);
    stage.kill("starts");
    stage.manner("other", "hangs");
    stage.when_reaping("gateway", "s", &json!({ "outcome": "reaped" }), &[]);
    stage.publish("gateway", &[By::Key.row(&stage, "s", "live", &json!({}))]);
    stage.eventually("the other session is closed", || {
        stage.once("state");
        !stage.asked("gateway").is_empty()
    });
    stage.publish("gateway", &[]);
    for _ in 0..2 {
        stage.once("state");
        std::thread::sleep(BEYOND_THE_GRACE);
    }
    assert!(stage.lives("live"), "{:#?}", stage.acts("state"));
}

#[test]
fn a_worker_that_bears_the_mark_of_a_live_session_is_not_ended_with_one_whose_key_it_carries() {
    if !is_possible(
        "a_worker_that_bears_the_mark_of_a_live_session_is_not_ended_with_one_whose_key_it_carries",
    ) {
        return;
    }
    let stage = Stage::start();
    stage.configure_with(POLICY, "", "marker = \"ACTOR_SESSION\"\n");
    stage.gateway("gateway");
    stage.worker_with("gateway", "live", "k", &json!({ "environment": { "ACTOR_SESSION": "compacted" } }));
    let running = json!({ "transport": "attached", "turn": "running", "key": "newer" });
    let live = By::Key.row(&stage, "compacted", "live", &running);
    stage.when_reaping("gateway", "resumed", &json!({ "outcome": "reaped" }), &[]);
    stage.publish("gateway", &[live.clone(), By::Key.row(&stage, "resumed", "live", &json!({ "key": "k" }))]);
    stage.eventually("the other session is closed", || {
        stage.once("state");
        !stage.asked("gateway").is_empty()
    });
    stage.publish("gateway", &[live]);
    stage.is_spared(&["live"], 0);
}

#[test]
fn a_copy_of_a_worker_without_a_key_is_kept_while_that_runs_and_goes_after_it() {
    if !is_possible("a_copy_of_a_worker_without_a_key_is_kept_while_that_runs_and_goes_after_it") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker_without_key("gateway", "worker");
    stage.copy("worker", "daemon", Fork::Daemon);
    let mut row = By::Pid.row(&stage, "s", "worker", &json!({ "transport": "attached", "turn": "running" }));
    row.as_object_mut().unwrap().remove("key");
    stage.publish("gateway", &[row]);
    let told = stage.is_spared(&["worker", "daemon"], 0);
    let daemon = told.worker(stage.pid("daemon"));
    assert_eq!(daemon["verdict"], "keep", "{told:#?}");
    assert!(
        daemon["detail"].as_str().unwrap().contains("a copy of the worker of session \"s\""),
        "{daemon:#}"
    );
    stage.kill("worker");
    stage.publish("gateway", &[]);
    stage.once_until_ended("state", &["daemon"]);
}

#[test]
fn the_copy_that_a_live_sessions_worker_left_is_kept() {
    by_pid_and_by_key("the_copy_that_a_live_sessions_worker_left_is_kept", |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "worker", "k");
        stage.copy("worker", "daemon", Fork::Daemon);
        stage.publish("gateway", &[by.row(stage, "k", "worker", &json!({ "transport": "attached" }))]);
        stage.kill("worker");
        let told = stage.is_spared(&["daemon"], 0);
        told.keeps(stage.pid("daemon"), "k");
    });
}

#[test]
fn a_copy_goes_with_its_session() {
    by_pid_and_by_key("a_copy_goes_with_its_session", |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "worker", "k");
        stage.copy("worker", "daemon", Fork::Daemon);
        stage.copy("worker", "child", Fork::Child);
        stage.worker("gateway", "bystander", "b");
        let kept = by.row(stage, "b", "bystander", &json!({ "transport": "attached" }));
        stage.publish("gateway", &[by.row(stage, "k", "worker", &json!({})), kept]);
        let asked_to_end = json!(["signal", stage.pid("worker"), 15]);
        stage.when_reaping("gateway", "k", &json!({ "outcome": "reaped" }), &[asked_to_end]);
        stage.once_until_ended("state", &["worker", "child", "daemon"]);
        assert!(stage.lives("bystander") && stage.lives("gateway"));
    });
}

#[test]
fn a_copy_of_an_ownerless_worker_goes_too() {
    by_pid_and_by_key("a_copy_of_an_ownerless_worker_goes_too", |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "worker", "k");
        stage.copy("worker", "daemon", Fork::Daemon);
        stage.worker("gateway", "bystander", "b");
        stage.publish("gateway", &[by.row(stage, "b", "bystander", &json!({ "transport": "attached" }))]);
        let ran = stage.once_until_ended("state", &["worker", "daemon"]);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert!(stage.lives("bystander") && stage.lives("gateway"));
    });
}

/// All that it starts are forks of it, those that answer its clients as well: nothing in an argv tells them from its workers.
#[test]
fn what_a_gateway_forked_to_serve_its_clients_is_kept() {
    if !is_possible("what_a_gateway_forked_to_serve_its_clients_is_kept") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.worker_without_key("init", "gateway");
    stage.tell("gateway", &json!(["serve", PORT]));
    stage.copy("gateway", "serves", Fork::Child);
    stage.publish("gateway", &[]);
    stage.is_spared(&["gateway", "serves"], 0);
    stage.worker_without_key("gateway", "left");
    stage.once_until_ended("state", &["left"]);
    assert!(stage.lives("serves"));
}
