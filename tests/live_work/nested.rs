//! Sessions below sessions: a worker starts, or shelters, what belongs to another session.

use serde_json::json;

use crate::reapers::{BEYOND_THE_GRACE, By, OTHER_PORT, POLICY, Told, by_pid_and_by_key, row};
use crate::stage::{Stage, is_possible};

#[test]
fn a_session_that_runs_below_the_worker_of_a_due_one_is_kept_and_so_is_that() {
    let test = "a_session_that_runs_below_the_worker_of_a_due_one_is_kept_and_so_is_that";
    by_pid_and_by_key(test, |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "outer", "outer");
        stage.helper("outer", "shell", &json!({}));
        stage.worker("shell", "inner", "inner");
        let running = json!({ "transport": "attached", "turn": "running" });
        let rows = [by.row(stage, "outer", "outer", &json!({})), by.row(stage, "inner", "inner", &running)];
        stage.publish("gateway", &rows);
        stage.is_spared(&["outer", "shell", "inner"], 0);
        assert!(stage.asked("gateway").is_empty(), "a close would end them all");

        // Both are due: both go, and all that is between them.
        let rows = [by.row(stage, "outer", "outer", &json!({})), by.row(stage, "inner", "inner", &json!({}))];
        stage.publish("gateway", &rows);
        for id in ["outer", "inner"] {
            stage.when_reaping("gateway", id, &json!({ "outcome": "reaped" }), &[]);
        }
        stage.once_until_ended("state", &["outer", "shell", "inner"]);
    });
}

#[test]
fn another_gateways_session_below_an_ownerless_worker_is_kept() {
    by_pid_and_by_key("another_gateways_session_below_an_ownerless_worker_is_kept", |stage, by| {
        stage.configure_two(POLICY);
        stage.gateway("gateway");
        stage.gateway_at("other", OTHER_PORT);
        stage.worker("gateway", "outer", "outer");
        stage.worker("outer", "inner", "inner");
        stage.publish("gateway", &[]);
        let running = json!({ "transport": "attached", "turn": "running" });
        stage.publish("other", &[by.row(stage, "inner", "inner", &running)]);
        stage.is_spared(&["outer", "inner"], 0);
    });
}

/// Whose it is, is for the table to say that can't be read just now.
#[test]
fn a_session_below_anothers_worker_is_kept_while_its_own_gateway_gives_no_table() {
    let test = "a_session_below_anothers_worker_is_kept_while_its_own_gateway_gives_no_table";
    by_pid_and_by_key(test, |stage, by| {
        stage.configure_two(POLICY);
        stage.gateway("gateway");
        stage.gateway_at("other", OTHER_PORT);
        stage.worker("gateway", "outer", "outer");
        stage.worker("outer", "inner", "inner");
        let running = json!({ "transport": "attached", "turn": "running" });
        stage.publish("other", &[by.row(stage, "inner", "inner", &running)]);
        stage.manner("other", "refuses");
        stage.publish("gateway", &[by.row(stage, "outer", "outer", &json!({}))]);
        let told = stage.is_spared(&["outer", "inner"], 3);
        assert_eq!(told.worker(stage.pid("inner"))["reason"], "table-not-trusted", "{told:#?}");
        assert!(stage.asked("gateway").is_empty(), "a close would end them both");

        stage.publish("gateway", &[]);
        stage.is_spared(&["outer", "inner"], 3);
    });
}

/// An agent that another one started with `nohup … &`, as a job of a shell that is gone before any look: it is in the worker's process session.
#[test]
fn what_a_live_worker_started_is_kept_also_where_init_adopted_it_before_any_look() {
    let test = "what_a_live_worker_started_is_kept_also_where_init_adopted_it_before_any_look";
    by_pid_and_by_key(test, |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        stage.worker_with("gateway", "worker", "k", &json!({ "session": true }));
        stage.worker_with("worker", "started", "another", &json!({ "orphan": true }));
        let running = json!({ "transport": "attached", "turn": "running" });
        stage.publish("gateway", &[by.row(stage, "k", "worker", &running)]);
        let told = stage.is_spared(&["worker", "started"], 0);
        assert_eq!(told.worker(stage.pid("started"))["verdict"], "keep", "{told:#?}");

        stage.kill("worker");
        stage.publish("gateway", &[]);
        stage.once_until_ended("state", &["started"]);
    });
}

/// The inner worker has written over its argv, or executed something else: nothing there tells any more whose it is.
#[test]
fn a_worker_that_doesn_t_look_like_one_any_more_is_kept_below_that_of_a_due_session() {
    let test = "a_worker_that_doesn_t_look_like_one_any_more_is_kept_below_that_of_a_due_session";
    by_pid_and_by_key(test, |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "outer", "outer");
        stage.worker("outer", "inner", "inner");
        let running = json!({ "transport": "attached", "turn": "running" });
        let inner = by.row(stage, "inner", "inner", &running);
        stage.publish("gateway", &[by.row(stage, "outer", "outer", &running), inner.clone()]);
        assert_eq!(stage.once("state").code, Some(0), "it was seen as the worker that it is");

        stage.tell("inner", &json!(["argv", "renamed"]));
        stage.publish("gateway", &[by.row(stage, "outer", "outer", &json!({})), inner]);
        stage.once("state");
        std::thread::sleep(BEYOND_THE_GRACE);
        let told = Told(stage.once("state").json());
        assert_eq!(told.session("outer")["reason"], "protected", "{told:#?}");
        assert!(stage.asked("gateway").is_empty(), "a close would end them both");
        assert!(stage.lives("inner") && stage.lives("outer"), "{told:#?}");

        // Once its session is gone, it goes with what it is below.
        stage.publish("gateway", &[by.row(stage, "outer", "outer", &json!({}))]);
        stage.when_reaping("gateway", "outer", &json!({ "outcome": "reaped" }), &[]);
        stage.once_until_ended("state", &["outer", "inner"]);
    });
}

/// The conversation of the outer session was compacted, and its worker carries the key that it had before: closing it would end both workers.
#[test]
fn a_session_below_the_worker_of_one_whose_key_has_changed_is_kept() {
    if !is_possible("a_session_below_the_worker_of_one_whose_key_has_changed_is_kept") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "outer", "outer");
    stage.worker("outer", "inner", "inner");
    let running = json!({ "transport": "attached", "turn": "running" });
    let rows = [
        By::Key.row(&stage, "outer", "outer", &json!({ "key": "newer" })),
        By::Key.row(&stage, "inner", "inner", &running),
    ];
    stage.publish("gateway", &rows);
    let told = stage.is_spared(&["outer", "inner"], 0);
    assert_eq!(told.session("outer")["reason"], "protected", "{told:#?}");
    assert!(stage.asked("gateway").is_empty(), "a close would end them both");
    stage.kill("inner");
    stage.publish("gateway", &rows[..1]);
    stage.when_reaping("gateway", "outer", &json!({ "outcome": "reaped" }), &[]);
    stage.eventually("the session is closed", || {
        stage.once("state");
        !stage.asked("gateway").is_empty()
    });
}

/// gascity #5837: a terminal multiplexer that one session's worker started, and in which the workers of all sessions run.
#[test]
fn a_server_that_a_due_session_started_is_kept_while_other_sessions_run_in_it() {
    let test = "a_server_that_a_due_session_started_is_kept_while_other_sessions_run_in_it";
    by_pid_and_by_key(test, |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "founder", "founder");
        stage.helper("founder", "server", &json!({ "session": true }));
        let idle = by.row(stage, "founder", "founder", &json!({ "transport": "attached" }));
        stage.publish("gateway", &[idle]);
        assert_eq!(stage.once("state").code, Some(0), "the server was seen below its founder");

        stage.worker("server", "guest", "guest");
        let running = json!({ "transport": "attached", "turn": "running" });
        let guest = by.row(stage, "guest", "guest", &running);
        stage.publish("gateway", &[by.row(stage, "founder", "founder", &json!({})), guest.clone()]);
        // The gateway closes the session as it does on its own: the server comes under init.
        stage.once("state");
        stage.kill("founder");
        stage.publish("gateway", &[guest]);
        for _ in 0..3 {
            stage.once("state");
            std::thread::sleep(BEYOND_THE_GRACE / 2);
        }
        assert!(stage.lives("server") && stage.lives("guest"), "{:#?}", stage.acts("state"));
        stage.is_spared(&["server", "guest"], 0);
    });
}

/// A worker that leads a process session, as Hermes 0.19 starts them, has started another gateway in the background: all of that one's workers
/// are in the session.
#[test]
fn the_sessions_of_a_gateway_that_a_due_sessions_worker_started_live_on() {
    let test = "the_sessions_of_a_gateway_that_a_due_sessions_worker_started_live_on";
    by_pid_and_by_key(test, |stage, by| {
        stage.configure_two(POLICY);
        stage.gateway("gateway");
        stage.worker_with("gateway", "starter", "starter", &json!({ "session": true }));
        stage.gateway_below("starter", "other", OTHER_PORT, &json!({ "orphan": true }));
        stage.worker("other", "live", "live");
        stage.helper("other", "helper", &json!({}));
        let running = json!({ "transport": "attached", "turn": "running" });
        stage.publish("other", &[by.row(stage, "live", "live", &running)]);
        stage.publish("gateway", &[by.row(stage, "starter", "starter", &json!({}))]);
        stage.when_reaping("gateway", "starter", &json!({ "outcome": "reaped" }), &[]);
        stage.once("seen");
        std::thread::sleep(BEYOND_THE_GRACE);
        let ran = stage.once_until_ended("seen", &["starter"]);
        for name in ["live", "helper", "other"] {
            assert!(stage.lives(name), "{name}: {ran:#?}");
        }
    });
}

/// Its table names no process of its own, and nothing is configured that finds it: only that it listens at its address tells.
#[test]
fn a_gateway_that_nothing_names_and_that_a_due_sessions_worker_started_lives_on() {
    let test = "a_gateway_that_nothing_names_and_that_a_due_sessions_worker_started_lives_on";
    by_pid_and_by_key(test, |stage, by| {
        stage.configure_two(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "starter", "starter");
        stage.gateway_below("starter", "other", OTHER_PORT, &json!({}));
        // Its session is served by the gateway itself.
        let running = json!({ "transport": "attached", "turn": "running", "worker": null });
        stage.publish_as("other", &json!({}), &[row("live", &running)]);
        stage.publish("gateway", &[by.row(stage, "starter", "starter", &json!({}))]);
        stage.is_spared(&["starter", "other"], 0);
        assert!(stage.asked("gateway").is_empty(), "a close would end them both");
    });
}
