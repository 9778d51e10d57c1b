//! The search for what a finished tree started as it ended: by process group or session that one of its members led, and by the mark that its
//! members had. Where all of them had it, so has whatever they started, and a group or a session says nothing by itself.
//!
//! What is older than the first act, shares a group or a session and doesn't name the worker's key is let be, and named: nobody saw it below the
//! tree. So is whatever runs below a living process that isn't of the tree: that has started it.

use super::{Phase, Victim};
use crate::domain::adoption::{Holder, sign_among};
use crate::domain::ids::Pid;
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

/// What ties a process to the tree that was found by its group or session.
const SHARES: &str = "it shares a process session or group with its worker, below which it was never seen";
/// What ties one to it that was found by its mark.
const BEARS: &str = "it bears the mark of its worker's tree, and runs below a process that isn't of that";

/// By what a process was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// It is in a process group or session that a member led.
    Led,
    /// It has its mark from the tree.
    Mark,
}

/// Whose a process is that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Nothing says that it isn't the tree's.
    Trees,
    /// It is judged by itself, or of what is.
    Anothers,
    /// A living process has started it that isn't of the tree.
    Strangers,
}

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
            // What bears a mark is judged by that.
            let is_marked = || marked.iter().any(|(_, it)| it.identity == process.identity);
            if !self.is_led(found, process) || limits.protects(process).is_some() || is_marked() {
                continue;
            }
            match self.whose(world, found, marked, process, Evidence::Led) {
                Whose::Trees if self.may_be_trees(process) => {}
                Whose::Trees | Whose::Strangers => {
                    self.tree.sets_apart(process.identity, SHARES);
                    continue;
                }
                Whose::Anothers => continue,
            }
            match self.tree.add(world, &limits, process.identity) {
                Ok(added) => grew |= added,
                Err(error) => return self.fail_with(world, &error),
            }
        }
        let from_here = marked.iter().filter(|(mark, _)| self.tree.bears(*mark)).map(|(_, process)| process);
        for process in from_here.cloned().collect::<Vec<_>>() {
            match self.whose(world, found, marked, &process, Evidence::Mark) {
                Whose::Trees => {}
                Whose::Strangers => {
                    self.tree.sets_apart(process.identity, BEARS);
                    continue;
                }
                Whose::Anothers => {
                    self.tree.lets_heir_be();
                    continue;
                }
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

    /// Whether it is in a process group or session that a member led.
    fn is_led(&self, found: &[Process], process: &Process) -> bool {
        // A leader's number that is in use again leads another family.
        let is_reused = |pid: u32| found.iter().any(|other| other.identity.pid.get() == pid);
        [process.group, process.session].into_iter().any(|pid| self.tree.led(pid, process) && !is_reused(pid))
    }

    /// Whether what shares a group or a session with a member, and doesn't bear the mark, may have been started by one: not since the first act,
    /// if all of them bear it, and before that only what was started for the worker's session.
    fn may_be_trees(&self, process: &Process) -> bool {
        if self.tree.is_news(process.identity) {
            !self.tree.all_are_marked()
        } else {
            self.names_its_session(process)
        }
    }

    /// Whose a process is that the search found. Another worker is judged by itself, with what runs below it, and so is what runs below a gateway
    /// that was started from this tree: they got their group, session and marks from it. What runs below a living process that isn't of the tree,
    /// and that has not adopted it, is that process's. Not knowing lets it be.
    fn whose<W: World<Held = H>>(
        &self,
        world: &mut W,
        found: &[Process],
        marked: &[(Mark, Process)],
        process: &Process,
        by: Evidence,
    ) -> Whose {
        let limits = self.warrant.limits();
        let may_be_trees = |above: &Process| {
            marked.iter().any(|(_, it)| it.identity == above.identity)
                || (self.is_led(found, above) && self.may_be_trees(above))
        };
        let (mut at, mut is_below_member, mut is_adopted) = (process.identity.pid, false, false);
        let mut below: Option<Process> = None;
        for _ in 0..MOST_ABOVE {
            let known = found.iter().find(|other| other.identity.pid == at);
            let there = match known {
                Some(known) => Ok(Some(known.clone())),
                None => world.look(at),
            };
            let Ok(there) = there else { return Whose::Anothers };
            let is_tied = is_below_member || is_adopted;
            let Some(there) = there else {
                let is_certain = below.is_none() || is_tied || by == Evidence::Mark;
                return if is_certain { Whose::Trees } else { Whose::Strangers };
            };
            if self.tree.has_spared(&there.identity) {
                return Whose::Anothers;
            }
            is_below_member |= self.tree.knows(&there.identity);
            // A fork of a member may be about to execute something else.
            let is_fork = |argv: &str| by == Evidence::Mark && self.tree.has_said(argv);
            let is_worker = |argv: &str| limits.is_another_worker(argv) && !is_fork(argv);
            // A row may name init, or what the reaper runs under.
            let is_top = limits.protects_pid(at).is_some();
            let is_others = !is_below_member
                && !is_top
                && (limits.is_of_another_session(there.identity)
                    || there.argv.as_deref().is_some_and(is_worker));
            // What adopts may be a gateway, too: of that nothing was handed on.
            if is_others || (limits.is_gateway(at) && known.is_some()) {
                return Whose::Anothers;
            }
            if let Some(child) = below.filter(|_| !is_tied && !is_below_member) {
                is_adopted = self.has_adopted(world, &there, &child, by)
                    || (by == Evidence::Mark && self.is_above_worker(world, at));
                if !is_adopted && !may_be_trees(&there) {
                    return Whose::Strangers;
                }
            }
            if is_top {
                return Whose::Trees;
            }
            let Some(parent) = there.parent else { return Whose::Trees };
            (at, below) = (parent, Some(there));
        }
        Whose::Anothers
    }

    /// Whether the worker was below this process, which adopts what is left below it if it asked for that (`PR_SET_CHILD_SUBREAPER`): nothing
    /// shows whether it did.
    fn is_above_worker<W: World<Held = H>>(&self, world: &mut W, pid: Pid) -> bool {
        let mut at = self.tree.above;
        for _ in 0..MOST_ABOVE {
            match at {
                Some(above) if above == pid => return true,
                Some(above) => at = world.look(above).ok().flatten().and_then(|above| above.parent),
                None => return false,
            }
        }
        false
    }

    /// Whether this child is below this process because its parent has gone. A gateway that is the first process of a container adopts, and starts
    /// processes of its own, too: only what came from a session that isn't the gateway's has another parent for certain.
    fn has_adopted<W: World<Held = H>>(
        &self,
        world: &mut W,
        above: &Process,
        child: &Process,
        by: Evidence,
    ) -> bool {
        let own = child.identity.pid.get();
        if by == Evidence::Led && self.warrant.limits().is_gateway(above.identity.pid) {
            return ![0, own, above.session].contains(&child.session);
        }
        let gone = [child.session, child.group].map(|leader| {
            let there = Pid::new(leader.into()).filter(|_| leader != own).map(|leader| world.look(leader));
            matches!(there, Some(Ok(None))).then_some(leader)
        });
        let holder = |pid: Pid| match pid {
            _ if pid == above.identity.pid => Holder::Alive(above.into()),
            _ if gone.contains(&Some(pid.get())) => Holder::Gone,
            _ => Holder::Unknown,
        };
        sign_among(child.into(), true, holder).is_some()
    }

    /// Nothing can say whether something of the tree is left.
    pub(in crate::reap) fn fail_with<W: World<Held = H>>(&mut self, world: &mut W, error: &KernelError) {
        self.fail(world, in_full(error));
    }
}
