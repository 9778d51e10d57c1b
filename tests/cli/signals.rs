//! Signals that others send by habit, a mistake in the program, and life as PID 1.

use std::fs;

use rustix::process::Signal;

use crate::gateway::{Gateway, orphan, table};
use crate::place::{EXE, Place};
use crate::privileges::has_root;
use crate::running::{Running, eventually};
use crate::streams::terminal;

fn desk() -> (Gateway, Place) {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("a")]));
    let place = Place::with(&format!("[policy]\ngrace = \"1h\"\n{}", gateway.section("desk")));
    (gateway, place)
}

/// Started by a person, on a terminal.
fn on_terminal(place: &Place, args: &[&str]) -> (Running, std::os::fd::OwnedFd) {
    let (master, slave) = terminal();
    let reaper = place.reaper(args.iter().copied()).change(|command| _ = command.stdin(slave));
    (reaper.start(), master)
}

#[test]
fn a_terminal_that_is_closed_ends_it_and_only_a_daemon_reads_its_configuration_again() {
    let (_gateway, place) = desk();
    let (watch, _master) = on_terminal(&place, &["watch", "--interval", "1h"]);
    watch.eventually("it has looked", || watch.out().contains("desk"));
    watch.signal(Signal::HUP);
    let ran = watch.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.err.contains("read again"), "{ran:?}");

    let daemon = place.reaper(["watch", "--interval", "1h"]).start();
    daemon.eventually("it has looked", || daemon.out().contains("desk"));
    daemon.signal(Signal::HUP);
    daemon.await_err("configuration read again");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().code, Some(0));
}

#[test]
fn a_run_that_waits_is_ended_with_its_report_by_a_closed_terminal_too_and_not_by_sigusr1() {
    let (_gateway, place) = desk();
    let (once, _master) = on_terminal(&place, &["once", "--wait", "2h", "--json"]);
    once.await_err("staying");
    once.signal(Signal::USR1);
    std::thread::sleep(std::time::Duration::from_millis(200));
    once.signal(Signal::HUP);
    let ran = once.end();
    assert_eq!((ran.code, &ran.subject("a")["verdict"]), (Some(0), &serde_json::json!("wait")), "{ran:?}");
    for signal in [Signal::INT, Signal::TERM] {
        let once = place.reaper(["once", "--wait", "2h", "--json"]).start();
        once.await_err("staying");
        once.signal(signal);
        assert_eq!(once.end().subject("a")["verdict"], "wait");
    }
}

#[test]
fn a_mistake_in_the_program_is_one_line_and_exit_1() {
    let place = Place::new();
    let ran = place.reaper(["demo-panic"]).run();
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.err.starts_with("gateway-reaper: a mistake in this program at src/"), "{ran:?}");
    assert!(ran.err.ends_with(": a demonstration; please report it\n"), "{ran:?}");
}

/// The children of a process, in this PID namespace.
fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[test]
fn as_pid_1_it_waits_for_what_it_adopts() {
    if !has_root("as_pid_1_it_waits_for_what_it_adopts") {
        return;
    }
    let (_gateway, place) = desk();
    // The shell becomes the reaper; a child of the one that ended is its own then.
    let script = format!("(sleep 1 & sleep 1.2 &) ; exec {EXE} watch --interval 100ms");
    let options = ["--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c", script.as_str()];
    let unshare = place.program("unshare", options).start();
    unshare.eventually("it has looked", || unshare.out().contains("desk"));
    let init = children(unshare.pid());
    assert_eq!(init.len(), 1, "PID 1 of the namespace");
    assert_eq!(children(init[0]).len(), 2, "it has adopted both");
    eventually("both are gone, and no zombies", || children(init[0]).is_empty(), || unshare.err());
    let pid = rustix::process::Pid::from_raw(init[0].cast_signed()).unwrap();
    // A child of a child that is not waited for yet: its PID is still its own.
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert!(unshare.end().err.contains("leaving"));
}
