//! The search for what a finished tree started as it ended: by process group or session that one of its members led, and by the mark that its
//! members had. What is older than the first act, shares a group or a session and doesn't name the worker's key is let be, and named: nobody saw
//! it below the tree.

use super::{Phase, Victim};
use crate::domain::process::Process;
use crate::reap::kernel::{KernelError, Mark};
use crate::reap::outcome::Outcome;
use crate::reap::tree::Taken;
use crate::reap::world::World;
use crate::text::in_full;

/// How often re-parented descendants are ended before the tree is called unfinished.
const ROUNDS: u32 = 5;
/// So many ancestors are asked after.
const MOST_ABOVE: usize = 64;

impl<H> Victim<H> {
    /// Takes in what the search found, and ends what of it came from this tree.
    pub(in crate::reap) fn found<W: World<Held = H>>(
        &mut self,
        world: &mut W,
        found: &[Process],
        marked: &[(Mark, Process)],
    ) {
        let Phase::Searching { mut course } = self.phase else { return };
        let limits = self.warrant.limits().clone();
        let (mut grew, mut moved, known) = (false, false, self.tree.members.len());
        for process in found {
            let from = |pid: u32| self.tree.led(pid, process);
            // A leader's number that is in use again leads another family.
            let reused = |pid: u32| found.iter().any(|other| other.identity.pid.get() == pid);
            let group = from(process.group) && !reused(process.group);
            let session = from(process.session) && !reused(process.session);
            if !(group || session)
                || limits.protects(process).is_some()
                || self.is_anothers(world, found, process, false)
                || !(self.names_its_session(process) || self.tree.may_have_started(process.identity))
            {
                continue;
            }
            match self.tree.add(world, &limits, process.identity) {
                Ok(added) => grew |= added,
                Err(error) => return self.fail_with(world, &error),
            }
        }
        let from_here = marked.iter().filter(|(mark, _)| self.tree.bears(*mark)).map(|(_, process)| process);
        for process in from_here.cloned().collect::<Vec<_>>() {
            if self.is_anothers(world, found, &process, true) {
                self.tree.lets_heir_be();
                continue;
            }
            // Another user's is named, and not ended.
            match self.tree.take(world, &limits, process.identity) {
                Ok(Taken::Added) => grew = true,
                // Gone since, and what it started may have come too late to be found with it.
                Ok(Taken::Gone) => moved = true,
                Ok(Taken::Known) => {}
                Err(error) => return self.fail_with(world, &error),
            }
        }
        if !grew && !moved {
            let by_us = if self.signalled { Outcome::Reaped } else { Outcome::Gone };
            let outcome = course.closed.map_or(by_us, Into::into);
            return self.finish(world, outcome);
        }
        course.rounds += 1;
        self.look_at_news(world, known);
        // Also what is left to the next run.
        if grew && !self.note_begun(world, false) {
            return;
        }
        if course.rounds > ROUNDS {
            return self.fail(world, "its tree grows faster than it can be ended");
        }
        if !grew {
            // It is searched again at once.
            self.phase = Phase::Searching { course };
        } else if course.rounds == ROUNDS {
            // What starts something new at each SIGTERM doesn't get another.
            self.end_at_once(world, course);
        } else {
            self.terminate(world, course);
        }
    }

    /// Whether its argv has the key that the worker's has: a fork of it, or something that it started for its session.
    fn names_its_session(&self, process: &Process) -> bool {
        let words = process.argv.as_deref().into_iter().flat_map(|argv| argv.split(' '));
        self.warrant.worker_key().is_some_and(|key| words.into_iter().any(|word| word == key))
    }

    /// Whether it is or runs below another worker, which is judged by itself, or below a gateway that was started from this tree: both got
    /// their group, session and marks from it. Not knowing lets it be. `is_heir`: it has its mark from this tree.
    fn is_anothers<W: World<Held = H>>(
        &self,
        world: &mut W,
        found: &[Process],
        process: &Process,
        is_heir: bool,
    ) -> bool {
        let limits = self.warrant.limits();
        let (mut at, mut is_below_member) = (process.identity.pid, false);
        for _ in 0..MOST_ABOVE {
            let known = found.iter().find(|other| other.identity.pid == at);
            if limits.is_gateway(at) {
                // What adopts may be a gateway, too: of that nothing was handed on.
                return known.is_some();
            }
            // A row may name init, or what the reaper runs under.
            if limits.protects_pid(at).is_some() {
                return false;
            }
            let there = match known {
                Some(known) => Ok(Some(known.clone())),
                None => world.look(at),
            };
            let Ok(there) = there else { return true };
            let Some(there) = there else { return false };
            if self.tree.has_spared(&there.identity) {
                return true;
            }
            is_below_member |= self.tree.knows(&there.identity);
            // A fork of a member may be about to execute something else.
            let is_fork = |argv: &str| is_heir && self.tree.has_said(argv);
            let is_worker = |argv: &str| limits.is_another_worker(argv) && !is_fork(argv);
            let is_others =
                limits.is_of_another_session(there.identity) || there.argv.as_deref().is_some_and(is_worker);
            if !is_below_member && is_others {
                return true;
            }
            let Some(parent) = there.parent else { return false };
            at = parent;
        }
        true
    }

    /// Nothing can say whether something of the tree is left.
    pub(in crate::reap) fn fail_with<W: World<Held = H>>(&mut self, world: &mut W, error: &KernelError) {
        self.fail(world, in_full(error));
    }
}
