//! The gateway's own children that look like workers: `ownerless-worker` or `superseded-worker` if and only if the table is current,
//! understood and names no session they could belong to.

use super::clock;
use super::quota::{Due, Found};
use super::scene::Scene;
use crate::domain::ledger::{Bond, GatewayMemory, WorkerMemory};
use crate::domain::orphan::OrphanKind;
use crate::domain::process::{Process, ProcessIdentity};
use crate::domain::verdict::{Keep, Protection, Subject};

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
    let Some(gateway) = scene.process else { return Vec::new() };
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
            let due = Due {
                orphan: kind,
                session: None,
                worker: Some(identity),
                remnants: Vec::new(),
                remnants_of: None,
            };
            let waited = scene.gateway.asked.since(clock.since);
            let grace = scene.rules.policy.worker_grace;
            Some(Found::orphan(subject, process.rss_bytes, due, waited, grace, clock.failures))
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
    if let Some(other) = scene.context.above(pid) {
        return Standing::Kept(Keep::Protected(Protection::Above { pid, other }));
    }
    if let Some(why) = scene.distrust() {
        return Standing::Kept(Keep::TableNotTrusted(why.into()));
    }
    if let Some(why) = scene.contradiction() {
        return Standing::Kept(Keep::TableNotTrusted(why.into()));
    }
    if scene.shares_process {
        let why = "another gateway of the configuration has the same process";
        return Standing::Kept(Keep::TableNotTrusted(why.into()));
    }
    if scene.context.is_named(pid) {
        return unknown("the table of another gateway names it as its worker");
    }
    if scene.rows.has_obscure_worker || scene.has_misnamed_without_key {
        return unknown("a session's worker is not understood, and it may be this one");
    }
    if scene.rows.has_obscure_key {
        return unknown("a session's key is not understood, and this worker may carry it");
    }
    match key {
        Some(key) if scene.rows.find_by(key) => Standing::Owned,
        None if scene.rows.find_by_key() => {
            unknown("the table doesn't name its workers and worker.match has no group `session`")
        }
        Some(key) if scene.misnames(key) => {
            unknown("a session with its key names a process that can't be its worker")
        }
        Some(key) if scene.names_younger(key, process) => Standing::Orphan(OrphanKind::SupersededWorker),
        _ => Standing::Orphan(OrphanKind::OwnerlessWorker),
    }
}
