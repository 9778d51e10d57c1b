//! SIGTERM to the worker, then to its tree, then SIGKILL: each to who is there when its turn comes.

use std::time::Duration;

use super::polling::Polling;
use super::{Course, Phase, Victim};
use crate::reap::outcome::Step;
use crate::reap::tree::Listing;
use crate::reap::world::World;

/// How long a process may take to die of SIGKILL. Only one in uninterruptible sleep takes longer.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

impl<H> Victim<H> {
    pub(super) fn terminate<W: World<Held = H>>(&mut self, world: &mut W, course: Course) {
        if self.list_again(world) {
            self.ask(world, course);
        }
    }

    fn list_again<W: World<Held = H>>(&mut self, world: &mut W) -> bool {
        self.look_again(world, |tree, world, limits| tree.list(world, limits, Listing::Again))
    }

    /// SIGTERM to the worker of a tree that has just been listed.
    pub(super) fn ask<W: World<Held = H>>(&mut self, world: &mut W, course: Course) {
        let term_timeout = self.warrant.term_timeout();
        let now = world.now();
        // One common deadline for the whole tree: the worker has all of it, the rest at least half.
        let (give_up, until) = (now + term_timeout / 2, now + term_timeout);
        self.phase = Phase::Terminating { course, give_up, until, polling: Polling::from(now) };
        if self.tree.root_is_alive() {
            self.signal(world, Step::Term, true);
        }
        self.step(world);
    }

    pub(super) fn term_rest<W: World<Held = H>>(&mut self, world: &mut W, course: Course) {
        if self.list_again(world) {
            self.signal(world, Step::Term, false);
        }
        self.search_if_dead(world, course);
    }

    pub(super) fn kill<W: World<Held = H>>(&mut self, world: &mut W, course: Course) {
        let limits = self.warrant.limits().clone();
        // What is stopped can't fork, so the listing is complete once it is quiet. Stopping is part of the kill, and announced with it.
        if !self.announce(world, Step::Kill, None) {
            return;
        }
        let known = self.tree.members.len();
        let listed = self.tree.list(world, &limits, Listing::Stopped);
        let written = if self.tree.members.len() > known { self.write_down(world, false) } else { Ok(()) };
        // Whatever the listing said: nothing that was stopped is left stopped.
        self.phase = Phase::Killing { course, until: world.now() + KILL_TIMEOUT };
        self.signal(world, Step::Kill, false);
        if let Err(error) = listed {
            return self.fail_with(world, &error);
        }
        if let Err(error) = written {
            return self.fail(world, format!("new processes of the tree can't be written down: {error}"));
        }
        self.search_if_dead(world, course);
    }

    /// After signals: asks who is gone by now, and goes on to the search if all are.
    fn search_if_dead<W: World<Held = H>>(&mut self, world: &mut W, course: Course) {
        if self.is_done() {
            return;
        }
        if let Err(error) = self.tree.refresh(world) {
            return self.fail_with(world, &error);
        }
        if self.tree.is_dead() {
            self.phase = Phase::Searching { course };
        }
    }
}
