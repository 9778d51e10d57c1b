//! What a decision knows of one gateway: its process, what its table is worth, its rows and what it takes for its workers.

use std::collections::{BTreeSet, HashMap};

use crate::domain::ids::{GatewayName, Pid, SessionId};
use crate::domain::ledger::{GatewayMemory, GatewayRun};
use crate::domain::observation::{GatewayObservation, Observation};
use crate::domain::policy::{Rules, Workers};
use crate::domain::process::{PidNamespace, Process, ProcessIdentity, ProcessView};
use crate::domain::table::{Answer, Session, TableView, Told};
use crate::domain::warrant::Limits;

/// Why a table's word on processes isn't taken.
pub(super) const SHARES_PROCESS: &str = "another gateway of the configuration has the same process";

/// What a gateway's table is worth in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing<'a> {
    /// It is current.
    Current,
    /// There is none, and the gateway may be there.
    NotTrusted(&'a str),
    /// There is none, and no run of the gateway is there that could know of its sessions.
    Gone,
}

/// One gateway of the configuration.
pub(super) struct Gateway<'a> {
    pub(super) seen: &'a GatewayObservation,
    pub(super) rules: &'a Rules,
    pub(super) memory: Option<&'a GatewayMemory>,
    /// Its process, if what was found can be one.
    pub(super) process: Option<ProcessIdentity>,
    /// Where none is known in this run: the remembered one, if that very process is still there.
    pub(super) lost: Option<ProcessIdentity>,
    /// Others that it had before and that aren't known to be gone.
    pub(super) former: Vec<ProcessIdentity>,
    pub(super) standing: Standing<'a>,
    /// The rows of its current table.
    pub(super) rows: &'a [Session],
    /// Why nothing that its table says of processes can be trusted.
    pub(super) contradiction: Option<String>,
    /// It is known to run in another PID namespace than the reaper: the PIDs of its table name no process here.
    pub(super) is_elsewhere: bool,
    /// Another gateway of the configuration has the same process.
    pub(super) shares_process: bool,
    pub(super) limits: Limits,
    /// Every process that its `worker.match` takes for a worker, with the key that argv says. Patterns are slow: each argv is tried once.
    pub(super) workers: HashMap<Pid, Option<&'a str>>,
    /// The rows with this key.
    by_key: HashMap<&'a str, Vec<usize>>,
    /// How many workers that may be of its rows, and that no row names, carry this key.
    pub(super) carried: HashMap<&'a str, usize>,
}

impl<'a> Gateway<'a> {
    pub(super) fn new(
        seen: &'a Observation,
        gateway: &'a GatewayObservation,
        rules: &'a Rules,
        memory: Option<&'a GatewayMemory>,
        limits: Limits,
    ) -> Self {
        let view = &seen.processes;
        let process = process_of(gateway, view);
        let lost = lost(gateway, view, memory);
        let is_there = process.is_some() || lost.is_some();
        let standing = match &gateway.table {
            TableView::Current(_) => Standing::Current,
            TableView::Not(missing) if missing.answer == Answer::NothingListens && !is_there => {
                Standing::Gone
            }
            TableView::Not(missing) => Standing::NotTrusted(&missing.why),
        };
        let rows = gateway.table.current().map(|table| &table.sessions[..]).unwrap_or_default();
        let mut by_key: HashMap<&str, Vec<usize>> = HashMap::new();
        for (row, session) in rows.iter().enumerate() {
            if let Some(key) = session.worker_key() {
                by_key.entry(key).or_default().push(row);
            }
        }
        let workers = workers(view, rules, process);
        let twin =
            |other: &GatewayObservation| other.name != gateway.name && other.process == gateway.process;
        Self {
            seen: gateway,
            rules,
            memory,
            process,
            lost,
            former: former(gateway, view, memory),
            standing,
            rows,
            contradiction: contradiction(gateway, process, view),
            is_elsewhere: process.is_some_and(|process| view.is_elsewhere(process)),
            shares_process: gateway.process.is_some() && seen.gateways.iter().any(twin),
            limits,
            workers,
            by_key,
            carried: HashMap::new(),
        }
    }

    /// Whether it is there, and nothing tells which process it has: it may be any, also that of another gateway of the configuration.
    pub(super) fn may_be_any_process(&self) -> bool {
        self.standing != Standing::Gone && self.process.is_none() && self.lost.is_none()
    }

    /// Whether its `worker.match` takes this process for a worker.
    pub(super) fn takes(&self, pid: Pid) -> bool {
        self.workers.contains_key(&pid)
    }

    /// Every process that it takes for a worker.
    pub(super) fn workers(&self) -> impl Iterator<Item = Pid> {
        self.workers.keys().copied()
    }

    /// The key that this worker's argv says.
    pub(super) fn key_of(&self, pid: Pid) -> Option<&'a str> {
        self.workers.get(&pid).copied().flatten()
    }

    /// Whether these two workers carry the same key: one is a copy of the other.
    pub(super) fn are_copies(&self, one: Pid, other: Pid) -> bool {
        let key = self.key_of(one);
        key.is_some() && key == self.key_of(other)
    }

    /// Whether its table has a row of this session.
    pub(super) fn lists(&self, session: &SessionId) -> bool {
        self.row_of(session).is_some()
    }

    /// The row of this session.
    pub(super) fn row_of(&self, session: &SessionId) -> Option<usize> {
        self.rows.iter().position(|row| row.id == *session)
    }

    /// The rows with this key.
    pub(super) fn rows_with(&self, key: &str) -> &[usize] {
        self.by_key.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether the process is older than the gateway's, so that an earlier run started it.
    pub(super) fn is_older_than_its_process(&self, process: &Process) -> bool {
        self.process.is_some_and(|run| process.identity.start_ticks < run.start_ticks)
    }

    /// Whether what the table says of processes can be checked: its gateway's own is found, and is no other gateway's.
    pub(super) fn can_check(&self) -> bool {
        self.why_no_check().is_none()
    }

    /// Why what the table says of processes can't be checked.
    pub(super) fn why_no_check(&self) -> Option<&str> {
        match (self.process, &self.contradiction) {
            (None, _) => Some("its gateway's process isn't known"),
            (Some(_), Some(why)) => Some(why),
            (Some(_), None) => self.shares_process.then_some(SHARES_PROCESS),
        }
    }

    /// A row's worker or key is not understood: its worker may be any.
    pub(super) fn has_obscure_row(&self) -> bool {
        self.rows.iter().any(|session| match (&session.worker, &session.key) {
            (Told::NotUnderstood(_), _) | (Told::Absent, Told::NotUnderstood(_)) => true,
            (Told::Known(_) | Told::Absent, _) => false,
        })
    }

    /// Identity of the run of the gateway that wrote the table: its instance, else its process.
    pub(super) fn run(&self) -> Option<GatewayRun> {
        let instance = self.seen.table.current()?.instance.clone();
        instance.map(GatewayRun::Instance).or_else(|| self.process.map(GatewayRun::Process))
    }

    /// The run of the gateway that is remembered.
    pub(super) fn remembered_run(&self) -> Option<&'a GatewayRun> {
        self.memory.and_then(|memory| memory.run.as_ref())
    }

    /// It seemed to be gone at the last look, and has a table now. What looked like an orphan's since then may have been its own all the
    /// while; or it takes that back, and needs its time for it.
    pub(super) fn is_back(&self) -> bool {
        let is_another = self.remembered_run().zip(self.run()).is_some_and(|(before, now)| *before != now);
        self.standing == Standing::Current
            && self.memory.is_some_and(|memory| memory.gone)
            && (self.rules.takes_workers_back || !is_another)
    }

    /// Why the table isn't current.
    pub(super) fn distrust(&self) -> Option<&'a str> {
        self.seen.table.missing().map(|missing| &*missing.why)
    }
}

/// The living processes that look like workers and are in the gateway's PID namespace (the reaper's own, where no gateway is known), with
/// the key that each carries.
fn workers<'a>(
    view: &'a ProcessView,
    rules: &Rules,
    gateway: Option<ProcessIdentity>,
) -> HashMap<Pid, Option<&'a str>> {
    let Some(pattern) = &rules.worker_match else { return HashMap::new() };
    let here = |process: &&Process| !process.zombie && !is_apart(view, gateway, process);
    let key = |process: &'a Process| pattern.matches(process.argv.as_deref()?).map(|matched| matched.key);
    let matching = || view.processes.values().filter(here);
    let leads = |process: &Process| process.session == process.identity.pid.get();
    let leaders: BTreeSet<&str> = match rules.workers {
        Workers::Matching | Workers::Leftovers => BTreeSet::new(),
        Workers::LeadersOfGone => matching()
            .filter(|process| leads(process))
            .filter_map(|process| process.argv.as_deref())
            .collect(),
    };
    // What leads no session and is no fork of one that does merely names a worker.
    let is_worker = |process: &&Process| {
        rules.workers != Workers::LeadersOfGone
            || process.argv.as_deref().is_some_and(|argv| leaders.contains(argv))
    };
    matching().filter(is_worker).filter_map(|process| Some((process.identity.pid, key(process)?))).collect()
}

/// Whether this process is in another PID namespace than its gateway (than the reaper, where no gateway is known).
pub(super) fn is_apart(view: &ProcessView, gateway: Option<ProcessIdentity>, process: &Process) -> bool {
    let gateway = gateway.and_then(|gateway| view.get(gateway.pid));
    let namespace = gateway.and_then(|gateway| gateway.namespace).or(view.own_namespace);
    match process.namespace {
        None => false,
        Some(PidNamespace::SomeBelow) => true,
        known => known != namespace,
    }
}

/// Why nothing the table says of processes can be trusted: it may speak of others than the gateway's.
fn contradiction(
    gateway: &GatewayObservation,
    process: Option<ProcessIdentity>,
    view: &ProcessView,
) -> Option<String> {
    let said = gateway.table.current()?.gateway_pid;
    let found = process?;
    if view.is_elsewhere(found) {
        let what =
            "its gateway runs in another PID namespace, where the pids of its table mean other processes";
        return Some(what.into());
    }
    let said = said.filter(|said| *said != found.pid)?;
    Some(format!("it says that its gateway is process {said}, and [gateway.process] finds {}", found.pid))
}

/// A table may name any process as its gateway. Init is none, nor is the reaper, nor the dead.
fn process_of(gateway: &GatewayObservation, view: &ProcessView) -> Option<ProcessIdentity> {
    let process = view.alive(&gateway.process?)?;
    let pid = process.identity.pid;
    let is_init = pid == Pid::INIT && view.init_is_init;
    let is_reaper = view.own_line.first() == Some(&pid);
    (!is_init && !is_reaper && !process.kernel).then_some(process.identity)
}

/// The remembered process of a gateway that isn't known in this run. The very one: what else has that PID now may be anything.
fn lost(
    gateway: &GatewayObservation,
    view: &ProcessView,
    memory: Option<&GatewayMemory>,
) -> Option<ProcessIdentity> {
    let remembered = memory?.process.filter(|_| process_of(gateway, view).is_none())?;
    view.alive(&remembered).map(|process| process.identity)
}

/// So many are remembered: those that answer in turn are a handful.
const MOST_FORMER: usize = 64;

/// The processes that a gateway had before another one was found, as far as they may be there. One that is only not in view may be.
fn former(
    gateway: &GatewayObservation,
    view: &ProcessView,
    memory: Option<&GatewayMemory>,
) -> Vec<ProcessIdentity> {
    let process = process_of(gateway, view);
    let before = memory.and_then(|memory| memory.process).filter(|_| process.is_some());
    let may_be_there = |it: &ProcessIdentity| match view.get(it.pid) {
        Some(_) => view.alive(it).is_some(),
        None => !view.gone.contains(&it.pid),
    };
    let earlier = memory.into_iter().flat_map(|memory| memory.former.iter().copied());
    let had = before.into_iter().chain(earlier.filter(|it| Some(*it) != before));
    had.filter(|it| Some(*it) != process && may_be_there(it)).take(MOST_FORMER).collect()
}

/// Whatever anything says is a gateway's process: never signalled.
pub(super) fn may_be_gateways<'a>(
    seen: &Observation,
    memory: &dyn Fn(&GatewayName) -> Option<&'a GatewayMemory>,
) -> BTreeSet<Pid> {
    let pids = |gateway: &GatewayObservation| {
        let found = gateway.process.map(|process| process.pid);
        let said = gateway.table.current().and_then(|table| table.gateway_pid);
        let memory = memory(&gateway.name);
        let lost = lost(gateway, &seen.processes, memory).map(|process| process.pid);
        let former = former(gateway, &seen.processes, memory).into_iter().map(|process| process.pid);
        [found, said, lost].into_iter().flatten().chain(former).collect::<Vec<_>>()
    };
    seen.gateways.iter().flat_map(pids).chain(seen.processes.serving.iter().copied()).collect()
}
