//! Marks by which descendants are told that have lost their way to a worker: started by it as it died, in the gateway's process group or in
//! a session of their own, and adopted by init before any look.
//!
//! The mark is an unusual `coredump_filter`. The kernel hands it on by `fork` and keeps it over `exec`; the owner of a process may write it;
//! and all it changes is what a core dump would hold of a process that is about to be ended.

use std::collections::{BTreeSet, VecDeque};

use super::kernel::Mark;
use crate::domain::ids::Pid;
use crate::sources::processes::{Proc, ProcessesError};

/// The kernel has nine bits of it.
const VALUES: u16 = 1 << 9;

/// The values of a run: each is borne by the tree of one victim; where there are more victims than values, by several. All of those are to be
/// ended: once one of them is let be, its value says nothing any more.
#[derive(Debug)]
pub(super) struct Marks {
    /// Start ticks of what is started from now on.
    pub(super) since: u64,
    /// In the order in which they are given.
    free: VecDeque<u16>,
    given: BTreeSet<u16>,
}

impl Marks {
    /// Finds the values that no process bears.
    pub(super) fn find(proc: &mut Proc, since: u64) -> Result<Self, ProcessesError> {
        let taken: BTreeSet<u16> = proc.pids()?.into_iter().filter_map(|pid| proc.dump_filter(pid)).collect();
        // Where none can be read, none can be written.
        let readable = (!taken.is_empty()).then_some(1..VALUES);
        let mut free: VecDeque<u16> =
            readable.into_iter().flatten().filter(|value| !taken.contains(value)).collect();
        // Another reaper that begins at the same moment takes others.
        let turn = usize::try_from(since).unwrap_or(0).wrapping_add(std::process::id() as usize * 31);
        if let Some(by) = turn.checked_rem(free.len()) {
            free.rotate_left(by);
        }
        Ok(Self { since, free, given: BTreeSet::new() })
    }

    pub(super) fn give(&mut self) -> Option<Mark> {
        let value = self.free.pop_front()?;
        self.free.push_back(value);
        self.given.insert(value);
        Some(Mark(value))
    }

    /// What bears it is not known any more to be of what is ended.
    pub(super) fn withdraw(&mut self, mark: Mark) {
        self.free.retain(|value| *value != mark.0);
        self.given.remove(&mark.0);
    }

    /// The mark of the process that has this PID, if it is one of this run.
    pub(super) fn borne(&self, proc: &mut Proc, pid: Pid) -> Option<Mark> {
        proc.dump_filter(pid).filter(|value| self.given.contains(value)).map(Mark)
    }

    pub(super) fn are_given(&self) -> bool {
        !self.given.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_given_to_several_once_all_are_given_and_none_that_was_withdrawn() {
        let mut marks = Marks { since: 0, free: [1, 2, 3].into(), given: BTreeSet::new() };
        let mut next = || marks.give().map(|mark| mark.0);
        assert_eq!([next(), next(), next(), next()], [Some(1), Some(2), Some(3), Some(1)]);
        marks.withdraw(Mark(2));
        assert_eq!(marks.given, [1, 3].into());
        assert_eq!([marks.give(), marks.give()], [Some(Mark(3)), Some(Mark(1))]);
        marks.withdraw(Mark(1));
        marks.withdraw(Mark(3));
        assert_eq!((marks.give(), marks.are_given()), (None, false));
    }
}
