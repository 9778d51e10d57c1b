//! Runs under `strace`, which makes system calls fail and kills between two of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::not_run;
use crate::reaper::{Ended, run};

/// A run under `strace`, and the system calls that were traced, one a line.
#[derive(Debug)]
pub(crate) struct Traced {
    pub(crate) ended: Ended,
    pub(crate) calls: Vec<String>,
}

/// A call among those of its name: `strace` counts by name.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) call: String,
    pub(crate) nth: usize,
}

impl Traced {
    /// The calls, in their order.
    pub(crate) fn places(&self) -> Vec<Place> {
        let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
        let names = self.calls.iter().filter_map(|call| Some(call.split_once('(')?.0));
        let place = |call| {
            let nth = counted.entry(call).or_default();
            *nth += 1;
            Place { call: call.to_owned(), nth: *nth }
        };
        // It begins with it: there is no run without it.
        names.map(place).filter(|place| place.call != "execve").collect()
    }

    /// The call at which something was done to it.
    pub(crate) fn tampered(&self) -> Option<&String> {
        self.calls.iter().find(|call| call.contains("(INJECTED)"))
    }
}

impl Place {
    /// The option that has this happen there.
    pub(crate) fn inject(&self, what: &str) -> String {
        format!("inject={}:{what}:when={}", self.call, self.nth)
    }
}

/// Whether there is an `strace` that may trace. If not, the test is not run.
pub(crate) fn is_there() -> bool {
    #[expect(clippy::disallowed_methods, reason = "a tool for a test")]
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let there = tried.is_ok_and(|status| status.success());
    if !there {
        not_run("faults of system calls need strace, and leave to trace");
    }
    there
}

/// Makes a run under `strace` with these options. `-f` is there for `--seccomp-bpf`, by which the run is only stopped at calls that are
/// traced, and not at the thousands by which it looks at processes. A signal can't be injected where it is stopped by that.
pub(crate) fn traced(options: &[impl AsRef<str>], config: &Path, command: &[&str]) -> Traced {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let to = log.to_string_lossy();
    let has_signal = options.iter().any(|option| option.as_ref().contains("signal="));
    let quick = (!has_signal).then_some("--seccomp-bpf");
    let strace = ["strace", "-f", "-qq", "-y", "-s", "400", "-o", &to].into_iter().chain(quick);
    let before: Vec<&str> = strace.chain(options.iter().map(AsRef::as_ref)).collect();
    let ended = run(&before, config, command);
    let calls = std::fs::read_to_string(&log).unwrap_or_default();
    // With -f each line begins with the thread.
    let calls = calls.lines().map(|line| line.split_once(' ').map_or(line, |(_, call)| call.trim_start()));
    Traced { ended, calls: calls.filter(|call| !call.starts_with(['+', '-', '<'])).map(Into::into).collect() }
}
