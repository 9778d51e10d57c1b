//! The five ways in which a reaper took live work, for a gateway that programs speak for: nothing is taken, and what is lost goes.

use std::fs;

use serde_json::json;

use crate::program::write_program;
use crate::reapers::{POLICY, by_pid_and_by_key};
use crate::stage::{Fork, PORT, Stage};

/// A program that reads the table, or asks for a close, where the gateway of the stage publishes it.
const ASK: &str = r#"#!/usr/bin/python3 -ISB
import sys, urllib.error, urllib.request
url = "http://127.0.0.1:PORT/sessions"
data = None
if sys.argv[1] == "reap":
    url, data = f"{url}/{sys.argv[2]}/reap", b"{}"
print(urllib.request.urlopen(url, data, timeout=5).read().decode())
"#;

impl Stage {
    /// A gateway of kind `command`, whose programs ask the stage's own gateway.
    fn speak_by_command(&self) {
        let ask = self.place().path("bin/ask");
        fs::create_dir_all(self.place().path("bin")).unwrap();
        write_program(&ask, ASK.replace("PORT", &PORT.to_string()));
        self.configure(POLICY);
        let text = self.place().read("reaper.toml");
        let is_of_http =
            |line: &&str| !["kind =", "url =", "timeout ="].iter().any(|key| line.starts_with(key));
        let lines: Vec<&str> = text.lines().filter(is_of_http).collect();
        let command = format!(
            "name = \"desk\"\nkind = \"command\"\ntimeout = \"30s\"\ntable = [{ask:?}, \"table\"]\nreap = [{ask:?}, \"reap\"]"
        );
        self.place().write("reaper.toml", lines.join("\n").replace("name = \"desk\"", &command));
    }
}

fn busy() -> serde_json::Value {
    json!({ "transport": "attached", "turn": "running" })
}

#[test]
fn a_copy_of_a_live_worker_is_kept() {
    by_pid_and_by_key("a_copy_of_a_live_worker_is_kept", |stage, by| {
        stage.speak_by_command();
        stage.gateway("gateway");
        stage.worker("gateway", "worker", "k");
        stage.copy("worker", "daemon", Fork::Daemon);
        stage.publish("gateway", &[by.row(stage, "k", "worker", &busy())]);
        stage.is_spared(&["worker", "daemon"], 0);
    });
}

#[test]
fn a_worker_that_a_restarted_gateway_took_back_is_kept() {
    by_pid_and_by_key("a_worker_that_a_restarted_gateway_took_back_is_kept", |stage, by| {
        stage.speak_by_command();
        stage.gateway("gateway");
        stage.worker("gateway", "worker", "k");
        stage.publish("gateway", &[by.row(stage, "k", "worker", &busy())]);
        assert_eq!(stage.once("seen").code, Some(0));
        stage.kill("gateway");
        stage.gateway("again");
        stage.publish("again", &[by.row(stage, "k", "worker", &busy())]);
        let told = stage.is_spared(&["worker"], 0);
        assert_eq!(told.session("k")["reason"], "attached");
    });
}

#[test]
fn a_session_below_the_worker_of_a_due_one_is_kept() {
    by_pid_and_by_key("a_session_below_the_worker_of_a_due_one_is_kept", |stage, by| {
        stage.speak_by_command();
        stage.gateway("gateway");
        stage.worker("gateway", "outer", "outer");
        stage.worker("outer", "inner", "inner");
        let rows = [by.row(stage, "outer", "outer", &json!({})), by.row(stage, "inner", "inner", &busy())];
        stage.publish("gateway", &rows);
        stage.is_spared(&["outer", "inner"], 0);
        assert!(stage.asked("gateway").is_empty());
    });
}

#[test]
fn workers_in_another_pid_namespace_are_kept() {
    by_pid_and_by_key("workers_in_another_pid_namespace_are_kept", |stage, by| {
        stage.speak_by_command();
        stage.container("contained-init");
        stage.worker("contained-init", "contained", "c");
        stage.gateway("gateway");
        stage.worker("gateway", "native", "n");
        stage.publish("gateway", &[by.row(stage, "n", "native", &json!({ "transport": "attached" }))]);
        stage.is_spared(&["contained", "native"], 0);
    });
}

#[test]
fn what_is_not_known_is_not_taken_for_gone() {
    by_pid_and_by_key("what_is_not_known_is_not_taken_for_gone", |stage, by| {
        stage.speak_by_command();
        stage.gateway("gateway");
        stage.worker("gateway", "worker", "k");
        stage.worker("gateway", "parent", "d");
        stage.copy("parent", "daemon", Fork::Daemon);
        stage.kill("parent");
        stage.publish(
            "gateway",
            &[by.row(stage, "k", "worker", &busy()), by.row(stage, "d", "daemon", &busy())],
        );
        for manner in ["refuses", "shows a page", "hangs"] {
            stage.manner("gateway", manner);
            let told = stage.is_spared(&["worker", "daemon"], 3);
            assert_eq!(told.worker(stage.pid("daemon"))["reason"], "table-not-trusted", "{manner}");
        }
    });
}

#[test]
fn what_no_session_owns_is_ended_and_a_due_session_closed() {
    by_pid_and_by_key("what_no_session_owns_is_ended_and_a_due_session_closed", |stage, by| {
        stage.speak_by_command();
        stage.gateway("gateway");
        stage.worker("gateway", "lost", "lost");
        stage.worker("gateway", "due", "due");
        stage.worker("gateway", "bystander", "b");
        let rows = [by.row(stage, "due", "due", &json!({})), by.row(stage, "b", "bystander", &busy())];
        stage.publish("gateway", &rows);
        stage.when_reaping("gateway", "due", &json!({ "outcome": "reaped" }), &[]);
        stage.once_until_ended("state", &["lost", "due"]);
        assert!(stage.lives("bystander") && stage.lives("gateway"));
        assert_eq!(stage.asked("gateway").first().map(String::as_str), Some("due"));
    });
}
