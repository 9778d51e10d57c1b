//! What was a worker and doesn't look like one any more.

use super::World;
use crate::domain::ledger::WorkerMemory;
use crate::domain::process::Process;

/// What was a worker and doesn't look like one any more: it executed something else, wrote over its argv, or became another user's.
pub(in crate::domain::decide) struct Changed<'a> {
    /// The gateway that remembers it.
    pub(in crate::domain::decide) gateway: usize,
    pub(in crate::domain::decide) memory: &'a WorkerMemory,
    pub(in crate::domain::decide) process: &'a Process,
}

impl<'a> World<'a> {
    pub(super) fn find_changed(&self) -> Vec<Changed<'a>> {
        let changed = self.known.values().filter_map(|(name, memory)| {
            let process = self.view().alive(&memory.identity)?;
            let gateway = self.gateways.iter().position(|gateway| gateway.seen.name == **name)?;
            // One that only isn't in the gateway's PID namespace is not considered.
            let looks_like_one = || {
                let pattern = self.gateways[gateway].rules.worker_match.as_ref();
                let argv = process.argv.as_deref();
                argv.zip(pattern).is_some_and(|(argv, pattern)| pattern.matches(argv).is_some())
            };
            let is_one = self.matching(process.identity.pid).next().is_some() || looks_like_one();
            (!is_one).then_some(Changed { gateway, memory, process })
        });
        let mut changed: Vec<Changed<'_>> = changed.collect();
        changed.sort_unstable_by_key(|changed| changed.process.identity.pid);
        changed
    }

    /// Whether this was a worker and doesn't look like one any more.
    pub(in crate::domain::decide) fn is_changed(&self, process: &Process) -> bool {
        let pid = process.identity.pid;
        self.changed.binary_search_by_key(&pid, |changed| changed.process.identity.pid).is_ok()
    }

    /// What this gateway remembers as a worker, and doesn't look like one any more.
    pub(in crate::domain::decide) fn changed_of(&self, gateway: usize) -> impl Iterator<Item = &Changed<'a>> {
        self.changed.iter().filter(move |changed| changed.gateway == gateway)
    }
}
