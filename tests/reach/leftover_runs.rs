//! What the runs for leftovers read, and the command line's form of them to the end.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::leftovers::{SERVERS, with_a_host};
use crate::privileges::left_out;
use crate::reapers::Told;
use crate::stage::{SOMEBODY, Stage, is_possible};

const GRACE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "a minute"]
fn the_form_of_the_command_line_ends_a_leftover_after_its_grace_from_run_to_run() {
    let test = "the_form_of_the_command_line_ends_a_leftover_after_its_grace_from_run_to_run";
    if !is_possible(test) {
        return;
    }
    let stage = Stage::start();
    for host in ["host", "bystander"] {
        stage.host(host);
    }
    stage.server("host", "server", "pipe");
    stage.helper("server", "helper", &json!({ "session": true }));
    stage.server("bystander", "live", "pipe");
    stage.kill("host");
    let pid = stage.pid("server");
    let run = || {
        stage.reaper("state", &["--json", "once", "--kind", "processes", "--match", SERVERS, "--reap"]).end()
    };
    let began = Instant::now();
    let mut last = run();
    assert_eq!(Told(last.json()).worker(pid)["verdict"], "wait", "{last:#?}");
    while stage.lives("server") {
        assert!(began.elapsed() < 4 * GRACE, "{last:#?}");
        std::thread::sleep(Duration::from_secs(5));
        last = run();
        assert_eq!(last.code, Some(0), "{last:#?}");
    }
    assert!(began.elapsed() >= GRACE, "not before its grace was over");
    let said = Told(last.json()).worker(pid).clone();
    assert_eq!((&said["outcome"], &said["steps"]), (&json!("reaped"), &json!(["SIGTERM"])), "{last:#?}");
    stage.leaves("helper");
    assert!(stage.lives("live") && stage.lives("bystander"));
}

/// The only client that it has is its own helper.
#[test]
fn a_server_whose_own_helper_is_connected_to_it_goes_with_it() {
    if !is_possible("a_server_whose_own_helper_is_connected_to_it_goes_with_it") {
        return;
    }
    let stage = with_a_host();
    stage.server("host", "server", "pipe");
    stage.helper("server", "helper", &json!({}));
    stage.tell("server", &json!(["listen", 7104]));
    stage.tell("helper", &json!(["connect", 7104]));
    stage.tell("server", &json!(["accept"]));
    stage.kill("host");
    stage.once_until_ended("state", &["server", "helper"]);
}

/// An agent that updates itself executes its new program in its place, and its pipes end with that.
#[test]
fn a_server_whose_host_executed_another_program_is_kept() {
    if !is_possible("a_server_whose_host_executed_another_program_is_kept") {
        return;
    }
    let stage = with_a_host();
    for (name, stdin) in [("by-pipe", "pipe"), ("by-socket", "socket")] {
        stage.server("host", name, stdin);
    }
    let order = json!(["exec", "host-again", ["reach-host"]]);
    stage.to("host").unwrap().send(order.to_string().as_bytes()).unwrap();
    stage.enters("host-again");
    stage.is_spared(&["by-pipe", "by-socket"], 0);
    stage.kill("host-again");
    stage.once_until_ended("state", &["by-pipe", "by-socket"]);
}

/// A look at fd 0 is cheap; one at all descriptors of all processes isn't, and is nobody's business.
#[test]
fn only_the_stdin_of_candidates_is_read() {
    if !is_possible("only_the_stdin_of_candidates_is_read") {
        return;
    }
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        left_out("only_the_stdin_of_candidates_is_read", "strace");
        return;
    }
    let stage = with_a_host();
    let (pipes, sockets) = (["pipe-1", "pipe-2", "pipe-3"], ["socket-1", "socket-2"]);
    for (names, stdin) in [(&pipes[..], "pipe"), (&sockets[..], "socket")] {
        for name in names {
            stage.server("host", name, stdin);
        }
    }
    stage.server_with("host", "another-users", &json!({ "stdin": "pipe", "user": SOMEBODY }));
    for name in ["other-1", "other-2", "other-3"] {
        stage.helper("host", name, &json!({ "stdin": "pipe" }));
    }
    let trace = || {
        let file = stage.place().path("trace");
        let strace = ["strace", "-f", "-s", "200", "-o", file.to_str().unwrap()];
        let ran = stage.reaper_under(&strace, "traced", &["once"]).end();
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        stage.place().read("trace")
    };
    let is_of_descriptors = |line: &&str| ["\"fd\"", "\"fd/", "/fd"].iter().any(|name| line.contains(name));
    let with_host = trace();
    assert_eq!(with_host.lines().filter(is_of_descriptors).count(), 0, "each is below its host: {with_host}");
    stage.kill("host");
    let without = trace();
    let of = |call: &str| without.lines().filter(|it| it.contains(call) && it.contains("\"fd/0\"")).count();
    assert_eq!(of("readlinkat("), pipes.len() + sockets.len(), "once of each candidate: {without}");
    assert_eq!(of("openat("), pipes.len(), "whether a pipe has a writer is asked at the pipe itself");
    let is_other = |line: &&str| is_of_descriptors(line) && !line.contains("\"fd/0\"");
    assert_eq!(without.lines().filter(is_other).count(), 0, "no other descriptor of anything: {without}");
}
