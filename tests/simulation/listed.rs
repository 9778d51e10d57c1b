//! Nothing unlisted: whatever looks like a worker is in the last report, by itself or with the session or the worker that it goes with.

use std::collections::BTreeSet;

use gateway_reaper::domain::decide::GatewayPlan;

use super::procs::{Kind, OWN_NAMESPACE, Proc};
use super::session::{Life, Sess};
use super::world::World;

/// The processes that a report tells of.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    at: u64,
    pids: BTreeSet<u32>,
}

impl World {
    pub(crate) fn note_listed(&mut self, disk: usize, plans: &[GatewayPlan]) {
        let judged = plans.iter().flat_map(|plan| &plan.judged);
        let pids = judged.filter_map(|judged| Some(judged.subject.worker_pid()?.get())).collect();
        self.grips[disk].listed = Listed { at: self.now, pids };
    }

    /// The first process that looks like a worker and that no report tells of.
    pub(crate) fn unlisted(&self) -> Option<String> {
        if self.setup.has_contained() {
            return None;
        }
        let started =
            |proc: &Proc| self.booted_at + proc.start_ticks * 10 - self.slept.min(proc.start_ticks * 10);
        for grip in self.grips.iter().filter(|grip| grip.listed.at > self.setup.calm_at + 2000) {
            let here = |proc: &&Proc| proc.looks_like_worker() && proc.namespace == OWN_NAMESPACE;
            let seen = self.procs.iter().filter(here).filter(|proc| started(proc) + 1000 < grip.listed.at);
            let mut unlisted =
                seen.filter(|proc| self.can_be_found(proc) && !self.goes_with_host(proc)).filter(|proc| {
                    let line = std::iter::once(*proc).chain(self.ancestors(proc));
                    let mut line =
                        line.take_while(|proc| !matches!(proc.kind, Kind::Gateway(_) | Kind::ForeignGateway));
                    !line.any(|proc| grip.listed.pids.contains(&proc.pid) || self.goes_with_row(proc))
                });
            if let Some(proc) = unlisted.next() {
                return Some(format!("{:?} {} is in no report", proc.kind, proc.pid));
            }
        }
        None
    }

    /// It goes with the session of a row that names it or carries its key, or that names a worker of which it is a copy.
    fn goes_with_row(&self, proc: &Proc) -> bool {
        let owns = |row: &Sess| {
            let named = row.misnamed.or_else(|| self.named_by(row));
            let worker = row.worker.and_then(|serial| self.procs.alive(serial));
            let named_one = named.and_then(|pid| self.procs.get(pid));
            let is_copy = |of: &Proc| of.argv == proc.argv;
            let hides_keys = self.setup.gateways[row.gateway].hides_keys;
            let tells_key = !hides_keys && proc.looks_like_worker() && row.told_key() == proc.key();
            named == Some(proc.pid) || tells_key || worker.into_iter().chain(named_one).any(is_copy)
        };
        self.sessions.iter().any(|row| row.life == Life::Live && owns(row))
    }

    /// Below a gateway that is known, or adopted by init. What is elsewhere is found by a whole look, every ten minutes; and what is below another
    /// user's process that was adopted, only by one at everything: that one's argv isn't read, so nothing says that it was a worker.
    pub(crate) fn can_be_found(&self, proc: &Proc) -> bool {
        let above = self
            .ancestors(proc)
            .find(|above| !matches!(above.kind, Kind::Wrapper | Kind::Child | Kind::Worker));
        above.is_some_and(|above| match above.kind {
            Kind::Gateway(index) => {
                let setup = &self.setup.gateways[index];
                setup.tells.pid || setup.found_by_argv
            }
            kind => kind == Kind::Init && !self.is_under_another_user(proc),
        })
    }
}
