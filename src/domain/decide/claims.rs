//! What a row's claim on processes is worth: which of the processes that it owns may be ended with its session.

use super::doubts;
use super::named::by_pid;
use super::owners::{Owner, Owners};
use super::position::Position;
use super::world::{Gateway, RowId, World};
use crate::domain::ids::Pid;
use crate::domain::process::Process;
use crate::domain::table::Told;
use crate::domain::verdict::Protection;

/// The processes of a row, as far as its claim can be trusted.
pub(super) enum Claim<'a> {
    /// There is none, or none that may be signalled: the gateway's close is all.
    CloseOnly,
    /// These may be signalled.
    Processes {
        /// Its worker. `None`: nothing that looks like one; what bears its mark is all.
        worker: Option<&'a Process>,
        /// Copies of it, and whatever else carries its key or its mark.
        others: Vec<&'a Process>,
    },
    /// One of them is, or has below it, what is never signalled. Either nothing the row says is to be trusted, or closing the session would
    /// take another's work along.
    Untouchable(Protection),
}

impl<'a> Claim<'a> {
    /// The worker that goes along.
    pub(super) fn worker(&self) -> Option<&'a Process> {
        match self {
            Self::Processes { worker, .. } => *worker,
            Self::CloseOnly | Self::Untouchable(_) => None,
        }
    }

    /// What goes along besides.
    pub(super) fn others(&self) -> impl Iterator<Item = &'a Process> {
        let others: &[&Process] = match self {
            Self::Processes { others, .. } => others,
            Self::CloseOnly | Self::Untouchable(_) => &[],
        };
        others.iter().copied()
    }
}

fn is_of_row_alone(owners: &Owners<'_>, row: RowId, pid: Pid) -> bool {
    matches!(owners.of(pid), Some(Owner::Sessions(rows)) if rows.as_slice() == [row])
}

/// What a row claims.
pub(super) fn of<'a>(world: &World<'a>, owners: &Owners<'a>, row: RowId) -> Claim<'a> {
    let gateway = &world.gateways[row.gateway];
    if gateway.is_elsewhere {
        return Claim::CloseOnly;
    }
    let named = match world.session(row).worker {
        Told::Known(pid) => pid,
        Told::Absent => None,
        Told::NotUnderstood(_) => return Claim::CloseOnly,
    };
    let worker = match named.map(|pid| by_pid(world, row, pid)) {
        Some(Err(protection)) => return Claim::Untouchable(protection),
        Some(Ok(worker)) => worker,
        None => None,
    };
    // The worker of a shell that the row names may carry the key of another gateway's row.
    let worker = worker.filter(|worker| is_of_row_alone(owners, row, worker.identity.pid));
    let foreign = |process: &&Process| owners.foreign_below(process.identity.pid);
    // Several carry its key, and it names none of them: where another row's worker isn't known, one of them may be that one's.
    let is_ambiguous = named.is_none()
        && owners.processes_of(row).nth(1).is_some()
        && world.row_without_worker(row.gateway).is_some();
    // Where the worker that it names isn't trusted, what carries its key isn't either: one of the two is not its own.
    let by_key = |process: &&Process| {
        let pid = Some(process.identity.pid);
        pid != named
            && pid != worker.map(|worker| worker.identity.pid)
            && !is_ambiguous
            && may_go(world, gateway, row, owners, process)
    };
    let others: Vec<&Process> = match (named, worker) {
        (Some(_), None) if named.is_some_and(|pid| world.alive(pid).is_some()) => Vec::new(),
        _ => owners.processes_of(row).filter(by_key).collect(),
    };
    // Also where it would only be closed: its gateway ends the worker with whatever is below it.
    let below =
        worker.into_iter().chain(named.and_then(|pid| world.alive(pid))).chain(others.iter().copied());
    if let Some(protection) = below.collect::<Vec<_>>().iter().find_map(foreign) {
        return Claim::Untouchable(protection);
    }
    let mut all: Vec<&Process> = worker.into_iter().chain(others).collect();
    if all.is_empty() {
        return Claim::CloseOnly;
    }
    let looks_like_one = all.iter().position(|process| gateway.takes(process.identity.pid));
    let worker = looks_like_one.map(|at| all.remove(at));
    Claim::Processes { worker, others: all }
}

/// Whether a process that carries the row's key may be ended with its session. The same key twice is no proof of anything (Hermes 0.13: two
/// live sessions may carry one key), and another gateway may serve a session of the same key: it has to be below this gateway, or to have
/// lost the one that it had, and no gateway of which no table tells may want it.
fn may_go(
    world: &World<'_>,
    gateway: &Gateway<'_>,
    row: RowId,
    owners: &Owners<'_>,
    process: &Process,
) -> bool {
    let pid = process.identity.pid;
    let owned_alone = is_of_row_alone(owners, row, pid);
    let is_marked = world.rows_marked(pid) == [row];
    let says_so = is_marked || gateway.takes(pid) && gateway.key_of(pid) == world.session(row).worker_key();
    let is_here = || match owners.position_of(pid) {
        Position::Child(at) | Position::Below(at) => *at == row.gateway,
        Position::Lost => is_marked || !doubts::may_be_of_another(world, row.gateway, process),
        Position::BelowFormer(_) | Position::Unclear(_) => false,
    };
    owned_alone
        && says_so
        && gateway.can_check()
        && !gateway.has_obscure_row()
        && gateway.limits.protects(process).is_none()
        && is_here()
}
