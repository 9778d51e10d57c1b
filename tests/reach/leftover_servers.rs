//! The presets, each with real servers from PyPI and npm whose host is killed. An MCP server that rests ends with its stdin; one in the middle
//! of a call doesn't. An ACP adapter stays in any case (zed #56146: 62 of them over 12 days).

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::Ran;
use crate::program::write_program;
use crate::reapers::Told;
use crate::software::{self, Software};
use crate::stage::{Stage, is_possible};

/// A host with its server.
struct Hosted {
    host: u64,
    server: u64,
}

impl Stage {
    fn hosted(&self, name: &str, how: &str, messages: &Value, command: &[&str]) -> Hosted {
        let script = self.place().write("host.py", include_str!("host.py"));
        let note = self.place().path(&format!("server-of-{name}"));
        let first = ["python3", script.to_str().unwrap(), how, note.to_str().unwrap()];
        let messages = messages.to_string();
        let words = [&first[..], &[&messages], command].concat();
        let options = json!({ "directory": "/", "log": self.place().path(name), "session": true });
        let host = self.tell("init", &json!(["spawn", "", words, options])).as_u64().unwrap();
        self.eventually(
            &format!("{name} is at work ({})", self.place().read(&format!("{name}.err"))),
            || note.exists(),
        );
        Hosted { host, server: fs::read_to_string(note).unwrap().parse().unwrap() }
    }

    /// All processes below this one that run.
    fn tree(&self, pid: u64) -> Vec<u64> {
        let below: Vec<u64> = serde_json::from_value(self.tell("init", &json!(["below", pid]))).unwrap();
        std::iter::once(pid).chain(below).collect()
    }

    fn configure_preset(&self, preset: &str) {
        self.configure_leftovers(preset, "");
    }

    /// Each server but the last loses its host, and then goes with its tree; the last keeps its own and stays.
    fn play(&self, mut hosted: Vec<Hosted>) {
        let bystander = hosted.pop().unwrap();
        let told = self.is_spared(&[], 0);
        let trees: Vec<Vec<u64>> = hosted.iter().map(|it| self.tree(it.server)).collect();
        for it in &hosted {
            self.signal_pid(it.host, Signal::KILL);
        }
        self.eventually("the hosts are gone", || !hosted.iter().any(|it| self.runs(it.host)));
        let first = self.once("state");
        for it in &hosted {
            let said = Told(first.json()).worker(it.server).clone();
            assert_eq!(
                (&said["verdict"], &said["orphan_kind"]),
                (&json!("wait"), &json!("leftover")),
                "{first:#?}"
            );
        }
        let mut outcomes = std::collections::BTreeMap::new();
        self.eventually("all of them are gone", || {
            for subject in Told(self.once("state").json()).subjects().filter(|it| it["outcome"].is_string()) {
                outcomes.insert(subject["worker_pid"].as_u64().unwrap(), subject["outcome"].clone());
            }
            !trees.iter().flatten().any(|pid| self.runs(*pid))
        });
        for it in &hosted {
            assert_eq!(outcomes.get(&it.server), Some(&json!("reaped")), "{outcomes:?}");
        }
        assert!(self.tree(bystander.server).iter().all(|pid| self.runs(*pid)) && self.runs(bystander.host));
        drop(told);
    }
}

fn begins(test: &str) -> Option<(Stage, Software)> {
    if !is_possible(test) {
        return None;
    }
    let software = software::install(test)?;
    Some((Stage::start(), software))
}

fn hello(last: &[Value]) -> Value {
    let client = json!({ "name": "test", "version": "1" });
    let hello = json!({ "id": 1, "method": "initialize",
        "params": { "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": client } });
    let all =
        [hello, json!({ "method": "notifications/initialized" })].into_iter().chain(last.iter().cloned());
    Value::from(all.collect::<Vec<_>>())
}

fn call(tool: &str, arguments: &Value) -> Value {
    json!({ "id": 2, "method": "tools/call", "params": { "name": tool, "arguments": arguments } })
}

/// A repository whose commits hang in a hook.
fn repository(stage: &Stage) -> String {
    let path = stage.place().path("repository");
    let git = |words: &[&str]| {
        let done = std::process::Command::new("git").arg("-C").arg(&path).args(words).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    fs::create_dir(&path).unwrap();
    git(&["init", "--quiet"]);
    git(&["config", "user.email", "a@b"]);
    git(&["config", "user.name", "a"]);
    fs::write(path.join("file"), "1").unwrap();
    git(&["add", "file"]);
    let hook = path.join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    write_program(&hook, "#!/bin/sh\ntouch \"$(dirname \"$0\")/../../begun\"\nsleep 1000\n");
    path.to_str().unwrap().to_owned()
}

#[test]
fn mcp_ends_real_servers_whose_host_was_killed_in_the_middle_of_a_call() {
    let test = "mcp_ends_real_servers_whose_host_was_killed_in_the_middle_of_a_call";
    let Some((stage, software)) = begins(test) else { return };
    stage.configure_preset("mcp");
    let long = hello(&[call("trigger-long-running-operation", &json!({ "duration": 1000, "steps": 1 }))]);
    let node = ["node", software.everything_server.to_str().unwrap()];
    let by_pipe = stage.hosted("by-pipe", "pipe", &long, &node);
    let by_socket = stage.hosted("by-socket", "socket", &long, &node);
    let repository = repository(&stage);
    let commit = hello(&[call("git_commit", &json!({ "repo_path": repository, "message": "m" }))]);
    let git = stage.hosted("git", "pipe", &commit, &[software.git_server.to_str().unwrap()]);
    stage.eventually("the commit has begun", || Path::new(&repository).join("begun").exists());
    assert!(stage.tree(git.server).len() >= 2, "the hook is below it");
    let bystander = stage.hosted("bystander", "pipe", &long, &node);
    stage.play(vec![by_pipe, by_socket, git, bystander]);
}

#[test]
fn mcp_keeps_a_real_server_that_serves_at_a_port() {
    let Some((stage, software)) = begins("mcp_keeps_a_real_server_that_serves_at_a_port") else { return };
    stage.configure_preset("mcp");
    let command = ["node", software.everything_server.to_str().unwrap(), "streamableHttp"];
    let service = stage.hosted("service", "pipe", &json!([]), &command);
    stage.eventually("it listens", || stage.place().read("service.err").contains("listening"));
    stage.signal_pid(service.host, Signal::KILL);
    stage.eventually("its host is gone", || !stage.runs(service.host));
    stage.eventually("it is said why it is kept", || {
        let said = Told(stage.once("state").json()).worker(service.server).clone();
        said["detail"].as_str().is_some_and(|why| why.contains("it listens at a port"))
    });
    stage.is_spared(&[], 0);
    assert!(stage.runs(service.server));
}

#[test]
fn acp_ends_a_real_adapter_whose_host_was_killed() {
    let Some((stage, software)) = begins("acp_ends_a_real_adapter_whose_host_was_killed") else { return };
    stage.configure_preset("acp");
    let hello = json!([{ "id": 1, "method": "initialize",
        "params": { "protocolVersion": 1, "clientCapabilities": {} } }, { "method": "session/cancel", "params": { "sessionId": "none" } }]);
    let adapter = ["node", software.acp_adapter.to_str().unwrap()];
    let by_pipe = stage.hosted("by-pipe", "pipe", &hello, &adapter);
    let by_socket = stage.hosted("by-socket", "socket", &hello, &adapter);
    assert!(stage.tree(by_pipe.server).len() >= 2, "node runs the adapter's own program");
    let bystander = stage.hosted("bystander", "pipe", &hello, &adapter);
    stage.play(vec![by_pipe, by_socket, bystander]);
}
