//! Why what a row's session owns isn't ended with it.

use crate::domain::decide::doubts;
use crate::domain::decide::lineage;
use crate::domain::decide::owners::{Owner, Owners};
use crate::domain::decide::position::Position;
use crate::domain::decide::world::{RowId, World};
use crate::domain::ids::Pid;
use crate::domain::process::Process;
use crate::domain::table::{Session, Told};

/// Why nothing that a row doesn't name is taken for its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distrust {
    /// Its gateway runs in another PID namespace.
    Elsewhere,
    /// What it says of its worker isn't understood.
    NotUnderstood,
    /// It names this process, which isn't proven to be its worker.
    NamesAnother(Pid),
    /// What carries its key may be the worker of another row, of which none is known.
    MayBeAnothers,
}

impl Distrust {
    /// In the words of the report.
    pub(super) fn told(self, world: &World<'_>, row: RowId) -> String {
        match self {
            Self::Elsewhere => world.gateways[row.gateway].contradiction.clone().unwrap_or_default(),
            Self::NotUnderstood => "what is said of its worker isn't understood".into(),
            Self::NamesAnother(named) => {
                format!("its row names process {named}, and nothing proves that this is its worker")
            }
            Self::MayBeAnothers => {
                let other = world.row_without_worker(row.gateway).map_or("", |other| other.id.as_str());
                format!("the worker of session {other:?} isn't known, and this may be it")
            }
        }
    }
}

pub(super) fn name(world: &World<'_>, row: RowId) -> String {
    format!(
        "session {:?} of gateway {}",
        world.session(row).id.as_str(),
        world.gateways[row.gateway].seen.name
    )
}

/// Why nothing that carries the row's key is ended with its session.
pub(super) fn distrust_of_keys(
    world: &World<'_>,
    owners: &Owners<'_>,
    row: RowId,
    named: Option<Pid>,
    worker: Option<&Process>,
) -> Option<Distrust> {
    let is_one_missing = world.row_without_worker(row.gateway).is_some();
    match (named, worker) {
        // One of the two is not its own.
        (Some(named), None) if world.alive(named).is_some() => Some(Distrust::NamesAnother(named)),
        // Where another row's worker isn't known, what carries this row's key may be that one's, which had the key before: besides the worker
        // that the row names; where the row says that it has none; and one of several, where it says nothing of one that is there.
        _ => {
            let says_it = worker.is_some() || world.session(row).worker == Told::Known(None);
            (is_one_missing && (says_it || has_several(world, owners, row)))
                .then_some(Distrust::MayBeAnothers)
        }
    }
}

/// Whether several carry the key of this row. What is, or was, below one of them is of its tree.
fn has_several(world: &World<'_>, owners: &Owners<'_>, row: RowId) -> bool {
    let key = world.session(row).worker_key();
    let carries =
        |process: &Process| key.is_some() && world.gateways[row.gateway].key_of(process.identity.pid) == key;
    let carriers: Vec<&Process> = owners.processes_of(row).filter(|it| carries(it)).collect();
    let is_of_another = |process: &Process| {
        carriers.iter().any(|carrier| lineage::is_or_was_below(world, process, carrier.identity))
    };
    carriers.iter().filter(|it| !is_of_another(it)).nth(1).is_some()
}

/// Whether a mark says that a process is this row's session's alone, or it was that one's when that was last to be told.
pub(super) fn is_sure(world: &World<'_>, row: RowId, process: &Process) -> bool {
    world.rows_marked(process.identity.pid) == [row] || world.was_of_row(process, row)
}

/// Why a process that carries the row's key isn't ended with its session. The same key twice is no proof of anything (Hermes 0.13: two live
/// sessions may carry one key), and another gateway may serve a session of the same key: it has to be below this gateway, or to have lost the
/// one that it had, and no gateway of which no table tells may want it.
pub(super) fn why_not_along(
    world: &World<'_>,
    owners: &Owners<'_>,
    row: RowId,
    process: &Process,
) -> Option<String> {
    let gateway = &world.gateways[row.gateway];
    let pid = process.identity.pid;
    if let Some(Owner::Sessions(rows)) = owners.of(pid)
        && let Some(other) = rows.as_slice().iter().find(|other| **other != row)
    {
        return Some(format!("it may be of {} as well", name(world, *other)));
    }
    let is_marked = world.rows_marked(pid) == [row];
    let key = gateway.key_of(pid);
    let carries_its_key = || key.is_some() && key == world.session(row).worker_key();
    if !is_marked && !carries_its_key() {
        let why = if key.is_some() { "it carries another key" } else { "it carries no key" };
        return Some(why.into());
    }
    if !is_marked && let Some(other) = worker_of_another_above(world, owners, row, process) {
        return Some(format!("it is below worker {other} of another session"));
    }
    if let Some(why) = gateway.why_no_check() {
        return Some(why.into());
    }
    if gateway.has_obscure_row() {
        return Some("the worker of another row isn't understood, and may be this".into());
    }
    if let Some(protection) = gateway.limits.protects(process) {
        return Some(protection.to_string());
    }
    if !is_sure(world, row, process)
        && let Some(other) = left_by_a_starter(world, owners, row, process)
    {
        return Some(format!(
            "the worker of session {:?} isn't known (its row names a process that is gone), and this may be it",
            other.id.as_str()
        ));
    }
    match owners.position_of(pid) {
        Position::Child(at) | Position::Below(at) if *at != row.gateway => {
            Some(format!("it is below gateway {}", world.gateways[*at].seen.name))
        }
        Position::Child(_) | Position::Below(_) | Position::Lost if is_marked => {
            doubts::may_be_marked_by_another(world, row.gateway, process)
                .then(|| "its mark may name a session of another gateway".into())
        }
        Position::Child(_) | Position::Below(_) | Position::Lost
            if doubts::may_be_of_another(world, row.gateway, process) =>
        {
            Some("it may be of a gateway that gives no table".into())
        }
        Position::Child(_) | Position::Below(_) => None,
        Position::Lost => {
            let may_be = || doubts::may_be_of_anothers_row(world, row.gateway, process);
            (!is_sure(world, row, process) && may_be())
                .then(|| "it may be of a session of another gateway, whose worker isn't known".into())
        }
        Position::BelowFormer(former) => {
            Some(format!("it is below process {}, which a gateway had before", former.pid))
        }
        Position::Unclear(why) => Some(why.clone()),
    }
}

/// The session of another row that names what is gone, and that may have started this process, which carries the key of `row`: it had that key
/// before. Where `row` has no other worker, a single one that carries its key is its own.
fn left_by_a_starter<'a>(
    world: &World<'a>,
    owners: &Owners<'_>,
    row: RowId,
    process: &Process,
) -> Option<&'a Session> {
    let named = world.session(row).named_worker();
    if named == Some(process.identity.pid) {
        return None;
    }
    let position = owners.position_of(process.identity.pid);
    let other = doubts::row_that_may_have_left(world, row.gateway, process, position)?;
    let has_another = named.is_some_and(|named| world.alive(named).is_some())
        || world.session(row).worker == Told::Known(None);
    (has_another || has_several(world, owners, row)).then_some(other)
}

/// The worker of another session that this process is below, where the row says itself which worker it has, or that it has none.
fn worker_of_another_above(
    world: &World<'_>,
    owners: &Owners<'_>,
    row: RowId,
    process: &Process,
) -> Option<Pid> {
    if !matches!(world.session(row).worker, Told::Known(_)) {
        return None;
    }
    let is_of_another = |pid: &Pid| {
        let is_of_others =
            matches!(owners.of(*pid), Some(Owner::Sessions(rows)) if !rows.as_slice().contains(&row));
        is_of_others && lineage::is_worker(world, *pid)
    };
    world.ancestors_below_gateway(process).map(|above| above.identity.pid).find(is_of_another)
}
