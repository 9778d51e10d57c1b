//! SIGTERM to the worker, then to its tree: each to who is there when its turn comes.

use std::time::Duration;

use super::polling::Polling;
use super::{Course, Phase, Victim};
use crate::domain::time::Awake;
use crate::reap::kernel::Listing;
use crate::reap::outcome::Step;
use crate::reap::world::World;

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
        self.await_end(world, course);
        if self.tree.root_is_left() {
            self.signal(world, Step::Term, true);
            // From the moment the signal was sent: writing its line down may have taken long.
            if matches!(self.phase, Phase::Terminating { .. }) {
                self.await_end(world, course);
            }
        }
        self.step(world);
    }

    /// SIGKILL without SIGTERM before.
    pub(super) fn end_at_once<W: World<Held = H>>(&mut self, world: &mut W, course: Course) {
        self.terminate_within(course, world.now(), Duration::ZERO);
        self.step(world);
    }

    /// One common deadline for the whole tree: the worker has all of it, the rest at least half.
    fn await_end<W: World<Held = H>>(&mut self, world: &mut W, course: Course) {
        self.tree.dying = true;
        self.terminate_within(course, world.now(), self.warrant.term_timeout());
    }

    pub(super) fn terminate_within(&mut self, course: Course, now: Awake, span: Duration) {
        let (give_up, until) = (now + span / 2, now + span);
        self.phase = Phase::Terminating { course, give_up, until, polling: Polling::from(now) };
    }

    pub(super) fn term_rest<W: World<Held = H>>(&mut self, world: &mut W, course: Course) {
        if self.waits_for_look(world) {
            return;
        }
        let (before, is_first) = (world.now(), !self.any_of_rest_is_termed());
        if self.list_again(world) {
            // What was found just now, no look was asked of.
            if self.waits_for_look(world) {
                return;
            }
            self.signal(world, Step::Term, false);
        }
        let (now, least) = (world.now(), self.warrant.term_timeout() / 2);
        match &mut self.phase {
            // What the writing took is not taken from their time, nor what they waited for a look.
            Phase::Terminating { until, .. } => {
                let later = *until + now.since(before);
                *until = if is_first { later.max(now + least) } else { later };
            }
            _ => return,
        }
        self.search_if_over(world, course);
    }

    /// After signals: asks who is gone by now, and goes on to the search if all are.
    pub(super) fn search_if_over<W: World<Held = H>>(&mut self, world: &mut W, course: Course) {
        if self.is_done() {
            return;
        }
        if let Err(error) = self.tree.refresh(world) {
            return self.fail_with(world, &error);
        }
        if self.tree.is_over() {
            self.search(course);
        }
    }
}
