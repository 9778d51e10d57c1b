//! What a decision knows of the world: gateways, their rows and all processes, indexed once so that deciding stays linear.

mod changed;
mod index;
mod rows;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub(super) use self::changed::Changed;
use super::by_hand::ByHand;
use super::gateway::may_be_gateways;
pub(super) use super::gateway::{Gateway, Standing};
use crate::domain::ids::{GatewayName, Pid, SessionId};
use crate::domain::ledger::{FamilyMemory, GatewayMemory, Ledger, WorkerMemory};
use crate::domain::observation::{GatewayObservation, Observation};
use crate::domain::policy::{Rules, Workers};
use crate::domain::process::{Mark, Process, ProcessIdentity, ProcessView};
use crate::domain::table::Session;
use crate::domain::time::Awake;
use crate::domain::warrant::Limits;

/// The world as one run sees it.
pub(super) struct World<'a> {
    pub(super) seen: &'a Observation,
    pub(super) now: Awake,
    /// Remembered workers of all gateways, each with its gateway.
    pub(super) known: HashMap<ProcessIdentity, (&'a GatewayName, &'a WorkerMemory)>,
    /// Those of them that each session had.
    had: HashMap<(&'a GatewayName, &'a SessionId), Vec<ProcessIdentity>>,
    /// In the order of the configuration.
    pub(super) gateways: Vec<Gateway<'a>>,
    /// The gateways by their process.
    by_process: HashMap<Pid, Vec<usize>>,
    /// The rows that name each process as their worker.
    named: HashMap<Pid, Vec<RowId>>,
    /// The rows that name a worker with this key in its argv, or the shell around it, each with the start of that worker.
    named_keys: HashMap<&'a str, Vec<(RowId, u64)>>,
    /// When the oldest worker started that carries no key, has this argv, and is, or is below, what a row names; and that row.
    named_argvs: HashMap<&'a str, (u64, RowId)>,
    /// The workers that run in each shell that a row names.
    wrapped: HashMap<Pid, Vec<&'a Process>>,
    /// The rows whose session the marks of a process name, by process.
    marked: HashMap<Pid, Vec<RowId>>,
    /// Those of them that a worker of theirs is marked for.
    marked_rows: BTreeSet<RowId>,
    /// For each gateway the first row of which nothing tells which worker it has.
    rows_without_worker: Vec<Option<&'a Session>>,
    /// For each gateway the first row that names a process which is gone, and whose worker nothing else tells.
    rows_naming_one_gone: Vec<Option<&'a Session>>,
    /// The workers, and what bears the mark of a session, that were seen below another worker, each with the gateway that tells of that one's family.
    helpers: HashMap<ProcessIdentity, (usize, &'a FamilyMemory)>,
    /// What was a worker and doesn't look like one any more, by PID.
    pub(super) changed: Vec<Changed<'a>>,
    /// What an operator forbids.
    pub(super) by_hand: ByHand<'a>,
}

/// A row of a current table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RowId {
    /// Which gateway, in the order of the configuration.
    pub(super) gateway: usize,
    /// Which row, in the order of the table.
    pub(super) row: usize,
}

impl<'a> World<'a> {
    pub(super) fn new(seen: &'a Observation, memory: &'a Ledger, rules: &'a [Rules], now: Awake) -> Self {
        let same_boot = memory.boot.as_ref() == Some(&seen.boot);
        let by_name: HashMap<&GatewayName, &Rules> =
            rules.iter().map(|rules| (&rules.gateway, rules)).collect();
        let remembered = |name: &GatewayName| -> Option<&'a GatewayMemory> {
            memory.gateways.get(name).filter(|_| same_boot)
        };
        let spared = Arc::new(may_be_gateways(seen, &remembered));
        let own_line: Arc<BTreeSet<Pid>> = Arc::new(seen.processes.own_line.iter().copied().collect());
        let patterns: Arc<[_]> = rules.iter().filter_map(|rules| rules.worker_match.clone()).collect();
        let gateway = |gateway: &'a GatewayObservation| {
            let rules = *by_name.get(&gateway.name)?;
            let limits = Limits {
                worker_match: rules.worker_match.clone(),
                workers: Arc::clone(&patterns),
                argv: None,
                uid: rules.worker_uid,
                own_line: Arc::clone(&own_line),
                gateways: Arc::clone(&spared),
                claimed: Vec::new(),
                below_workers: Arc::default(),
                own: Vec::new(),
                was_of: Vec::new(),
            };
            Some(Gateway::new(seen, gateway, rules, remembered(&gateway.name), limits))
        };
        let gateways: Vec<_> = seen.gateways.iter().filter_map(gateway).collect();
        let mut by_process: HashMap<Pid, Vec<usize>> = HashMap::new();
        let mut named: HashMap<Pid, Vec<RowId>> = HashMap::new();
        for (index, gateway) in gateways.iter().enumerate() {
            if let Some(process) = gateway.process {
                by_process.entry(process.pid).or_default().push(index);
            }
            let rows = gateway.rows.iter().enumerate().filter(|_| !gateway.is_elsewhere);
            for (row, session) in rows {
                if let Some(pid) = session.named_worker() {
                    named.entry(pid).or_default().push(RowId { gateway: index, row });
                }
            }
        }
        let known = if same_boot { memory.workers() } else { HashMap::new() };
        let wrapped = index::wrapped(seen, &gateways, &named);
        let named_keys = index::named_keys(seen, &gateways, &named, &wrapped);
        let named_argvs = index::named_argvs(seen, &gateways, &named);
        let rows_without_worker = vec![None; gateways.len()];
        let marked = index::marked(seen, &gateways);
        let mut world = Self {
            seen,
            now,
            known,
            had: HashMap::new(),
            gateways,
            by_process,
            named,
            named_keys,
            named_argvs,
            wrapped,
            marked,
            marked_rows: BTreeSet::new(),
            rows_without_worker,
            rows_naming_one_gone: Vec::new(),
            helpers: HashMap::new(),
            changed: Vec::new(),
            by_hand: ByHand::new(&seen.forbidden, memory),
        };
        for worker in world.known.keys() {
            if let Some(had) = world.session_that_had(*worker) {
                world.had.entry(had.name()).or_default().push(*worker);
            }
        }
        world.changed = world.find_changed();
        world.marked_rows = world.find_marked_rows();
        for index in 0..world.gateways.len() {
            world.gateways[index].carried = world.carried(index);
        }
        let all = 0..world.gateways.len();
        world.rows_without_worker = all.clone().map(|index| world.find_row_without_worker(index)).collect();
        world.rows_naming_one_gone = all.map(|index| world.find_row_naming_one_gone(index)).collect();
        world.helpers = helpers(&world);
        world
    }

    /// The remembered workers that the session of this row had.
    pub(super) fn had_by(&self, row: RowId) -> &[ProcessIdentity] {
        self.had.get(&self.name_of(row)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The processes of all gateways, as far as they are known, and what listens at their addresses.
    pub(super) fn gateway_pids(&self) -> impl Iterator<Item = Pid> {
        let processes = self.gateways.iter().filter_map(|gateway| Some(gateway.process?.pid));
        processes.chain(self.view().serving.iter().copied())
    }

    /// The families that are remembered, each with the gateway that tells of it.
    pub(super) fn remembered_families(&self) -> impl Iterator<Item = (usize, &'a FamilyMemory)> {
        let memories = self.gateways.iter().enumerate().filter_map(|(index, it)| Some((index, it.memory?)));
        memories.flat_map(|(index, it)| it.families.iter().map(move |family| (index, family)))
    }

    /// The family that this worker, or what bears the mark of a session, was seen in, as the helper of another worker, and the gateway that
    /// tells of it.
    pub(super) fn family_of(&self, process: &Process) -> Option<(usize, &'a FamilyMemory)> {
        self.helpers.get(&process.identity).copied()
    }

    pub(super) fn view(&self) -> &'a ProcessView {
        &self.seen.processes
    }

    /// The living process that has this PID.
    pub(super) fn alive(&self, pid: Pid) -> Option<&'a Process> {
        self.view().get(pid).filter(|process| !process.zombie)
    }

    /// The living worker that this row names, or that carries its key.
    pub(super) fn worker_of(&self, row: RowId) -> Option<&'a Process> {
        let (gateway, session) = (&self.gateways[row.gateway], self.session(row));
        let by_key = || {
            let key = session.worker_key()?;
            let mut carriers = gateway.workers.iter().filter(|(_, carried)| **carried == Some(key));
            carriers.find_map(|(pid, _)| self.alive(*pid))
        };
        session.named_worker().and_then(|pid| self.alive(pid)).or_else(by_key)
    }

    /// The gateway and the session of a row, by name.
    pub(super) fn name_of(&self, row: RowId) -> (&'a GatewayName, &'a SessionId) {
        (&self.gateways[row.gateway].seen.name, &self.session(row).id)
    }

    /// The rows of this gateway, in the order of its table.
    pub(super) fn rows_of(&self, gateway: usize) -> impl Iterator<Item = RowId> + use<'a> {
        (0..self.gateways[gateway].rows.len()).map(move |row| RowId { gateway, row })
    }

    pub(super) fn session(&self, row: RowId) -> &'a Session {
        &self.gateways[row.gateway].rows[row.row]
    }

    /// The gateways whose process this is; more than one is a mistake of the configuration.
    pub(super) fn gateways_at(&self, pid: Pid) -> &[usize] {
        self.by_process.get(&pid).map(Vec::as_slice).unwrap_or_default()
    }

    /// The rows that name this process as their worker.
    pub(super) fn rows_naming(&self, pid: Pid) -> &[RowId] {
        self.named.get(&pid).map(Vec::as_slice).unwrap_or_default()
    }

    /// Every process that rows name as a worker.
    pub(super) fn named(&self) -> impl Iterator<Item = Pid> {
        self.named.keys().copied()
    }

    /// The gateways whose `worker.match` takes this process for a worker, in the order of the configuration.
    pub(super) fn matching(&self, pid: Pid) -> impl Iterator<Item = usize> {
        self.gateways
            .iter()
            .enumerate()
            .filter(move |(_, gateway)| gateway.takes(pid))
            .map(|(index, _)| index)
    }

    /// The rows whose session a mark of this process names.
    pub(super) fn rows_marked(&self, pid: Pid) -> &[RowId] {
        self.marked.get(&pid).map(Vec::as_slice).unwrap_or_default()
    }

    /// Everything that a mark says to be of a listed session.
    pub(super) fn marked(&self) -> impl Iterator<Item = Pid> {
        self.marked.keys().copied()
    }

    /// The gateway that a mark of this process names by its PID, if that very run is there: it is older than what it started.
    pub(super) fn gateway_marked(&self, process: &Process) -> Option<usize> {
        let marks = self.view().marks.get(&process.identity.pid)?;
        marks.iter().find_map(|mark| {
            let Mark::Gateway { gateway, pid } = mark else { return None };
            let index = self.gateways.iter().position(|it| it.seen.name == *gateway)?;
            let run = self.gateways[index].process.or(self.gateways[index].lost)?;
            (run.pid == *pid && run.start_ticks <= process.identity.start_ticks).then_some(index)
        })
    }

    /// Whether every configured gateway's process is known, so that whatever else is a parent is none of them.
    pub(super) fn all_gateways_known(&self) -> bool {
        let mut gateways = self.gateways.iter().filter(|gateway| gateway.rules.workers != Workers::Leftovers);
        gateways.all(|gateway| gateway.process.is_some())
    }

    /// The ancestors of a process, the nearest first, as far as they are in view.
    pub(super) fn ancestors(&self, process: &Process) -> impl Iterator<Item = &'a Process> + use<'a> {
        self.view().ancestors(process)
    }

    /// Those of them that are below the first gateway.
    pub(super) fn ancestors_below_gateway(&self, process: &Process) -> impl Iterator<Item = &'a Process> {
        self.ancestors(process).take_while(|above| self.gateways_at(above.identity.pid).is_empty())
    }
}

fn helpers<'a>(world: &World<'a>) -> HashMap<ProcessIdentity, (usize, &'a FamilyMemory)> {
    let members = world
        .remembered_families()
        .flat_map(|known| known.1.members.iter().map(move |member| (*member, known)));
    let may_be_judged = |pid: Pid| world.matching(pid).next().is_some() || !world.rows_marked(pid).is_empty();
    members.filter(|(member, _)| may_be_judged(member.pid)).collect()
}
