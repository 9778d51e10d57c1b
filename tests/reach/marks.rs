//! Whose a process is when its parent is gone: by the marks that its gateway gave it. On real families.

use serde_json::{Value, json};

use crate::reapers::{By, POLICY, at_once, row};
use crate::stage::{Fork, Stage, is_possible};

const SESSION: &str = "REACH_SESSION";

/// The worker's argv says nothing of its session.
fn marked(test: &str, more: &str) -> Option<Stage> {
    if !is_possible(test) {
        return None;
    }
    let stage = Stage::start();
    stage.configure_with(POLICY, "", more);
    stage.gateway("gateway");
    Some(stage)
}

const BY_SESSION: &str = "marker = \"REACH_SESSION\"\n";

impl Stage {
    /// A process with this mark. `words`: what it looks like.
    fn bears(&self, parent: &str, name: &str, words: &[&str], mark: &Value, more: &Value) {
        let mut options = more.clone();
        options["environment"] = mark.clone();
        self.tell(parent, &json!(["actor", name, words, options]));
        self.enters(name);
    }

    fn marked_worker(&self, name: &str, session: &str, more: &Value) {
        self.bears("gateway", name, &["live-work-worker"], &json!({ SESSION: session }), more);
    }
}

fn live(id: &str) -> Value {
    row(id, &json!({ "transport": "attached", "turn": "running" }))
}

#[test]
fn a_worker_whose_argv_says_nothing_is_its_sessions_by_its_mark() {
    let test = "a_worker_whose_argv_says_nothing_is_its_sessions_by_its_mark";
    let Some(stage) = marked(test, BY_SESSION) else { return };
    stage.marked_worker("live", "key-of-live", &json!({}));
    stage.marked_worker("due", "due", &json!({}));
    stage.marked_worker("lost", "of-no-session", &json!({}));
    let mut first = live("live");
    first["key"] = json!("key-of-live");
    stage.publish("gateway", &[first.clone(), row("due", &json!({}))]);
    stage.when_reaping("gateway", "due", &json!({ "outcome": "reaped" }), &[]);
    let ran = stage.once_until_ended("state", &["due", "lost"]);
    assert!(stage.lives("live"), "{ran:#?}");
    stage.publish("gateway", &[first]);
    let told = stage.is_spared(&["live"], 0);
    assert!(!told.0["gateways"][0]["subjects"].to_string().contains("\"kind\":\"worker\""), "{told:#?}");
}

/// Parentage doesn't tell whose these are: they are kept with a live session and ended with a due one. `family` starts those of a session
/// below the gateway, and gives their names.
fn goes_with_its_session_alone(test: &str, family: impl Fn(&Stage, &str) -> Vec<String>) {
    let Some(stage) = marked(test, BY_SESSION) else { return };
    let [alive, due] = ["live", "due"].map(|id| family(&stage, id));
    let names = |names: &[String]| -> Vec<String> { names.to_vec() };
    let all = [names(&alive), names(&due)].concat();
    stage.publish("gateway", &[live("live"), live("due")]);
    stage.is_spared(&all.iter().map(String::as_str).collect::<Vec<_>>(), 0);

    stage.publish("gateway", &[live("live"), row("due", &json!({}))]);
    stage.when_reaping("gateway", "due", &json!({ "outcome": "reaped" }), &[]);
    stage.once_until_ended("state", &due.iter().map(String::as_str).collect::<Vec<_>>());
    for name in &alive {
        assert!(stage.lives(name), "{name}: {:#?}", stage.acts("state"));
    }
}

/// KiroCrew #11789: the PID that was known was a wrapper's, which executes the real program in its place.
#[test]
fn a_wrapper_that_execs() {
    goes_with_its_session_alone("a_wrapper_that_execs", |stage, id| {
        let [wrapper, program] = ["wrapper", "program"].map(|what| format!("{what}-{id}"));
        stage.marked_worker(&wrapper, id, &json!({}));
        // It is known as a worker before.
        stage.publish("gateway", &[live("live"), live("due")]);
        stage.once("state");
        let order = json!(["exec", program, ["live-work-program"]]);
        stage.to(&wrapper).unwrap().send(order.to_string().as_bytes()).unwrap();
        stage.enters(&program);
        vec![program]
    });
}

#[test]
fn what_a_leader_left_that_was_killed() {
    goes_with_its_session_alone("what_a_leader_left_that_was_killed", |stage, id| {
        let [leader, helper] = ["leader", "helper"].map(|what| format!("{what}-{id}"));
        stage.marked_worker(&leader, id, &json!({ "session": true }));
        stage.helper(&leader, &helper, &json!({}));
        stage.kill(&leader);
        vec![helper]
    });
}

#[test]
fn a_daemon_by_two_forks() {
    goes_with_its_session_alone("a_daemon_by_two_forks", |stage, id| {
        let [worker, daemon] = ["worker", "daemon"].map(|what| format!("{what}-{id}"));
        stage.marked_worker(&worker, id, &json!({}));
        stage.copy(&worker, &daemon, Fork::Daemon);
        vec![worker, daemon]
    });
}

#[test]
fn what_leads_a_session_of_its_own() {
    goes_with_its_session_alone("what_leads_a_session_of_its_own", |stage, id| {
        let [worker, helper] = ["worker", "helper"].map(|what| format!("{what}-{id}"));
        stage.marked_worker(&worker, id, &json!({}));
        stage.helper(&worker, &helper, &json!({ "session": true, "orphan": true }));
        vec![worker, helper]
    });
}

#[test]
fn what_is_in_a_user_namespace_of_its_own() {
    goes_with_its_session_alone("what_is_in_a_user_namespace_of_its_own", |stage, id| {
        let name = format!("contained-{id}");
        let actor = stage.place().path("actor.py");
        let inside = ["unshare", "--user", "--map-root-user", "/usr/bin/python3", "-ISB"];
        let words: Vec<&str> =
            inside.into_iter().chain([actor.to_str().unwrap(), "live-work-helper"]).collect();
        let options = json!({ "orphan": true, "environment": { SESSION: id } });
        stage.tell("gateway", &json!(["spawn", name, words, options]));
        stage.enters(&name);
        vec![name]
    });
}

#[test]
fn what_bears_the_mark_of_a_worker_goes_with_it_when_their_gateway_is_gone() {
    let test = "what_bears_the_mark_of_a_worker_goes_with_it_when_their_gateway_is_gone";
    let Some(stage) = marked(test, BY_SESSION) else { return };
    let apart = json!({ "orphan": true, "session": true });
    for id in ["a", "b"] {
        stage.marked_worker(&format!("worker-{id}"), id, &json!({}));
        let mark = json!({ SESSION: id });
        stage.bears("gateway", &format!("helper-{id}"), &["live-work-helper"], &mark, &apart);
    }
    // Of a session without a worker: nothing that may be ended leads to it.
    stage.bears("gateway", "alone", &["live-work-helper"], &json!({ SESSION: "c" }), &apart);
    stage.publish("gateway", &[live("a"), live("b"), live("c")]);
    stage.once("state");
    stage.kill("gateway");
    stage.once_until_ended("state", &["worker-a", "helper-a", "worker-b", "helper-b"]);
    assert!(stage.lives("alone"), "{:#?}", stage.acts("state"));
}

#[test]
fn a_marked_editor_of_a_live_session_keeps_the_tree_that_it_is_in() {
    let test = "a_marked_editor_of_a_live_session_keeps_the_tree_that_it_is_in";
    let Some(stage) = marked(test, BY_SESSION) else { return };
    stage.marked_worker("due", "due", &json!({}));
    stage.marked_worker("live", "live", &json!({}));
    stage.bears("due", "editor", &["live-work-editor"], &json!({ SESSION: "live" }), &json!({}));
    stage.publish("gateway", &[live("live"), row("due", &json!({}))]);
    stage.is_spared(&["due", "live", "editor"], 0);
    assert!(stage.asked("gateway").is_empty(), "a close would end it, too");
}

/// A mark is no reason to end anything: what has one of a session that isn't listed, and looks like no worker, is nobody's concern.
#[test]
fn a_mark_by_itself_ends_nothing() {
    let Some(stage) = marked("a_mark_by_itself_ends_nothing", BY_SESSION) else { return };
    stage.bears("init", "stranger", &["live-work-stranger"], &json!({ SESSION: "gone" }), &json!({}));
    stage.bears("init", "copied", &["live-work-stranger"], &json!({ SESSION: "live" }), &json!({}));
    stage.bears(
        "init",
        "another-users",
        &["live-work-stranger"],
        &json!({ SESSION: "due" }),
        &json!({ "user": 65534 }),
    );
    stage.marked_worker("live", "live", &json!({}));
    stage.marked_worker("due", "due", &json!({}));
    stage.publish("gateway", &[live("live"), row("due", &json!({}))]);
    stage.when_reaping("gateway", "due", &json!({ "outcome": "reaped" }), &[]);
    stage.once_until_ended("state", &["due"]);
    stage.publish("gateway", &[live("live")]);
    stage.is_spared(&["stranger", "copied", "another-users", "live"], 0);
}

#[test]
fn a_mark_that_names_the_gateway_keeps_while_it_is_there_and_tells_when_it_is_gone() {
    let test = "a_mark_that_names_the_gateway_keeps_while_it_is_there_and_tells_when_it_is_gone";
    let Some(stage) = marked(test, "marker = \"REACH_GATEWAY\"\nmarker_names = \"gateway\"\n") else {
        return;
    };
    let mark = json!({ "REACH_GATEWAY": stage.pid("gateway").to_string() });
    stage.bears("gateway", "daemon", &["live-work-worker"], &mark, &json!({ "orphan": true }));
    stage.bears("init", "unmarked", &["live-work-worker"], &json!({}), &json!({}));
    stage.publish("gateway", &[]);
    stage.once_until_ended("state", &["unmarked"]);
    let told = stage.is_spared(&["daemon"], 0);
    let said = told.worker(stage.pid("daemon"));
    assert!(
        said["detail"].as_str().unwrap().contains("its mark names gateway desk, which is there"),
        "{said:#}"
    );
    stage.kill("gateway");
    stage.once_until_ended("gone", &["daemon"]);
}

/// Only a program that isn't known to adopt is above it by then, and no look saw it before.
#[test]
fn what_an_unknown_program_adopted_is_found_by_the_gateway_that_its_mark_names() {
    let test = "what_an_unknown_program_adopted_is_found_by_the_gateway_that_its_mark_names";
    let Some(stage) = marked(test, "marker = \"REACH_GATEWAY\"\nmarker_names = \"gateway\"\n") else {
        return;
    };
    stage.tell("init", &json!(["actor", "supervisor", ["live-work-supervisor"], {}]));
    stage.enters("supervisor");
    stage.tell("supervisor", &json!(["adopts", "a-supervisor"]));
    stage.tell("supervisor", &json!(["actor", "starter", ["live-work-gateway"], {}]));
    stage.enters("starter");
    let mark = json!({ "REACH_GATEWAY": stage.pid("starter").to_string() });
    stage.bears("starter", "worker", &["live-work-worker"], &mark, &json!({ "session": true }));
    stage.bears("supervisor", "own", &["live-work-worker"], &json!({}), &json!({ "session": true }));
    stage.kill("starter");
    stage.publish("gateway", &[]);
    stage.once_until_ended("state", &["worker"]);
    assert!(stage.lives("own"), "without a mark it may be the supervisor's own");
}

#[test]
fn a_cgroup_says_whose_a_process_is() {
    let Some(stage) =
        marked("a_cgroup_says_whose_a_process_is", "cgroup = '/[0-9]+-reach-(?P<session>[a-z]+)$'\n")
    else {
        return;
    };
    // Where no cgroup can be made, there is none to tell by.
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let of_v2 = |line: &str| Some(line.split(' ').nth(1)?.to_owned()).filter(|_| line.contains(" cgroup2 "));
    let root = mounts.lines().find_map(of_v2).unwrap_or_default();
    let own = std::process::id();
    let groups = ["live", "due"].map(|id| std::path::Path::new(&root).join(format!("{own}-reach-{id}")));
    let _groups = Groups(groups.to_vec());
    if root.is_empty() || groups.iter().any(|group| std::fs::create_dir(group).is_err()) {
        crate::privileges::left_out("a_cgroup_says_whose_a_process_is", "a cgroup v2 that can be written");
        return;
    }
    for (id, group) in ["live", "due"].iter().zip(&groups) {
        stage.bears("gateway", id, &["live-work-worker"], &json!({}), &json!({}));
        stage.tell(id, &json!(["join", group.join("cgroup.procs")]));
    }
    stage.publish("gateway", &[live("live"), row("due", &json!({}))]);
    stage.when_reaping("gateway", "due", &json!({ "outcome": "reaped" }), &[]);
    stage.once_until_ended("state", &["due"]);
    assert!(stage.lives("live"));
    drop(stage);
}

/// Cgroups of a test, removed once nothing is in them any more.
struct Groups(Vec<std::path::PathBuf>);

impl Drop for Groups {
    fn drop(&mut self) {
        for group in &self.0 {
            // What was in it may need a moment to be gone.
            for _ in 0..500 {
                if !group.exists() || std::fs::remove_dir(group).is_ok() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
    }
}
