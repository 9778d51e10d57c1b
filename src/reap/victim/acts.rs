//! What a victim does to processes, and what it writes down of it: every act is announced before it is done.

use std::io;

use super::{Phase, Victim};
use crate::domain::ledger::Unfinished;
use crate::domain::process::ProcessIdentity;
use crate::reap::kernel::{Delivery, Signal};
use crate::reap::outcome::{Ending, Outcome, Step};
use crate::reap::world::World;

impl<H> Victim<H> {
    /// Signals the root alone, or all that are left and haven't had this signal yet.
    pub(super) fn signal<W: World<Held = H>>(&mut self, world: &mut W, step: Step, root_only: bool) {
        let signal = if step == Step::Kill { Signal::Kill } else { Signal::Term };
        for index in 0..self.tree.members.len() {
            let member = &self.tree.members[index];
            let had_it = member.exited || (step == Step::Term && member.termed);
            if had_it || (root_only && index > 0) {
                continue;
            }
            let identity = member.identity;
            if !self.announce(world, step, Some(identity)) {
                return;
            }
            let member = &mut self.tree.members[index];
            member.termed = true;
            match world.signal(&member.held, signal) {
                Ok(Delivery::Sent) => self.signalled = true,
                Ok(Delivery::Gone) => member.has_exited(world),
                Err(error) => return self.fail_with(world, &error),
            }
        }
    }

    /// Writes down that the teardown of the tree is begun; without that it isn't touched.
    pub(super) fn note_begun<W: World<Held = H>>(&mut self, world: &mut W, asked: bool) -> bool {
        let written = self.write_down(world, asked);
        if let Err(error) = &written {
            self.fail(world, format!("its tree can't be written down, so it is not touched: {error}"));
        }
        written.is_ok()
    }

    /// `asked`: whether its session was to be closed, and no answer is known.
    pub(super) fn write_down<W: World<Held = H>>(&mut self, world: &mut W, asked: bool) -> io::Result<()> {
        let Some(first) = self.tree.members.first() else { return Ok(()) };
        let worker = self.case.worker.unwrap_or(first.identity);
        let tree = Unfinished {
            gateway: self.case.gateway.clone(),
            orphan: self.case.orphan,
            asked: self.case.session.clone().filter(|_| asked),
            worker,
            members: self.tree.identities(),
        };
        self.noted = Some(worker);
        world.begun(&tree)
    }

    pub(super) fn announce<W: World<Held = H>>(
        &mut self,
        world: &mut W,
        step: Step,
        on: Option<ProcessIdentity>,
    ) -> bool {
        match world.announce(&self.case, step, on) {
            Ok(()) => {
                if !self.steps.contains(&step) {
                    self.steps.push(step);
                }
                true
            }
            Err(error) => {
                self.fail(
                    world,
                    format!("{step} can't be written to the audit log, so it is not done: {error}"),
                );
                false
            }
        }
    }

    pub(super) fn fail<W: World<Held = H>>(&mut self, world: &mut W, why: impl Into<Box<str>>) {
        self.finish(world, Outcome::failed(why));
    }

    pub(super) fn finish<W: World<Held = H>>(&mut self, world: &mut W, outcome: Outcome) {
        if self.is_done() {
            return;
        }
        let ending = Ending {
            outcome,
            steps: std::mem::take(&mut self.steps),
            reclaimed_bytes: self.tree.ended_bytes(),
            note: self.note.take(),
        };
        world.conclude(&self.case, &ending);
        // What failed stays unfinished for the next run: a close without an answer may have worked, a signal may still be on its way.
        if !matches!(ending.outcome, Outcome::Failed { .. })
            && let Some(worker) = self.noted.take()
        {
            world.finished(&worker);
        }
        self.phase = Phase::Done(ending);
    }
}
