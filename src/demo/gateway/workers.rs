//! The gateway's worker processes, those of no session any more included: this gateway leaks them, but it ends them when it ends itself.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, ChildStdin, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::net::unix::pipe;

use super::options::{Exited, Lifeline, Options};
use crate::demo::pinned::Pinned;
use crate::demo::protocol::{WorkerReady, WorkerSpec};
use crate::demo::worker::{Args, Whose, spawn_worker};
use crate::domain::ids::WorkerKey;

pub(super) struct Workers {
    running: BTreeMap<u32, Worker>,
    /// Descendants of workers, also of those that have exited.
    families: Vec<Pinned>,
    /// Workers that have exited since the dead were last taken out of the families.
    since_sorted_out: usize,
    /// Inherited by every worker.
    lifeline: Option<OwnedFd>,
    options: Options,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.running.keys()).finish()
    }
}

impl Workers {
    pub(super) fn new(options: &Options) -> io::Result<Self> {
        let lifeline = match options.lifeline {
            Lifeline::Stdin => Some(rustix::io::dup(io::stdin())?),
            Lifeline::None => None,
        };
        Ok(Self {
            running: BTreeMap::new(),
            families: Vec::new(),
            since_sorted_out: 0,
            lifeline,
            options: options.clone(),
        })
    }

    /// Starts a worker. What comes out of the pipe says when it is ready.
    pub(super) fn start(&mut self, key: &WorkerKey, spec: WorkerSpec) -> io::Result<(u32, pipe::Receiver)> {
        let args = Args {
            whose: Whose::worker_of(key),
            flavour: spec.flavour,
            leads: spec.leads,
            memory_mb: spec.memory_mb,
            at_end_of_input: spec.at_end_of_input,
            lifeline: self.lifeline.as_ref().map(AsRawFd::as_raw_fd),
            max_lifetime: self.options.max_lifetime,
        };
        let mut child = spawn_worker(&args, Stdio::piped(), self.options.token_env.as_deref())?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let pid = child.id();
        self.running.insert(pid, Worker { child, stdin });
        Ok((pid, pipe::Receiver::from_owned_fd(OwnedFd::from(stdout))?))
    }

    /// Takes hold of a ready worker's family.
    pub(super) fn adopt(&mut self, ready: &WorkerReady) -> io::Result<()> {
        for pid in &ready.family {
            self.families.push(Pinned::new(*pid)?);
        }
        Ok(())
    }

    /// Signals a worker that still runs.
    pub(super) fn signal(&self, pid: u32, signal: Signal) -> io::Result<()> {
        // It is our child and not waited for, so its PID is still its own.
        match self.running.get(&pid).and_then(|_| Pid::from_raw(pid as i32)) {
            Some(raw) => Ok(kill_process(raw, signal)?),
            None => Ok(()),
        }
    }

    /// Ends a worker as gateways do: no more input, SIGTERM, and hope.
    pub(super) fn end(&mut self, pid: u32) -> io::Result<()> {
        if let Some(worker) = self.running.get_mut(&pid) {
            worker.stdin = None;
        }
        self.signal(pid, Signal::TERM)
    }

    /// Waits for workers that have exited, and says which.
    pub(super) fn collect(&mut self) -> Vec<u32> {
        if self.options.exited == Exited::StayZombies {
            return Vec::new();
        }
        // The kernel is asked which child has exited, not each child whether it has: of a thousand at once that would be a million calls.
        let mut exited = Vec::new();
        while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get().unsigned_abs();
            exited.extend(self.running.remove(&pid).map(|_| pid));
        }
        self.since_sorted_out += exited.len();
        if self.since_sorted_out * 4 >= self.families.len() {
            self.since_sorted_out = 0;
            self.families.retain(Pinned::alive);
        }
        exited
    }

    /// Kills every worker and every descendant of one.
    pub(super) fn kill_all(&mut self) {
        for worker in self.running.values_mut() {
            let _ = worker.child.kill();
        }
        for descendant in &self.families {
            let _ = descendant.signal(Signal::KILL);
        }
        for worker in self.running.values_mut() {
            let _ = worker.child.wait();
        }
    }
}
