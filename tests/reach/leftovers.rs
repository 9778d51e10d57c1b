//! `kind = "processes"`: a server that talks over stdin is a leftover if the other end of that is gone, and so is its parent; nothing else is.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::{Place, Ran};
use crate::reapers::{POLICY, Told};
use crate::stage::{SOMEBODY, Stage, is_possible};

pub(crate) const SERVERS: &str = r"\S*python\S* -ISB \S*actor\.py reach-server";

impl Stage {
    /// Leftovers alone are looked for.
    pub(crate) fn configure_leftovers(&self, pattern: &str, more: &str) {
        let text = format!(
            "[policy]\n{POLICY}\n[[gateway]]\nname = \"leftovers\"\nkind = \"processes\"\n[gateway.worker]\nmatch = '{pattern}'\n{more}"
        );
        self.place().write("reaper.toml", text);
    }

    pub(crate) fn host(&self, name: &str) {
        self.tell("init", &json!(["actor", name, ["reach-host"], {}]));
        self.enters(name);
    }

    /// A server below a host, with what this says at its stdin.
    pub(crate) fn server(&self, host: &str, name: &str, stdin: &str) {
        self.server_with(host, name, &json!({ "stdin": stdin }));
    }

    pub(crate) fn server_with(&self, host: &str, name: &str, options: &Value) {
        self.tell(host, &json!(["actor", name, ["reach-server"], options]));
        self.enters(name);
    }
}

/// What the last report says of a process that was kept.
pub(crate) fn says(told: &Told, stage: &Stage, name: &str, reason: &str, words: &str) {
    let said = told.worker(stage.pid(name));
    assert_eq!((&said["verdict"], &said["reason"]), (&json!("keep"), &json!(reason)), "{name}: {said:#}");
    assert!(said["detail"].as_str().unwrap_or_default().contains(words), "{name}: {said:#}");
}

/// A host whose servers are leftovers once they have lost it.
pub(crate) fn with_a_host() -> Stage {
    let stage = Stage::start();
    stage.configure_leftovers(SERVERS, "");
    stage.host("host");
    stage
}

#[test]
fn a_server_whose_host_is_gone_is_ended_with_its_whole_tree() {
    if !is_possible("a_server_whose_host_is_gone_is_ended_with_its_whole_tree") {
        return;
    }
    let stage = with_a_host();
    stage.host("bystander");
    for (name, stdin) in [("by-pipe", "pipe"), ("by-socket", "socket")] {
        stage.server("host", name, stdin);
        stage.helper(name, &format!("helper-{name}"), &json!({ "session": true }));
        stage.server("bystander", &format!("live-{name}"), stdin);
    }
    let live = ["live-by-pipe", "live-by-socket"];
    let servers = ["by-pipe", "by-socket"];
    let told = stage.is_spared(&[&live[..], &servers].concat(), 0);
    for name in live.iter().chain(&servers) {
        says(&told, &stage, name, "attached", "");
    }
    let pids = servers.map(|name| stage.pid(name));
    stage.kill("host");
    let first = stage.once("state");
    for pid in pids {
        let said = Told(first.json()).worker(pid).clone();
        assert_eq!(
            (&said["verdict"], &said["orphan_kind"]),
            (&json!("wait"), &json!("leftover")),
            "{first:#?}"
        );
    }
    let ran =
        stage.once_until_ended("state", &["by-pipe", "by-socket", "helper-by-pipe", "helper-by-socket"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    for pid in pids {
        let said = Told(ran.json()).worker(pid).clone();
        assert_eq!((&said["outcome"], &said["steps"]), (&json!("reaped"), &json!(["SIGTERM"])), "{ran:#?}");
    }
    assert!(live.iter().all(|name| stage.lives(name)) && stage.lives("bystander"));
}

#[test]
fn watch_finds_those_that_lose_their_host_later() {
    if !is_possible("watch_finds_those_that_lose_their_host_later") {
        return;
    }
    let stage = with_a_host();
    stage.server("host", "server", "pipe");
    let watching = stage.reaper("watching", &["watch", "--interval", "150ms"]);
    stage.eventually("it has looked", || !watching.out().is_empty());
    assert!(stage.lives("server"));
    stage.kill("host");
    stage.leaves("server");
    assert_eq!(watching.stop().code, Some(0));
}

#[test]
fn what_has_no_other_end_that_could_go_never_qualifies() {
    if !is_possible("what_has_no_other_end_that_could_go_never_qualifies") {
        return;
    }
    let stage = with_a_host();
    let file = stage.place().write("input", "");
    let fifo = stage.place().path("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    stage.server("host", "null", "/dev/null");
    stage.server("host", "file", file.to_str().unwrap());
    stage.server("host", "terminal", "/dev/ptmx");
    // Opened for reading and writing: it has a writer, itself, and another may come at any time.
    stage.server("host", "fifo", fifo.to_str().unwrap());
    let names = ["null", "file", "terminal", "fifo"];
    stage.kill("host");
    let told = stage.is_spared(&names, 0);
    says(&told, &stage, "null", "unknown-state", "its stdin is /dev/null");
    for name in names {
        says(&told, &stage, name, "unknown-state", "so nothing tells whether its host is there");
    }
}

#[test]
fn a_server_whose_other_end_some_process_still_has_is_kept() {
    if !is_possible("a_server_whose_other_end_some_process_still_has_is_kept") {
        return;
    }
    let stage = with_a_host();
    for (name, stdin) in [("by-pipe", "pipe"), ("by-socket", "socket")] {
        stage.server("host", name, stdin);
        stage.tell("host", &json!(["stdin of", name]));
    }
    stage.helper("host", "friend", &json!({}));
    stage.kill("host");
    let told = stage.is_spared(&["by-pipe", "by-socket"], 0);
    says(&told, &stage, "by-pipe", "attached", "");
    says(&told, &stage, "by-socket", "attached", "");
    stage.kill("friend");
    stage.once_until_ended("state", &["by-pipe", "by-socket"]);
}

#[test]
fn a_server_whose_parent_is_there_is_kept_though_the_other_end_is_closed() {
    if !is_possible("a_server_whose_parent_is_there_is_kept_though_the_other_end_is_closed") {
        return;
    }
    let stage = with_a_host();
    for (name, stdin) in [("by-pipe", "pipe"), ("by-socket", "socket")] {
        stage.server("host", name, stdin);
        stage.tell("host", &json!(["close stdin", name]));
    }
    let told = stage.is_spared(&["by-pipe", "by-socket"], 0);
    for name in ["by-pipe", "by-socket"] {
        says(&told, &stage, name, "unknown-state", "its parent is there and may be its host");
    }
}

#[test]
fn a_server_that_listens_is_kept_while_it_has_a_client() {
    if !is_possible("a_server_that_listens_is_kept_while_it_has_a_client") {
        return;
    }
    let stage = with_a_host();
    let socket = stage.place().path("server.sock");
    let names = ["port", "socket", "helped", "alone"];
    for name in names {
        stage.server("host", name, "pipe");
    }
    stage.helper("helped", "helper", &json!({}));
    stage.helper("init", "client", &json!({}));
    stage.tell("port", &json!(["listen", 7101]));
    stage.tell("socket", &json!(["listen unix", socket]));
    stage.tell("helper", &json!(["listen", 7102]));
    stage.tell("alone", &json!(["listen", 7103]));
    stage.tell("client", &json!(["connect", 7101]));
    stage.tell("port", &json!(["accept"]));
    stage.tell("client", &json!(["connect", 7102]));
    stage.tell("client", &json!(["connect unix", socket]));
    stage.tell("socket", &json!(["accept"]));
    stage.kill("host");
    // The one without a client goes, whatever it listens at.
    stage.once_until_ended("state", &["alone"]);
    stage.is_spared(&["port", "socket", "helped", "helper"], 0);
    // Inside its grace it only waits. What is due is looked at once more, and its grace begins again.
    for name in ["port", "socket", "helped"] {
        let pid = stage.pid(name);
        stage.eventually(&format!("{name} is said to have a client"), || {
            Told(stage.once("state").json()).worker(pid)["reason"] == "attached"
        });
    }
    stage.kill("client");
    stage.once_until_ended("state", &["port", "socket", "helped", "helper"]);
}

/// As one that was started by `ssh HOST 'nohup SERVER --port N &'`.
#[test]
fn a_server_that_was_told_to_serve_at_a_port_and_does_needs_no_host() {
    if !is_possible("a_server_that_was_told_to_serve_at_a_port_and_does_needs_no_host") {
        return;
    }
    let stage = with_a_host();
    let words = [
        ("serves", "--transport=sse"),
        ("numbered", "--bind=127.0.0.1:7106"),
        ("told", "--port"),
        ("listens", "--stdio"),
    ];
    for (name, word) in words {
        stage.tell("host", &json!(["actor", name, ["reach-server", word], { "stdin": "pipe" }]));
        stage.enters(name);
    }
    stage.tell("serves", &json!(["listen", 7104]));
    stage.tell("listens", &json!(["listen", 7105]));
    stage.tell("numbered", &json!(["listen", 7106]));
    stage.kill("host");
    stage.once_until_ended("state", &["told", "listens"]);
    stage.is_spared(&["serves", "numbered"], 0);
    for name in ["serves", "numbered"] {
        stage.eventually("it is said why", || {
            let said = Told(stage.once("state").json()).worker(stage.pid(name)).clone();
            said["detail"].as_str().is_some_and(|why| why.contains("it listens at a port"))
        });
    }
}

#[test]
fn another_users_and_another_namespaces_servers_are_kept() {
    if !is_possible("another_users_and_another_namespaces_servers_are_kept") {
        return;
    }
    let stage = with_a_host();
    stage.server_with("host", "another-users", &json!({ "stdin": "pipe", "user": SOMEBODY }));
    stage.container("contained-init");
    stage.host_below("contained-init", "contained-host");
    stage.server("contained-host", "contained", "pipe");
    stage.to_its_end("contained-host");
    stage.kill("host");
    stage.is_spared(&["another-users", "contained"], 0);
}

impl Stage {
    /// Ends a process whose PID isn't known out here.
    fn to_its_end(&self, name: &str) {
        // No answer comes.
        self.to(name).unwrap().send(json!(["exit"]).to_string().as_bytes()).unwrap();
        self.leaves(name);
    }

    fn host_below(&self, parent: &str, name: &str) {
        self.tell(parent, &json!(["actor", name, ["reach-host"], {}]));
        self.enters(name);
    }
}

#[test]
fn what_can_not_be_read_is_a_doubt() {
    if !is_possible("what_can_not_be_read_is_a_doubt") {
        return;
    }
    let stage = Stage::start();
    stage.configure_leftovers(SERVERS, "");
    stage.tell("init", &json!(["actor", "host", ["reach-host"], { "user": SOMEBODY }]));
    stage.enters("host");
    stage.server("host", "closed", "pipe");
    stage.server("host", "open", "pipe");
    stage.tell("closed", &json!(["undumpable"]));
    stage.kill("host");
    std::fs::set_permissions(stage.place().dir(), std::os::unix::fs::PermissionsExt::from_mode(0o1777))
        .unwrap();
    let run = || {
        let options = json!({
            "user": SOMEBODY,
            "directory": "/",
            "log": stage.place().path("somebody"),
            "environment": { "HOME": "/nonexistent", "STATE_DIRECTORY": stage.place().path("somebodys") },
        });
        let config = stage.place().path("reaper.toml");
        let words = [crate::place::EXE, "--json", "--config", config.to_str().unwrap(), "once"];
        let pid = stage.tell("init", &json!(["spawn", "", words, options]));
        stage.eventually("it has ended", || !stage.tell("init", &json!(["ended", pid])).is_null());
        serde_json::from_str::<Value>(&stage.place().read("somebody.out"))
            .unwrap_or_else(|error| panic!("{error}: {}", stage.place().read("somebody.err")))
    };
    let mut last = Value::Null;
    stage.eventually("the one that can be read has ended", || {
        last = run();
        !stage.lives("open")
    });
    assert!(stage.lives("closed"));
    says(&Told(last), &stage, "closed", "unknown-state", "its stdin can't be read");
}

#[test]
fn one_command_without_a_configuration_tells_and_ends_them_only_if_it_is_told_to() {
    if !is_possible("one_command_without_a_configuration_tells_and_ends_them_only_if_it_is_told_to") {
        return;
    }
    let stage = Stage::start();
    stage.host("host");
    stage.server("host", "server", "pipe");
    stage.kill("host");
    let pid = stage.pid("server");
    let words = ["--json", "once", "--kind", "processes", "--match", SERVERS];
    let ran = stage.reaper("state", &words).end();
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let told = Told(ran.json());
    assert_eq!(told.worker(pid)["verdict"], "wait", "{ran:#?}");
    assert_eq!(told.0["dry_run"], true);
    assert_eq!(stage.acts("state/leftovers"), Vec::<Value>::new());
    assert!(stage.place().path("state/leftovers").exists(), "it has a memory of its own");
    assert!(!stage.place().path("state/ledger.json").exists());

    // The grace is a minute, of which a test needn't wait: it stays, sees that something will be due, and is told to leave.
    let stays = stage.reaper("state", &[&words[..], &["--reap", "--wait", "2m"]].concat());
    std::thread::sleep(Duration::from_millis(500));
    let left = stays.stop();
    assert_eq!(left.code, Some(0), "{left:#?}");
    assert_eq!(Told(left.json()).0["dry_run"], false);
    assert!(stage.lives("server"), "inside its grace");
}

/// By hand, or in a configuration: what an operator forbids holds for that command, too.
#[test]
fn one_command_without_a_configuration_heeds_a_pause_a_hold_and_a_keep() {
    if !is_possible("one_command_without_a_configuration_heeds_a_pause_a_hold_and_a_keep") {
        return;
    }
    let stage = Stage::start();
    stage.configure_leftovers(SERVERS, "");
    stage.host("host");
    stage.server("host", "server", "pipe");
    stage.kill("host");
    let pid = stage.pid("server");
    let pattern = SERVERS.replace("reach-server", "(?P<session>reach-server)");
    let words = ["--json", "once", "--kind", "processes", "--match", &pattern, "--reap"];
    let verdict = |more: &[&str]| {
        let ran = stage.reaper("state", &[more, &words[..]].concat()).end();
        let said = Told(ran.json()).worker(pid).clone();
        (said["verdict"].clone(), said["detail"].as_str().unwrap_or_default().to_owned())
    };
    let ask = |words: &[&str]| {
        let ran = stage.reaper("state", words).end();
        assert_eq!(ran.code, Some(0), "{ran:?}");
    };
    assert_eq!(verdict(&[]).0, json!("wait"));
    ask(&["pause", "1h"]);
    let (paused, why) = verdict(&[]);
    assert!(paused == json!("keep") && why.contains("by hand: paused until "), "{why}");
    ask(&["resume"]);
    assert_eq!(verdict(&[]).0, json!("wait"));
    ask(&["hold", &pid.to_string(), "--for", "1h"]);
    let (held, why) = verdict(&[]);
    assert!(held == json!("keep") && why.contains("by hand: held until "), "{why}");
    ask(&["release", &pid.to_string()]);
    assert_eq!(verdict(&[]).0, json!("wait"));

    let gateway = "[[gateway]]\nname = \"left\"\nkind = \"processes\"\n[gateway.worker]\nmatch = 'mcp'\n";
    for keep in ["key = \"reach-*\"", "gateway = \"left\"", "gateway = \"left\"\nkey = \"reach-*\""] {
        let config = stage.place().write("keep.toml", format!("{gateway}[[keep]]\n{keep}\n"));
        let (kept, why) = verdict(&["--config", config.to_str().unwrap()]);
        assert!(kept == json!("keep") && why.contains("by hand: [[keep]] in line "), "{keep}: {why}");
    }
    let others = stage.place().write("keep.toml", format!("{gateway}[[keep]]\nkey = \"others-*\"\n"));
    assert_eq!(verdict(&["--config", others.to_str().unwrap()]).0, json!("wait"));

    // A pause where that configuration has its memory.
    let elsewhere = format!("[state]\ndir = \"{}\"\n{gateway}", stage.place().path("elsewhere").display());
    let elsewhere = stage.place().write("elsewhere.toml", elsewhere);
    let elsewhere = ["--config", elsewhere.to_str().unwrap()];
    ask(&[&elsewhere[..], &["pause", "1h"]].concat());
    assert_eq!(verdict(&elsewhere).0, json!("keep"));
    assert!(stage.lives("server"));
}

#[test]
fn the_command_line_says_what_is_missing() {
    let place = Place::new();
    for (words, said) in [
        (&["once", "--kind", "processes"][..], "--match"),
        (&["once", "--match", "mcp"], "--kind"),
        (&["once", "--reap"], "--kind"),
        (&["once", "--kind", "http", "--match", "mcp"], "processes"),
        (&["once", "--kind", "processes", "--match", "("], "expected a regular expression"),
        (&["once", "--kind", "processes", "--match", ".*"], "which fits any process"),
        (&["once", "--kind", "processes", "--match", "mcp", "--reap", "--dry-run"], "--dry-run"),
    ] {
        let ran = place.reaper(words.iter().copied()).run();
        assert_eq!(ran.code, Some(2), "{words:?}: {ran:#?}");
        assert!(ran.err.contains(said), "{words:?}: {}", ran.err);
    }
}

#[test]
fn check_and_doctor_know_the_kind_of_no_gateway() {
    let place = Place::with(
        "[[gateway]]\nname = \"left\"\nkind = \"processes\"\n[gateway.worker]\nmatch = '/no/such/reach-server'\n",
    );
    let check = place.reaper(["check"]).run();
    assert_eq!(check.code, Some(0), "{check:#?}");
    assert!(check.out.contains("\"processes\""), "{}", check.out);
    let doctor = place.reaper(["doctor"]).run();
    assert!(doctor.out.contains("left (processes) has no gateway to ask"), "{}", doctor.out);
    assert!(!doctor.out.contains("PID namespace; no worker"), "{}", doctor.out);
}
