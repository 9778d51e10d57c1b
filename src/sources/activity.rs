//! Reads what a process' own account shows of its work: its main thread, its threads, the connections that it holds.
//!
//! Everything is read below one open `/proc/PID`, and all of it is of the process that was meant, or of none.

use std::collections::HashSet;
use std::time::Duration;

use rustix::io::Errno;

use super::processes::{Proc, ProcessDir, ProcessesError};
use crate::domain::activity::{Activity, MainThread};
use crate::domain::ids::Pid;
use crate::domain::process::ProcessIdentity;

/// Reads activities.
#[derive(Debug)]
pub struct Activities {
    proc: Proc,
    buffer: Vec<u8>,
}

impl Activities {
    /// Opens `/proc`.
    ///
    /// # Errors
    /// It isn't there, or of another PID namespace.
    pub fn open() -> Result<Self, ProcessesError> {
        Ok(Self { proc: Proc::open()?, buffer: Vec::new() })
    }

    /// What this process shows now. `connected`: the inodes of all sockets that are connected ([`connected_inodes`]), among which its own
    /// are counted. `None`: it is gone.
    ///
    /// # Errors
    /// Something of it can't be read; nothing is known then.
    ///
    /// [`connected_inodes`]: super::sockets::connected_inodes
    pub fn read(
        &mut self,
        identity: &ProcessIdentity,
        connected: &HashSet<u64>,
    ) -> Result<Option<Activity>, ProcessesError> {
        let read = self.read_pid(identity.pid, connected)?;
        Ok(read.filter(|(found, _)| found == identity).map(|(_, activity)| activity))
    }

    /// The same of the process that has this PID now, and which process that is.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_pid(
        &mut self,
        pid: Pid,
        connected: &HashSet<u64>,
    ) -> Result<Option<(ProcessIdentity, Activity)>, ProcessesError> {
        let Some(dir) = self.proc.process(pid)? else { return Ok(None) };
        let Some(identity) = self.alive(&dir)? else { return Ok(None) };
        let read = self.read_below(&dir, pid, connected)?;
        // What isn't there is of a process that went away meanwhile, or this kernel doesn't tell it.
        if read.is_none() && self.alive(&dir)?.is_some() {
            let what = format!("/proc/{pid}/task: what its threads did").into();
            return Err(ProcessesError::Read { what, source: Errno::NOENT.into() });
        }
        Ok(read.map(|activity| (identity, activity)))
    }

    fn alive(&mut self, dir: &ProcessDir) -> Result<Option<ProcessIdentity>, ProcessesError> {
        let seen = self.proc.describe(dir)?;
        Ok(seen.filter(|(process, _)| !process.zombie).map(|(process, _)| process.identity))
    }

    fn read_below(
        &mut self,
        dir: &ProcessDir,
        pid: Pid,
        connected: &HashSet<u64>,
    ) -> Result<Option<Activity>, ProcessesError> {
        let Some(status) = dir.text(&format!("task/{pid}/status"), &mut self.buffer)? else {
            return Ok(None);
        };
        let Some((asleep, switches)) = main_thread(status) else { return Ok(None) };
        let Some(threads) = dir.numbers("task")? else { return Ok(None) };
        let (mut ran, mut main_ran, mut count) = (Duration::ZERO, None, 0);
        for thread in threads {
            // One that ended since it was listed isn't counted.
            let path = format!("task/{thread}/schedstat");
            let Some(spent) = dir.text(&path, &mut self.buffer)?.and_then(spent) else { continue };
            ran += spent;
            count += 1;
            if thread == pid.get() {
                main_ran = Some(spent);
            }
        }
        let Some(main_ran) = main_ran else { return Ok(None) };
        let children = u32::try_from(self.proc.children_of_process(dir)?.len()).unwrap_or(u32::MAX);
        let Some(descriptors) = dir.numbers("fd")? else { return Ok(None) };
        let mut connections = 0;
        for descriptor in descriptors {
            let socket = dir.link(&format!("fd/{descriptor}"))?.as_deref().and_then(socket);
            connections += u32::from(socket.is_some_and(|inode| connected.contains(&inode)));
        }
        let main = MainThread { asleep, ran: main_ran, switches };
        Ok(Some(Activity { main, threads: count, ran, connections, children }))
    }
}

/// Whether it sleeps, and how often it was switched.
fn main_thread(status: &str) -> Option<(bool, u64)> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_ascii_whitespace().next())
    };
    let asleep = field("State")? == "S";
    let voluntary: u64 = field("voluntary_ctxt_switches")?.parse().ok()?;
    let involuntary: u64 = field("nonvoluntary_ctxt_switches")?.parse().ok()?;
    Some((asleep, voluntary.wrapping_add(involuntary)))
}

/// The first field of `schedstat`: nanoseconds on a processor.
fn spent(schedstat: &str) -> Option<Duration> {
    schedstat.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn socket(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read_as_they_are_written() {
        let status = "Name:\tpython\nState:\tS (sleeping)\nThreads:\t3\nvoluntary_ctxt_switches:\t88\nnonvoluntary_ctxt_switches:\t2\n";
        assert_eq!(main_thread(status), Some((true, 90)));
        assert_eq!(main_thread(&status.replace("S (sleeping)", "R (running)")), Some((false, 90)));
        assert_eq!(main_thread("State:\tS (sleeping)\n"), None);
        assert_eq!(spent("700123456 1000 90\n"), Some(Duration::from_nanos(700_123_456)));
        assert_eq!(spent("\n"), None);
        assert_eq!(
            (socket("socket:[4711]"), socket("pipe:[4711]"), socket("/dev/null")),
            (Some(4711), None, None)
        );
    }
}
