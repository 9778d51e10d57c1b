//! The questions that say whose a worker is, in the order of the interface: the first that holds answers.

use std::collections::{BTreeMap, HashMap};

use super::{Owner, Rows};
use crate::domain::decide::named::by_pid;
use crate::domain::decide::position::Position;
use crate::domain::decide::world::{RowId, World};
use crate::domain::decide::{doubts, lineage, unowned};
use crate::domain::ids::Pid;
use crate::domain::orphan::OrphanKind;
use crate::domain::policy::Workers;
use crate::domain::process::Process;
use crate::domain::verdict::Keep;

/// Where each worker stands.
pub(in crate::domain::decide) type Positions = HashMap<Pid, Position>;

pub(in crate::domain::decide) fn answer(
    world: &World<'_>,
    at: &Positions,
    known: &mut BTreeMap<Pid, Owner>,
    pid: Pid,
) -> Owner {
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

/// Whether a row says itself that this process is its session's: by its PID, its key or its mark.
pub(in crate::domain::decide) fn is_claimed(world: &World<'_>, row: RowId, pid: Pid) -> bool {
    let (gateway, session) = (&world.gateways[row.gateway], world.session(row));
    let key = gateway.key_of(pid);
    session.named_worker() == Some(pid)
        || (key.is_some() && key == session.worker_key())
        || world.rows_marked(pid).contains(&row)
}
