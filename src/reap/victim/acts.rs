//! What a victim does to processes, and what it writes down of it: every act is announced before it is done.

use std::io;

use super::{Hands, Phase, Victim, chain};
use crate::domain::ledger::Unfinished;
use crate::domain::process::ProcessIdentity;
use crate::reap::kernel::{Delivery, Kernel, Signal};
use crate::reap::outcome::{Ending, Outcome, Step};
use crate::reap::record::Record;

impl<H> Victim<H> {
    /// Signals the root alone, or everybody who is left and hasn't had this signal yet.
    pub(super) fn signal<K: Kernel<Held = H>, R: Record>(
        &mut self,
        hands: &mut Hands<'_, K, R>,
        step: Step,
        root_only: bool,
    ) {
        let signal = if step == Step::Kill { Signal::Kill } else { Signal::Term };
        for index in 0..self.tree.members.len() {
            let member = &self.tree.members[index];
            let had_it = member.exited || (step == Step::Term && member.termed);
            if had_it || (root_only && index > 0) {
                continue;
            }
            let identity = member.identity;
            if !self.announce(hands, step, Some(identity)) {
                return;
            }
            let member = &mut self.tree.members[index];
            member.termed = true;
            match hands.kernel.signal(&member.held, signal) {
                Ok(Delivery::Sent) => self.signalled = true,
                Ok(Delivery::Gone) => member.has_exited(hands.kernel),
                Err(error) => return self.fail(hands, chain(&error)),
            }
        }
    }

    /// Writes the tree down as being in hand; without that it isn't touched.
    pub(super) fn keep_in_hand<K: Kernel<Held = H>, R: Record>(
        &mut self,
        hands: &mut Hands<'_, K, R>,
        asked: bool,
    ) -> bool {
        let written = self.write_down(hands, asked);
        if let Err(error) = &written {
            self.fail(
                hands,
                format!("the tree in hand can't be written down, so it is not touched: {error}"),
            );
        }
        written.is_ok()
    }

    /// `asked`: whether its session was to be closed, and no answer is known.
    pub(super) fn write_down<K: Kernel<Held = H>, R: Record>(
        &mut self,
        hands: &mut Hands<'_, K, R>,
        asked: bool,
    ) -> io::Result<()> {
        let Some(first) = self.tree.members.first() else { return Ok(()) };
        let worker = self.case.worker.unwrap_or(first.identity);
        let tree = Unfinished {
            gateway: self.case.gateway.clone(),
            orphan: self.case.orphan,
            asked: self.case.session.clone().filter(|_| asked),
            worker,
            members: self.tree.identities(),
        };
        self.in_hand = Some(worker);
        hands.record.take_in_hand(&tree)
    }

    pub(super) fn announce<K: Kernel<Held = H>, R: Record>(
        &mut self,
        hands: &mut Hands<'_, K, R>,
        step: Step,
        on: Option<ProcessIdentity>,
    ) -> bool {
        match hands.record.announce(&self.case, step, on) {
            Ok(()) => {
                if !self.steps.contains(&step) {
                    self.steps.push(step);
                }
                true
            }
            Err(error) => {
                self.fail(
                    hands,
                    format!("{step} can't be written to the audit log, so it is not done: {error}"),
                );
                false
            }
        }
    }

    pub(super) fn fail<K: Kernel<Held = H>, R: Record>(
        &mut self,
        hands: &mut Hands<'_, K, R>,
        why: impl Into<Box<str>>,
    ) {
        self.finish(hands, Outcome::failed(why));
    }

    pub(super) fn finish<K: Kernel<Held = H>, R: Record>(
        &mut self,
        hands: &mut Hands<'_, K, R>,
        outcome: Outcome,
    ) {
        if self.is_done() {
            return;
        }
        self.phase = Phase::Done;
        hands.record.conclude(&self.case, &outcome);
        // What failed stays in hand for the next run: a close without an answer may have worked, a signal may still be on its way.
        if !matches!(outcome, Outcome::Failed { .. })
            && let Some(worker) = self.in_hand.take()
        {
            hands.record.put_down(&worker);
        }
        let reclaimed_bytes = self.tree.ended_bytes();
        let note = self.note.take();
        self.ending = Some(Ending { outcome, steps: std::mem::take(&mut self.steps), reclaimed_bytes, note });
    }
}
