//! What needs a PID namespace: a gateway that is PID 1, workers under init and under subreapers, PIDs that are used again.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::json;

use crate::gateway::{Gateway, table, with};
use crate::place::{EXE, Place, Reaper};
use crate::privileges::has_root;

/// `worker.match` for workers that are sleepers: the key is how long they sleep.
const SLEEPERS: &str = r"[gateway.worker]
match = 'sleep (?P<session>3\d+)$'
";

/// A namespace whose PID 1 is a shell that does what it is told. All in it die with it.
struct Namespace {
    unshare: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Namespace {
    /// `name`: what PID 1 is called.
    fn start(place: &Place, name: &str) -> Self {
        symlink("/bin/sh", place.path(name)).unwrap();
        let mut unshare = place.program("unshare", ["--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
        unshare.command.arg(place.path(name)).stdin(Stdio::piped());
        let mut unshare = unshare.command.spawn().unwrap();
        let orders = unshare.stdin.take().unwrap();
        let answers = BufReader::new(unshare.stdout.take().unwrap());
        Self { unshare, orders, answers }
    }

    /// Has PID 1 do this, and returns the line it says.
    fn tell(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Starts something in the background, and returns its PID in here once it has become what it was started as: until it has called
    /// exec it looks like PID 1. A moment more, so that it is older than whatever is read next: start times are in hundredths of a second.
    fn start_there(&mut self, command: &str) -> u32 {
        let wait = "while cmp -s /proc/1/cmdline /proc/$!/cmdline; do sleep 0.01; done; sleep 0.03";
        self.tell(&format!("{command} > /dev/null & {wait}; echo $!")).parse().unwrap()
    }

    /// Whether a process in here runs.
    fn runs(&mut self, pid: u32) -> bool {
        let state = self.tell(&format!(
            "sed -n 's/^State:[[:space:]]*\\(.\\).*/\\1/p' /proc/{pid}/status 2> /dev/null | grep . || echo -"
        ));
        !["-", "Z", "X"].contains(&state.as_str())
    }

    /// The program, run in here.
    fn reaper<'a>(&self, place: &Place, args: impl IntoIterator<Item = &'a str>) -> Reaper {
        let children = format!("/proc/{0}/task/{0}/children", self.unshare.id());
        let init = std::fs::read_to_string(children).unwrap().trim().to_owned();
        let mut reaper = place.program("nsenter", ["--pid", "--mount", "--target", &init]);
        reaper.command.arg(format!("--wd={}", place.dir().display())).arg("--").arg(EXE).args(args);
        reaper
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ended = self.unshare.kill();
        let _ended = self.unshare.wait();
    }
}

fn desk(policy: &str) -> (Gateway, Place) {
    let gateway = Gateway::start();
    let place = Place::with(&format!(
        "[policy]\n{policy}\nterm_timeout = \"300ms\"\n{}{SLEEPERS}",
        gateway.section("desk")
    ));
    (gateway, place)
}

fn row(id: &str, worker: u32) -> serde_json::Value {
    json!({ "id": id, "key": id, "transport": "attached", "turn": "idle", "worker": { "pid": worker } })
}

#[test]
fn a_gateway_that_is_pid_1_keeps_its_workers_and_itself() {
    if !has_root("a_gateway_that_is_pid_1_keeps_its_workers_and_itself") {
        return;
    }
    let (gateway, place) = desk("grace = \"0s\"\nworker_grace = \"0s\"\nclose_timeout = \"0s\"");
    let mut namespace = Namespace::start(&place, "python3");
    let attached = namespace.start_there("sleep 3001");
    let detached = namespace.start_there("sleep 3002");
    let lost = namespace.start_there("sleep 3003");
    let rows = [row("3001", attached), with(row("3002", detached), "transport", json!("detached"))];
    gateway.publish(&table(Some(1), &rows));
    gateway.on_reap("3002", crate::gateway::Answer::reaped());
    let ran = namespace.reaper(&place, ["once", "--json"]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()["gateways"][0]["pid"], 1);
    assert_eq!(ran.subject("3001")["reason"], "attached");
    assert_eq!(ran.subject("3002")["outcome"], "reaped");
    assert_eq!(ran.subject("3003")["orphan_kind"], "ownerless-worker");
    assert!(namespace.runs(1) && namespace.runs(attached));
    assert!(!namespace.runs(detached) && !namespace.runs(lost));

    // Without its table it may be anything, and so may be what is under it.
    gateway.go_down();
    let ran = namespace.reaper(&place, ["once", "--json"]).run();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(namespace.runs(attached));
    let ran = namespace.reaper(&place, ["once", "--json"]).env("STATE_DIRECTORY", place.path("fresh")).run();
    assert_eq!(ran.json()["totals"]["reap"], 0, "{ran:?}");
    assert!(namespace.runs(attached));
}

#[test]
fn workers_under_init_are_parentless_even_if_nobody_saw_their_gateway() {
    if !has_root("workers_under_init_are_parentless_even_if_nobody_saw_their_gateway") {
        return;
    }
    let (gateway, place) = desk("worker_grace = \"0s\"");
    gateway.go_down();
    let mut namespace = Namespace::start(&place, "tini");
    let worker: u32 = namespace.tell("sh -c 'sleep 3001 > /dev/null & echo $!'").parse().unwrap();
    let service = namespace.start_there("sleep 77");
    let editor = namespace.start_there("sh -c 'sleep 88; : sleep 3009'");
    let ran = namespace.reaper(&place, ["once", "--json"]).run();
    let subject = ran.subject(&worker.to_string());
    assert_eq!(
        (subject["orphan_kind"].as_str(), subject["outcome"].as_str()),
        (Some("parentless-worker"), Some("reaped")),
        "{ran:?}"
    );
    assert!(!namespace.runs(worker) && namespace.runs(service) && namespace.runs(editor));
    assert_eq!(ran.subjects(), 1, "{ran:?}");
}

#[test]
fn workers_that_went_to_a_subreaper_are_parentless_once_they_were_seen_before() {
    if !has_root("workers_that_went_to_a_subreaper_are_parentless_once_they_were_seen_before") {
        return;
    }
    // PID 1 is not called as an init is: it adopts all the same.
    let (gateway, place) = desk("worker_grace = \"0s\"");
    let mut namespace = Namespace::start(&place, "supervisor");
    let own = namespace.start_there("sh -c 'echo $$ > gw; sleep 3001 & echo $! > w; wait'");
    let worker: u32 = loop {
        if let Ok(worker) = place.read("w").trim().parse() {
            break worker;
        }
    };
    gateway.publish(&table(Some(own), &[row("3001", worker)]));
    assert_eq!(namespace.reaper(&place, ["once"]).run().code, Some(0));
    gateway.go_down();
    let ran = namespace.reaper(&place, ["once", "--json"]).run();
    assert_eq!(ran.subject(&worker.to_string())["reason"], "table-not-trusted", "its gateway lives: {ran:?}");
    namespace.tell(&format!("kill -9 {own}; echo"));
    let unseen =
        namespace.reaper(&place, ["once", "--json"]).env("STATE_DIRECTORY", place.path("fresh")).run();
    assert_eq!(unseen.json()["totals"]["reap"], 0, "a run without memory can't tell: {unseen:?}");
    let ran = namespace.reaper(&place, ["once", "--json"]).run();
    assert_eq!(ran.subject(&worker.to_string())["outcome"], "reaped", "{ran:?}");
    assert!(!namespace.runs(worker) && namespace.runs(1));
}

#[test]
fn a_pid_that_is_used_again_inherits_nothing() {
    if !has_root("a_pid_that_is_used_again_inherits_nothing") {
        return;
    }
    let (gateway, place) = desk("worker_grace = \"1h\"");
    let mut namespace = Namespace::start(&place, "python3");
    let first = namespace.start_there("sleep 3001");
    gateway.publish(&table(Some(1), &[]));
    let reaper = |namespace: &Namespace| namespace.reaper(&place, ["once", "--json"]).run();
    assert_eq!(reaper(&namespace).subject(&first.to_string())["verdict"], "wait");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(reaper(&namespace).subject(&first.to_string())["waited_s"].as_f64().unwrap() >= 0.5);
    namespace.tell(&format!("kill -9 {first}; wait {first} 2> /dev/null; echo"));
    let again =
        namespace.start_there(&format!("echo {} > /proc/sys/kernel/ns_last_pid; sleep 3001", first - 1));
    assert_eq!(again, first, "the kernel gave the PID again");
    let ran = reaper(&namespace);
    let waited = ran.subject(&first.to_string())["waited_s"].as_f64().unwrap();
    assert!(waited < 0.5, "the second one waited {waited}");
}

#[test]
fn the_clocks_of_another_time_namespace_pass_no_grace() {
    if !has_root("the_clocks_of_another_time_namespace_pass_no_grace") {
        return;
    }
    let (gateway, place) = desk("grace = \"1h\"");
    gateway.publish(&table(
        None,
        &[json!({ "id": "a", "transport": "detached", "turn": "idle", "worker": null })],
    ));
    assert_eq!(place.once(["--json"]).subject("a")["verdict"], "wait");
    let ahead = ["--time", "--monotonic", "7200", "--boottime", "7200", "--", EXE, "once", "--json"];
    let ran = place.program("unshare", ahead).run();
    assert_eq!(ran.subject("a")["verdict"], "wait", "{ran:?}");
    let remaining = ran.subject("a")["remaining_s"].as_f64().unwrap();
    assert!(remaining > 3_000.0, "it starts again: {ran:?}");
}
