//! What came from a finished tree and lost its way to it: processes of a group or a session that one of its members led.

use super::{Hands, Victim, chain};
use crate::domain::process::Process;
use crate::reap::kernel::{Kernel, KernelError};
use crate::reap::outcome::Outcome;
use crate::reap::record::Record;

/// How often stragglers of a finished tree are gone after before it is called unfinished.
const ROUNDS: u32 = 5;

impl<H> Victim<H> {
    /// Takes in what the comb found: processes that came from this tree and lost their way to it.
    pub(in crate::reap) fn stragglers<K: Kernel<Held = H>, R: Record>(
        &mut self,
        hands: &mut Hands<'_, K, R>,
        found: &[Process],
    ) {
        let limits = self.warrant.limits().clone();
        let mut grew = false;
        for process in found {
            let from = |pid: u32| self.tree.led(pid, process);
            // A leader's number that is in use again leads another family.
            let reused = |pid: u32| found.iter().any(|other| other.identity.pid.get() == pid);
            let group = from(process.group) && !reused(process.group);
            let session = from(process.session) && !reused(process.session);
            if !(group || session) || limits.protects(process).is_some() {
                continue;
            }
            match self.tree.add(hands.kernel, &limits, process.identity) {
                Ok(added) => grew |= added,
                Err(error) => return self.fail(hands, chain(&error)),
            }
        }
        if !grew {
            let by_us = if self.signalled { Outcome::Reaped } else { Outcome::Gone };
            let outcome = self.closed.clone().unwrap_or(by_us);
            return self.finish(hands, outcome);
        }
        self.rounds += 1;
        if self.rounds > ROUNDS {
            return self.fail(hands, "its tree grows faster than it can be ended");
        }
        if self.keep_in_hand(hands, false) {
            self.terminate(hands);
        }
    }

    /// Nobody can say whether something of the tree is left.
    pub(in crate::reap) fn fail_comb<K: Kernel<Held = H>, R: Record>(
        &mut self,
        hands: &mut Hands<'_, K, R>,
        error: &KernelError,
    ) {
        self.fail(hands, chain(error));
    }
}
