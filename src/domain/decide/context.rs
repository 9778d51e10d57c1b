//! What every judgement needs at hand: the world ([`Context`]) and one gateway in it ([`Scene`]), with the indexes that keep the
//! decision linear.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::domain::ids::{GatewayName, Pid, SessionId};
use crate::domain::ledger::{GatewayMemory, Ledger, WorkerMemory};
use crate::domain::observation::{GatewayObservation, Observation};
use crate::domain::policy::Rules;
use crate::domain::process::{Process, ProcessIdentity, ProcessView};
use crate::domain::table::{Session, TableView, Told};
use crate::domain::time::Awake;
use crate::domain::warrant::Limits;

/// The world as one run sees it.
pub(super) struct Context<'a> {
    pub(super) seen: &'a Observation,
    pub(super) memory: &'a Ledger,
    pub(super) now: Awake,
    /// Remembered workers of all gateways.
    pub(super) known: HashMap<ProcessIdentity, (&'a GatewayName, &'a WorkerMemory)>,
    /// Processes by their parent.
    children: HashMap<Pid, Vec<&'a Process>>,
    /// Every process that is named as a worker by a current table, with the gateways that name it.
    named: HashMap<Pid, Vec<&'a GatewayName>>,
    /// The keys of rows whose workers are found by key.
    keys: HashSet<(&'a GatewayName, &'a str)>,
    /// Every process that is a gateway.
    pub(super) gateways: Arc<BTreeSet<Pid>>,
    own_line: Arc<BTreeSet<Pid>>,
    rules: Vec<(&'a GatewayObservation, &'a Rules)>,
    no_memory: GatewayMemory,
}

impl<'a> Context<'a> {
    pub(super) fn new(seen: &'a Observation, memory: &'a Ledger, rules: &'a [Rules], now: Awake) -> Self {
        let mut children: HashMap<Pid, Vec<&Process>> = HashMap::new();
        for process in seen.processes.processes.values() {
            if let Some(parent) = process.parent {
                children.entry(parent).or_default().push(process);
            }
        }
        let mut named: HashMap<Pid, Vec<&GatewayName>> = HashMap::new();
        let mut keys = HashSet::new();
        for gateway in &seen.gateways {
            for session in rows(gateway) {
                match (&session.worker, session.worker_key()) {
                    (Told::Known(pid), _) => named.entry(*pid).or_default().push(&gateway.name),
                    (Told::Absent, Some(key)) => {
                        keys.insert((&gateway.name, key));
                    }
                    _ => {}
                }
            }
        }
        let by_name: HashMap<&GatewayName, &Rules> =
            rules.iter().map(|rules| (&rules.gateway, rules)).collect();
        Self {
            seen,
            memory,
            now,
            known: memory.workers(),
            children,
            named,
            keys,
            gateways: Arc::new(
                seen.gateways.iter().filter_map(|gateway| Some(gateway.process?.pid)).collect(),
            ),
            own_line: Arc::new(seen.processes.own_line.iter().copied().collect()),
            rules: seen
                .gateways
                .iter()
                .filter_map(|gateway| Some((gateway, *by_name.get(&gateway.name)?)))
                .collect(),
            no_memory: GatewayMemory::default(),
        }
    }

    pub(super) fn scenes(&self) -> impl Iterator<Item = Scene<'_>> {
        self.rules.iter().map(|(gateway, rules)| Scene::new(self, gateway, rules))
    }

    pub(super) fn view(&self) -> &'a ProcessView {
        &self.seen.processes
    }

    /// Whether a current table names this process as a worker.
    pub(super) fn is_named(&self, pid: Pid) -> bool {
        self.named.contains_key(&pid)
    }

    /// Whether this gateway's current table has a row with this key and no worker's PID.
    pub(super) fn lists_key(&self, gateway: &GatewayObservation, key: &str) -> bool {
        self.keys.contains(&(&gateway.name, key))
    }

    /// Whether every configured gateway's process is known, so that whatever else is a parent is none of them.
    pub(super) fn all_gateways_known(&self) -> bool {
        self.seen.gateways.iter().all(|gateway| gateway.process.is_some())
    }

    /// The gateways whose `worker.match` takes this process for a worker, in the order of the configuration, each with the key it reads.
    pub(super) fn claimants<'p>(
        &'p self,
        process: &'p Process,
    ) -> impl Iterator<Item = (&'p GatewayObservation, Option<&'p str>)> {
        self.rules.iter().filter_map(move |(gateway, rules)| Some((*gateway, match_of(rules, process)?)))
    }
}

/// One gateway in the world.
pub(super) struct Scene<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) gateway: &'a GatewayObservation,
    pub(super) rules: &'a Rules,
    pub(super) memory: &'a GatewayMemory,
    pub(super) limits: Limits,
    /// The rows without a worker's PID, by the key that finds their workers.
    by_key: HashMap<&'a str, Vec<&'a Session>>,
    /// The rows with a worker's PID, by their key.
    named_by_key: HashMap<&'a str, Vec<Pid>>,
    /// The gateway's children that look like workers, with the key each carries.
    pub(super) workers: Vec<(&'a Process, Option<&'a str>)>,
    /// A row's worker is not understood: it may be any.
    pub(super) has_obscure_worker: bool,
    /// A row without a worker's PID has a key that is not understood: any worker may carry it.
    pub(super) has_obscure_key: bool,
    /// Those by the key each carries.
    workers_by_key: HashMap<&'a str, Vec<&'a Process>>,
}

impl<'a> Scene<'a> {
    fn new(context: &'a Context<'a>, gateway: &'a GatewayObservation, rules: &'a Rules) -> Self {
        let mut by_key: HashMap<&str, Vec<&Session>> = HashMap::new();
        let mut named_by_key: HashMap<&str, Vec<Pid>> = HashMap::new();
        let (mut has_obscure_worker, mut has_obscure_key) = (false, false);
        for session in rows(gateway) {
            match (&session.worker, session.worker_key()) {
                (Told::Absent, Some(key)) => by_key.entry(key).or_default().push(session),
                (Told::Absent, None) => has_obscure_key = true,
                (Told::Known(pid), Some(key)) => named_by_key.entry(key).or_default().push(*pid),
                (Told::Known(_), None) => {}
                (Told::NotUnderstood(_), _) => has_obscure_worker = true,
            }
        }
        let children = gateway.process.and_then(|process| context.children.get(&process.pid));
        let workers: Vec<_> = children
            .into_iter()
            .flatten()
            .filter(|process| !process.zombie)
            .filter_map(|process| Some((*process, match_of(rules, process)?)))
            .collect();
        let mut workers_by_key: HashMap<&str, Vec<&Process>> = HashMap::new();
        for (process, key) in &workers {
            if let Some(key) = key {
                workers_by_key.entry(key).or_default().push(process);
            }
        }
        let limits = Limits {
            worker_match: rules.worker_match.clone(),
            uid: rules.worker_uid,
            own_line: Arc::clone(&context.own_line),
            gateways: Arc::clone(&context.gateways),
        };
        let memory = context.memory.gateways.get(&gateway.name).unwrap_or(&context.no_memory);
        Self {
            context,
            gateway,
            rules,
            memory,
            limits,
            by_key,
            named_by_key,
            workers,
            has_obscure_worker,
            has_obscure_key,
            workers_by_key,
        }
    }

    pub(super) fn now(&self) -> Awake {
        self.context.now
    }

    /// The rows of the table, none unless it is current.
    pub(super) fn sessions(&self) -> &'a [Session] {
        rows(self.gateway)
    }

    /// Identity of the run of the gateway that wrote the table: its instance, else its process.
    pub(super) fn run(&self) -> Option<Box<str>> {
        let table = self.gateway.table.current()?;
        let process = || self.gateway.process.map(|process| format!("process {process}").into());
        table.instance.as_ref().map(|instance| instance.as_str().into()).or_else(process)
    }

    /// Whether another run of the gateway wrote this table than the one remembered.
    pub(super) fn run_changed(&self) -> bool {
        matches!((&self.memory.run, self.run()), (Some(before), Some(now)) if *before != now)
    }

    /// What a process's argv says to this gateway; `None`: it is no worker.
    pub(super) fn match_of(&self, process: &'a Process) -> Option<Option<&'a str>> {
        match_of(self.rules, process)
    }

    /// Whether any row leaves its worker to be found by key.
    pub(super) fn finds_by_key(&self) -> bool {
        self.has_obscure_key || !self.by_key.is_empty()
    }

    /// The rows whose worker is found by this key.
    pub(super) fn rows_by_key(&self, key: &str) -> &[&'a Session] {
        self.by_key.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// The workers that rows with this key name.
    pub(super) fn named_by_key(&self, key: &str) -> &[Pid] {
        self.named_by_key.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many rows carry this key, with or without a worker's PID.
    pub(super) fn rows_with_key(&self, key: &str) -> usize {
        self.rows_by_key(key).len() + self.named_by_key(key).len()
    }

    /// The gateway's children that carry this key.
    pub(super) fn workers_by_key(&self, key: &str) -> &[&'a Process] {
        self.workers_by_key.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many rows of all current tables name this process as their worker.
    pub(super) fn named_count(&self, pid: Pid) -> usize {
        self.context.named.get(&pid).map_or(0, Vec::len)
    }

    /// Whether this gateway's table names this process as a worker.
    pub(super) fn names(&self, pid: Pid) -> bool {
        self.context.named.get(&pid).is_some_and(|names| names.contains(&&self.gateway.name))
    }

    /// Whether another gateway of the configuration has the same process.
    pub(super) fn shares_process(&self) -> bool {
        let process = self.gateway.process;
        let twin = |other: &GatewayObservation| other.name != self.gateway.name && other.process == process;
        process.is_some() && self.context.seen.gateways.iter().any(twin)
    }

    /// Why the table isn't current.
    pub(super) fn distrust(&self) -> Option<&'a str> {
        use TableView::{Current, Listed, Refused, Unreachable};
        match &self.gateway.table {
            Current(_) => None,
            Unreachable { why } | Refused { why } | Listed { why, .. } => Some(why),
        }
    }

    /// The sessions that are there without a table that says more of them.
    pub(super) fn listed(&self) -> &'a [SessionId] {
        match &self.gateway.table {
            TableView::Listed { sessions, .. } => sessions,
            _ => &[],
        }
    }
}

fn rows(gateway: &GatewayObservation) -> &[Session] {
    gateway.table.current().map(|table| &table.sessions[..]).unwrap_or_default()
}

fn match_of<'p>(rules: &Rules, process: &'p Process) -> Option<Option<&'p str>> {
    let argv = process.argv.as_deref()?;
    Some(rules.worker_match.as_ref()?.matches(argv)?.key)
}
