//! Workers that start daemons as they are asked to end, and are gone before any look at them.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::closes::Serial;

const WORKERS: usize = 10;

/// In the worker's process group and session, and in a session of its own. The worker ends with its input, too.
const SCRIPT: &str =
    "trap 'sleep $1 & setsid sleep $1 & (setsid sleep $1 &) ; exit 0' TERM; cat <&0 >/dev/null & wait";

/// The processes that sleep for so long.
fn sleepers(seconds: &str) -> Vec<i32> {
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let wanted = format!("sleep\0{seconds}\0");
    pids.filter(|pid: &i32| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|argv| argv == wanted)
    })
    .collect()
}

#[test]
fn daemons_that_workers_start_as_they_end_are_ended_though_init_had_them_before_any_look() {
    // No other process sleeps for this long.
    let seconds = format!("98765.{}", std::process::id());
    let mark = format!("daemons-of-{}", std::process::id());
    #[expect(clippy::disallowed_methods, reason = "workers to be reaped")]
    let start =
        || Command::new("bash").args(["-c", SCRIPT, &mark, &seconds]).stdin(Stdio::piped()).spawn().unwrap();
    let mut workers: Vec<Child> = (0..WORKERS).map(|_| start()).collect();
    let children =
        |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    while workers.iter().any(|worker| children(worker.id()).is_empty()) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let gateway = Serial::start_with(Some(workers[0].id()), 0, 5, Duration::ZERO);
    let more = format!("[gateway.worker]\nmatch = 'bash -c .* {mark} '\n");
    let totals = gateway.reaped_by(&[], "worker_grace = \"0s\"", &more);
    let left = sleepers(&seconds);
    for pid in &left {
        let _ = kill_process(Pid::from_raw(*pid).unwrap(), Signal::KILL);
    }
    for worker in &mut workers {
        drop(worker.stdin.take());
        worker.wait().unwrap();
    }
    assert_eq!(totals["reaped"], WORKERS, "{totals}");
    assert!(left.is_empty(), "{} daemons got away", left.len());
}
