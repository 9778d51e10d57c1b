//! Why a worker that no table names may be wanted all the same.

use super::gateway::SHARES_PROCESS;
use super::position::Position;
use super::world::{Gateway, RowId, Standing, World};
use crate::domain::ids::Pid;
use crate::domain::policy::Workers;
use crate::domain::process::{Mark, Process, ProcessIdentity};
use crate::domain::table::Session;
use crate::domain::verdict::Keep;

/// Why one of the gateways that may have started this worker may still want it.
pub(super) fn of_any(world: &World<'_>, process: &Process, position: &Position) -> Option<Keep> {
    let pid = process.identity.pid;
    let own = position.gateway();
    if let Some(gateway) = own.filter(|gateway| !world.gateways[*gateway].takes(pid)) {
        let name = &world.gateways[gateway].seen.name;
        return Some(Keep::UnknownState(
            format!("it is below gateway {name}, whose worker.match doesn't take it").into(),
        ));
    }
    let mut gateways = may_have_started(world, process, position).into_iter();
    let of_table = gateways.find_map(|gateway| of(world, gateway, process));
    let doubt = of_table.or_else(|| former(world, process, position)).or_else(|| had(world, process));
    let doubt = doubt.or_else(|| copied(world, process, position));
    let doubt = doubt.or_else(|| started_by_one_gone(world, process, position));
    doubt.or_else(|| is_gateway(world, process, position))
}

/// Why the session that had this worker may have it still, whatever key it has by now.
fn had(world: &World<'_>, process: &Process) -> Option<Keep> {
    had_by_another(world, process, &[])
}

/// The same, where that is none of these.
fn had_by_another(world: &World<'_>, process: &Process, rows: &[RowId]) -> Option<Keep> {
    let row = world.row_that_had(process).filter(|row| !rows.contains(row))?;
    let id = world.session(row).id.as_str();
    let why = format!(
        "it was the worker of session {id:?}, which has another key now: nothing tells that it has another worker"
    );
    Some(Keep::UnknownState(why.into()))
}

/// Why the session of another worker may want this one, which no gateway was seen to have started: a worker that forks twice without `exec`
/// leaves such a copy, and no key says whose it is.
fn copied(world: &World<'_>, process: &Process, position: &Position) -> Option<Keep> {
    let is_bereft = world.view().bereft.contains(&process.identity.pid);
    if is_bereft || !was_never_seen_started(world, process, position) {
        return None;
    }
    let id = world.row_of_look_alike(process)?.id.as_str();
    let why = format!(
        "it may be a copy of the worker of session {id:?}: it has the same command line, and no key tells them apart"
    );
    Some(Keep::UnknownState(why.into()))
}

/// Why the session of a row may want this worker, which no gateway was seen to have started, where the row names a process that is gone: one
/// that becomes a daemon, or that a shell starts in the background (`nohup … &`), leaves the process that its gateway started.
fn started_by_one_gone(world: &World<'_>, process: &Process, position: &Position) -> Option<Keep> {
    let mut gateways = may_have_started(world, process, position).into_iter();
    let row = gateways.find_map(|index| row_that_may_have_left(world, index, process, position))?;
    let (id, pid) = (row.id.as_str(), row.named_worker()?);
    let why = format!(
        "the worker of session {id:?} isn't known (it names process {pid}, which is gone and may have started its worker): this may be it"
    );
    Some(Keep::UnknownState(why.into()))
}

/// The row of this gateway that names what is gone and may have started this worker, which no gateway was seen to have started.
pub(super) fn row_that_may_have_left<'a>(
    world: &World<'a>,
    gateway: usize,
    process: &Process,
    position: &Position,
) -> Option<&'a Session> {
    let row = world.row_naming_one_gone(gateway)?;
    let may_have = !world.gateways[gateway].is_older_than_its_process(process)
        && was_never_seen_started(world, process, position);
    may_have.then_some(row)
}

/// Why this may be the process of a gateway at whose address nothing listens, instead of a worker of it: no gateway was seen to have started it,
/// no key says whose it is, and a fork of it is below it. The workers of a gateway may be forks of it, with its own argv; and it may be starting,
/// or be at another address.
fn is_gateway(world: &World<'_>, process: &Process, position: &Position) -> Option<Keep> {
    if !was_never_seen_started(world, process, position) {
        return None;
    }
    let pid = process.identity.pid;
    let is_fork = |other: &&Process| {
        other.parent == Some(pid) && !other.zombie && process.argv.is_some() && other.argv == process.argv
    };
    let may_be = |index: &usize| {
        let gateway = &world.gateways[*index];
        gateway.standing == Standing::Gone
            && !gateway.rules.describes_process
            && gateway.key_of(pid).is_none()
    };
    let gateway = may_have_started(world, process, position).into_iter().find(may_be)?;
    let fork = world.view().processes.values().find(is_fork)?.identity.pid;
    let why = format!(
        "it may be gateway {} itself, starting or at another address: it has no key, and process {fork} below it is a fork of it \
         (match in [gateway.process] tells a gateway from its workers)",
        world.gateways[gateway].seen.name
    );
    Some(Keep::UnknownState(why.into()))
}

/// Whether no gateway was seen to have started this worker. What was a session's own is no other's.
fn was_never_seen_started(world: &World<'_>, process: &Process, position: &Position) -> bool {
    let may_be_adopted = match position {
        Position::Child(gateway) => may_be_adopted_by(world, *gateway, process),
        _ => position.gateway().is_none() && world.seen_below(process).is_none(),
    };
    may_be_adopted && !world.was_of_one_gone(process)
}

/// Why one of the gateways whose sessions a table tells of, or the session that had it, may want this worker, which is below one without an
/// owner. One that carries the same key as that is a copy of it: also a process that it is just starting, until that calls `exec`.
pub(super) fn of_nested(world: &World<'_>, process: &Process, above: &Process) -> Option<Keep> {
    if is_copy(world, process, above) {
        return None;
    }
    with_sessions(world, process)
        .find_map(|gateway| of(world, gateway, process))
        .or_else(|| had(world, process))
}

/// Why another session may want this worker, which is in the tree of a worker of these sessions: one of which it isn't known which worker it
/// has, one that had it, or one of another gateway without a current table. One that carries the same key as the worker of a session is a copy
/// of that.
pub(super) fn of_nested_in_session(
    world: &World<'_>,
    process: &Process,
    above: &Process,
    rows: &[RowId],
) -> Option<Keep> {
    let is_own = |gateway: usize| rows.iter().any(|row| row.gateway == gateway);
    let may_want = |gateway: usize| {
        let doubt = of(world, gateway, process)?;
        // Its own gateway's table was read.
        (!is_own(gateway) || matches!(doubt, Keep::UnknownState(_))).then_some(doubt)
    };
    let of_table = with_sessions(world, process).find_map(may_want);
    let doubt = of_table.or_else(|| had_by_another(world, process, rows))?;
    (world.rows_of_copied(process).is_empty() && !is_copy(world, process, above)).then_some(doubt)
}

/// Whether it carries the key of the worker above it.
fn is_copy(world: &World<'_>, process: &Process, above: &Process) -> bool {
    let (own, above) = (process.identity.pid, above.identity.pid);
    with_sessions(world, process).any(|gateway| world.gateways[gateway].are_copies(own, above))
}

/// The gateways whose workers this may be one of, wherever it stands.
fn with_sessions(world: &World<'_>, process: &Process) -> impl Iterator<Item = usize> {
    let is_any = |gateway: &usize| world.gateways[*gateway].rules.workers == Workers::Matching;
    world.matching(process.identity.pid).filter(is_any)
}

/// Whether this gateway may have adopted its child instead of starting it. As process 1 of a container it adopts whatever is left there; and
/// what is neither of its own nor of the gateway's session or process group was started by somebody else.
fn may_be_adopted_by(world: &World<'_>, gateway: usize, process: &Process) -> bool {
    let above = world.gateways[gateway].process.and_then(|gateway| world.alive(gateway.pid));
    let Some(gateway) = above.filter(|above| process.parent == Some(above.identity.pid)) else {
        return false;
    };
    let own = process.identity.pid.get();
    let is_of_another = |group: u32, gateways: u32| group != own && group != gateways;
    gateway.identity.pid == Pid::INIT
        || is_of_another(process.session, gateway.session)
        || is_of_another(process.group, gateway.group)
}

/// Why the table of this gateway can't be relied on for this worker.
fn of_its_table(world: &World<'_>, index: usize, process: &Process) -> Option<Keep> {
    of(world, index, process).filter(|doubt| matches!(doubt, Keep::TableNotTrusted(_)))
}

/// Why the table of one of the gateways that may have started this worker can't be relied on: it may still have it, whatever the table of
/// another says.
pub(super) fn distrust(world: &World<'_>, process: &Process, position: &Position) -> Option<Keep> {
    let mut gateways = may_have_started(world, process, position).into_iter();
    let distrust = gateways.find_map(|gateway| of_its_table(world, gateway, process));
    distrust.or_else(|| former(world, process, position))
}

/// Whether another gateway than `own` gives no table and may have this worker in it.
pub(super) fn may_be_in_anothers_table(world: &World<'_>, own: usize, process: &Process) -> bool {
    let mut others = world.matching(process.identity.pid).filter(|index| *index != own);
    others.any(|index| may_be_unread(world, index, process))
}

/// Whether this gateway gives no table and may have this worker in it.
fn may_be_unread(world: &World<'_>, index: usize, process: &Process) -> bool {
    matches!(world.gateways[index].standing, Standing::NotTrusted(_)) && of(world, index, process).is_some()
}

/// Whether this worker may be of another gateway than `own`, of which no table tells now: it may serve a session of the same key. One that is
/// gone may take back what was its own. What is, or was seen, below `own` as it runs is no other's, unless that may be the same process.
pub(super) fn may_be_of_another(world: &World<'_>, own: usize, process: &Process) -> bool {
    let is_its_own = is_or_was_below(world, own, process);
    let seen_below = world.seen_below(process);
    let was_its = |gateway: &Gateway<'_>| {
        seen_below.is_some() && gateway.memory.is_some_and(|memory| memory.process == seen_below)
    };
    world.matching(process.identity.pid).filter(|index| *index != own).any(|index| {
        let gateway = &world.gateways[index];
        match gateway.standing {
            Standing::Current => false,
            Standing::NotTrusted(_) if is_its_own && !gateway.may_be_any_process() => false,
            Standing::NotTrusted(_) => may_be_unread(world, index, process),
            Standing::Gone => !is_its_own && gateway.rules.takes_workers_back && was_its(gateway),
        }
    })
}

/// Whether a mark of this process names another gateway than `own` that may have it in a table that can't be read, or as the worker of a row
/// of which none is known. What is, or was seen, below `own` as it runs is no other's, unless that may be the same process.
pub(super) fn may_be_marked_by_another(world: &World<'_>, own: usize, process: &Process) -> bool {
    let is_its_own = is_or_was_below(world, own, process);
    let marks = world.view().marks.get(&process.identity.pid).map(Vec::as_slice).unwrap_or_default();
    let is_marked = |gateway: &Gateway<'_>| {
        marks
            .iter()
            .any(|mark| matches!(mark, Mark::Session { gateway: name, .. } if *name == gateway.seen.name))
    };
    (0..world.gateways.len()).filter(|index| *index != own).any(|index| {
        let gateway = &world.gateways[index];
        (!is_its_own || gateway.may_be_any_process())
            && is_marked(gateway)
            && of(world, index, process).is_some()
    })
}

/// Whether it is, or was seen, below this gateway as that runs.
fn is_or_was_below(world: &World<'_>, gateway: usize, process: &Process) -> bool {
    let Some(gateway) = world.gateways[gateway].process else { return false };
    world.seen_below(process) == Some(gateway)
        || world.ancestors(process).any(|above| above.identity == gateway)
}

/// Whether this worker, which has lost its gateway, may be that of a row of another gateway than `own` of which it isn't known, whatever key
/// that row has by now.
pub(super) fn may_be_of_anothers_row(world: &World<'_>, own: usize, process: &Process) -> bool {
    if is_or_was_below(world, own, process) {
        return false;
    }
    let mut others = world.matching(process.identity.pid).filter(|index| *index != own);
    others.any(|index| {
        world.gateways[index].standing == Standing::Current && of(world, index, process).is_some()
    })
}

/// Whether a gateway's process that gives no table any more, and is there, may still want it: the one that it was seen below; where it was
/// seen below none, any that is older. Any at all may have taken it back, where the kind does that.
fn former(world: &World<'_>, process: &Process, position: &Position) -> Option<Keep> {
    if world.forgotten_gateway_of(process).is_some() {
        return Some(no_process());
    }
    if position.gateway().is_some() {
        return None;
    }
    let was_seen_below_one = world.seen_below(process).is_some();
    let of_gateway = |gateway: usize| {
        let gateway = &world.gateways[gateway];
        let may_want_it = |former: &&ProcessIdentity| {
            let is_older = former.start_ticks <= process.identity.start_ticks;
            gateway.rules.takes_workers_back || (is_older && !was_seen_below_one)
        };
        gateway.former.iter().find(may_want_it)
    };
    may_have_started(world, process, position).into_iter().find_map(of_gateway).map(may_want)
}

/// Why what was of the session of a gateway may still be wanted: that gateway's process was replaced, and is there.
pub(super) fn of_replaced(world: &World<'_>, index: usize) -> Option<Keep> {
    world.gateways[index].former.first().map(may_want)
}

fn may_want(former: &ProcessIdentity) -> Keep {
    let why = format!("process {}, which its gateway had before, is still there and may want it", former.pid);
    Keep::UnknownState(why.into())
}

/// Without its gateway's process nothing tells whether a worker is wanted.
pub(super) fn no_process() -> Keep {
    Keep::UnknownState("its gateway's process isn't known in this run".into())
}

/// The gateways that may have started this worker: the one that it is or was below, and that may be another one's process too, and the one
/// that told of it at the last look; else any.
pub(super) fn may_have_started(world: &World<'_>, process: &Process, position: &Position) -> Vec<usize> {
    let (own, pid) = (position.gateway(), process.identity.pid);
    let below = world.below(process, position);
    let remembered = world.known.get(&process.identity).map(|(name, _)| *name);
    let may_have_started = |index: &usize| {
        let gateway = &world.gateways[*index];
        // The one that told of it at the last look may have listed it, wherever it stands.
        let told = remembered == Some(&gateway.seen.name);
        told || gateway.may_be_any_process()
            || match (own, below) {
                (Some(own), _) => *index == own,
                (None, Some(_)) => {
                    let had_it = gateway.memory.is_some_and(|memory| memory.process == below);
                    had_it || gateway.process == below
                }
                (None, None) => true,
            }
    };
    let gateways: Vec<usize> = world.matching(pid).filter(may_have_started).collect();
    // One that is remembered as another's, and which that one doesn't take any more, may belong to any.
    if gateways.is_empty() { world.matching(pid).collect() } else { gateways }
}

/// Why this gateway may still want the worker.
pub(super) fn of(world: &World<'_>, index: usize, process: &Process) -> Option<Keep> {
    let gateway = &world.gateways[index];
    let is_older = gateway.is_older_than_its_process(process);
    match gateway.standing {
        Standing::Gone => None,
        Standing::NotTrusted(_) if is_older && !gateway.rules.takes_workers_back => None,
        Standing::NotTrusted(why) => Some(Keep::TableNotTrusted(why.into())),
        Standing::Current => {
            if let Some(why) = &gateway.contradiction {
                return Some(Keep::TableNotTrusted(why.as_str().into()));
            }
            if gateway.shares_process {
                return Some(Keep::TableNotTrusted(SHARES_PROCESS.into()));
            }
            let row = world.row_without_worker(index).filter(|_| !is_older)?;
            let named = match row.named_worker() {
                Some(pid) => format!("it names process {pid}, which can't be it"),
                None => "it names none".into(),
            };
            let id = row.id.as_str();
            let why = format!(
                "the worker of session {id:?} isn't known ({named}, and no worker carries its key): this may be it"
            );
            Some(Keep::UnknownState(why.into()))
        }
    }
}
