//! SIGTERM to the worker, then to its tree, then SIGKILL: each to who is there when its turn comes.

use std::time::Duration;

use super::vigil::Vigil;
use super::{Hands, Phase, Victim, chain};
use crate::reap::kernel::Kernel;
use crate::reap::outcome::Step;
use crate::reap::record::Record;
use crate::reap::tree::Listing;

/// How long a process may take to die of SIGKILL. Only one in uninterruptible sleep takes longer.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

impl<H> Victim<H> {
    pub(super) fn terminate<K: Kernel<Held = H>, R: Record>(&mut self, hands: &mut Hands<'_, K, R>) {
        if self.list_again(hands) {
            self.ask(hands);
        }
    }

    fn list_again<K: Kernel<Held = H>, R: Record>(&mut self, hands: &mut Hands<'_, K, R>) -> bool {
        self.look_again(hands, |tree, kernel, limits| tree.list(kernel, limits, Listing::Again))
    }

    /// SIGTERM to the worker of a tree that has just been listed.
    pub(super) fn ask<K: Kernel<Held = H>, R: Record>(&mut self, hands: &mut Hands<'_, K, R>) {
        let term_timeout = self.warrant.term_timeout();
        let now = hands.kernel.now();
        self.vigil = Some(Vigil::from(now));
        // One common deadline for the whole tree: the worker has all of it, the rest at least half.
        self.phase = Phase::Terminating { give_up: now + term_timeout / 2, until: now + term_timeout };
        if self.tree.root_is_alive() {
            self.signal(hands, Step::Term, true);
        }
        self.step(hands);
    }

    pub(super) fn term_rest<K: Kernel<Held = H>, R: Record>(&mut self, hands: &mut Hands<'_, K, R>) {
        if self.list_again(hands) {
            self.signal(hands, Step::Term, false);
        }
        self.refresh_quietly(hands);
        if matches!(self.phase, Phase::Terminating { .. }) && self.tree.is_dead() {
            self.phase = Phase::Combing;
        }
    }

    pub(super) fn kill<K: Kernel<Held = H>, R: Record>(&mut self, hands: &mut Hands<'_, K, R>) {
        let limits = self.warrant.limits().clone();
        // What is stopped can't fork, so the listing is complete once it is quiet. Stopping is part of the kill, and announced with it.
        if !self.announce(hands, Step::Kill, None) {
            return;
        }
        let known = self.tree.members.len();
        let listed = self.tree.list(hands.kernel, &limits, Listing::Stopped);
        let written = if self.tree.members.len() > known { self.write_down(hands, false) } else { Ok(()) };
        // Whatever the listing said: nothing that was stopped is left stopped.
        self.phase = Phase::Killing { until: hands.kernel.now() + KILL_TIMEOUT };
        self.signal(hands, Step::Kill, false);
        if let Err(error) = listed {
            return self.fail(hands, chain(&error));
        }
        if let Err(error) = written {
            return self.fail(hands, format!("who turned up in the tree can't be written down: {error}"));
        }
        self.refresh_quietly(hands);
        if matches!(self.phase, Phase::Killing { .. }) && self.tree.is_dead() {
            self.phase = Phase::Combing;
        }
    }

    fn refresh_quietly<K: Kernel<Held = H>, R: Record>(&mut self, hands: &mut Hands<'_, K, R>) {
        if self.is_done() {
            return;
        }
        if let Err(error) = self.tree.refresh(hands.kernel) {
            self.fail(hands, chain(&error));
        }
    }
}
