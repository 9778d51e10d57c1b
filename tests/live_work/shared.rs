//! Processes that several sessions share, or that a worker shares with others: fork servers, process groups, sandboxes, user managers.

use serde_json::json;

use crate::reapers::{BEYOND_THE_GRACE, By, OTHER_PORT, POLICY, at_once, by_pid_and_by_key};
use crate::stage::{Fork, Stage, is_possible};

/// prime-agent #1358, pitchfork: every worker is forked from a first one without exec, and so carries its argv and its key.
#[test]
fn workers_that_were_forked_from_the_worker_of_a_due_session_are_kept_and_so_is_that() {
    let test = "workers_that_were_forked_from_the_worker_of_a_due_session_are_kept_and_so_is_that";
    if !is_possible(test) {
        return;
    }
    at_once([Fork::Child, Fork::Daemon].map(|fork| {
        move || {
            let stage = Stage::start();
            stage.configure(POLICY);
            stage.gateway("gateway");
            stage.worker("gateway", "first", "first");
            stage.copy("first", "second", fork);
            stage.copy("first", "third", fork);
            let running = json!({ "transport": "attached", "turn": "running" });
            let rows = [
                By::Pid.row(&stage, "first", "first", &json!({})),
                By::Pid.row(&stage, "2", "second", &running),
                By::Pid.row(&stage, "3", "third", &running),
            ];
            if matches!(fork, Fork::Child) {
                stage.publish("gateway", &rows);
                stage.is_spared(&["first", "second", "third"], 0);
                assert!(stage.asked("gateway").is_empty());
            } else {
                // They aren't below it any more: it may go, alone.
                stage.publish("gateway", &rows);
                stage.when_reaping("gateway", "first", &json!({ "outcome": "reaped" }), &[]);
                stage.once_until_ended("state", &["first"]);
                std::thread::sleep(BEYOND_THE_GRACE);
                stage.once("state");
                assert!(stage.lives("second") && stage.lives("third"), "{:#?}", stage.acts("state"));
            }
        }
    }));
}

/// A fork server that no row names, above workers that are named: it isn't ownerless as long as they live.
#[test]
fn a_fork_server_that_no_row_names_is_kept_while_sessions_live_below_it() {
    if !is_possible("a_fork_server_that_no_row_names_is_kept_while_sessions_live_below_it") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.tell("gateway", &json!(["actor", "server", ["live-work-worker"], {}]));
    stage.enters("server");
    stage.copy("server", "one", Fork::Child);
    stage.copy("server", "two", Fork::Child);
    let rows = [
        By::Pid.row(&stage, "1", "one", &json!({ "transport": "attached" })),
        By::Pid.row(&stage, "2", "two", &json!({ "transport": "attached", "turn": "running" })),
    ];
    stage.publish("gateway", &rows);
    stage.is_spared(&["server", "one", "two"], 0);
}

/// A leaky gateway has all in its own process group: what init adopted in it may be of any session.
#[test]
fn what_a_live_sessions_worker_left_under_init_is_kept_when_another_session_is_reaped() {
    let test = "what_a_live_sessions_worker_left_under_init_is_kept_when_another_session_is_reaped";
    by_pid_and_by_key(test, |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "due", "due");
        stage.helper("due", "dues-child", &json!({}));
        stage.worker("gateway", "live", "live");
        stage.helper("live", "job", &json!({ "orphan": true }));
        let rows = [
            by.row(stage, "due", "due", &json!({})),
            by.row(stage, "live", "live", &json!({ "transport": "attached", "turn": "running" })),
        ];
        stage.publish("gateway", &rows);
        let closes = json!(["signal", stage.pid("due"), 9]);
        stage.when_reaping("gateway", "due", &json!({ "outcome": "reaped" }), &[closes]);
        stage.once_until_ended("state", &["due", "dues-child"]);
        std::thread::sleep(BEYOND_THE_GRACE);
        stage.once("state");
        for name in ["job", "live", "gateway"] {
            assert!(stage.lives(name), "{name}: {:#?}", stage.acts("state"));
        }
    });
}

/// An MCP server, say, that the worker started by way of a shell which is gone, and that another gateway starts, too.
#[test]
fn what_was_seen_below_a_worker_and_what_another_gateway_takes_for_its_own_stays_with_its_session() {
    let test =
        "what_was_seen_below_a_worker_and_what_another_gateway_takes_for_its_own_stays_with_its_session";
    by_pid_and_by_key(test, |stage, by| {
        stage.configure_one_that_takes_helpers(POLICY);
        stage.gateway("gateway");
        stage.gateway_at("other", OTHER_PORT);
        stage.publish("other", &[]);
        stage.worker("gateway", "live", "live");
        stage.helper("live", "shell", &json!({}));
        stage.helper("shell", "server", &json!({}));
        let running = json!({ "transport": "attached", "turn": "running" });
        stage.publish("gateway", &[by.row(stage, "live", "live", &running)]);
        stage.once("state");
        stage.kill("shell");
        for _ in 0..3 {
            stage.once("state");
            std::thread::sleep(BEYOND_THE_GRACE);
        }
        assert!(stage.lives("server") && stage.lives("live"), "{:#?}", stage.acts("state"));
        stage.publish("gateway", &[by.row(stage, "live", "live", &json!({}))]);
        stage.when_reaping("gateway", "live", &json!({ "outcome": "reaped" }), &[]);
        stage.once_until_ended("state", &["live", "server"]);
        assert!(stage.lives("other"));
    });
}

/// A tool that runs in a PID namespace of its own below the worker, as bubblewrap has it.
#[test]
fn a_sandbox_below_a_worker_goes_with_it() {
    by_pid_and_by_key("a_sandbox_below_a_worker_goes_with_it", |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "worker", "k");
        stage.tell("worker", &json!(["contained", "sandbox", ["live-work-sandbox"]]));
        stage.enters("sandbox");
        stage.helper("sandbox", "tool", &json!({}));
        stage.publish("gateway", &[by.row(stage, "k", "worker", &json!({}))]);
        stage.when_reaping("gateway", "k", &json!({ "outcome": "reaped" }), &[]);
        stage.once_until_ended("state", &["worker", "sandbox", "tool"]);
    });
}

/// A gateway below a user's service manager, which adopts what the gateway leaves.
fn managed(stage: &Stage) {
    stage.configure(POLICY);
    stage.helper("init", "manager", &json!({}));
    stage.tell("manager", &json!(["adopts", "systemd"]));
    stage.gateway_below("manager", "gateway", crate::stage::PORT, &json!({}));
    stage.worker("gateway", "worker", "k");
    stage.copy("worker", "daemon", Fork::Daemon);
}

#[test]
fn what_a_users_service_manager_adopted_of_a_live_session_is_kept() {
    by_pid_and_by_key("what_a_users_service_manager_adopted_of_a_live_session_is_kept", |stage, by| {
        managed(stage);
        let running = json!({ "transport": "attached", "turn": "running" });
        stage.publish("gateway", &[by.row(stage, "k", "worker", &running)]);
        stage.is_spared(&["worker", "daemon", "manager"], 0);
    });
}

/// KiroCrew #4110: orphans under a subreaper were never reaped, and forgotten.
#[test]
fn what_a_users_service_manager_adopted_of_a_gateway_that_is_gone_is_reaped() {
    let test = "what_a_users_service_manager_adopted_of_a_gateway_that_is_gone_is_reaped";
    by_pid_and_by_key(test, |stage, by| {
        managed(stage);
        stage.publish("gateway", &[by.row(stage, "k", "worker", &json!({ "transport": "attached" }))]);
        stage.once("warm");
        stage.kill("gateway");
        let memory = if matches!(by, By::Pid) { "warm" } else { "fresh" };
        stage.once_until_ended(memory, &["worker", "daemon"]);
        assert!(stage.lives("manager"));
    });
}

/// Another gateway on the machine, of which no configuration speaks.
#[test]
fn the_workers_of_a_gateway_that_is_not_configured_are_kept() {
    if !is_possible("the_workers_of_a_gateway_that_is_not_configured_are_kept") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.helper("init", "elsewhere", &json!({}));
    stage.worker("elsewhere", "theirs", "theirs");
    stage.gateway("gateway");
    stage.worker("elsewhere", "theirs-too", "theirs-too");
    stage.publish("gateway", &[]);
    stage.is_spared(&["theirs", "theirs-too"], 0);
    stage.kill("gateway");
    stage.is_spared(&["theirs", "theirs-too"], 3);
}
