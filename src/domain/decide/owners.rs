//! Who owns each worker process, answered once, before anything else is judged: from all tables, the processes and memory together.
//!
//! The first question that holds answers. Not knowing is an answer of its own, and it keeps.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::named::by_pid;
use super::position::Position;
use super::world::{Gateway, RowId, Standing, World};
use super::{doubts, lineage, unowned};
use crate::domain::ids::Pid;
use crate::domain::orphan::OrphanKind;
use crate::domain::policy::Workers;
use crate::domain::process::Process;
use crate::domain::verdict::{Keep, Protection};

/// The owner of a worker process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// These sessions: kept while any of them is kept. More than one: which one's it is can't be told.
    Sessions(Rows),
    /// It is of the tree of another worker without an owner, and is judged with that.
    Tree,
    /// It has none, and is this kind of orphan.
    Nobody(OrphanKind),
    /// Not known.
    Doubt(Keep),
}

impl From<Result<OrphanKind, Keep>> for Owner {
    fn from(unowned: Result<OrphanKind, Keep>) -> Self {
        match unowned {
            Ok(kind) => Self::Nobody(kind),
            Err(doubt) => Self::Doubt(doubt),
        }
    }
}

/// Rows that own a process, hardly ever more than one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rows {
    One(RowId),
    More(Vec<RowId>),
}

impl Rows {
    /// `None`: there are none.
    pub(super) fn of(mut rows: impl Iterator<Item = RowId>) -> Option<Self> {
        let first = rows.next()?;
        Some(match rows.next() {
            None => Self::One(first),
            Some(second) => Self::More([first, second].into_iter().chain(rows).collect()),
        })
    }

    /// These and those, in the order of the configuration and the table.
    fn and(self, others: &[RowId]) -> Self {
        let mut all = others.to_vec();
        all.extend(self.as_slice());
        all.sort_unstable();
        all.dedup();
        Self::of(all.into_iter()).unwrap_or(self)
    }

    pub(super) fn as_slice(&self) -> &[RowId] {
        match self {
            Self::One(row) => std::slice::from_ref(row),
            Self::More(rows) => rows,
        }
    }
}

/// The owners of all processes that are workers or are named as such.
pub(super) struct Owners<'a> {
    by_pid: BTreeMap<Pid, Owner>,
    /// Where each worker stands.
    positions: HashMap<Pid, Position>,
    /// The workers that each gateway tells of, in the order of the configuration.
    told_by: Vec<Vec<&'a Process>>,
    /// The processes of each session, by row and PID.
    of_row: Vec<(RowId, &'a Process)>,
    /// What was another session's worker than the one that it is below, and doesn't look like one any more; by PID, each with the gateway that
    /// remembers it.
    changed: Vec<(usize, &'a Process)>,
    /// For each process what stands below it: a gateway, a worker of some session, or one that may be of any; at most three that differ.
    below: HashMap<Pid, Vec<(Whose, Pid)>>,
}

/// What stands below a process.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Whose {
    Gateway,
    Sessions(Rows),
    /// Not known.
    Any,
}

impl<'a> Owners<'a> {
    pub(super) fn new(world: &World<'a>) -> Self {
        let workers = world.gateways.iter().flat_map(Gateway::workers);
        let named = world.named().filter(|pid| world.alive(*pid).is_some());
        let marked = world.marked().filter(|pid| world.alive(*pid).is_some());
        let pids: BTreeSet<Pid> = workers.chain(named).chain(marked).collect();
        let processes: Vec<&Process> = pids.iter().filter_map(|pid| world.alive(*pid)).collect();
        let position = |process: &&Process| (process.identity.pid, world.position(process));
        let positions: HashMap<Pid, Position> = processes.iter().map(position).collect();
        let mut by_pid = BTreeMap::new();
        let mut told_by = vec![Vec::new(); world.gateways.len()];
        for process in processes {
            let pid = process.identity.pid;
            let owner = answer(world, &positions, &mut by_pid, pid);
            if let Some(position) = positions.get(&pid)
                && let Some(gateway) = teller(world, process, position, &owner)
            {
                told_by[gateway].push(process);
            }
        }
        let mut of_row = Vec::with_capacity(by_pid.len());
        for (pid, owner) in &by_pid {
            let (Owner::Sessions(rows), Some(process)) = (owner, world.alive(*pid)) else { continue };
            of_row.extend(rows.as_slice().iter().map(|row| (*row, process)));
        }
        of_row.sort_by_key(|(row, process)| (*row, process.identity.pid));
        let mut owners =
            Self { by_pid, positions, told_by, of_row, changed: Vec::new(), below: HashMap::new() };
        let changed = world.changed.iter().map(|changed| (changed.gateway, changed.process));
        owners.changed =
            changed.filter(|(_, process)| owners.is_no_helper_of_its_session(world, process)).collect();
        owners.below = below(world, &owners);
        owners
    }

    /// The owner of this process; `None`: it is no worker.
    pub(super) fn of(&self, pid: Pid) -> Option<&Owner> {
        self.by_pid.get(&pid)
    }

    /// What sessions own, and whose it is.
    pub(super) fn of_sessions(&self) -> impl Iterator<Item = (Pid, &[RowId])> {
        self.by_pid.iter().filter_map(|(pid, owner)| match owner {
            Owner::Sessions(rows) => Some((*pid, rows.as_slice())),
            Owner::Tree | Owner::Nobody(_) | Owner::Doubt(_) => None,
        })
    }

    /// Everything that is a worker or is named as one.
    pub(super) fn pids(&self) -> impl Iterator<Item = Pid> {
        self.by_pid.keys().copied()
    }

    /// Where this worker stands.
    pub(super) fn position_of(&self, pid: Pid) -> &Position {
        const NOWHERE: &Position = &Position::Unclear(String::new());
        self.positions.get(&pid).unwrap_or(NOWHERE)
    }

    /// The workers that this gateway tells of, owned or not, by PID.
    pub(super) fn told_by(&self, gateway: usize) -> &[&'a Process] {
        self.told_by.get(gateway).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether this worker is a session's only because it is, or was seen, below the worker of that. A copy of that elsewhere has helpers of its
    /// own.
    pub(super) fn is_helper(&self, world: &World<'_>, pid: Pid) -> bool {
        let (Some(Owner::Sessions(rows)), Some(process)) = (self.of(pid), world.alive(pid)) else {
            return false;
        };
        !rows.as_slice().iter().any(|row| is_claimed(world, *row, pid))
            && (lineage::is_nested(world, process) || world.family_of(process).is_some())
    }

    /// Whether this looks like a worker, and is no helper of another.
    pub(super) fn is_no_helper(&self, world: &World<'_>, pid: Pid) -> bool {
        world.matching(pid).next().is_some() && !self.is_helper(world, pid)
    }

    /// Whether this was the worker of a session and doesn't look like one any more (it became another user's, say), and is no helper of that
    /// session's worker, seen between its fork and its exec.
    pub(super) fn was_of_another(&self, pid: Pid) -> bool {
        self.changed.binary_search_by_key(&pid, |(_, process)| process.identity.pid).is_ok()
    }

    /// All such processes.
    pub(super) fn changed(&self) -> impl Iterator<Item = &'a Process> {
        self.changed.iter().map(|(_, process)| *process)
    }

    /// Those of them that this gateway remembers.
    pub(super) fn changed_of(&self, gateway: usize) -> impl Iterator<Item = &'a Process> {
        let of = self.changed.iter().filter(move |(by, _)| *by == gateway);
        of.map(|(_, process)| *process)
    }

    /// Whether a session had this as its worker, and the worker that it is below isn't that session's.
    fn is_no_helper_of_its_session(&self, world: &World<'_>, process: &Process) -> bool {
        let Some(had) = world.session_that_had(process.identity) else { return false };
        let mut above = world.ancestors_below_gateway(process).filter(|above| !above.zombie);
        let above = above.find(|above| self.is_no_helper(world, above.identity.pid));
        let is_its = |above: &Process| match self.of(above.identity.pid) {
            Some(Owner::Sessions(rows)) => {
                rows.as_slice().iter().any(|row| world.name_of(*row) == had.name())
            }
            _ => false,
        };
        !above.is_some_and(is_its)
    }

    /// The processes of a session, by PID.
    pub(super) fn processes_of(&self, row: RowId) -> impl Iterator<Item = &'a Process> {
        let begin = self.of_row.partition_point(|(other, _)| *other < row);
        self.of_row[begin..].iter().take_while(move |(other, _)| *other == row).map(|(_, process)| *process)
    }

    /// A gateway, or a worker that is or may be another owner's, is somewhere below this process: a tree with one in it is never ended.
    pub(super) fn foreign_below(&self, pid: Pid) -> Option<Protection> {
        if let Some(other) = self.listed_below(pid) {
            return Some(Protection::Above { pid, other });
        }
        // What is below one in doubt is in doubt with it.
        let mut below = match self.of(pid) {
            Some(Owner::Doubt(_)) => return None,
            _ => self.below.get(&pid)?.iter(),
        };
        let (_, other) = below.find(|(whose, _)| *whose == Whose::Any)?;
        Some(Protection::AboveUnknown { pid, other: *other })
    }

    /// A gateway, or a worker of another owner that is known, somewhere below this process.
    pub(super) fn listed_below(&self, pid: Pid) -> Option<Pid> {
        let own = match self.of(pid) {
            Some(Owner::Sessions(rows)) => Some(rows),
            _ => None,
        };
        let is_foreign = |whose: &Whose| match whose {
            Whose::Gateway => true,
            Whose::Sessions(rows) => Some(rows) != own,
            Whose::Any => false,
        };
        self.below.get(&pid)?.iter().find(|(whose, _)| is_foreign(whose)).map(|(_, pid)| *pid)
    }
}

/// The gateway that tells of a worker, and remembers it: the one whose session it is, else the one that it is below, else the one that
/// remembers it, else the first whose pattern takes it.
fn teller(world: &World<'_>, process: &Process, position: &Position, owner: &Owner) -> Option<usize> {
    let pid = process.identity.pid;
    let takes = |index: &usize| world.gateways[*index].takes(pid);
    let remembers = || {
        let (name, _) = world.known.get(&process.identity)?;
        world.matching(pid).find(|index| world.gateways[*index].seen.name == **name)
    };
    let first = match owner {
        Owner::Sessions(rows) => rows.as_slice().first().map(|row| row.gateway).filter(takes),
        // As long as it isn't known whose it is, the one that had it in its table isn't forgotten.
        Owner::Doubt(_) => remembers(),
        Owner::Tree | Owner::Nobody(_) => None,
    };
    let above = || position.gateway().filter(takes);
    first.or_else(above).or_else(remembers).or_else(|| world.matching(pid).next())
}

pub(super) type Positions = HashMap<Pid, Position>;

pub(super) fn answer(world: &World<'_>, at: &Positions, known: &mut BTreeMap<Pid, Owner>, pid: Pid) -> Owner {
    if let Some(owner) = known.get(&pid) {
        return owner.clone();
    }
    // A ring of parents in a view that is no snapshot would come back here.
    known
        .insert(pid, Owner::Doubt(Keep::UnknownState("its ancestors changed while it was looked at".into())));
    let owner = match world.alive(pid) {
        Some(process) => owner_of(world, at, known, process),
        None => Owner::Tree,
    };
    known.insert(pid, owner.clone());
    owner
}

/// The questions of the interface, in its order.
fn owner_of(world: &World<'_>, at: &Positions, known: &mut BTreeMap<Pid, Owner>, process: &Process) -> Owner {
    let pid = process.identity.pid;
    let position = || at.get(&pid).cloned().unwrap_or_else(|| world.position(process));
    if let Some(named) = Rows::of(world.rows_naming(pid).iter().copied()) {
        return Owner::Sessions(named);
    }
    match by_key(world, process) {
        ByKey::Owned(rows) => return Owner::Sessions(rows),
        ByKey::Superseded => {
            let position = position();
            if let Some(doubt) = doubts::distrust(world, process, &position) {
                return Owner::Doubt(doubt);
            }
            return match unowned::nobody(world, process, position, OrphanKind::SupersededWorker) {
                // What an operator forbids to end doesn't go with what it is below.
                Ok(kind) => {
                    match world.by_hand.forbids(world, process).filter(|_| lineage::is_nested(world, process))
                    {
                        Some(forbidden) => Owner::Doubt(forbidden),
                        None => Owner::Nobody(kind),
                    }
                }
                Err(doubt) => lineage::by_ancestor(world, at, known, process).unwrap_or(Owner::Doubt(doubt)),
            };
        }
        ByKey::None => {}
    }
    if let Some(marked) = Rows::of(world.rows_marked(pid).iter().copied()) {
        let had: Vec<RowId> = world.row_that_had(process).into_iter().collect();
        let below = lineage::rows_of_what_it_is_below(world, at, known, process);
        return Owner::Sessions(marked.and(&had).and(&below));
    }
    if let Some(owner) = lineage::by_ancestor(world, at, known, process) {
        return owner;
    }
    if let Some(copied) = Rows::of(world.rows_of_copied(process).into_iter()) {
        return Owner::Sessions(copied);
    }
    if let Some(left) = Rows::of(world.rows_of_gone_shell(process).iter().copied()) {
        return Owner::Sessions(left);
    }
    if process.namespace.is_none() && world.view().own_namespace.is_some() {
        return Owner::Doubt(Keep::UnknownState("its PID namespace can't be read".into()));
    }
    let position = position();
    if let Some(gateway) = world.gateway_marked(process)
        && position.gateway() != Some(gateway)
    {
        let name = &world.gateways[gateway].seen.name;
        return Owner::Doubt(Keep::UnknownState(
            format!("its mark names gateway {name}, which is there: only a table can say whose it is").into(),
        ));
    }
    let is_any =
        |kind: Workers| world.matching(pid).any(|gateway| world.gateways[gateway].rules.workers == kind);
    if !is_any(Workers::Matching) {
        return if is_any(Workers::Leftovers) && !is_any(Workers::LeadersOfGone) {
            unowned::leftover(world, process, &position).into()
        } else {
            unowned::left_behind(world, process, position).into()
        };
    }
    match doubts::of_any(world, process, &position) {
        Some(doubt) => Owner::Doubt(doubt),
        None => unowned::nobody(world, process, position, OrphanKind::OwnerlessWorker).into(),
    }
}

enum ByKey {
    Owned(Rows),
    Superseded,
    None,
}

/// The rows whose key this worker carries, of all current tables, whatever its parent is and however old it is. A worker that is older than
/// the one that its row names is superseded by that; a younger one is a copy of it.
fn by_key(world: &World<'_>, process: &Process) -> ByKey {
    let pid = process.identity.pid;
    let mut is_superseded = false;
    let owners = Rows::of(world.rows_with_key_of(pid).filter(|row| {
        let supersedes = supersedes(world, *row, process);
        is_superseded |= supersedes;
        !supersedes
    }));
    if owners.is_none() && !is_superseded {
        return ByKey::None;
    }
    // It may as well be a copy of the worker of another row, whose conversation has another key by now.
    let mut copied = world.rows_of_copied(process);
    // Or it was another session's before, whose conversation has another key by now.
    copied.extend(world.row_that_had(process));
    // Or its own mark names another session, which has another key by now.
    let is_other = |row: &&RowId| !world.rows_with_key_of(pid).any(|it| it == **row);
    let marked: Vec<RowId> = world.rows_marked(pid).iter().filter(is_other).copied().collect();
    match owners {
        Some(owners) => ByKey::Owned(owners.and(&copied).and(&marked)),
        None => Rows::of(copied.into_iter().chain(marked)).map_or(ByKey::Superseded, ByKey::Owned),
    }
}

/// Whether the worker that this row names is there, can be trusted to be the row's, and is younger than this one, which carries the same key.
fn supersedes(world: &World<'_>, row: RowId, process: &Process) -> bool {
    let Some(named) = world.session(row).named_worker() else { return false };
    let named = by_pid(world, row, named).ok().flatten();
    named.is_some_and(|named| named.identity.start_ticks > process.identity.start_ticks)
}

/// Whose a worker is that doesn't look like one any more, or may be; `None`: nobody's, or that of what it is below.
fn whose_changed(world: &World<'_>, changed: &Process) -> Option<Whose> {
    let had = world.session_that_had(changed.identity)?;
    let index = world.gateways.iter().position(|gateway| gateway.seen.name == *had.gateway);
    match index.filter(|index| world.gateways[*index].standing == Standing::Current) {
        Some(gateway) => {
            let row = world.gateways[gateway].row_of(had.id)?;
            Some(Whose::Sessions(Rows::One(RowId { gateway, row })))
        }
        None => Some(Whose::Any),
    }
}

/// What stands below each process: gateways, workers of sessions, and what may be one.
fn below(world: &World<'_>, owners: &Owners<'_>) -> HashMap<Pid, Vec<(Whose, Pid)>> {
    let gateways = world.gateway_pids().map(|pid| (Whose::Gateway, pid));
    let changed =
        owners.changed().filter_map(|changed| Some((whose_changed(world, changed)?, changed.identity.pid)));
    let sessions = owners.by_pid.iter().filter_map(|(pid, owner)| match owner {
        Owner::Sessions(rows) => Some((Whose::Sessions(rows.clone()), *pid)),
        Owner::Doubt(_) => Some((Whose::Any, *pid)),
        Owner::Tree | Owner::Nobody(_) => None,
    });
    let mut below: HashMap<Pid, Vec<(Whose, Pid)>> = HashMap::new();
    for (whose, pid) in gateways.chain(changed).chain(sessions) {
        let Some(process) = world.alive(pid) else { continue };
        for ancestor in world.ancestors(process) {
            let found = below.entry(ancestor.identity.pid).or_default();
            // Further up, this one or three others have been everywhere.
            if found.len() > 2 || found.iter().any(|(known, _)| *known == whose) {
                break;
            }
            found.push((whose.clone(), pid));
        }
    }
    below
}

/// Whether a row says itself that this process is its session's: by its PID, its key or its mark.
pub(super) fn is_claimed(world: &World<'_>, row: RowId, pid: Pid) -> bool {
    let (gateway, session) = (&world.gateways[row.gateway], world.session(row));
    let key = gateway.key_of(pid);
    session.named_worker() == Some(pid)
        || (key.is_some() && key == session.worker_key())
        || world.rows_marked(pid).contains(&row)
}
