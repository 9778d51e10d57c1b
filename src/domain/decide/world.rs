//! What a decision knows of the world: gateways, their rows and all processes, indexed once so that deciding stays linear.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::by_hand::ByHand;
use super::gateway::may_be_gateways;
pub(super) use super::gateway::{Gateway, Standing};
use crate::domain::ids::{GatewayName, Pid, SessionId};
use crate::domain::ledger::{FamilyMemory, GatewayMemory, Ledger, WorkerMemory};
use crate::domain::observation::{GatewayObservation, Observation};
use crate::domain::policy::{Rules, Workers};
use crate::domain::process::{Mark, Process, ProcessIdentity, ProcessView};
use crate::domain::table::{Session, Told};
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
    /// The workers that were seen below another one, each with the gateway that tells of that one's family.
    helpers: HashMap<ProcessIdentity, (usize, &'a FamilyMemory)>,
    /// What was a worker and doesn't look like one any more, by PID.
    pub(super) changed: Vec<Changed<'a>>,
    /// What an operator forbids.
    pub(super) by_hand: ByHand<'a>,
}

/// What was a worker and doesn't look like one any more: it executed something else, wrote over its argv, or became another user's.
pub(super) struct Changed<'a> {
    /// The gateway that remembers it.
    pub(super) gateway: usize,
    pub(super) memory: &'a WorkerMemory,
    pub(super) process: &'a Process,
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
        let wrapped = wrapped(seen, &gateways, &named);
        let named_keys = named_keys(seen, &gateways, &named, &wrapped);
        let named_argvs = named_argvs(seen, &gateways, &named);
        let rows_without_worker = vec![None; gateways.len()];
        let marked = marked(seen, &gateways);
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
        let rows = 0..world.gateways.len();
        world.rows_without_worker = rows.map(|index| world.find_row_without_worker(index)).collect();
        world.helpers = helpers(&world);
        world
    }

    fn find_changed(&self) -> Vec<Changed<'a>> {
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
    pub(super) fn is_changed(&self, process: &Process) -> bool {
        let pid = process.identity.pid;
        self.changed.binary_search_by_key(&pid, |changed| changed.process.identity.pid).is_ok()
    }

    /// What this gateway remembers as a worker, and doesn't look like one any more.
    pub(super) fn changed_of(&self, gateway: usize) -> impl Iterator<Item = &Changed<'a>> {
        self.changed.iter().filter(move |changed| changed.gateway == gateway)
    }

    /// The remembered workers that the session of this row had.
    pub(super) fn had_by(&self, row: RowId) -> &[ProcessIdentity] {
        self.had.get(&self.name_of(row)).map(Vec::as_slice).unwrap_or_default()
    }

    fn find_marked_rows(&self) -> BTreeSet<RowId> {
        let marked = self.marked.iter().flat_map(|(pid, rows)| rows.iter().map(move |row| (*pid, *row)));
        let of_workers = marked.filter(|(pid, row)| {
            let is_below_another = |worker| self.is_below_another(row.gateway, worker);
            self.gateways[row.gateway].takes(*pid) && !self.alive(*pid).is_some_and(is_below_another)
        });
        of_workers.map(|(_, row)| row).collect()
    }

    /// How many workers that may be of this gateway's rows carry each key.
    fn carried(&self, gateway: usize) -> HashMap<&'a str, usize> {
        let mut carried = HashMap::new();
        for (pid, key) in &self.gateways[gateway].workers {
            let Some((process, key)) = self.alive(*pid).zip(*key) else { continue };
            if self.may_be_of_rows(gateway, process) {
                *carried.entry(key).or_default() += 1;
            }
        }
        carried
    }

    /// Whether a row of this gateway may have this worker without naming it. What a row names is that row's, whatever key it carries.
    pub(super) fn may_be_of_rows(&self, gateway: usize, worker: &Process) -> bool {
        self.rows_naming(worker.identity.pid).is_empty() && !self.is_below_another(gateway, worker)
    }

    /// Whether the gateway that this worker is below, or was when that was last to be seen, is another one than this.
    fn is_below_another(&self, gateway: usize, worker: &Process) -> bool {
        let own = &self.gateways[gateway];
        if self.gateways.len() == 1 || own.may_be_any_process() {
            return false;
        }
        let Some(below) = self.below(worker, &self.position(worker)) else { return false };
        let is_its = |it: &Gateway<'_>| [it.process, it.lost].contains(&Some(below));
        !is_its(own) && self.gateways.iter().any(is_its)
    }

    /// The rows of all current tables whose key this worker carries.
    pub(super) fn rows_with_key_of(&self, pid: Pid) -> impl Iterator<Item = RowId> {
        self.matching(pid).flat_map(move |gateway| {
            let of = &self.gateways[gateway];
            let rows = of.key_of(pid).map(|key| of.rows_with(key)).unwrap_or_default();
            rows.iter().map(move |row| RowId { gateway, row: *row })
        })
    }

    /// The processes of all gateways, as far as they are known, and what listens at their addresses.
    pub(super) fn gateway_pids(&self) -> impl Iterator<Item = Pid> {
        let processes = self.gateways.iter().filter_map(|gateway| Some(gateway.process?.pid));
        processes.chain(self.view().serving.iter().copied())
    }

    /// The first row of this gateway of which nothing tells which worker it has: it neither names one that can be it, nor says that it has
    /// none, nor is one found by its key.
    pub(super) fn row_without_worker(&self, gateway: usize) -> Option<&'a Session> {
        self.rows_without_worker.get(gateway).copied().flatten()
    }

    fn find_row_without_worker(&self, index: usize) -> Option<&'a Session> {
        let rows = (0..self.gateways[index].rows.len()).map(|row| RowId { gateway: index, row });
        rows.into_iter().find(|row| self.lacks_worker(*row)).map(|row| self.session(row))
    }

    /// Whether nothing tells which worker this row has.
    pub(super) fn lacks_worker(&self, row: RowId) -> bool {
        let (gateway, session) = (&self.gateways[row.gateway], self.session(row));
        let found = |key: Option<&str>| key.is_some_and(|key| gateway.carried.contains_key(key));
        // A worker that bears its mark is its own, whatever its argv says.
        match (&session.worker, session.worker_key()) {
            (Told::Absent, _) if self.marked_rows.contains(&row) => false,
            // Where two rows name one worker, it says itself whose it is.
            (Told::Known(Some(pid)), key) if key.is_some() && gateway.key_of(*pid) == key => false,
            (Told::Known(Some(pid)), key) => !found(key) && self.is_wrongly_named(gateway, *pid),
            (Told::Known(None), _) => false,
            (Told::NotUnderstood(_), _) | (Told::Absent, None) => true,
            (Told::Absent, Some(key)) => {
                let found = gateway.carried.get(key).copied().unwrap_or_default();
                // Two sessions with one key and one worker: whose it is leaves the other without.
                let unnamed = |row: &&usize| gateway.rows[**row].worker == Told::Absent;
                found < gateway.rows_with(key).iter().filter(unnamed).count()
            }
        }
    }

    /// Whether this process can't be the worker of the one row of this gateway that names it: it is no worker and none is its child, it was one
    /// itself and doesn't look like it any more, or another row names it too. One that is gone says only that its worker ended, and one that became another user's hides its argv.
    fn is_wrongly_named(&self, gateway: &Gateway<'a>, pid: Pid) -> bool {
        let Some(process) = self.alive(pid) else { return false };
        let is_its_child = |child: &Pid| self.alive(*child).is_some_and(|child| child.parent == Some(pid));
        let is_shell = || !self.is_changed(process) && gateway.workers.keys().any(is_its_child);
        let is_worker = || gateway.takes(pid) || is_shell();
        let is_ours = process.uid == gateway.rules.worker_uid;
        let is_never = gateway.limits.protects_pid(pid).is_some();
        self.rows_naming(pid).len() > 1 || is_never || (is_ours && !is_worker())
    }

    /// The rows that name a worker of which this process is a copy: it carries the same key and is no older. What key the row itself says
    /// doesn't matter: a conversation may get another one while its worker's argv stays.
    pub(super) fn rows_of_copied(&self, process: &Process) -> Vec<RowId> {
        let keys = self.matching(process.identity.pid);
        let keys = keys.filter_map(|gateway| self.gateways[gateway].key_of(process.identity.pid));
        let rows: BTreeSet<RowId> = keys
            .flat_map(|key| self.named_keys.get(key).into_iter().flatten())
            .filter(|(_, started)| *started <= process.identity.start_ticks)
            .map(|(row, _)| *row)
            .collect();
        rows.into_iter().collect()
    }

    /// A row whose worker this one may be a copy of, though no key says so: that one has the same argv and is no younger.
    pub(super) fn row_of_look_alike(&self, process: &Process) -> Option<&'a Session> {
        let pid = process.identity.pid;
        let (started, row) = self.named_argvs.get(process.argv.as_deref()?)?;
        let has_no_key = self.matching(pid).any(|gateway| self.gateways[gateway].key_of(pid).is_none());
        (has_no_key && *started <= process.identity.start_ticks).then(|| self.session(*row))
    }

    /// The families that are remembered, each with the gateway that tells of it.
    pub(super) fn remembered_families(&self) -> impl Iterator<Item = (usize, &'a FamilyMemory)> {
        let memories = self.gateways.iter().enumerate().filter_map(|(index, it)| Some((index, it.memory?)));
        memories.flat_map(|(index, it)| it.families.iter().map(move |family| (index, family)))
    }

    /// The family that this worker was seen in, as the helper of another worker, and the gateway that tells of it.
    pub(super) fn family_of(&self, process: &Process) -> Option<(usize, &'a FamilyMemory)> {
        self.helpers.get(&process.identity).copied()
    }

    /// The one worker that runs in this shell, which a row names.
    pub(super) fn only_wrapped(&self, shell: Pid) -> Option<&'a Process> {
        match self.wrapped.get(&shell).map(Vec::as_slice) {
            Some([worker]) => Some(worker),
            _ => None,
        }
    }

    /// What a row names and this worker is below; or was, where that is gone and the row names it still.
    pub(super) fn shell_of(&self, process: &Process) -> Option<ProcessIdentity> {
        let is_named = |above: &&Process| !self.rows_naming(above.identity.pid).is_empty();
        let now = self.ancestors_below_gateway(process).find(is_named).map(|above| above.identity);
        now.or_else(|| {
            let (_, known) = self.known.get(&process.identity)?;
            let is_left = |shell: &ProcessIdentity| {
                self.view().get(shell.pid).is_none() && !self.rows_naming(shell.pid).is_empty()
            };
            known.shell.filter(is_left)
        })
    }

    /// The rows that name the shell which this worker ran in, and which is gone.
    pub(super) fn rows_of_gone_shell(&self, process: &Process) -> &[RowId] {
        let shell = self.shell_of(process).filter(|shell| self.view().get(shell.pid).is_none());
        shell.map(|shell| self.rows_naming(shell.pid)).unwrap_or_default()
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

/// The workers below each process that a row names and that was started to run such a worker and nothing else.
fn wrapped<'a>(
    seen: &'a Observation,
    gateways: &[Gateway<'a>],
    named: &HashMap<Pid, Vec<RowId>>,
) -> HashMap<Pid, Vec<&'a Process>> {
    let mut wrapped: HashMap<Pid, Vec<&Process>> = HashMap::new();
    let pids: BTreeSet<Pid> = gateways.iter().flat_map(Gateway::workers).collect();
    for process in pids.into_iter().filter_map(|pid| seen.processes.get(pid)) {
        let Some(shell) = process.parent.filter(|parent| named.contains_key(parent)) else { continue };
        if seen.processes.get(shell).is_some_and(|shell| shell.is_wrapper_of(process)) {
            wrapped.entry(shell).or_default().push(process);
        }
    }
    wrapped
}

/// For each key the rows that name a worker which carries it, or the shell around that, each with the start of that worker.
fn named_keys<'a>(
    seen: &'a Observation,
    gateways: &[Gateway<'a>],
    named: &HashMap<Pid, Vec<RowId>>,
    wrapped: &HashMap<Pid, Vec<&'a Process>>,
) -> HashMap<&'a str, Vec<(RowId, u64)>> {
    let mut keys: HashMap<&str, Vec<(RowId, u64)>> = HashMap::new();
    for (pid, rows) in named {
        let workers =
            seen.processes.get(*pid).into_iter().chain(wrapped.get(pid).into_iter().flatten().copied());
        for process in workers {
            let carried = gateways.iter().filter_map(|gateway| gateway.key_of(process.identity.pid));
            for key in carried {
                let started = process.identity.start_ticks;
                keys.entry(key).or_default().extend(rows.iter().map(|row| (*row, started)));
            }
        }
    }
    keys
}

/// For each argv the oldest worker that carries no key and is, or is below, what a row names: when it started, and that row.
fn named_argvs<'a>(
    seen: &'a Observation,
    gateways: &[Gateway<'a>],
    named: &HashMap<Pid, Vec<RowId>>,
) -> HashMap<&'a str, (u64, RowId)> {
    let mut argvs: HashMap<&str, (u64, RowId)> = HashMap::new();
    let is_gateway = |pid: Pid| gateways.iter().any(|it| it.process.is_some_and(|it| it.pid == pid));
    let keyless = gateways.iter().flat_map(|gateway| gateway.workers.iter().filter(|(_, key)| key.is_none()));
    for process in keyless.filter_map(|(pid, _)| seen.processes.get(*pid)) {
        let above = seen.processes.ancestors(process).take_while(|above| !is_gateway(above.identity.pid));
        let mut line = std::iter::once(process).chain(above);
        let row = line.find_map(|process| named.get(&process.identity.pid)?.first());
        if let (Some(row), Some(argv)) = (row, process.argv.as_deref()) {
            let started = process.identity.start_ticks;
            let oldest = argvs.entry(argv).or_insert((started, *row));
            *oldest = (*oldest).min((started, *row));
        }
    }
    argvs
}

/// The rows whose session the marks of each living process name, by key or by id.
fn marked(seen: &Observation, gateways: &[Gateway<'_>]) -> HashMap<Pid, Vec<RowId>> {
    let mut marked: HashMap<Pid, Vec<RowId>> = HashMap::new();
    if seen.processes.marks.is_empty() {
        return marked;
    }
    for (gateway, it) in gateways.iter().enumerate().filter(|(_, it)| !it.is_elsewhere) {
        let named =
            seen.processes.marks.iter().flat_map(|(pid, marks)| marks.iter().map(move |mark| (*pid, mark)));
        for (pid, mark) in named {
            let Mark::Session { gateway: name, key } = mark else { continue };
            if it.seen.name != *name || seen.processes.get(pid).is_none_or(|process| process.zombie) {
                continue;
            }
            let by_id = || it.rows.iter().position(|row| row.id.as_str() == &**key);
            let rows = it.rows_with(key);
            let rows = if rows.is_empty() { by_id().into_iter().collect() } else { rows.to_vec() };
            marked.entry(pid).or_default().extend(rows.into_iter().map(|row| RowId { gateway, row }));
        }
    }
    marked.retain(|_, rows| !rows.is_empty());
    marked
}

fn helpers<'a>(world: &World<'a>) -> HashMap<ProcessIdentity, (usize, &'a FamilyMemory)> {
    let members = world
        .remembered_families()
        .flat_map(|known| known.1.members.iter().map(move |member| (*member, known)));
    members.filter(|(member, _)| world.matching(member.pid).next().is_some()).collect()
}
