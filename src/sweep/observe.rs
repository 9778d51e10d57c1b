//! Puts an observation together: processes first, tables second, so that no worker is judged by a table that is older than itself.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::backoff::Patience;
use super::find::{Reach, find};
use super::setup::Watched;
use super::{Sweep, SweepError};
use crate::domain::ids::Pid;
use crate::domain::ledger::{Bond, Ledger};
use crate::domain::observation::{GatewayObservation, Observation};
use crate::domain::process::{ProcessIdentity, ProcessView};
use crate::domain::table::{Session, TableView};
use crate::domain::time::Awake;
use crate::sources::clock;
use crate::sources::processes::{Look, ProcessesError, Roots};

/// How late a worker may be found that was adopted by somebody nobody knows to adopt, before any look saw it. Everything else is found at
/// once, by looking where workers can be.
const WHOLE_LOOK_EVERY: Duration = Duration::from_secs(600);

impl Sweep {
    /// Looks at the processes and reads the tables, but for those that could not be read before in this run. Also returns when every process
    /// was last looked at.
    pub(super) async fn observe(
        &mut self,
        memory: &Ledger,
        mut tables: Vec<Option<TableView>>,
    ) -> Result<(Observation, Option<Awake>), SweepError> {
        let known = known(memory);
        let mut whole_look = memory.whole_look;
        let mut roots = self.remembered_gateways(memory)?;
        // Of one that was met and has no process nothing is learnt by reading its table twice.
        let is_stranger = |(watched, root): (&Watched, &Option<Pid>)| {
            root.is_none() && (watched.process.is_some() || !memory.gateways.contains_key(&watched.name))
        };
        if self.gateways.iter().zip(&roots).any(is_stranger) {
            // At first sight the table says where to look; then it is read again, because it has to be younger than the look.
            self.read_tables(&mut tables).await;
            for (root, table) in roots.iter_mut().zip(&tables) {
                *root = root.or_else(|| table.as_ref()?.current()?.gateway_pid);
            }
        }
        let (mut view, mut missing) = (None, BTreeSet::new());
        // A single run has no earlier look to compare with: where a gateway's process isn't known, nobody else tells of its orphans.
        let blind = self.patience == Patience::None && roots.contains(&None);
        if !(blind || is_overdue(whole_look, clock::awake_now()) || self.is_first_sight(&roots, memory)) {
            let near = self.look(Look::Near, &roots, &known)?;
            missing = lost(memory, &near);
            // A gateway may be gone for days; one whole look is made for it, not one at every poll.
            view = Some(near).filter(|_| missing.is_subset(&self.lost));
        }
        let mut view = match view {
            Some(view) => view,
            None => {
                whole_look = Some(clock::awake_now());
                self.look(Look::Whole, &roots, &known)?
            }
        };
        self.lost = missing;
        let mut asked = clock::awake_now();
        self.read_tables(&mut tables).await;
        if self.is_news(&mut roots, &tables, memory) {
            whole_look = Some(clock::awake_now());
            view = self.look(Look::Whole, &roots, &known)?;
            asked = clock::awake_now();
            self.read_tables(&mut tables).await;
        }
        self.gateways.iter_mut().for_each(|watched| watched.gateway.rest());
        let tables: Vec<TableView> = tables.into_iter().flatten().collect();
        self.processes.look_at(&mut view, &named(&tables, &roots))?;
        let gateways = self.gateways.iter().zip(roots).zip(tables);
        let gateways = gateways
            .map(|((watched, root), table)| observed(watched, root, (table, asked), memory, &view))
            .collect();
        Ok((Observation { boot: self.boot.clone(), processes: view, gateways }, whole_look))
    }

    fn look(
        &mut self,
        look: Look,
        roots: &[Option<Pid>],
        known: &[ProcessIdentity],
    ) -> Result<ProcessView, ProcessesError> {
        let began = clock::awake_now();
        let gateways: Vec<Pid> = roots.iter().flatten().copied().collect();
        let view = self.processes.look(look, &Roots { gateways: &gateways, known })?;
        let took = clock::awake_now().since(began);
        tracing::trace!(?look, processes = view.processes.len(), ?took, "processes looked at");
        Ok(view)
    }

    /// Reads all tables at the same time; again, if they were read before. One that couldn't be read is not asked for twice in a run: a
    /// gateway that hangs costs a run one timeout.
    async fn read_tables(&mut self, tables: &mut [Option<TableView>]) {
        let (now, patience) = (clock::awake_now(), self.patience);
        let reads = self.gateways.iter_mut().zip(tables).map(|(watched, table)| async move {
            if table.as_ref().is_some_and(|before| before.current().is_none()) {
                return;
            }
            let view = match watched.backoff.spared(now) {
                Some(view) => view,
                None => {
                    let view = watched.read_table().await;
                    watched.backoff.heard(&watched.name, &view, now, patience);
                    view
                }
            };
            *table = Some(view);
        });
        join_all(reads).await;
        tracing::trace!(took = ?clock::awake_now().since(now), "session tables read");
    }

    /// Where each gateway is: found as the operator says, else where it was.
    fn remembered_gateways(&mut self, memory: &Ledger) -> Result<Vec<Option<Pid>>, ProcessesError> {
        let now = clock::awake_now();
        let mut roots = Vec::with_capacity(self.gateways.len());
        for watched in &mut self.gateways {
            let remembered = memory.gateways.get(&watched.name).and_then(|memory| memory.process);
            let Some(source) = &watched.process else {
                roots.push(remembered.map(|process| process.pid));
                continue;
            };
            let reach = if watched.backoff.is_sparing(now) { Reach::Remembered } else { Reach::All };
            let found = find(&mut self.processes, source, &watched.trust, remembered, reach)?;
            roots.push(found.pid);
            watched.hear_of(found.trouble);
        }
        Ok(roots)
    }

    /// Whether a gateway shows that no run before has seen.
    fn is_first_sight(&self, roots: &[Option<Pid>], memory: &Ledger) -> bool {
        let is_new = |name| memory.gateways.get(name).is_none_or(|memory| memory.process.is_none());
        self.gateways.iter().zip(roots).any(|(watched, root)| root.is_some() && is_new(&watched.name))
    }

    /// Whether a table names a gateway, or a run of it, that the look didn't know of; the roots are then where it names it.
    fn is_news(&self, roots: &mut [Option<Pid>], tables: &[Option<TableView>], memory: &Ledger) -> bool {
        let mut news = false;
        for ((watched, root), table) in self.gateways.iter().zip(roots).zip(tables) {
            let Some(table) = table.as_ref().and_then(TableView::current) else { continue };
            if watched.process.is_none() && table.gateway_pid.is_some() && table.gateway_pid != *root {
                *root = table.gateway_pid;
                news = true;
            }
            let before = memory.gateways.get(&watched.name).and_then(|memory| memory.run.as_deref());
            let now = table.instance.as_ref().map(|instance| instance.as_str());
            news |= matches!((before, now), (Some(before), Some(now)) if before != now);
        }
        news
    }
}

/// Everybody that memory speaks of.
fn known(memory: &Ledger) -> Vec<ProcessIdentity> {
    let workers =
        memory.gateways.values().flat_map(|gateway| gateway.workers.iter().map(|worker| worker.identity));
    let begun =
        memory.unfinished.iter().flat_map(|begun| begun.members.iter().chain([&begun.worker]).copied());
    workers.chain(begun).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether it is time to look at every process again.
fn is_overdue(whole_look: Option<Awake>, now: Awake) -> bool {
    whole_look.is_none_or(|at| now.since(at) >= WHOLE_LOOK_EVERY)
}

/// Gateways that are gone, and workers that lost their parent: others may have been adopted with them.
fn lost(memory: &Ledger, view: &ProcessView) -> BTreeSet<ProcessIdentity> {
    let gateways = memory.gateways.values().filter_map(|gateway| gateway.process);
    let gone = gateways.filter(|process| view.alive(process).is_none());
    let workers = memory.gateways.values().flat_map(|gateway| &gateway.workers);
    let orphaned = workers.filter(|worker| match (worker.bond, view.alive(&worker.identity)) {
        (Bond::Child(parent), Some(process)) => process.parent != Some(parent.pid) && worker.clock.is_none(),
        _ => false,
    });
    gone.chain(orphaned.map(|worker| worker.identity)).collect()
}

fn named(tables: &[TableView], roots: &[Option<Pid>]) -> Vec<Pid> {
    let rows = tables.iter().filter_map(TableView::current).flat_map(|table| &table.sessions);
    let workers = rows.filter_map(Session::named_worker);
    workers.chain(roots.iter().flatten().copied()).collect()
}

fn observed(
    watched: &Watched,
    root: Option<Pid>,
    (table, asked): (TableView, Awake),
    memory: &Ledger,
    view: &ProcessView,
) -> GatewayObservation {
    let remembered = memory.gateways.get(&watched.name).and_then(|memory| memory.process);
    let there = |pid: Pid| view.get(pid).filter(|process| !process.zombie).map(|process| process.identity);
    let process = match (&watched.process, table.current()) {
        (Some(_), _) => root.and_then(there),
        (None, Some(table)) => table.gateway_pid.and_then(there),
        (None, None) => remembered.filter(|process| view.alive(process).is_some()),
    };
    GatewayObservation { name: watched.name.clone(), table, process, asked }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_is_looked_at_at_first_and_then_every_ten_minutes() {
        let ten_minutes = Awake::from_nanos(0) + Duration::from_secs(600);
        let at = |nanos| Some(Awake::from_nanos(nanos));
        assert!(is_overdue(None, ten_minutes));
        assert!(is_overdue(at(0), ten_minutes));
        assert!(!is_overdue(at(1), ten_minutes));
        assert!(!is_overdue(at(600_000_000_000), ten_minutes));
    }
}
