//! Workers whose gateway process is gone: `parentless-worker` if and only if it was seen to lose its parent, or is under init or a
//! subreaper that can't be a gateway.
//!
//! PPID 1 proves nothing for anything but a worker (#92008, #84855), and in a container process 1 may be the gateway itself.

use super::clock;
use super::context::Scene;
use super::quota::{Due, Found};
use crate::domain::adoption::{self, AdoptionSign};
use crate::domain::ids::GatewayName;
use crate::domain::ledger::{Bond, GatewayMemory, WorkerMemory};
use crate::domain::orphan::OrphanKind;
use crate::domain::process::Process;
use crate::domain::verdict::{Keep, Subject};

/// What is known of a worker's gateway.
enum Parent {
    /// It is gone.
    Gone,
    /// It may be there.
    Unknown(String),
    /// Nothing says that it is gone.
    There,
}

pub(super) fn judge(scene: &Scene<'_>, remembered: &mut GatewayMemory) -> Vec<Found> {
    let mut found = Vec::new();
    for process in scene.context.view().processes.values() {
        let under_a_gateway = process.parent.is_some_and(|parent| scene.context.gateways.contains(&parent));
        if process.zombie || under_a_gateway || !is_ours(scene, process) {
            continue;
        }
        found.extend(judge_one(scene, process, remembered));
    }
    found
}

/// Whether it is for this gateway to judge the process: the one that remembers it, else the first whose pattern takes it for a worker.
fn is_ours(scene: &Scene<'_>, process: &Process) -> bool {
    if scene.match_of(process).is_none() {
        return false;
    }
    let remembers =
        |name: &GatewayName| scene.context.claimants(process).any(|(gateway, _)| gateway.name == *name);
    match scene.context.known.get(&process.identity) {
        Some((name, _)) if remembers(name) => **name == scene.gateway.name,
        _ => {
            scene.context.claimants(process).next().is_some_and(|(first, _)| first.name == scene.gateway.name)
        }
    }
}

fn judge_one(scene: &Scene<'_>, process: &Process, remembered: &mut GatewayMemory) -> Option<Found> {
    let identity = process.identity;
    let known = scene.context.known.get(&identity);
    let bond = known.map_or(Bond::None, |(_, worker)| worker.bond);
    let key = scene.match_of(process).flatten();
    let mut remember = |bond, clock| remembered.workers.push(WorkerMemory { identity, bond, clock });
    let subject = Subject::Worker { key: key.map(Into::into), identity };
    let keep = |keep| Some(Found::keep(subject.clone(), process.rss_bytes, keep));

    if scene.context.is_named(identity.pid) {
        remember(Bond::Listed, None);
        return None;
    }
    let parent = parent(scene, process, bond);
    if let (Parent::There, Bond::None) = (&parent, bond) {
        return None;
    }
    if let Some(protection) = scene.limits.protects(process) {
        remember(bond, None);
        return keep(Keep::Protected(protection));
    }
    if let (Bond::Listed, Some(why)) = (bond, scene.distrust()) {
        remember(bond, None);
        return keep(Keep::TableNotTrusted(why.into()));
    }
    match owner_by_key(scene, process, key) {
        Some(Owner::Listed) => {
            remember(Bond::Listed, None);
            return None;
        }
        Some(Owner::Possible) => {
            remember(bond, None);
            let what = "a listed session carries its key and the gateway's process isn't known";
            return keep(Keep::UnknownState(what.into()));
        }
        None => {}
    }
    match parent {
        Parent::Gone => {
            let clock = clock::of_worker(scene, &identity, OrphanKind::ParentlessWorker);
            remember(bond, Some(clock));
            let orphan = OrphanKind::ParentlessWorker;
            let due = Due { orphan, session: None, worker: Some(identity), remnants: Vec::new() };
            let waited = scene.now().since(clock.since);
            Some(Found::orphan(subject, process.rss_bytes, waited, scene.rules.policy.worker_grace, due))
        }
        Parent::Unknown(what) => {
            remember(bond, None);
            keep(Keep::UnknownState(what.into()))
        }
        Parent::There => {
            remember(bond, None);
            keep(Keep::UnknownState("its gateway's process isn't known in this run".into()))
        }
    }
}

fn parent(scene: &Scene<'_>, process: &Process, bond: Bond) -> Parent {
    let view = scene.context.view();
    if let Bond::Child(gateway) = bond {
        // The kernel gives a process another parent only when its parent is gone.
        let parent = process.parent;
        return if parent == Some(gateway.pid) { Parent::There } else { Parent::Gone };
    }
    let Some(sign) = adoption::sign(process, view) else { return Parent::There };
    let parent = process.parent.and_then(|pid| view.get(pid));
    let name = parent.map_or("unknown", |parent| &parent.comm);
    match sign {
        AdoptionSign::UnderInit | AdoptionSign::UnderKnownSubreaper => Parent::Gone,
        // The parent may be anything; but not one of the gateways, if each of those is known to be another.
        AdoptionSign::UnderFirst | AdoptionSign::LeaderlessSession if scene.context.all_gateways_known() => {
            Parent::Gone
        }
        AdoptionSign::UnderFirst | AdoptionSign::LeaderlessSession => {
            let pid = process.parent.map_or(0, |pid| pid.get());
            Parent::Unknown(format!(
                "its parent {pid} ({name}) may be a gateway: one of the configured gateways has no known process"
            ))
        }
    }
}

/// A session whose worker is found by key alone.
enum Owner {
    /// It is listed, and the worker was started by the gateway that lists it.
    Listed,
    /// It is listed, and the worker may be of this run of the gateway or of one before.
    Possible,
}

/// A table without PIDs may mean a worker that left its gateway's tree. One that is older than the gateway is of an earlier run of it.
fn owner_by_key(scene: &Scene<'_>, process: &Process, key: Option<&str>) -> Option<Owner> {
    let key = key?;
    let claimants = scene.context.claimants(process);
    let mut owner = None;
    for (gateway, _) in claimants.filter(|(gateway, _)| scene.context.lists_key(gateway, key)) {
        match gateway.process {
            Some(run) if process.identity.start_ticks < run.start_ticks => {}
            Some(_) => return Some(Owner::Listed),
            None => owner = Some(Owner::Possible),
        }
    }
    owner
}
