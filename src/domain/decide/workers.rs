//! The gateway's own children that look like workers: `ownerless-worker` or `superseded-worker` if and only if the table is current,
//! understood and names no session they could belong to.

use super::clock;
use super::context::Scene;
use super::quota::{Due, Found};
use crate::domain::ledger::{Bond, GatewayMemory, WorkerMemory};
use crate::domain::orphan::OrphanKind;
use crate::domain::process::{Process, ProcessIdentity};
use crate::domain::verdict::{Keep, Subject};

/// What the table says of a worker.
enum Standing {
    /// It belongs to a listed session and is judged with it.
    Owned,
    /// It is left alone.
    Kept(Keep),
    /// It is an orphan.
    Orphan(OrphanKind),
}

pub(super) fn judge(scene: &Scene<'_>, remembered: &mut GatewayMemory) -> Vec<Found> {
    let Some(gateway) = scene.gateway.process else { return Vec::new() };
    // Two entries of the configuration may have one gateway process; the first remembers its workers.
    scene
        .workers
        .iter()
        .filter_map(|(process, key)| judge_one(scene, gateway, process, *key, remembered))
        .collect()
}

fn judge_one(
    scene: &Scene<'_>,
    gateway: ProcessIdentity,
    process: &Process,
    key: Option<&str>,
    remembered: &mut GatewayMemory,
) -> Option<Found> {
    let identity = process.identity;
    let mut memory = WorkerMemory { identity, bond: Bond::Child(gateway), clock: None };
    let subject = Subject::Worker { key: key.map(Into::into), identity };
    let found = match standing(scene, process, key) {
        Standing::Owned => None,
        Standing::Kept(keep) => Some(Found::keep(subject, process.rss_bytes, keep)),
        Standing::Orphan(kind) => {
            let clock = clock::of_worker(scene, &identity, kind);
            memory.clock = Some(clock);
            let due = Due { orphan: kind, session: None, worker: Some(identity), remnants: Vec::new() };
            let waited = scene.gateway.asked.since(clock.since);
            Some(Found::orphan(subject, process.rss_bytes, waited, scene.rules.policy.worker_grace, due))
        }
    };
    remembered.workers.push(memory);
    found
}

fn standing(scene: &Scene<'_>, process: &Process, key: Option<&str>) -> Standing {
    let pid = process.identity.pid;
    let unknown = |what: &str| Standing::Kept(Keep::UnknownState(what.into()));
    if scene.names(pid) {
        return Standing::Owned;
    }
    if let Some(protection) = scene.limits.protects(process) {
        return Standing::Kept(Keep::Protected(protection));
    }
    if let Some(why) = scene.distrust() {
        return Standing::Kept(Keep::TableNotTrusted(why.into()));
    }
    if scene.shares_process() {
        let why = "another gateway of the configuration has the same process";
        return Standing::Kept(Keep::TableNotTrusted(why.into()));
    }
    if scene.context.is_named(pid) {
        return unknown("the table of another gateway names it as its worker");
    }
    if scene.has_obscure_worker {
        return unknown("a session's worker is not understood, and it may be this one");
    }
    if scene.has_obscure_key {
        return unknown("a session's key is not understood, and this worker may carry it");
    }
    match key {
        Some(key) if !scene.rows_by_key(key).is_empty() => Standing::Owned,
        None if scene.finds_by_key() => {
            unknown("the table doesn't name its workers and worker.match has no group `session`")
        }
        Some(key) if is_misnamed(scene, key) => {
            unknown("a session with its key names a process that can't be its worker")
        }
        Some(key) if is_superseded(scene, process, key) => Standing::Orphan(OrphanKind::SupersededWorker),
        _ => Standing::Orphan(OrphanKind::OwnerlessWorker),
    }
}

/// A row of its session names another worker of this gateway that is younger.
fn is_superseded(scene: &Scene<'_>, process: &Process, key: &str) -> bool {
    let view = scene.context.view();
    scene.named_by_key(key).iter().filter_map(|named| view.get(*named)).any(|other| {
        !other.zombie
            && other.parent == process.parent
            && other.identity.start_ticks > process.identity.start_ticks
            && scene.match_of(other).is_some()
    })
}

/// A row with this key names a process that isn't there, or is no worker with this key: it doesn't say which worker isn't its own.
fn is_misnamed(scene: &Scene<'_>, key: &str) -> bool {
    let view = scene.context.view();
    let carries = |pid| {
        let named = view.get(pid).filter(|process| !process.zombie);
        named.is_some_and(|named| scene.match_of(named).flatten() == Some(key))
    };
    scene.named_by_key(key).iter().any(|named| !carries(*named))
}
