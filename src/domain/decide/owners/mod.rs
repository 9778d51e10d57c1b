//! Who owns each worker process, answered once, before anything else is judged: from all tables, the processes and memory together.
//!
//! The first question that holds answers. Not knowing is an answer of its own, and it keeps.

mod answer;
mod below;
mod owner;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use self::answer::{Positions, answer, is_claimed};
use self::below::{Below, below};
pub(super) use self::owner::{Owner, Rows};
use super::lineage;
use super::position::Position;
use super::world::{Gateway, RowId, World};
use crate::domain::ids::Pid;
use crate::domain::process::Process;

/// The owners of all processes that are workers or are named as such.
pub(super) struct Owners<'a> {
    by_pid: BTreeMap<Pid, Owner>,
    /// Where each worker stands.
    positions: Positions,
    /// The workers that each gateway tells of, in the order of the configuration.
    told_by: Vec<Vec<&'a Process>>,
    /// The processes of each session, by row and PID.
    of_row: Vec<(RowId, &'a Process)>,
    /// What was another session's worker than the one that it is below, and doesn't look like one any more; by PID, each with the gateway that
    /// remembers it.
    changed: Vec<(usize, &'a Process)>,
    below: Below,
}

impl<'a> Owners<'a> {
    pub(super) fn new(world: &World<'a>) -> Self {
        let workers = world.gateways.iter().flat_map(Gateway::workers);
        let named = world.named().filter(|pid| world.alive(*pid).is_some());
        let marked = world.marked().filter(|pid| world.alive(*pid).is_some());
        let pids: BTreeSet<Pid> = workers.chain(named).chain(marked).collect();
        let processes: Vec<&Process> = pids.iter().filter_map(|pid| world.alive(*pid)).collect();
        let position = |process: &&Process| (process.identity.pid, world.position(process));
        let positions: Positions = processes.iter().map(position).collect();
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
            Self { by_pid, positions, told_by, of_row, changed: Vec::new(), below: Below::new() };
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
