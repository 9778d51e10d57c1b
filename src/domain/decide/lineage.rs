//! Whose a worker is by what it is below, or was before another process adopted it.

use std::collections::BTreeMap;

use super::doubts;
use super::owners::{Owner, Positions, Rows, answer};
use super::world::{Gateway, RowId, Standing, World};
use crate::domain::ids::Pid;
use crate::domain::ledger::FamilyMemory;
use crate::domain::process::{Process, ProcessIdentity};
use crate::domain::verdict::Keep;

/// What is below a worker is of its tree: a helper, a copy, a nested session that no table lists; unless it may be of a session that is
/// listed, or that a table would list which can't be read. A gateway's children are its own.
pub(super) fn by_ancestor(
    world: &World<'_>,
    at: &Positions,
    known: &mut BTreeMap<Pid, Owner>,
    process: &Process,
) -> Option<Owner> {
    match worker_above(world, process) {
        Some(worker) => Some(owner_below(world, at, known, process, worker)),
        // The gateway itself may have adopted it.
        None => {
            by_family(world, at, known, process).or_else(|| by_process_session(world, at, known, process))
        }
    }
}

/// The rows of the worker that this is below, or was seen below: a worker that another session's has started hands on the mark of that.
pub(super) fn rows_of_what_it_is_below(
    world: &World<'_>,
    at: &Positions,
    known: &mut BTreeMap<Pid, Owner>,
    process: &Process,
) -> Vec<RowId> {
    if let Some(worker) = worker_above(world, process) {
        return match answer(world, at, known, worker.identity.pid) {
            Owner::Sessions(rows) => rows.as_slice().to_vec(),
            Owner::Tree | Owner::Nobody(_) | Owner::Doubt(_) => Vec::new(),
        };
    }
    let family = world.family_of(process).into_iter();
    family.flat_map(|(gateway, family)| rows_of_family(world, gateway, family)).collect()
}

/// The rows of the sessions whose worker this was.
fn rows_of_family<'w>(
    world: &'w World<'_>,
    gateway: usize,
    family: &'w FamilyMemory,
) -> impl Iterator<Item = RowId> {
    world.rows_of(gateway).filter(|row| family.sessions.contains(&world.session(*row).id))
}

/// What is in the process session that a session's worker leads was started somewhere below that: there is no other way into one. It stays that
/// session's also where another process has adopted it before any look (a job of a shell that is gone).
fn by_process_session(
    world: &World<'_>,
    at: &Positions,
    known: &mut BTreeMap<Pid, Owner>,
    process: &Process,
) -> Option<Owner> {
    let leader = Pid::new(process.session.into()).filter(|leader| *leader != process.identity.pid)?;
    let leader = world.alive(leader).filter(|it| it.session == process.session)?;
    let pid = leader.identity.pid;
    let is_older = leader.identity.start_ticks <= process.identity.start_ticks;
    if !is_older || !is_worker(world, pid) || world.gateway_pids().any(|gateway| gateway == pid) {
        return None;
    }
    kept_below(world, at, known, process, leader)
}

/// The owner of what is, or was seen, below this worker.
fn owner_below(
    world: &World<'_>,
    at: &Positions,
    known: &mut BTreeMap<Pid, Owner>,
    process: &Process,
    worker: &Process,
) -> Owner {
    let above = answer(world, at, known, worker.identity.pid);
    let doubt = match &above {
        Owner::Nobody(_) | Owner::Tree => doubts::of_nested(world, process, worker),
        Owner::Sessions(rows) => doubts::of_nested_in_session(world, process, worker, rows.as_slice()),
        Owner::Doubt(_) => None,
    };
    let (own, pid) = (process.identity.pid, worker.identity.pid);
    let is_copy = || world.matching(own).any(|gateway| world.gateways[gateway].are_copies(own, pid));
    // What an operator forbids to end doesn't go with what it is below.
    let doubt = doubt.or_else(|| world.by_hand.forbids(world, process).filter(|_| !is_copy()));
    match (doubt, above) {
        (Some(doubt), _) => Owner::Doubt(doubt),
        (None, Owner::Nobody(_) | Owner::Tree) => Owner::Tree,
        (None, owner) => owner,
    }
}

/// The same of what isn't below it any more: `None` if that worker is nobody's, as what it left is judged by itself.
fn kept_below(
    world: &World<'_>,
    at: &Positions,
    known: &mut BTreeMap<Pid, Owner>,
    process: &Process,
    worker: &Process,
) -> Option<Owner> {
    let owner = owner_below(world, at, known, process, worker);
    Some(owner).filter(|owner| matches!(owner, Owner::Sessions(_) | Owner::Doubt(_)))
}

/// What was seen below the worker of a session is that session's also once another process has adopted it. What is left of a worker of
/// nobody is judged by itself; and so is what a gateway takes for a worker of its own that is none of its table's.
fn by_family(
    world: &World<'_>,
    at: &Positions,
    known: &mut BTreeMap<Pid, Owner>,
    process: &Process,
) -> Option<Owner> {
    let (index, family) = world.family_of(process)?;
    let gateway = &world.gateways[index];
    if let Some(worker) = world.view().alive(&family.worker) {
        return kept_below(world, at, known, process, worker);
    }
    // A fork of a session's worker that is gone may have started it; one that took the place of what had it knows nothing of it.
    let has_older_worker = |row: &RowId| {
        let worker = world.worker_of(*row);
        worker.is_some_and(|worker| worker.identity.start_ticks <= family.worker.start_ticks)
    };
    let is_own = gateway.takes(process.identity.pid);
    match gateway.standing {
        _ if is_own && gateway.standing != Standing::Current => None,
        Standing::NotTrusted(why) => Some(Owner::Doubt(Keep::TableNotTrusted(why.into()))),
        Standing::Gone => None,
        Standing::Current => {
            let rows = rows_of_family(world, index, family);
            Rows::of(rows.filter(|row| !is_own || has_older_worker(row))).map(Owner::Sessions)
        }
    }
}

/// The nearest worker above it.
fn worker_above<'a>(world: &World<'a>, process: &Process) -> Option<&'a Process> {
    let mut above = world.ancestors_below_gateway(process);
    above.find(|above| !above.zombie && is_worker(world, above.identity.pid))
}

/// Whether it is, or was seen, below this worker.
pub(super) fn is_or_was_below(world: &World<'_>, process: &Process, worker: ProcessIdentity) -> bool {
    world.family_of(process).is_some_and(|(_, family)| family.worker == worker)
        || world.ancestors(process).any(|above| above.identity == worker)
}

/// Whether it is below another worker.
pub(super) fn is_nested(world: &World<'_>, process: &Process) -> bool {
    worker_above(world, process).is_some()
}

/// A row may name any process. What is never a worker (init, the reaper's ancestors, what is above a gateway) owns nothing that is below it.
pub(super) fn is_worker(world: &World<'_>, pid: Pid) -> bool {
    let is_above = |gateway: &Gateway<'_>| {
        let process = gateway.process.and_then(|process| world.alive(process.pid));
        process.is_some_and(|process| world.ancestors(process).any(|ancestor| ancestor.identity.pid == pid))
    };
    let is_never = |gateway: &Gateway<'_>| gateway.limits.protects_pid(pid).is_some() || is_above(gateway);
    let is_named = || !world.rows_naming(pid).is_empty() && !world.gateways.iter().any(is_never);
    world.matching(pid).next().is_some() || is_named()
}
