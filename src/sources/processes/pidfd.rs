//! Pidfds as a source of identity: on pidfs (Linux 6.9+) a pidfd's inode never names a second process.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{fstat, fstatfs};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open};

use super::error::ProcessesError;
use crate::domain::ids::Pid;
use crate::domain::process::PidfdInode;

/// `PIDFS_MAGIC`, "PIDF".
const PIDFS_MAGIC: u64 = 0x5049_4446;

/// What this kernel, and whatever filters its system calls, has of pidfds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pidfds {
    /// With an inode for each process.
    Pidfs,
    /// Without.
    Anonymous,
    /// None at all.
    Missing,
}

/// What a PID names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// A process, with its inode where the kernel has pidfs.
    Process(Option<PidfdInode>),
    /// None. A thread may have this PID: /proc has a folder for each, in no list, whose argv is that of its process and whose start is its
    /// own.
    Nothing,
}

impl Pidfds {
    /// Tries it on this process.
    pub(crate) fn probe() -> io::Result<Self> {
        match pidfd_open(rustix::process::getpid(), PidfdFlags::empty()) {
            Ok(fd) if u64::try_from(fstatfs(&fd)?.f_type) == Ok(PIDFS_MAGIC) => Ok(Self::Pidfs),
            Ok(_) => Ok(Self::Anonymous),
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => Ok(Self::Missing),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether a process has this PID, and which.
    pub(super) fn named(self, pid: Pid) -> Result<Named, ProcessesError> {
        if self == Self::Missing {
            return Ok(Named::Process(None));
        }
        match open(pid).map_err(|errno| ProcessesError::Pidfd { pid, source: errno.into() })? {
            Some(fd) => self.inode_of(&fd, pid).map(Named::Process),
            None => Ok(Named::Nothing),
        }
    }

    /// The inode of a pidfd that is open already. `None`: this kernel has no pidfs.
    pub(crate) fn inode_of(self, fd: &OwnedFd, pid: Pid) -> Result<Option<PidfdInode>, ProcessesError> {
        if self != Self::Pidfs {
            return Ok(None);
        }
        let stat = fstat(fd).map_err(|errno| ProcessesError::Pidfd { pid, source: errno.into() })?;
        Ok(PidfdInode::new(stat.st_ino))
    }
}

/// A pidfd. `None`: no process has this PID, or only a thread.
pub(crate) fn open(pid: Pid) -> Result<Option<OwnedFd>, Errno> {
    let Some(raw) = i32::try_from(pid.get()).ok().and_then(rustix::process::Pid::from_raw) else {
        return Ok(None);
    };
    match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_no_process_with_pidfs_or_without() {
        let other = std::thread::spawn(|| {
            let thread =
                Pid::new(u64::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap()).unwrap();
            let process = Pid::new(std::process::id().into()).unwrap();
            for pidfds in [Pidfds::probe().unwrap(), Pidfds::Anonymous] {
                assert!(matches!(pidfds.named(process).unwrap(), Named::Process(_)));
                assert_eq!(pidfds.named(thread).unwrap(), Named::Nothing, "{pidfds:?}");
            }
        });
        other.join().unwrap();
    }
}
