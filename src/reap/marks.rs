//! Marks by which descendants are told that have lost their way to a worker: started by it as it died, in the gateway's process group or in
//! a session of their own, and adopted by init before any look.
//!
//! The mark is an unusual `coredump_filter`. The kernel hands it on by `fork` and keeps it over `exec`; the owner of a process may write it;
//! and all it changes is what a core dump would hold of a process that is about to be ended.

use std::collections::BTreeSet;

use super::kernel::Mark;
use crate::domain::ids::Pid;
use crate::sources::processes::{Proc, ProcessesError};

/// The kernel has nine bits of it.
const VALUES: u16 = 1 << 9;

/// The values of a run: each is borne by the tree of one victim.
#[derive(Debug)]
pub(super) struct Marks {
    /// Start ticks of what is started from now on.
    pub(super) since: u64,
    free: Vec<u16>,
    given: BTreeSet<u16>,
}

impl Marks {
    /// Finds the values that no process bears.
    pub(super) fn find(proc: &mut Proc, since: u64) -> Result<Self, ProcessesError> {
        let taken: BTreeSet<u16> = proc.pids()?.into_iter().filter_map(|pid| proc.dump_filter(pid)).collect();
        // Where none can be read, none can be written.
        let readable = (!taken.is_empty()).then_some(1..VALUES);
        let mut free: Vec<u16> =
            readable.into_iter().flatten().filter(|value| !taken.contains(value)).collect();
        // Another reaper that begins at the same moment takes others.
        let turn = usize::try_from(since).unwrap_or(0).wrapping_add(std::process::id() as usize * 31);
        if let Some(by) = turn.checked_rem(free.len()) {
            free.rotate_left(by);
        }
        Ok(Self { since, free, given: BTreeSet::new() })
    }

    pub(super) fn give(&mut self) -> Option<Mark> {
        let value = self.free.pop()?;
        self.given.insert(value);
        Some(Mark(value))
    }

    /// The mark of the process that has this PID, if it is one of this run.
    pub(super) fn borne(&self, proc: &mut Proc, pid: Pid) -> Option<Mark> {
        proc.dump_filter(pid).filter(|value| self.given.contains(value)).map(Mark)
    }

    pub(super) fn are_given(&self) -> bool {
        !self.given.is_empty()
    }
}
