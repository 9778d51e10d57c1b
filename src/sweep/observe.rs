//! Puts an observation together: does what the planner asks for, on this machine.

use std::time::Duration;

use futures_util::future::join_all;

use super::backoff::Patience;
use super::find::{Reach, find};
use super::watched::Watched;
use super::{Sweep, SweepError};
use crate::domain::ids::Pid;
use crate::domain::ledger::Ledger;
use crate::domain::looking::{Extent, Found, Looked, Next, Planner, Series};
use crate::domain::observation::{GatewayObservation, Observation};
use crate::domain::policy::Rules;
use crate::domain::process::{ProcessIdentity, ProcessView};
use crate::domain::table::TableView;
use crate::domain::time::Awake;
use crate::domain::veto::Vetoes;
use crate::domain::warrant::GOOD_FOR;
use crate::sources::clock;
use crate::sources::processes::{ProcessesError, Roots};

impl Sweep {
    /// Looks at the processes and reads the tables, but for those that could not be read before in this run. Also returns when every process
    /// was last looked at.
    pub(super) async fn observe(
        &mut self,
        memory: &Ledger,
        series: Series,
        mut tables: Vec<Option<TableView>>,
    ) -> Result<(Observation, Option<Awake>), SweepError> {
        let began = clock::awake_now();
        let found = self.find_gateways(memory)?;
        let mut planner = Planner::new(memory, found, series, std::mem::take(&mut self.lost));
        let known = planner.known();
        if self.looked.is_none() && memory.boot.as_ref() == Some(&self.boot) {
            self.processes.pass_over(memory.passed_over.clone());
            self.at_work.get_mut().recall(memory, began);
            self.busy.get_mut().recall(memory, began);
        }
        let (mut view, mut asked) = (ProcessView::default(), vec![began; self.gateways.len()]);
        loop {
            match planner.next(clock::awake_now()) {
                Next::Look(extent) => {
                    view = self.look(extent, &planner, &known)?;
                    planner.looked(&view);
                }
                Next::ReadTables => {
                    self.read_tables(&mut tables, &mut asked).await;
                    self.look_outside(&mut tables, planner.roots());
                    planner.read(&tables);
                }
                Next::LookAt(pids) => self.processes.look_at(&mut view, &pids)?,
                Next::Done => break,
            }
        }
        self.processes.look_at_marks(&mut view, &self.rules)?;
        self.processes.look_at_stdin(&mut view, &self.rules)?;
        self.gateways.iter_mut().for_each(|watched| watched.gateway.rest());
        let roots: Vec<Option<Pid>> = planner.roots().collect();
        let (whole_look, lost) = planner.finish();
        self.lost = lost;
        let gateways = self.gateways.iter().zip(roots).zip(tables.into_iter().flatten().zip(asked));
        let mut gateways: Vec<GatewayObservation> =
            gateways.map(|((watched, root), table)| observed(watched, root, table, memory, &view)).collect();
        let knows_rest = self.gateways.iter().map(|watched| watched.knows_rest);
        let at_rest = gateways.iter_mut().zip(&self.rules).zip(knows_rest);
        let at_rest = at_rest.filter_map(|(gateway, knows_rest)| knows_rest.then_some(gateway));
        self.at_work.get_mut().look_at_all(at_rest, &mut view);
        let measured = measured(&mut gateways, &self.rules, &self.gateways);
        self.busy.get_mut().look(measured, &mut view, memory, clock::awake_now());
        let this = Looked { began, ended: clock::awake_now() };
        let unobserved = self.unobserved(memory, this);
        self.looked = Some(this);
        let boot = self.boot.clone();
        let forbidden = Vetoes::default();
        Ok((Observation { boot, processes: view, gateways, unobserved, forbidden }, whole_look))
    }

    /// Awake time before and in this look that counts for no grace.
    fn unobserved(&self, memory: &Ledger, this: Looked) -> Duration {
        // Of a `watch` before this one, which was stopped, it is remembered.
        let remembered = memory.looked.filter(|_| memory.boot.as_ref() == Some(&self.boot));
        let last = self.looked.or_else(|| remembered.map(|at| Looked { began: at, ended: at }));
        let (Patience::Growing(interval), Some(last)) = (self.patience, last) else {
            return Duration::ZERO;
        };
        let longest_read = self.gateways.iter().map(|watched| watched.timeout).max().unwrap_or_default();
        last.unobserved_until(this, interval, longest_read)
    }

    fn look(
        &mut self,
        extent: Extent,
        planner: &Planner<&Ledger>,
        known: &[ProcessIdentity],
    ) -> Result<ProcessView, ProcessesError> {
        let began = clock::awake_now();
        let gateways: Vec<Pid> = planner.roots().flatten().collect();
        let view = self.processes.look(extent, &Roots { gateways: &gateways, known })?;
        let took = clock::awake_now().since(began);
        tracing::debug!(?extent, processes = view.processes.len(), ?took, "processes looked at");
        Ok(view)
    }

    /// Reads all tables at the same time; again, if they were read before. One that a gateway failed to give is not asked for twice in a run:
    /// one that hangs costs a run one timeout. `asked`: when each was asked for.
    async fn read_tables(&mut self, tables: &mut [Option<TableView>], asked: &mut [Awake]) {
        let began = clock::awake_now();
        let took = self.read_those(tables, asked, |_| true).await;
        let all = clock::awake_now().since(began);
        if all > GOOD_FOR / 2 {
            // One that takes its time makes the tables of the others old.
            let is_current =
                |table: &Option<TableView>| table.as_ref().is_some_and(|it| it.current().is_some());
            let old: Vec<bool> =
                took.iter().zip(&*tables).map(|(took, table)| *took < all / 2 && is_current(table)).collect();
            self.read_those(tables, asked, |index| old.get(index) == Some(&true)).await;
        }
        tracing::debug!(gateways = self.gateways.len(), took = ?clock::awake_now().since(began), "session tables read");
    }

    /// Reads the tables of those gateways, and returns how long each took.
    async fn read_those(
        &mut self,
        tables: &mut [Option<TableView>],
        asked: &mut [Awake],
        is_meant: impl Fn(usize) -> bool,
    ) -> Vec<Duration> {
        let (now, patience) = (clock::awake_now(), self.patience);
        let those = self.gateways.iter_mut().zip(tables).zip(asked).enumerate();
        let reads = those.map(|(index, ((watched, table), asked))| {
            let is_known = !is_meant(index) || table.as_ref().is_some_and(TableView::is_asked_once);
            async move {
                if is_known {
                    return Duration::ZERO;
                }
                *asked = now;
                let view = match watched.backoff.spared(now) {
                    Some(view) => view,
                    None => {
                        let view = watched.read_table().await;
                        watched.backoff.heard(&watched.name, &view, now, patience);
                        view
                    }
                };
                *table = Some(view);
                clock::awake_now().since(now)
            }
        });
        join_all(reads).await
    }

    /// Looks at those gateways that answered without a table, also where that is known from a moment ago: clients come and go.
    fn look_outside(&mut self, tables: &mut [Option<TableView>], roots: impl Iterator<Item = Option<Pid>>) {
        for ((watched, table), root) in self.gateways.iter_mut().zip(tables).zip(roots) {
            if let Some(TableView::Not(missing)) = table {
                missing.outside = watched.gateway.look_outside(root);
            }
        }
    }

    /// The gateways' processes, as the operator says where they are found.
    fn find_gateways(
        &mut self,
        memory: &Ledger,
    ) -> Result<Vec<(crate::domain::ids::GatewayName, Found)>, ProcessesError> {
        let now = clock::awake_now();
        let mut gateways = Vec::with_capacity(self.gateways.len());
        for watched in &mut self.gateways {
            let remembered = memory.gateways.get(&watched.name).and_then(|memory| memory.process);
            let process = match &watched.process {
                Some(source) => {
                    let reach = if watched.backoff.is_sparing(now) { Reach::Remembered } else { Reach::All };
                    let found = find(&mut self.processes, source, &watched.trust, remembered, reach)?;
                    watched.hear_of(found.trouble);
                    Found::AsConfigured(found.pid)
                }
                None => Found::ByTable,
            };
            gateways.push((watched.name.clone(), process));
        }
        Ok(gateways)
    }
}

/// Those whose workers' processor time is measured: nothing better is known of them.
pub(super) fn measured<'a>(
    gateways: &'a mut [GatewayObservation],
    rules: &'a [Rules],
    watched: &'a [Watched],
) -> impl Iterator<Item = (&'a mut GatewayObservation, &'a Rules)> {
    let measured = gateways.iter_mut().zip(rules).zip(watched);
    measured.filter_map(|(gateway, watched)| (!watched.knows_rest).then_some(gateway))
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
        (None, None) => {
            let outside = table.missing().and_then(|missing| missing.outside.as_ref()?.gateway);
            outside.and_then(there).or_else(|| remembered.filter(|process| view.alive(process).is_some()))
        }
    };
    GatewayObservation { name: watched.name.clone(), table, process, asked }
}
