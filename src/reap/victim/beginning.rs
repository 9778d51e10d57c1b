//! Taking hold of a tree, and the first act.

use std::collections::HashMap;
use std::io::ErrorKind;

use super::{Course, Phase, Victim};
use crate::domain::process::{ProcessIdentity, Said};
use crate::reap::kernel::{KernelError, Listing};
use crate::reap::outcome::{Outcome, Step};
use crate::reap::world::World;

impl<H> Victim<H> {
    /// The processes that the warrant names.
    pub(in crate::reap) fn named(&self) -> impl Iterator<Item = ProcessIdentity> {
        self.warrant.worker().into_iter().chain(self.warrant.remnants().iter().copied())
    }

    /// Takes what was read of the memory of those.
    pub(in crate::reap) fn measured(&mut self, memory: &HashMap<ProcessIdentity, u64>) {
        let named: Vec<_> = self.named().collect();
        self.tree.measured(named.into_iter().filter_map(|who| Some((who, *memory.get(&who)?))));
    }

    /// Takes what those said when they were judged.
    pub(in crate::reap) fn judged(&mut self, said: &HashMap<ProcessIdentity, Said>) {
        let named: Vec<_> = self.named().collect();
        self.tree.judged(named.into_iter().filter_map(|who| Some((who, said.get(&who)?.clone()))));
    }

    /// Takes hold of the tree and makes the first act. Returns whether the gateway is to be asked to close the session.
    pub(in crate::reap) fn begin<W: World<Held = H>>(&mut self, world: &mut W) -> bool {
        let unheld = match self.take_hold(world) {
            Ok(()) => None,
            Err(error) if self.warrant.session().is_some() && is_lasting(&error) => Some(error),
            Err(error) => {
                self.fail_with(world, &error);
                return false;
            }
        };
        if !self.note_begun(world, self.case.session.is_some()) {
            return false;
        }
        self.tree.mark(world);
        if self.warrant.session().is_some() {
            self.phase = Phase::Closing { unheld };
            return self.announce(world, Step::Close, None);
        }
        if self.tree.members.is_empty() {
            let spared = self.note.take().map(|why| Outcome::Spared { why });
            self.finish(world, spared.unwrap_or(Outcome::Gone));
        } else {
            // Listed a moment ago, and nothing was waited for since.
            self.ask(world, Course { closed: None, rounds: 0 });
        }
        false
    }

    fn take_hold<W: World<Held = H>>(&mut self, world: &mut W) -> Result<(), KernelError> {
        let limits = self.warrant.limits().clone();
        if let Some(worker) = self.warrant.worker()
            && let Some((held, process)) = world.hold(worker)?
        {
            match limits.protects_worker(&process) {
                None => self.tree.plant(world, held, &process),
                // It was the worker when it was judged, and became something else by exec.
                Some(protection) => self.note = Some(protection.to_string().into()),
            }
        }
        for remnant in self.warrant.remnants() {
            self.tree.add(world, &limits, *remnant)?;
        }
        self.tree.list(world, &limits, Listing::Whole)?;
        // What has begun since the decision.
        let is_news =
            |worker: &usize| !limits.knew(self.tree.members[*worker].identity) && !self.tree.is_root(*worker);
        if self.tree.other_workers(0, &limits).iter().any(is_news)
            || self.tree.has_another_program(0, world.ticks_at(self.looked))
        {
            self.hears_news();
        }
        Ok(())
    }
}

/// Whether no later run could hold the tree either, so that the gateway's own close is all there is. What may pass is waited for: once
/// the session is closed and its worker is gone, nothing leads to what was under it.
fn is_lasting(error: &KernelError) -> bool {
    matches!(error.source.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported)
}
