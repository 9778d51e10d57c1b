//! SIGKILL to a tree that is stopped first: what is stopped can't fork, so the listing of it is complete once it is quiet.
//!
//! A member is stopped only after its SIGKILL was announced and its tree was written down: nothing that can fail for want of space comes
//! between the two signals, and an interrupted run leaves word of what it stopped.

use std::time::Duration;

use super::{Course, Phase, Victim};
use crate::reap::kernel::{KernelError, Listing, Signal};
use crate::reap::outcome::Step;
use crate::reap::tree::{PASSES, Visit};
use crate::reap::world::World;

/// How long a process may take to die of SIGKILL. Only one in uninterruptible sleep takes longer.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// What came of stopping a tree.
enum Stopped {
    /// All that was found is stopped, or nothing more is to be done.
    Whole,
    /// Something that isn't known yet was found in it.
    WithNews,
}

impl<H> Victim<H> {
    pub(super) fn kill<W: World<Held = H>>(&mut self, world: &mut W, course: Course) {
        // Without a `term_timeout`, what is left without its worker has had no signal before this one.
        if self.wants_recheck(world) || self.waits_for_look(world) || self.is_forbidden(world) {
            return;
        }
        self.phase = Phase::Killing { course, until: world.now() + KILL_TIMEOUT };
        self.stopping = true;
        let listed = self.stop_tree(world);
        if self.is_done() {
            return;
        }
        if let Ok(Stopped::WithNews) = listed {
            return self.put_off(world, course);
        }
        // Whatever the listing said: nothing that was stopped is left stopped.
        self.signal(world, Step::Kill, false);
        if self.is_done() {
            return;
        }
        self.phase = Phase::Killing { course, until: world.now() + KILL_TIMEOUT };
        if let Err(error) = listed {
            return self.fail_with(world, &error);
        }
        self.search_if_over(world, course);
    }

    /// Stops each member before its children are listed, until nothing new is found. One that was in the middle of a fork when it was stopped may
    /// have a child a moment later: it bears its mark, or else is listed again.
    fn stop_tree<W: World<Held = H>>(&mut self, world: &mut W) -> Result<Stopped, KernelError> {
        let limits = self.warrant.limits().clone();
        let listing = if self.tree.all_are_marked() { Listing::Whole } else { Listing::Again };
        let mut written = 0;
        for pass in 1..=PASSES {
            let (mut worst, mut index) = (Visit::Childless, 0);
            // Also those that are added meanwhile.
            while index < self.tree.members.len() {
                let known = self.tree.members.len();
                if known > written && !self.note_begun(world, false) {
                    return Ok(Stopped::Whole);
                }
                written = known;
                self.stop(world, index)?;
                if self.is_done() {
                    return Ok(Stopped::Whole);
                }
                worst = worst.max(self.tree.visit(index, world, &limits, listing)?);
                if self.look_at_news(world, known) {
                    return Ok(Stopped::WithNews);
                }
                index += 1;
            }
            if worst.settles(pass) || self.tree.is_over() {
                break;
            }
        }
        Ok(Stopped::Whole)
    }

    /// Something has begun in the tree since the tables were read: it is let go on until they say whose that is.
    fn put_off<W: World<Held = H>>(&mut self, world: &mut W, course: Course) {
        self.let_go(world);
        self.stopping = false;
        self.terminate_within(course, world.now(), Duration::ZERO);
        if self.note_begun(world, false) && !self.wants_recheck(world) {
            self.waits_for_look(world);
        }
    }

    fn stop<W: World<Held = H>>(&mut self, world: &mut W, index: usize) -> Result<(), KernelError> {
        let is_wanted =
            self.tree.members.get(index).is_some_and(|member| member.is_left() && !member.stopped);
        if is_wanted && self.announce_to(world, Step::Kill, index) {
            self.send(world, Signal::Stop, index)?;
        }
        Ok(())
    }
}
