//! Marks by which descendants are told that have lost their way to a worker: started by it as it died, in the gateway's process group or in
//! a session of their own, and adopted by init before any look.
//!
//! The mark is an unusual `coredump_filter`. The kernel hands it on by `fork` and keeps it over `exec`; the owner of a process may write it;
//! and all it changes is what a core dump would hold of a process that is about to be ended. Programs that set a filter
//! for themselves keep private memory in the dump. No mark has that bit, and each has one for a kind of memory that hardly any program uses.
//!
//! No other run may use the same value at the same time: it would take the processes of one victim for descendants of the other's. So the
//! values are claimed, by the names of sockets, which the kernel gives to one process at a time and takes back when that is gone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::kernel::Mark;
use crate::domain::ids::Pid;
use crate::sources::processes::{Proc, ProcessesError};

/// The kernel has nine bits of it.
const VALUES: u16 = 1 << 9;
/// So many values are claimed together.
const BLOCK: u16 = 16;
/// So many values of a block are marks.
const MARKS: usize = 8;
/// The bit of anonymous private memory, which no mark has.
const PRIVATE: u16 = 1;
/// The bit of shared huge pages. Each mark has this or one of those above it, which are for files on DAX.
const RARE: u16 = 1 << 6;
/// No run has more blocks: some are left to others.
const MOST_BLOCKS: usize = 21;

/// The values of a run: each is borne by the tree of one victim; where there are more victims than values, by several. All of those are to be
/// ended: once one of them is let be, its value says nothing any more.
#[derive(Debug)]
pub(super) struct Marks {
    /// Start ticks of what is started from now on.
    pub(super) since: u64,
    /// So many blocks are claimed at first: for each claim all processes are read.
    wanted: usize,
    /// The claims, for as long as they are open.
    claims: Vec<UnixDatagram>,
    /// The blocks that weren't tried yet.
    untried: VecDeque<u16>,
    /// In the order in which they are given; first those that weren't given yet.
    free: VecDeque<u16>,
    /// So many of them weren't given yet.
    fresh: usize,
    given: BTreeSet<u16>,
    /// What was let be, and what such processes bore before.
    withdrawn: BTreeMap<u16, u16>,
}

impl Marks {
    /// For so many victims. None are claimed yet.
    pub(super) fn new(since: u64, victims: usize) -> Self {
        let mut untried: VecDeque<u16> = (RARE / BLOCK..VALUES / BLOCK).collect();
        // Where claims can't be seen (another network namespace), two runs that begin at the same moment take others nevertheless.
        let turn = usize::try_from(since).unwrap_or(0).wrapping_add(std::process::id() as usize * 31);
        untried.rotate_left(turn.checked_rem(untried.len()).unwrap_or(0));
        Self {
            since,
            wanted: victims.div_ceil(MARKS).min(MOST_BLOCKS),
            claims: Vec::new(),
            untried,
            free: VecDeque::new(),
            fresh: 0,
            given: BTreeSet::new(),
            withdrawn: BTreeMap::new(),
        }
    }

    pub(super) fn give(&mut self, proc: &mut Proc) -> Option<Mark> {
        if self.fresh == 0
            && let Err(error) = self.claim_more(proc)
        {
            tracing::debug!(%error, "no more marks");
        }
        let value = self.free.pop_front()?;
        self.free.push_back(value);
        self.fresh = self.fresh.saturating_sub(1);
        self.given.insert(value);
        Some(Mark(value))
    }

    /// Claims further values, and takes those of them that no process bears.
    fn claim_more(&mut self, proc: &mut Proc) -> Result<(), ProcessesError> {
        let more = self.wanted.saturating_sub(self.claims.len()).max(1);
        let wanted = more.min(MOST_BLOCKS - self.claims.len());
        let (mut claimed, before) = (BTreeSet::new(), self.claims.len());
        while self.claims.len() < before + wanted
            && let Some(block) = self.untried.pop_front()
        {
            if let Some(claim) = claim(block) {
                self.claims.push(claim);
                claimed.extend((block * BLOCK..(block + 1) * BLOCK).filter(|value| value & PRIVATE == 0));
            }
        }
        if claimed.is_empty() {
            return Ok(());
        }
        // Once they are claimed, so that no other run can come between.
        let taken: BTreeSet<u16> = proc.pids()?.into_iter().filter_map(|pid| proc.dump_filter(pid)).collect();
        // Where none can be read, none can be written.
        if !taken.is_empty() {
            let news: Vec<u16> = claimed.difference(&taken).copied().collect();
            self.fresh += news.len();
            news.into_iter().rev().for_each(|value| self.free.push_front(value));
        }
        Ok(())
    }

    /// What bears it is not known any more to be of what is ended. `before`: what it bore before.
    pub(super) fn withdraw(&mut self, mark: Mark, before: Option<Mark>) {
        self.free.retain(|value| *value != mark.0);
        self.given.remove(&mark.0);
        if let Some(before) = before {
            self.withdrawn.insert(mark.0, before.0);
        }
    }

    /// The mark of the process that has this PID, if it is one of this run.
    pub(super) fn borne(&self, proc: &mut Proc, pid: Pid) -> Option<Mark> {
        proc.dump_filter(pid).filter(|value| self.given.contains(value)).map(Mark)
    }

    pub(super) fn are_given(&self) -> bool {
        !self.given.is_empty()
    }

    /// Unmarks what inherited a mark that was withdrawn.
    pub(super) fn restore(&self, proc: &mut Proc) -> Result<(), ProcessesError> {
        if self.withdrawn.is_empty() {
            return Ok(());
        }
        for pid in proc.pids()? {
            let is_heir = proc.dump_filter(pid).is_some_and(|value| self.withdrawn.contains_key(&value));
            // One in a container may bear what a reaper in there has given.
            if is_heir && proc.is_here(pid) {
                proc.change_dump_filter(pid, || true, |value| self.withdrawn.get(&value).copied());
            }
        }
        Ok(())
    }
}

/// Claims a block of values, if no other run has it.
fn claim(block: u16) -> Option<UnixDatagram> {
    let name = SocketAddr::from_abstract_name(format!("gateway-reaper/marks/{block}")).ok()?;
    UnixDatagram::bind_addr(&name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u16]) -> Marks {
        Marks {
            free: values.iter().copied().collect(),
            fresh: values.len(),
            untried: VecDeque::new(),
            ..Marks::new(0, 1)
        }
    }

    #[test]
    fn a_value_is_given_to_several_once_all_are_given_and_none_that_was_withdrawn() {
        let (mut marks, mut proc) = (of(&[1, 2, 3]), Proc::open().unwrap());
        let mut next = || marks.give(&mut proc).map(|mark| mark.0);
        assert_eq!([next(), next(), next(), next()], [Some(1), Some(2), Some(3), Some(1)]);
        marks.withdraw(Mark(2), None);
        assert_eq!(marks.given, [1, 3].into());
        assert_eq!([marks.give(&mut proc), marks.give(&mut proc)], [Some(Mark(3)), Some(Mark(1))]);
        marks.withdraw(Mark(1), None);
        marks.withdraw(Mark(3), None);
        assert_eq!((marks.give(&mut proc), marks.are_given()), (None, false));
    }

    #[test]
    fn two_runs_at_once_never_give_the_same_value() {
        let mut proc = Proc::open().unwrap();
        // Both begin in the same tick.
        let mut runs = [Marks::new(7, 1), Marks::new(7, 1)];
        for _ in 0..600 {
            for run in &mut runs {
                run.give(&mut proc);
            }
        }
        let [first, second] = &runs;
        // Other runs on this machine may have any of them.
        assert_eq!(first.given.intersection(&second.given).count(), 0);
        assert!(runs.iter().all(|run| run.claims.len() <= MOST_BLOCKS));
    }

    #[test]
    fn no_value_is_given_that_programs_set_for_themselves() {
        let (mut marks, mut proc) = (Marks::new(7, 1_000), Proc::open().unwrap());
        for _ in 0..1_000 {
            marks.give(&mut proc);
        }
        let usual =
            [0, 1, 3, 7, 0xf, 0x13, 0x1f, 0x21, 0x23, 0x31, 0x33, 0x3b, 0x3f, 0x73, 0x7b, 0x7f, 0xff, 0x1ff];
        assert!(usual.iter().all(|value| !marks.given.contains(value)), "{:x?}", marks.given);
        assert!(marks.given.iter().all(|value| value & PRIVATE == 0 && *value >= RARE), "{:x?}", marks.given);
        // Where no other run and no process of this machine has any of them.
        assert!(marks.given.len() <= MOST_BLOCKS * MARKS);
    }

    #[test]
    fn a_run_that_is_over_leaves_its_values_to_others() {
        let is_free = |block: u16| claim(block).is_some();
        let block = 1_000;
        let held = claim(block);
        assert!(held.is_some() && !is_free(block));
        drop(held);
        assert!(is_free(block));
    }
}
