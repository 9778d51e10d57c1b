//! What is never signalled, whatever a table says.

use std::fmt;

use super::ids::Pid;

/// Why a process is never signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// PID 1.
    Init,
    /// The reaper itself or one of its ancestors.
    OwnLine(Pid),
    /// A gateway.
    Gateway(Pid),
    /// A process that another session's row says is its own.
    OfAnother(Pid),
    /// A kernel thread.
    KernelThread(Pid),
    /// Another user's process.
    OtherUser {
        /// The process.
        pid: Pid,
        /// Its user.
        uid: u32,
        /// The user whose processes may be signalled.
        allowed: u32,
    },
    /// A process named as a worker that doesn't look like one.
    NotAWorker(Pid),
    /// A process named as a worker that is in another PID namespace than its gateway.
    Elsewhere(Pid),
    /// A worker that says another key than it did when it was judged.
    OtherKey(Pid),
    /// A worker with another argv than it had when it was judged, or a process that has become a worker since.
    OtherArgv(Pid),
    /// A process that bears another mark than it did when it was judged.
    OtherMark(Pid),
    /// A process below one that changed.
    BelowChanged {
        /// The process.
        pid: Pid,
        /// The one above it.
        parent: Pid,
    },
    /// A process named as a worker that isn't under its gateway.
    NotUnderGateway(Pid),
    /// A thread that is named as a worker.
    Thread {
        /// Its id.
        id: Pid,
        /// Its process.
        of: Pid,
    },
    /// A process that is the worker of two rows.
    Shared(Pid),
    /// A process that has a gateway or another session's worker in its tree.
    Above {
        /// The process.
        pid: Pid,
        /// The one under it.
        other: Pid,
    },
    /// A process that has a worker in its tree of which it isn't known whose it is.
    AboveUnknown {
        /// The process.
        pid: Pid,
        /// The one under it.
        other: Pid,
    },
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init => f.write_str("process 1 is init"),
            Self::OwnLine(pid) => write!(f, "process {pid} is the reaper itself or an ancestor of it"),
            Self::OfAnother(pid) => write!(f, "process {pid} is of another session"),
            Self::Gateway(pid) => write!(f, "process {pid} is a gateway"),
            Self::KernelThread(pid) => write!(f, "process {pid} is a kernel thread"),
            Self::OtherUser { pid, uid, allowed } => {
                write!(f, "process {pid} runs as user {uid}, not as {allowed} (see worker.user)")
            }
            Self::NotAWorker(pid) => {
                write!(f, "process {pid} is named as its worker but doesn't match worker.match")
            }
            Self::Elsewhere(pid) => {
                write!(
                    f,
                    "process {pid} is named as its worker but is in another PID namespace than its gateway"
                )
            }
            Self::OtherKey(pid) => {
                write!(f, "process {pid} has another key in its argv than it had when it was judged")
            }
            Self::OtherArgv(pid) => {
                write!(
                    f,
                    "process {pid} has another argv than it had when it was judged, and may be another worker"
                )
            }
            Self::OtherMark(pid) => {
                write!(f, "process {pid} bears another mark than it did when it was judged")
            }
            Self::BelowChanged { pid, parent } => {
                write!(f, "process {pid} runs below process {parent}, which changed since it was judged")
            }
            Self::NotUnderGateway(pid) => {
                write!(f, "process {pid} is named as its worker but isn't under its gateway")
            }
            Self::Thread { id, of } => {
                write!(
                    f,
                    "{id}, named as its worker, is a thread of process {of}: its gateway has to name the process"
                )
            }
            Self::Shared(pid) => write!(f, "process {pid} is the worker of another session too"),
            Self::Above { pid, other } => {
                write!(
                    f,
                    "process {pid} has process {other} under it, a gateway or a listed session's worker"
                )
            }
            Self::AboveUnknown { pid, other } => {
                write!(f, "process {pid} has process {other} under it, which may be another session's worker")
            }
        }
    }
}
