//! Processes as they were seen: identity, family and argv.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::activity::Account;
use super::ids::{GatewayName, Pid};

/// A process and no other: a PID alone names the process that has it now.
///
/// Within one boot. Raw start ticks instead of a creation time, which drifts (hermes-agent #62505); and where the kernel has pidfs (6.9+)
/// the pidfd's inode, because a PID reused within one clock tick repeats the tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its PID.
    pub pid: Pid,
    /// `/proc/PID/stat` field 22: clock ticks since boot at which it started.
    pub start_ticks: u64,
    /// The inode of its pidfd. `None`: the kernel has no pidfs.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "inode_or_zero")]
    pub inode: Option<PidfdInode>,
}

/// The inode of a pidfd: with pidfs no two processes of one boot have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PidfdInode(NonZeroU64);

impl PidfdInode {
    /// `None` for 0, which is no inode.
    pub fn new(raw: u64) -> Option<Self> {
        NonZeroU64::new(raw).map(Self)
    }
}

/// A ledger, a journal of an earlier release has 0 where there is none.
fn inode_or_zero<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PidfdInode>, D::Error> {
    Ok(Option::deserialize(from)?.and_then(PidfdInode::new))
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (started at tick {})", self.pid, self.start_ticks)
    }
}

/// A PID namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PidNamespace {
    /// The one with this inode.
    Inode(u64),
    /// One below the reaper's, and which one isn't known.
    SomeBelow,
}

/// One process as it was seen in one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Which process.
    pub identity: ProcessIdentity,
    /// Its parent now. `None`: PID 0, the kernel or another PID namespace.
    pub parent: Option<Pid>,
    /// Its process group.
    pub group: u32,
    /// Its session (`setsid`).
    pub session: u32,
    /// The short name the kernel keeps, at most 15 bytes.
    pub comm: Box<str>,
    /// Effective user id.
    pub uid: u32,
    /// Its PID namespace, where it was read.
    pub namespace: Option<PidNamespace>,
    /// Dead and not yet waited for. Counts as exited.
    pub zombie: bool,
    /// A kernel thread.
    pub kernel: bool,
    /// The argv joined by single spaces, where it was read. `None`: it wasn't needed, or couldn't be read.
    pub argv: Option<Arc<str>>,
    /// Resident memory in bytes, where it was read.
    pub rss_bytes: Option<u64>,
}

/// What of a process tells whose it is, as it was read once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Its argv, joined by single spaces.
    pub argv: Option<Arc<str>>,
    /// The marks that it inherited. `None`: they weren't read.
    pub marks: Option<Vec<Mark>>,
}

impl Process {
    /// Whether it was started to run this worker and nothing else: the worker's whole argv stands in its own (`sh -c "worker …; true"`,
    /// `timeout 1h worker …`).
    pub(super) fn is_wrapper_of(&self, worker: &Self) -> bool {
        match (&self.argv, &worker.argv) {
            (Some(outer), Some(inner)) => outer.len() > inner.len() && outer.contains(&**inner),
            _ => false,
        }
    }

    /// Whether it is a program that runs one command and waits for it. A server may have a worker's whole argv in its own, too: a terminal
    /// multiplexer, or a gateway that is told how to start its workers.
    pub(super) fn is_launcher(&self) -> bool {
        let mut words = self.argv.as_deref().into_iter().flat_map(|argv| argv.split(' '));
        let mut name =
            || words.next().map(|word| word.rsplit('/').next().unwrap_or(word).trim_start_matches('-'));
        match name() {
            // A script.
            Some(first) if first.starts_with("python") || first == "node" => {
                name().is_some_and(|name| LAUNCHERS.contains(&name))
            }
            first => first.is_some_and(|name| LAUNCHERS.contains(&name)),
        }
    }
}

/// Shells, and what is put before a command.
const LAUNCHERS: [&str; 43] = [
    "sh",
    "ash",
    "bash",
    "dash",
    "fish",
    "ksh",
    "mksh",
    "zsh",
    "env",
    "nice",
    "nohup",
    "setsid",
    "time",
    "timeout",
    "stdbuf",
    "flock",
    "script",
    "sudo",
    "doas",
    "su",
    "runuser",
    "setpriv",
    "chroot",
    "unshare",
    "bwrap",
    "firejail",
    "strace",
    "xvfb-run",
    "dbus-run-session",
    "tini",
    "dumb-init",
    "catatonit",
    "uv",
    "uvx",
    "npm",
    "npx",
    "pnpm",
    "yarn",
    "bunx",
    "poetry",
    "pipenv",
    "pdm",
    "hatch",
];

/// What is at the other end of a process' stdin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing any more: a pipe that no process can write to, or a socket whose other end is closed.
    Gone,
    /// A process that can write to it.
    Held,
    /// Nothing any more; but a client is connected to a socket on which its tree listens.
    Serving,
    /// Nothing any more; but its command line says that it serves at a port, where it listens: a client may come at any time.
    AtPort,
    /// There never is one: this, a file or a terminal, has no other end that could go.
    Other(Box<str>),
    /// Why it can't be known.
    Unknown(Box<str>),
}

/// What a process inherited that says whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// Of a session of this gateway, by its key or id.
    Session {
        /// The gateway, by its name in the configuration.
        gateway: GatewayName,
        /// The session.
        key: Box<str>,
    },
    /// Of the run of this gateway that had this PID.
    Gateway {
        /// The gateway, by its name in the configuration.
        gateway: GatewayName,
        /// That run's process.
        pid: Pid,
    },
}

/// One look at the process tree: everything that can be, or be the parent of, a worker; not the whole machine.
///
/// What isn't in it may still exist (the kernel's `children` files can miss a child, a look is never atomic), so absence proves nothing.
#[derive(Debug, Clone, Default)]
pub struct ProcessView {
    /// The processes seen, by PID.
    pub processes: BTreeMap<Pid, Process>,
    /// PIDs that were asked after and that no process has: the one absence that proves something.
    pub gone: BTreeSet<Pid>,
    /// Processes whose environment names a gateway as the one that started them, and that one is gone.
    pub bereft: BTreeSet<Pid>,
    /// Workers below which everything was looked at: what isn't seen there isn't below them.
    pub looked_below: BTreeSet<Pid>,
    /// Thread ids that were asked after as if they were PIDs, each with its process.
    pub threads: BTreeMap<Pid, Pid>,
    /// Workers that a gateway which is gone left behind, and whose trees work.
    pub at_work: BTreeSet<Pid>,
    /// What is due of a gateway that is gone, and has a client at a socket on which its tree listens, or may have.
    pub served: BTreeSet<Pid>,
    /// What listens at the address of a gateway whose process nothing names. Looked for where something is due.
    pub serving: BTreeSet<Pid>,
    /// Workers of sessions in which nothing happens, whose trees used no more of a processor than at rest. Looked for where an idle worker
    /// is to be ended.
    pub resting: BTreeSet<Pid>,
    /// What is at the other end of stdin, of processes that may be leftovers.
    pub stdin: BTreeMap<Pid, Stdin>,
    /// The marks of those processes that have any.
    pub marks: BTreeMap<Pid, Vec<Mark>>,
    /// The reaper and its ancestors, the nearest first.
    pub own_line: Vec<Pid>,
    /// The reaper's PID namespace.
    pub own_namespace: Option<PidNamespace>,
    /// The reaper lives in the machine's first PID namespace, where PID 1 is init and nothing else. Elsewhere (a container) PID 1 may be
    /// anything, the gateway included.
    pub init_is_init: bool,
    /// What those workers that were looked at for it showed of their work.
    pub accounts: BTreeMap<ProcessIdentity, Account>,
}

impl ProcessView {
    /// The process that has this PID, zombies included.
    pub fn get(&self, pid: Pid) -> Option<&Process> {
        self.processes.get(&pid)
    }

    /// Whether no living process is known to have this PID. What is merely not in view may be there.
    pub fn is_gone(&self, pid: Pid) -> bool {
        match self.get(pid) {
            Some(process) => process.zombie,
            None => self.gone.contains(&pid),
        }
    }

    /// The ancestors of a process, the nearest first, as far as they are in view.
    pub fn ancestors<'a>(&'a self, process: &Process) -> impl Iterator<Item = &'a Process> + use<'a> {
        let parent = move |pid: Option<Pid>| pid.and_then(|pid| self.get(pid));
        // A view is not a snapshot: PIDs reused while it was taken could make a ring of it.
        std::iter::successors(parent(process.parent), move |process| parent(process.parent)).take(64)
    }

    /// The very same process, if it is in view and not dead.
    pub fn alive(&self, identity: &ProcessIdentity) -> Option<&Process> {
        self.get(identity.pid).filter(|process| process.identity == *identity && !process.zombie)
    }

    /// What this very process said when it was seen. `None`: it is not in view, or its argv wasn't read.
    pub fn said(&self, who: &ProcessIdentity) -> Option<Said> {
        let argv = self.alive(who)?.argv.clone()?;
        let marks = self.marks.get(&who.pid).cloned().unwrap_or_default();
        Some(Said { argv: Some(argv), marks: Some(marks) })
    }

    /// Whether a gateway is known to run in another PID namespace than the reaper.
    pub fn is_elsewhere(&self, gateway: ProcessIdentity) -> bool {
        let namespace = self.get(gateway.pid).and_then(|process| process.namespace);
        namespace.is_some() && namespace != self.own_namespace
    }
}
