//! Why a look at the processes failed. A look is whole or it is an error; only a process that vanished meanwhile is left out.

use std::error::Error;
use std::fmt;
use std::io;

use crate::domain::ids::Pid;

/// The processes could not be looked at, so nothing may be concluded from what is missing.
#[derive(Debug)]
pub enum ProcessesError {
    /// A file below `/proc` could not be read, for another reason than that its process is gone.
    Read {
        /// The file.
        what: Box<str>,
        /// The system's answer.
        source: io::Error,
    },
    /// A line of the kernel's that isn't what `proc_pid_stat(5)` promises.
    Malformed {
        /// Whose line.
        pid: Pid,
    },
    /// `/proc` shows another PID namespace than the one this process lives in: its PIDs name others.
    OtherNamespace,
    /// No pidfd could be had, for another reason than that the process is gone.
    Pidfd {
        /// Of which process.
        pid: Pid,
        /// The system's answer.
        source: io::Error,
    },
    /// The full scan did not even list this process.
    EmptyScan,
}

impl fmt::Display for ProcessesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { what, .. } => write!(f, "{what} can't be read"),
            Self::Malformed { pid } => {
                write!(f, "/proc/{pid}/stat isn't the line that was expected; is /proc the kernel's own?")
            }
            Self::OtherNamespace => f.write_str(
                "/proc shows another PID namespace than the reaper's own; mount a proc of this namespace there \
                 (`unshare --mount-proc`), or start the reaper in the gateway's",
            ),
            Self::Pidfd { pid, .. } => write!(f, "no pidfd of process {pid}; `ulimit -n` may be too low"),
            Self::EmptyScan => {
                f.write_str("the scan of /proc did not list the reaper itself; raise `ulimit -n` or check the mount")
            }
        }
    }
}

impl Error for ProcessesError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read { source, .. } | Self::Pidfd { source, .. } => Some(source),
            Self::Malformed { .. } | Self::OtherNamespace | Self::EmptyScan => None,
        }
    }
}
