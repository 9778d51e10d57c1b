//! The workers that are judged with no session: `ownerless-worker`, `superseded-worker` or `parentless-worker` if and only if they have no
//! owner and nothing protects them. Each is listed, with the reason.

use std::collections::HashSet;
use std::time::Duration;

use super::before::Had;
use super::claims::Claims;
use super::clock;
use super::doubts;
use super::families::Families;
use super::idle;
use super::owners::{Owner, Owners};
use super::position::Position;
use super::quota;
use super::world::{Changed, RowId, World};
use crate::domain::ids::Pid;
use crate::domain::ledger::{Bond, GatewayMemory, SessionOf, WorkerMemory};
use crate::domain::orphan::OrphanKind;
use crate::domain::process::{Process, ProcessIdentity};
use crate::domain::verdict::{Judged, Keep, Subject};
use crate::domain::warrant::Warrant;

/// Judges the workers that this gateway tells of, and remembers all of them: where they stand now says later whether they lost their
/// gateway. `elsewhere`: processes that are judged with an unfinished teardown.
pub(super) fn judge(
    world: &World<'_>,
    owners: &Owners<'_>,
    claims: &Claims<'_>,
    families: &Families<'_, '_>,
    index: usize,
    elsewhere: &HashSet<Pid>,
    remembered: &mut GatewayMemory,
) -> Vec<Judged> {
    let told = owners.told_by(index).iter().filter(|process| !elsewhere.contains(&process.identity.pid));
    let mut found: Vec<Judged> = told
        .filter_map(|process| judge_one(world, owners, claims, families, index, process, remembered))
        .collect();
    found.extend(changed(world, owners, families, index, remembered));
    found
}

/// What was a worker and doesn't look like one any more is kept, listed with the reason, and remembered. One that a row names is told of with
/// that row.
fn changed(
    world: &World<'_>,
    owners: &Owners<'_>,
    families: &Families<'_, '_>,
    index: usize,
    remembered: &mut GatewayMemory,
) -> Vec<Judged> {
    // A helper that was seen between its fork and its exec.
    let is_helper = |changed: &&Changed<'_>| families.has(&changed.process.identity);
    let changed = world.changed_of(index).filter(|changed| !is_helper(changed)).filter_map(|changed| {
        let Changed { memory, process, .. } = changed;
        let session = session_before(world, index, process.identity);
        remembered.workers.push(WorkerMemory { clock: None, activity: None, session, ..(*memory).clone() });
        let keep = match world.gateways[index].limits.protects(process) {
            Some(protection) => Keep::Protected(protection),
            None => Keep::UnknownState("it was a worker, and doesn't look like one any more".into()),
        };
        let subject = Subject::Worker { key: None, identity: process.identity };
        owners.of(process.identity.pid).is_none().then(|| Judged::keep(subject, process.rss_bytes, keep))
    });
    changed.collect()
}

/// The session that this is judged with, or would be if nothing of another's were below it; where it is judged apart, or that can't be told, the
/// one that it was of before.
fn session_of(
    world: &World<'_>,
    owners: &Owners<'_>,
    claims: &Claims<'_>,
    index: usize,
    worker: ProcessIdentity,
) -> Option<SessionOf> {
    match owners.of(worker.pid) {
        Some(Owner::Sessions(rows))
            if let [row] = rows.as_slice()
                && claims.is_trusted(worker.pid)
                && !is_taken_from_another(world, owners, *row, worker) =>
        {
            let (gateway, id) = world.name_of(*row);
            Some(told_by(world, index, Had { gateway, id, earlier_run: false }))
        }
        _ => session_before(world, index, worker),
    }
}

/// The one that it was of before.
fn session_before(world: &World<'_>, index: usize, worker: ProcessIdentity) -> Option<SessionOf> {
    world.session_that_had(worker).map(|had| told_by(world, index, had))
}

/// A session as this gateway remembers it.
fn told_by(world: &World<'_>, index: usize, session: Had<'_>) -> SessionOf {
    let Had { gateway, id, earlier_run } = session;
    let is_own = world.gateways[index].seen.name == *gateway;
    SessionOf { gateway: (!is_own).then(|| gateway.clone()), id: id.clone(), earlier_run }
}

/// Whether the row, which doesn't name this worker, has got its key only since: what was that row's own worker, and carries an older key, is
/// there and no other's; and this one was another session's before, or is older than that.
fn is_taken_from_another(
    world: &World<'_>,
    owners: &Owners<'_>,
    row: RowId,
    worker: ProcessIdentity,
) -> bool {
    let before = world.session_that_had(worker).map(|had| had.name());
    if before == Some(world.name_of(row)) || world.session(row).named_worker() == Some(worker.pid) {
        return false;
    }
    let is_anothers =
        |pid| matches!(owners.of(pid), Some(Owner::Sessions(rows)) if !rows.as_slice().contains(&row));
    let carries_its_key = |pid| {
        let key = world.gateways[row.gateway].key_of(pid);
        key.is_some() && key == world.session(row).worker_key()
    };
    let was_its = |known: &ProcessIdentity| {
        (before.is_some() || worker.start_ticks < known.start_ticks)
            && world.view().alive(known).is_some()
            && world.matching(known.pid).next().is_some()
            && !carries_its_key(known.pid)
            && !is_anothers(known.pid)
    };
    world.had_by(row).iter().any(was_its)
}

fn judge_one(
    world: &World<'_>,
    owners: &Owners<'_>,
    claims: &Claims<'_>,
    families: &Families<'_, '_>,
    index: usize,
    process: &Process,
    remembered: &mut GatewayMemory,
) -> Option<Judged> {
    let gateway = &world.gateways[index];
    let identity = process.identity;
    let subject = Subject::Worker { key: gateway.key_of(identity.pid).map(Into::into), identity };
    let bond = bond(world, owners.position_of(identity.pid), process);
    let account = world.account(process);
    let shell = world.shell_of(process);
    let protection = || gateway.limits.protects(process).or_else(|| owners.foreign_below(identity.pid));
    let (owner, apart) = (owners.of(identity.pid)?, claims.apart(identity.pid));
    let session = session_of(world, owners, claims, index, identity);
    let remember = |clock| {
        remembered.workers.push(WorkerMemory {
            identity,
            bond,
            clock,
            account,
            shell,
            activity: None,
            session,
        });
    };
    if matches!(owner, Owner::Sessions(_) | Owner::Tree) && apart.is_none() {
        remember(None);
        return None;
    }
    let keep = match owner {
        _ if let Some(protection) = protection() => Keep::Protected(protection),
        Owner::Doubt(keep @ Keep::TableNotTrusted(_)) => match idle::beside(world, index, process) {
            None => keep.clone(),
            Some(Err(busy)) => busy,
            Some(Ok(idle)) => {
                let clock = clock::of_worker(world, gateway, &identity, idle.kind);
                remember(Some(clock));
                return Some(idle.found(gateway, subject, process, &clock));
            }
        },
        Owner::Doubt(keep) => keep.clone(),
        Owner::Sessions(_) | Owner::Tree => Keep::UnknownState(apart?.into()),
        Owner::Nobody(orphan) => {
            let clock = clock::of_worker(world, gateway, &identity, *orphan);
            remember(Some(clock));
            let gateways = doubts::may_have_started(world, process, owners.position_of(identity.pid));
            let others = gateways.iter().filter(|other| **other != index);
            let may_be_of: Vec<usize> = others.copied().chain([index]).collect();
            let warrant = Warrant {
                worker: Some(identity),
                is_told: may_be_of.iter().any(|index| world.gateways[*index].rules.policy.dry_run),
                may_be_of: may_be_of.iter().map(|index| world.gateways[*index].seen.name.clone()).collect(),
                remnants: families.strays_of(index, identity),
                failures: Some(clock.failures),
                ..gateway.warrant(*orphan)
            };
            let waited = gateway.seen.asked.since(clock.since);
            let grace = grace(world, owners, index, process, *orphan);
            let verdict = quota::after(grace, waited, warrant);
            return Some(Judged::new(subject, process.rss_bytes, verdict));
        }
    };
    remember(None);
    Some(Judged::keep(subject, process.rss_bytes, keep))
}

/// Below which gateway process it stands, or stood when that was last to be seen.
fn bond(world: &World<'_>, position: &Position, process: &Process) -> Bond {
    let forgotten = world.forgotten_gateway_of(process);
    forgotten.or_else(|| world.below(process, position)).map_or(Bond::None, Bond::Child)
}

/// Whose a parentless worker was may be unknown, or forgotten: then the longest grace of those it may have been of.
fn grace(
    world: &World<'_>,
    owners: &Owners<'_>,
    index: usize,
    process: &Process,
    orphan: OrphanKind,
) -> Duration {
    let own = world.gateways[index].rules.policy.worker_grace;
    // One that a gateway adopted was another's before.
    let is_adopted = owners.position_of(process.identity.pid).gateway().is_some();
    // The one that tells of it isn't always the one that it was seen below: that one's process wasn't known at first.
    let gateway = &world.gateways[index];
    let had = gateway.memory.and_then(|memory| memory.process);
    let is_its = |seen_below| gateway.process == Some(seen_below) || had == Some(seen_below);
    let is_known = world.seen_below(process).is_some_and(is_its) && !is_adopted;
    if orphan != OrphanKind::ParentlessWorker || is_known {
        return own;
    }
    let graces =
        world.matching(process.identity.pid).map(|other| world.gateways[other].rules.policy.worker_grace);
    graces.fold(own, Duration::max)
}
