//! Why a look at the processes failed. A look is whole or it is an error; only a process that vanished meanwhile is left out.

use std::io;

use thiserror::Error;

use crate::domain::ids::Pid;

/// The processes could not be looked at, so nothing may be concluded from what is missing.
#[derive(Debug, Error)]
pub enum ProcessesError {
    /// A file below `/proc` could not be read, for another reason than that its process is gone.
    #[error("{what} can't be read")]
    Read {
        /// The file.
        what: Box<str>,
        /// The system's answer.
        source: io::Error,
    },
    /// A line of the kernel's that isn't what `proc_pid_stat(5)` promises.
    #[error("/proc/{pid}/stat isn't the line that was expected; is /proc the kernel's own?")]
    Malformed {
        /// Whose line.
        pid: Pid,
    },
    /// `/proc` shows another PID namespace than the one this process lives in: its PIDs name others.
    #[error(
        "/proc shows another PID namespace than the reaper's own; mount a proc of this namespace there \
         (`unshare --mount-proc`), or start the reaper in the gateway's"
    )]
    OtherNamespace,
    /// No pidfd could be had, for another reason than that the process is gone.
    #[error("no pidfd of process {pid}; `ulimit -n` may be too low")]
    Pidfd {
        /// Of which process.
        pid: Pid,
        /// The system's answer.
        source: io::Error,
    },
    /// The full scan did not even list this process.
    #[error("the scan of /proc did not list the reaper itself; raise `ulimit -n` or check the mount")]
    EmptyScan,
}
