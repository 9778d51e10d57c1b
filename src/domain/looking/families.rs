//! Below which workers a look goes. What is seen there is remembered, so that it isn't lost when its worker ends.
//!
//! A worker that hasn't run since two looks found nothing below it has started nothing since: it is passed over, but for one in its turn,
//! because what is seen of running is a little coarse. One look isn't enough, as the kernel's list of children may leave one out.

use std::collections::HashMap;

use crate::domain::process::ProcessIdentity;

/// Below so many workers that aren't at rest one look goes at most.
const MOST: usize = 8;
/// And below so many of those at rest.
const AT_REST: usize = 1;
/// After so many looks in a row that found nothing a worker that doesn't run is at rest.
const SURE: u8 = 2;

/// What earlier looks found below workers. `W` is what a worker had done by then: two are equal where it hasn't run in between.
#[derive(Debug, Clone)]
pub struct Families<W> {
    seen: HashMap<ProcessIdentity, Seen<W>>,
    looks: u64,
    first: usize,
}

#[derive(Debug, Clone)]
struct Seen<W> {
    work: W,
    /// So many looks in a row found nothing below it.
    nothing: u8,
    /// The number of the look.
    at: u64,
}

impl<W: PartialEq> Families<W> {
    /// Nothing was looked at yet; the first look begins with this one of the workers. Single runs begin with different ones.
    #[must_use]
    pub fn beginning_with(first: usize) -> Self {
        Self { seen: HashMap::new(), looks: 0, first }
    }

    /// Below which of these workers this look goes: those first that were longest passed over. `workers` come with what each had done before
    /// it is looked below.
    pub fn choose(&mut self, mut workers: Vec<(ProcessIdentity, W)>) -> Vec<ProcessIdentity> {
        self.looks += 1;
        let first = self.first.checked_rem(workers.len()).unwrap_or(0);
        workers.rotate_left(first);
        let mut before = std::mem::take(&mut self.seen);
        let mut workers: Vec<_> =
            workers.into_iter().map(|(who, work)| (who, work, before.remove(&who))).collect();
        workers.sort_by_key(|(_, _, seen)| seen.as_ref().map(|seen| seen.at));
        let (mut most, mut at_rest) = (MOST, AT_REST);
        let mut chosen = Vec::new();
        for (who, work, seen) in workers {
            let nothing = seen.as_ref().filter(|seen| seen.work == work).map_or(0, |seen| seen.nothing);
            let room = if nothing >= SURE { &mut at_rest } else { &mut most };
            let goes = *room > 0;
            *room = room.saturating_sub(1);
            if goes {
                chosen.push(who);
            }
            let seen = if goes { Some(Seen { work, nothing, at: self.looks }) } else { seen };
            if let Some(seen) = seen {
                self.seen.insert(who, seen);
            }
        }
        chosen
    }

    /// So many children were found below a worker that was chosen.
    pub fn found(&mut self, worker: &ProcessIdentity, children: usize) {
        if let Some(seen) = self.seen.get_mut(worker) {
            seen.nothing = if children == 0 { seen.nothing.saturating_add(1) } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Pid;

    /// Workers of these numbers, each with what it had done.
    fn workers(work: impl Fn(u32) -> u64, number: u32) -> Vec<(ProcessIdentity, u64)> {
        let identity = |pid: u32| ProcessIdentity {
            pid: Pid::new(pid.into()).unwrap_or(Pid::INIT),
            start_ticks: 1,
            inode: None,
        };
        (1..=number).map(|pid| (identity(pid), work(pid))).collect()
    }

    /// One look that finds so many children below each; which workers it went below.
    fn look(families: &mut Families<u64>, workers: Vec<(ProcessIdentity, u64)>, children: usize) -> Vec<u32> {
        let chosen = families.choose(workers);
        chosen.iter().for_each(|worker| families.found(worker, children));
        chosen.iter().map(|worker| worker.pid.get()).collect()
    }

    fn rested(number: u32) -> Families<u64> {
        let mut families = Families::beginning_with(0);
        for _ in 0..number {
            look(&mut families, workers(|_| 0, number), 0);
        }
        families
    }

    #[test]
    fn of_many_unknown_ones_each_has_its_turn_beginning_with_any() {
        let mut families = Families::beginning_with(15);
        let mut seen: Vec<u32> = (0..3).flat_map(|_| look(&mut families, workers(|_| 0, 20), 1)).collect();
        assert_eq!(seen[..8], [16, 17, 18, 19, 20, 1, 2, 3]);
        assert_eq!(seen.len(), 24);
        seen.truncate(20);
        seen.sort_unstable();
        assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    }

    #[test]
    fn those_at_rest_have_one_look_in_turn() {
        let mut families = rested(9);
        let mut seen: Vec<u32> = (0..9).flat_map(|_| look(&mut families, workers(|_| 0, 9), 0)).collect();
        seen.sort_unstable();
        assert_eq!(seen, (1..=9).collect::<Vec<_>>());
    }

    #[test]
    fn one_that_ran_is_looked_below_at_once_and_until_two_looks_found_nothing() {
        let mut families = rested(9);
        let ran = || workers(|pid| u64::from(pid == 5), 9);
        let goes =
            |families: &mut Families<u64>| look(families, ran(), 0).iter().filter(|pid| **pid == 5).count();
        assert_eq!([(); 4].map(|()| goes(&mut families)), [1, 1, 0, 0]);
    }

    #[test]
    fn one_with_children_is_looked_below_at_every_look_though_it_does_not_run() {
        let mut families = Families::beginning_with(0);
        for _ in 0..5 {
            assert_eq!(look(&mut families, workers(|_| 0, 2), 1), [1, 2]);
        }
        // One look may miss them.
        assert_eq!(look(&mut families, workers(|_| 0, 2), 0), [1, 2]);
        assert_eq!(look(&mut families, workers(|_| 0, 2), 1), [1, 2]);
    }

    #[test]
    fn another_process_with_the_pid_of_one_at_rest_is_not_at_rest() {
        let mut families = rested(9);
        let mut others = workers(|_| 0, 9);
        others[4].0.start_ticks = 2;
        assert!(look(&mut families, others, 0).contains(&5));
    }
}
