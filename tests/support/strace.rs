//! The system calls of a run of the reaper, by strace. Counts, unlike times, are the same on a busy machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use gateway_reaper::demo::pinned::Pinned;
use rustix::process::Signal;

use crate::scene::Scene;

/// Only a failing measurement waits that long.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);

/// What the reaper can be traced beside.
pub(crate) trait Traceable {
    /// What the one request for a session table looks like in a trace.
    const REQUEST: &str;

    /// A folder for the trace.
    fn dir(&self) -> &Path;

    /// The reaper with these arguments, run by another program.
    fn under(&self, prefix: &[&str], args: &[&str]) -> Command;
}

impl Traceable for Scene {
    const REQUEST: &str = "GET /sessions";

    fn dir(&self) -> &Path {
        self.dir()
    }

    fn under(&self, prefix: &[&str], args: &[&str]) -> Command {
        self.under(prefix, args)
    }
}

/// System calls in their order, one line each.
#[derive(Debug)]
pub(crate) struct Trace {
    lines: Vec<String>,
    request: &'static str,
}

/// Whether strace works here; if not, why, and what to do about it.
#[allow(clippy::disallowed_methods, reason = "the measuring tool")]
pub(crate) fn check() -> Result<(), String> {
    let run = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    match run {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("strace can't trace here: allow ptrace (in a container: --cap-add=SYS_PTRACE)".into()),
        Err(error) => {
            Err(format!("strace can't be run ({error}): install it, e.g. `apt-get install strace`"))
        }
    }
}

impl Trace {
    /// Of a command of the reaper's that ends by itself.
    pub(crate) fn of<S: Traceable>(scene: &S, args: &[&str]) -> Self {
        let file = scene.dir().join("trace");
        let status = traced(scene, &file, args).status().unwrap();
        assert!(status.success(), "{args:?} ended with {status}");
        Self::read(&file, S::REQUEST)
    }

    /// Of `watch`, until it has asked for the table so many times.
    pub(crate) fn of_watch<S: Traceable>(scene: &S, interval: &str, requests: usize) -> Self {
        Self::of_watch_until(scene, interval, |trace| trace.requests().count() >= requests)
    }

    /// Of `watch`, until this holds.
    pub(crate) fn of_watch_until<S: Traceable>(
        scene: &S,
        interval: &str,
        enough: impl Fn(&Self) -> bool,
    ) -> Self {
        let file = scene.dir().join("trace");
        let _ = fs::remove_file(&file);
        let traced = Traced::start(traced(scene, &file, &["watch", "--interval", interval]), &file);
        let mut waited = Duration::ZERO;
        while !enough(&Self::read(&file, S::REQUEST)) {
            assert!(waited < PATIENCE, "watch did too little: {:#?}", Self::read(&file, S::REQUEST));
            sleep(STEP);
            waited += STEP;
        }
        drop(traced);
        Self::read(&file, S::REQUEST)
    }

    fn read(file: &Path, request: &'static str) -> Self {
        let text = fs::read_to_string(file).unwrap_or_default();
        // With -f each line begins with the thread. A call that was interrupted by another thread's is told twice.
        let calls = text.lines().filter_map(|line| Some(line.split_once(' ')?.1.trim_start()));
        let calls = calls.filter(|call| !call.starts_with(['<', '-', '+']));
        Self { lines: calls.map(Into::into).collect(), request }
    }

    pub(crate) fn calls(&self) -> usize {
        self.lines.len()
    }

    /// The calls that satisfy this.
    pub(crate) fn count(&self, wanted: impl Fn(&str) -> bool) -> usize {
        self.lines.iter().filter(|line| wanted(line)).count()
    }

    /// The calls of one of these names.
    pub(crate) fn named(&self, names: &[&str]) -> usize {
        self.count(|line| line.split_once('(').is_some_and(|(name, _)| names.contains(&name)))
    }

    fn requests(&self) -> impl Iterator<Item = usize> {
        self.lines.iter().enumerate().filter(|(_, line)| line.contains(self.request)).map(|(at, _)| at)
    }

    /// Calls from one request for the table to the next: one poll and the pause after it. The first two, which get to know the gateway,
    /// are left out.
    pub(crate) fn polls(&self) -> Vec<Self> {
        let requests: Vec<usize> = self.requests().skip(2).collect();
        let polls = requests.iter().zip(requests.iter().skip(1));
        polls
            .map(|(&from, &to)| Self { lines: self.lines[from..to].to_vec(), request: self.request })
            .collect()
    }
}

/// Without the path that cargo sets for a test's libraries: how often the loader looks there in vain depends on the processor.
fn traced<S: Traceable>(scene: &S, file: &Path, args: &[&str]) -> Command {
    let strace = ["strace", "-f", "-s", "64", "-o", file.to_str().unwrap_or("trace")];
    let mut command = scene.under(&strace, args);
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// A traced process that doesn't end by itself; ends when dropped.
struct Traced {
    tracer: Child,
    tracee: Option<Pinned>,
}

impl Traced {
    fn start(mut command: Command, file: &PathBuf) -> Self {
        let mut traced = Self { tracer: command.spawn().unwrap(), tracee: None };
        let mut waited = Duration::ZERO;
        while traced.tracee.is_none() {
            assert!(waited < PATIENCE, "strace wrote nothing");
            sleep(STEP);
            waited += STEP;
            let text = fs::read_to_string(file).unwrap_or_default();
            let pid = text.split_once(' ').and_then(|(pid, _)| pid.parse().ok());
            traced.tracee = pid.and_then(|pid| Pinned::new(pid).ok());
        }
        traced
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        match &self.tracee {
            // strace ends with it.
            Some(tracee) => drop(tracee.signal(Signal::TERM)),
            None => drop(self.tracer.kill()),
        }
        let _ = self.tracer.wait();
    }
}
