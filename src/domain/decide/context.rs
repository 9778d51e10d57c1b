//! What every judgement needs at hand of the world, with the indexes that keep the decision linear.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::rows::Rows;
use crate::domain::ids::{GatewayName, Pid};
use crate::domain::ledger::{GatewayMemory, Ledger, WorkerMemory};
use crate::domain::observation::{GatewayObservation, Observation};
use crate::domain::policy::Rules;
use crate::domain::process::{Process, ProcessIdentity, ProcessView};
use crate::domain::table::Session;
use crate::domain::time::Awake;

/// The world as one run sees it.
pub(super) struct Context<'a> {
    pub(super) seen: &'a Observation,
    pub(super) now: Awake,
    /// What is remembered of each gateway; nothing, if it is of another boot.
    pub(super) memory: HashMap<&'a GatewayName, &'a GatewayMemory>,
    /// Remembered workers of all gateways.
    pub(super) known: HashMap<ProcessIdentity, (&'a GatewayName, &'a WorkerMemory)>,
    /// In the order of the configuration.
    pub(super) entries: Vec<Entry<'a>>,
    /// Processes by their parent.
    children: HashMap<Pid, Vec<&'a Process>>,
    /// Every process that is named as a worker by a current table, with the gateways that name it.
    named: HashMap<Pid, Vec<&'a GatewayName>>,
    /// Every process with a gateway or a named worker somewhere under it, and which.
    above: HashMap<Pid, Pid>,
    /// Every process that is a gateway.
    gateways: BTreeSet<Pid>,
    /// The same, with those that only may be one: never signalled.
    pub(super) spared: Arc<BTreeSet<Pid>>,
    pub(super) own_line: Arc<BTreeSet<Pid>>,
}

/// One gateway of the configuration.
pub(super) struct Entry<'a> {
    pub(super) gateway: &'a GatewayObservation,
    pub(super) rules: &'a Rules,
    /// Its process, if what was found can be one.
    pub(super) process: Option<ProcessIdentity>,
    /// Where none is known in this run: the remembered one, if that very process is still there.
    pub(super) lost: Option<ProcessIdentity>,
    /// Every process that its `worker.match` takes for a worker, with the key that argv says. Patterns are slow: each argv is tried once.
    workers: HashMap<Pid, Option<&'a str>>,
    pub(super) rows: Rows<'a>,
}

impl<'a> Context<'a> {
    pub(super) fn new(seen: &'a Observation, memory: &'a Ledger, rules: &'a [Rules], now: Awake) -> Self {
        let view = &seen.processes;
        let by_name: HashMap<&GatewayName, &Rules> =
            rules.iter().map(|rules| (&rules.gateway, rules)).collect();
        let mut children: HashMap<Pid, Vec<&Process>> = HashMap::new();
        for process in view.processes.values() {
            if let Some(parent) = process.parent {
                children.entry(parent).or_default().push(process);
            }
        }
        let mut named: HashMap<Pid, Vec<&GatewayName>> = HashMap::new();
        for gateway in &seen.gateways {
            let rows = gateway.table.current().into_iter().flat_map(|table| &table.sessions);
            for pid in rows.filter_map(Session::named_worker) {
                named.entry(pid).or_default().push(&gateway.name);
            }
        }
        let gateways: BTreeSet<Pid> =
            seen.gateways.iter().filter_map(|gateway| Some(process_of(gateway, view)?.pid)).collect();
        let (memory, known) = if memory.boot.as_ref() == Some(&seen.boot) {
            (memory.gateways.iter().collect(), memory.workers())
        } else {
            (HashMap::new(), HashMap::new())
        };
        let entry = |gateway: &'a GatewayObservation| {
            let rules = *by_name.get(&gateway.name)?;
            let (process, lost) = (process_of(gateway, view), lost(gateway, view, &memory));
            let workers = workers(view, rules);
            Some(Entry { gateway, rules, process, lost, workers, rows: Rows::new(gateway) })
        };
        let entries = seen.gateways.iter().filter_map(entry).collect();
        Self {
            now,
            entries,
            above: above(view, gateways.iter().chain(named.keys()).copied().collect()),
            spared: Arc::new(may_be_gateways(seen, &memory)),
            own_line: Arc::new(view.own_line.iter().copied().collect()),
            seen,
            memory,
            known,
            children,
            named,
            gateways,
        }
    }

    pub(super) fn view(&self) -> &'a ProcessView {
        &self.seen.processes
    }

    /// The children of a process that are not dead.
    pub(super) fn children(&self, of: ProcessIdentity) -> impl Iterator<Item = &'a Process> {
        self.children.get(&of.pid).into_iter().flatten().copied().filter(|process| !process.zombie)
    }

    /// Whether the process is a child of a gateway.
    pub(super) fn is_child_of_a_gateway(&self, process: &Process) -> bool {
        process.parent.is_some_and(|parent| self.gateways.contains(&parent))
    }

    /// Whether the process is a gateway or somewhere under one.
    pub(super) fn is_under_a_gateway(&self, process: &Process) -> bool {
        ancestors(self.view(), process).any(|ancestor| self.gateways.contains(&ancestor))
    }

    /// Whether a current table names this process as a worker.
    pub(super) fn is_named(&self, pid: Pid) -> bool {
        self.named.contains_key(&pid)
    }

    /// The gateways whose current tables name this process as a worker, once for each row.
    pub(super) fn namers(&self, pid: Pid) -> &[&'a GatewayName] {
        self.named.get(&pid).map(Vec::as_slice).unwrap_or_default()
    }

    /// A gateway or a named worker that is somewhere under this process: ending its tree would take that one along.
    pub(super) fn above(&self, pid: Pid) -> Option<Pid> {
        self.above.get(&pid).copied()
    }

    /// Whether every configured gateway's process is known, so that whatever else is a parent is none of them.
    pub(super) fn all_gateways_known(&self) -> bool {
        self.seen.gateways.iter().all(|gateway| process_of(gateway, self.view()).is_some())
    }

    /// The gateways whose `worker.match` takes this process for a worker, in the order of the configuration, each with the key it reads.
    pub(super) fn claimants(&self, process: &Process) -> impl Iterator<Item = (&Entry<'a>, Option<&'a str>)> {
        self.entries.iter().filter_map(move |entry| Some((entry, entry.match_of(process)?)))
    }

    /// The workers that are no gateway's children, by the gateway that is to judge each.
    pub(super) fn strays(&self) -> HashMap<&'a GatewayName, Vec<&'a Process>> {
        let mut strays: HashMap<&GatewayName, Vec<&Process>> = HashMap::new();
        for process in self.view().processes.values() {
            if process.zombie || self.is_child_of_a_gateway(process) {
                continue;
            }
            if let Some(judge) = self.judge_of(process) {
                strays.entry(judge).or_default().push(process);
            }
        }
        strays
    }

    /// Of those whose pattern takes the process for a worker: the one whose table lists it, so that its outage is noticed; else the one
    /// that bore it, though its process isn't known in this run; else the one that remembers it; else the first.
    fn judge_of(&self, process: &Process) -> Option<&'a GatewayName> {
        let pid = process.identity.pid;
        let remembers = self.known.get(&process.identity).map(|(name, _)| *name);
        let rank = |(entry, key): &(&Entry<'a>, Option<&str>)| {
            let name = &entry.gateway.name;
            if self.namers(pid).contains(&name) {
                0
            } else if key.is_some_and(|key| entry.rows.find_by(key) && entry.may_have_started(process)) {
                1
            } else if entry.bore(process).is_some() {
                2
            } else if remembers == Some(name) {
                3
            } else {
                4
            }
        };
        self.claimants(process).min_by_key(rank).map(|(entry, _)| &entry.gateway.name)
    }
}

impl<'a> Entry<'a> {
    /// What a process's argv says to this gateway; `None`: it is no worker.
    pub(super) fn match_of(&self, process: &Process) -> Option<Option<&'a str>> {
        self.workers.get(&process.identity.pid).copied()
    }

    /// Whether this run of the gateway may have started the process; what is older is of an earlier run.
    pub(super) fn may_have_started(&self, process: &Process) -> bool {
        self.process.is_none_or(|run| process.identity.start_ticks >= run.start_ticks)
    }

    /// The gateway's remembered process, if it isn't known in this run and the process is seen to be its child.
    pub(super) fn bore(&self, process: &Process) -> Option<ProcessIdentity> {
        self.lost.filter(|lost| process.parent == Some(lost.pid))
    }
}

/// The living processes that look like workers, with the key that each carries.
fn workers<'a>(view: &'a ProcessView, rules: &Rules) -> HashMap<Pid, Option<&'a str>> {
    let Some(pattern) = &rules.worker_match else { return HashMap::new() };
    let living = view.processes.values().filter(|process| !process.zombie);
    let key = |process: &'a Process| pattern.matches(process.argv.as_deref()?).map(|matched| matched.key);
    living.filter_map(|process| Some((process.identity.pid, key(process)?))).collect()
}

/// A table may name anybody as its gateway. Init is none, nor is the reaper, nor the dead.
fn process_of(gateway: &GatewayObservation, view: &ProcessView) -> Option<ProcessIdentity> {
    let process = view.alive(&gateway.process?)?;
    let pid = process.identity.pid;
    let is_init = pid == Pid::INIT && view.init_is_init;
    let is_reaper = view.own_line.first() == Some(&pid);
    (!is_init && !is_reaper && !process.kernel).then_some(process.identity)
}

/// The remembered process of a gateway that isn't known in this run. The very one: who else has that PID now may be anybody.
fn lost(
    gateway: &GatewayObservation,
    view: &ProcessView,
    memory: &HashMap<&GatewayName, &GatewayMemory>,
) -> Option<ProcessIdentity> {
    let remembered = memory.get(&gateway.name)?.process.filter(|_| process_of(gateway, view).is_none());
    remembered.filter(|identity| view.alive(identity).is_some())
}

/// Whatever anything says is a gateway's process.
fn may_be_gateways(seen: &Observation, memory: &HashMap<&GatewayName, &GatewayMemory>) -> BTreeSet<Pid> {
    let found = seen.gateways.iter().filter_map(|gateway| Some(gateway.process?.pid));
    let said = seen.gateways.iter().filter_map(|gateway| gateway.table.current()?.gateway_pid);
    let lost = seen.gateways.iter().filter_map(|gateway| Some(lost(gateway, &seen.processes, memory)?.pid));
    found.chain(said).chain(lost).collect()
}

/// Who is above these, with the first of them that is below.
fn above(view: &ProcessView, below: BTreeSet<Pid>) -> HashMap<Pid, Pid> {
    let mut above = HashMap::new();
    for pid in below {
        let Some(process) = view.get(pid).filter(|process| !process.zombie) else { continue };
        for ancestor in ancestors(view, process) {
            match above.entry(ancestor) {
                Slot::Vacant(slot) => drop(slot.insert(pid)),
                // From here up, an earlier one has been everywhere.
                Slot::Occupied(_) => break,
            }
        }
    }
    above
}

/// The ancestors of a process, the nearest first, as far as they are in view.
pub(super) fn ancestors(view: &ProcessView, process: &Process) -> impl Iterator<Item = Pid> {
    let parent_of = |pid: &Pid| view.get(*pid).and_then(|process| process.parent);
    // A view is not a snapshot: PIDs reused while it was taken could make a ring of it.
    std::iter::successors(process.parent, parent_of).take(64)
}
