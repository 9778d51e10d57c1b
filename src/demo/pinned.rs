//! A process of the demo, held by pidfd from its start on: what is looked at or signalled through it is never another one.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One process and no other.
#[derive(Debug)]
pub struct Pinned {
    pid: u32,
    start_ticks: u64,
    pidfd: OwnedFd,
}

impl Pinned {
    /// Takes hold of a process that is alive now.
    ///
    /// # Errors
    /// There is none with this PID, or it can't be held or looked at.
    pub fn new(pid: u32) -> io::Result<Self> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        let pidfd = pidfd_open(raw, PidfdFlags::empty())?;
        let pinned = Self { pid, start_ticks: start_ticks(pid)?, pidfd };
        // Were it dead by now, the ticks could be those of the next process with this PID.
        if pinned.alive() { Ok(pinned) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Its PID.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// `/proc/PID/stat` field 22: clock ticks since boot at which it started.
    pub fn start_ticks(&self) -> u64 {
        self.start_ticks
    }

    /// Whether it still runs. A zombie doesn't.
    pub fn alive(&self) -> bool {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        // A poll that fails proves nothing, so the process counts as alive.
        !matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1..))
    }

    /// Sends a signal. One that is gone already is fine.
    ///
    /// # Errors
    /// Not permitted.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Its resident memory now; none if it is gone.
    pub fn rss_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        self.alive().then(|| kilobytes.saturating_mul(1024))
    }
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (started at tick {})", self.pid, self.start_ticks)
    }
}

fn start_ticks(pid: u32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, field 2, may hold spaces and parentheses; what follows its last parenthesis starts at field 3.
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest);
    after_name
        .and_then(|rest| rest.split_ascii_whitespace().nth(19))
        .and_then(|ticks| ticks.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}
