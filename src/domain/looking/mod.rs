//! What a run looks at, and in which order: processes first, tables second, so that no worker is judged by a table that is older than
//! itself; then what the tables name and the look didn't see.
//!
//! The planner looks at nothing itself. Its driver (the runtime in production, a simulated world in tests) asks what comes
//! [`next`](Planner::next), does that, and tells it what was seen.

mod families;
mod looked;

use std::collections::BTreeSet;
use std::ops::Deref;
use std::time::Duration;

use super::ids::{GatewayName, Pid};
use super::ledger::{Bond, GatewayRun, Ledger};
use super::process::{ProcessIdentity, ProcessView};
use super::table::{Session, TableView};
use super::time::Awake;

pub use families::Families;
pub use looked::Looked;

/// How late a worker may be found that was adopted by a program that isn't known to adopt, or is below such a process, before any look saw it.
/// Everything else is found at once, by looking where workers can be.
pub const WHOLE_LOOK_EVERY: Duration = Duration::from_secs(600);

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Where workers can be.
    Near,
    /// At every process of the machine, for those that look like a gateway's workers or lost their parent.
    Whole,
    /// The same, and for those that are no gateway's and may have a host: what a person asks for.
    Everything,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Look at the processes; then tell by [`Planner::looked`].
    Look(Extent),
    /// Read all tables; then tell by [`Planner::read`]. One that wasn't current a moment ago needs no second question.
    ReadTables,
    /// Look at these as well, and no more.
    LookAt(Vec<Pid>),
    /// All that is needed was seen.
    Done,
}

/// How a gateway's process is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The operator said how to find it; this is what was found.
    AsConfigured(Option<Pid>),
    /// Its table names it, or memory does.
    ByTable,
}

/// Whether there will be another look soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// One run by itself: there is no earlier look to compare with.
    Single,
    /// A single one, for a person who wants to know what is there.
    Inquiry,
    /// One of many.
    Continued,
}

/// Plans the looks of one run.
#[derive(Debug)]
pub struct Planner<M> {
    memory: M,
    gateways: Vec<Root>,
    series: Series,
    /// Gateways and workers whose loss a whole look was made for in earlier runs.
    lost: BTreeSet<ProcessIdentity>,
    whole_look: Option<Awake>,
    stage: Stage,
    named: Vec<Pid>,
    /// What was seen below a worker before, and in this look isn't, or can't be because the worker is gone.
    missed: Vec<Pid>,
}

#[derive(Debug)]
struct Root {
    name: GatewayName,
    is_configured: bool,
    pid: Option<Pid>,
}

impl Root {
    /// The process that its table names, where that is another one than it was taken for.
    fn moved_by(&self, table: &TableView) -> Option<Pid> {
        gateway_of(table).filter(|pid| !self.is_configured && Some(*pid) != self.pid)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Tables first: they say where to look. They are read again afterwards, because they have to be younger than the look.
    Introduction,
    /// The look; whether it has to be a whole one is to be seen.
    Look,
    /// A near look showed that something was lost.
    LookAgain,
    Tables,
    /// The tables told of a gateway, or of a run of one, that the look didn't know of.
    NewsLook,
    NewsTables,
    Named,
    Done,
}

impl<M: Deref<Target = Ledger>> Planner<M> {
    /// Begins a run. `gateways` in the order of the configuration.
    pub fn new(
        memory: M,
        gateways: Vec<(GatewayName, Found)>,
        series: Series,
        lost: BTreeSet<ProcessIdentity>,
    ) -> Self {
        let remembered = |name: &GatewayName| memory.gateways.get(name)?.process.map(|process| process.pid);
        let root = |(name, found): (GatewayName, Found)| match found {
            Found::AsConfigured(pid) => Root { name, is_configured: true, pid },
            Found::ByTable => Root { pid: remembered(&name), name, is_configured: false },
        };
        let gateways: Vec<Root> = gateways.into_iter().map(root).collect();
        // A known gateway whose table names no process gains nothing from a second read.
        let is_stranger = |root: &Root| {
            root.pid.is_none() && (root.is_configured || !memory.gateways.contains_key(&root.name))
        };
        let stage = if gateways.iter().any(is_stranger) { Stage::Introduction } else { Stage::Look };
        let whole_look = memory.whole_look;
        Self { memory, gateways, series, lost, whole_look, stage, named: Vec::new(), missed: Vec::new() }
    }

    /// What comes next.
    pub fn next(&mut self, now: Awake) -> Next {
        match self.stage {
            Stage::Introduction | Stage::Tables | Stage::NewsTables => Next::ReadTables,
            Stage::Look => {
                // A single run has no earlier look to compare with: where a gateway's process isn't known, nothing else tells of its orphans.
                let blind =
                    self.series == Series::Single && self.gateways.iter().any(|root| root.pid.is_none());
                if self.series == Series::Inquiry {
                    self.whole_look = Some(now);
                    return Next::Look(Extent::Everything);
                }
                let is_whole = blind || is_overdue(self.whole_look, now) || self.is_first_sight();
                Next::Look(if is_whole { self.whole(now) } else { Extent::Near })
            }
            Stage::LookAgain | Stage::NewsLook => Next::Look(self.whole(now)),
            Stage::Named => {
                self.stage = Stage::Done;
                match std::mem::take(&mut self.named) {
                    named if named.is_empty() => Next::Done,
                    named => Next::LookAt(named),
                }
            }
            Stage::Done => Next::Done,
        }
    }

    /// The processes were looked at.
    pub fn looked(&mut self, view: &ProcessView) {
        self.missed = missed(&self.memory, view);
        self.stage = match self.stage {
            Stage::NewsLook => Stage::NewsTables,
            Stage::LookAgain => Stage::Tables,
            stage => {
                let missing = lost(&self.memory, view);
                // A gateway may be gone for days; one whole look is made for it, not one at every poll.
                let is_news = stage == Stage::Look && !missing.is_subset(&self.lost);
                self.lost = missing;
                if is_news { Stage::LookAgain } else { Stage::Tables }
            }
        };
    }

    /// The tables were read, in the order of the gateways.
    pub fn read(&mut self, tables: &[Option<TableView>]) {
        let is_news = self.stage == Stage::Tables && self.is_news(tables);
        if is_news {
            self.follow(tables);
        }
        self.stage = match self.stage {
            Stage::Introduction => {
                for (root, table) in self.gateways.iter_mut().zip(tables) {
                    root.pid = root.pid.or_else(|| gateway_of(table.as_ref()?));
                }
                Stage::Look
            }
            Stage::Tables if is_news => Stage::NewsLook,
            _ => {
                self.named = self.named_by(tables);
                Stage::Named
            }
        };
    }

    /// The processes of the gateways, as far as they are known by now, in the order of the configuration.
    pub fn roots(&self) -> impl Iterator<Item = Option<Pid>> {
        self.gateways.iter().map(|root| root.pid)
    }

    /// Everything that memory speaks of.
    pub fn known(&self) -> Vec<ProcessIdentity> {
        let memory = &self.memory;
        let workers =
            memory.gateways.values().flat_map(|gateway| &gateway.workers).map(|worker| worker.identity);
        let families = memory.gateways.values().flat_map(|gateway| &gateway.families);
        let families = families.map(|family| family.worker);
        let unfinished = memory.unfinished.iter();
        let begun = unfinished.flat_map(|begun| begun.members.iter().chain([&begun.worker]).copied());
        let had = memory
            .gateways
            .values()
            .flat_map(|gateway| gateway.process.into_iter().chain(gateway.former.iter().copied()));
        workers.chain(families).chain(begun).chain(had).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Ends the run: when every process was last looked at, and whose loss needs no further whole look.
    pub fn finish(self) -> (Option<Awake>, BTreeSet<ProcessIdentity>) {
        (self.whole_look, self.lost)
    }

    fn whole(&mut self, now: Awake) -> Extent {
        self.whole_look = Some(now);
        Extent::Whole
    }

    /// Whether a gateway shows that no run before has seen.
    fn is_first_sight(&self) -> bool {
        let is_new = |name| self.memory.gateways.get(name).is_none_or(|memory| memory.process.is_none());
        self.gateways.iter().any(|root| root.pid.is_some() && is_new(&root.name))
    }

    /// Whether a table names a gateway, or a run of it, that the look didn't know of, or another one was found from outside.
    fn is_news(&self, tables: &[Option<TableView>]) -> bool {
        self.gateways.iter().zip(tables).any(|(root, table)| {
            let Some(table) = table.as_ref() else { return false };
            root.moved_by(table).is_some() || self.is_another_run(root, table)
        })
    }

    fn is_another_run(&self, root: &Root, table: &TableView) -> bool {
        let Some(table) = table.current() else { return false };
        let before = self.memory.gateways.get(&root.name).and_then(|memory| memory.run.as_ref());
        match (before, &table.instance) {
            (Some(GatewayRun::Instance(before)), Some(now)) => before != now,
            (Some(GatewayRun::Process(_)), Some(_)) => true,
            (None, _) | (_, None) => false,
        }
    }

    /// From now on the gateways are where the tables name them.
    fn follow(&mut self, tables: &[Option<TableView>]) {
        for (root, table) in self.gateways.iter_mut().zip(tables) {
            let moved = table.as_ref().and_then(|table| root.moved_by(table));
            root.pid = moved.or(root.pid);
        }
    }

    /// What the tables name as workers, the gateways, and what lost its worker.
    fn named_by(&self, tables: &[Option<TableView>]) -> Vec<Pid> {
        let tables = tables.iter().flatten().filter_map(TableView::current);
        let workers = tables.flat_map(|table| &table.sessions).filter_map(Session::named_worker);
        workers.chain(self.roots().flatten()).chain(self.missed.iter().copied()).collect()
    }
}

/// The gateway's process, as its table names it, or as it was found from outside.
fn gateway_of(table: &TableView) -> Option<Pid> {
    match table {
        TableView::Current(table) => table.gateway_pid,
        TableView::Not(missing) => missing.outside.as_ref()?.gateway,
    }
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
        (Bond::Child(gateway), Some(process)) => worker.clock.is_none() && !is_below(view, process, gateway),
        _ => false,
    });
    gone.chain(orphaned.map(|worker| worker.identity)).collect()
}

/// What is remembered of families, and has to be asked after by itself.
fn missed(memory: &Ledger, view: &ProcessView) -> Vec<Pid> {
    let families = memory.gateways.values().flat_map(|gateway| &gateway.families);
    let families = families.filter(|family| {
        view.looked_below.contains(&family.worker.pid) || view.alive(&family.worker).is_none()
    });
    let members = families.flat_map(|family| &family.members).map(|member| member.pid);
    members.filter(|member| view.get(*member).is_none()).collect()
}

fn is_below(view: &ProcessView, process: &super::process::Process, gateway: ProcessIdentity) -> bool {
    view.ancestors(process).any(|ancestor| ancestor.identity.pid == gateway.pid)
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
