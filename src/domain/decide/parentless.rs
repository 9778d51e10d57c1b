//! Workers whose gateway process is gone: `parentless-worker` if and only if it was seen to lose its parent, or is under init or a
//! subreaper that can't be a gateway; and no gateway that may have started it may still want it.
//!
//! PPID 1 proves nothing for anything but a worker (#92008, #84855), and in a container process 1 may be the gateway itself.

use std::time::Duration;

use super::clock;
use super::context::Entry;
use super::quota::{Due, Found};
use super::scene::Scene;
use crate::domain::adoption::{self, AdoptionSign};
use crate::domain::ledger::{Bond, GatewayMemory, WorkerMemory};
use crate::domain::orphan::OrphanKind;
use crate::domain::process::Process;
use crate::domain::table::TableView;
use crate::domain::verdict::{Keep, Protection, Subject};

/// What is known of a worker's gateway.
enum Parent {
    /// It is gone.
    Gone,
    /// It may be there.
    Unknown(String),
    /// Nothing says that it is gone.
    There,
}

/// What a gateway that may have started the worker says of it.
enum Claim {
    /// A session of its table is the worker's.
    Listed,
    /// Nothing that could be relied on.
    Unclear(Keep),
}

pub(super) fn judge(scene: &Scene<'_>, strays: &[&Process], remembered: &mut GatewayMemory) -> Vec<Found> {
    strays.iter().filter_map(|process| judge_one(scene, process, remembered)).collect()
}

fn judge_one(scene: &Scene<'_>, process: &Process, remembered: &mut GatewayMemory) -> Option<Found> {
    let identity = process.identity;
    let bond = bond(scene, process);
    let parent = parent(scene, process, bond);
    let mut remember = |bond, clock| remembered.workers.push(WorkerMemory { identity, bond, clock });
    // A child of a gateway whose process isn't known in this run stays known as its child.
    let listed = match (bond, &parent) {
        (Bond::Child(_), Parent::There) => bond,
        _ => scene.entry.bore(process).map_or(Bond::Listed, Bond::Child),
    };
    if scene.context.is_named(identity.pid) {
        remember(listed, None);
        return None;
    }
    if let (Parent::There, Bond::None) = (&parent, bond) {
        return None;
    }
    let claim = claim(scene, process, bond, &parent);
    if let Some(Claim::Listed) = claim {
        remember(listed, None);
        return None;
    }
    let key = scene.match_of(process).flatten();
    let subject = Subject::Worker { key: key.map(Into::into), identity };
    let keep = match (parent, claim) {
        _ if let Some(protection) = protection(scene, process) => Keep::Protected(protection),
        (_, Some(Claim::Unclear(keep))) => keep,
        (Parent::Unknown(what), _) => Keep::UnknownState(what.into()),
        (Parent::There, _) if scene.context.is_under_a_gateway(process) => Keep::UnknownState(
            "it is under a gateway, but not its child: only a table can say whose it is".into(),
        ),
        (Parent::There, _) => Keep::UnknownState("its gateway's process isn't known in this run".into()),
        (Parent::Gone, _) => {
            let orphan = OrphanKind::ParentlessWorker;
            let clock = clock::of_worker(scene, &identity, orphan);
            remember(bond, Some(clock));
            let due = Due {
                orphan,
                session: None,
                worker: Some(identity),
                remnants: Vec::new(),
                remnants_of: None,
            };
            let waited = scene.gateway.asked.since(clock.since);
            let grace = grace(scene, process, bond);
            return Some(Found::orphan(subject, process.rss_bytes, due, waited, grace, clock.failures));
        }
    };
    remember(bond, None);
    Some(Found::keep(subject, process.rss_bytes, keep))
}

/// What ties it to its gateway. A gateway whose table doesn't say which process it is (so that its workers are judged here) is still the one
/// that is remembered, and the children of that are seen to be its own. Once it is gone, nothing else may tell.
fn bond(scene: &Scene<'_>, process: &Process) -> Bond {
    let known = scene.context.known.get(&process.identity).map_or(Bond::None, |(_, worker)| worker.bond);
    match (known, scene.entry.bore(process)) {
        (Bond::Listed | Bond::None, Some(gateway)) => Bond::Child(gateway),
        _ => known,
    }
}

/// Whose it was may be unknown, or forgotten: then the longest grace of those it may have been of.
fn grace(scene: &Scene<'_>, process: &Process, bond: Bond) -> Duration {
    let own = scene.rules.policy.worker_grace;
    if bond != Bond::None {
        return own;
    }
    let graces = scene.context.claimants(process).map(|(entry, _)| entry.rules.policy.worker_grace);
    graces.fold(own, Duration::max)
}

fn protection(scene: &Scene<'_>, process: &Process) -> Option<Protection> {
    let pid = process.identity.pid;
    let above = || scene.context.above(pid).map(|other| Protection::Above { pid, other });
    scene.limits.protects(process).or_else(above)
}

fn parent(scene: &Scene<'_>, process: &Process, bond: Bond) -> Parent {
    if let Bond::Child(gateway) = bond {
        // The kernel gives a process another parent only when its parent is gone.
        return if process.parent == Some(gateway.pid) { Parent::There } else { Parent::Gone };
    }
    let view = scene.context.view();
    let Some(sign) = adoption::sign(process, view) else { return Parent::There };
    let parent = process.parent.and_then(|pid| view.get(pid));
    // A copy of a worker that hasn't called exec yet, or never will, is of that worker's tree.
    let under_a_worker = parent.is_some_and(|parent| !parent.zombie && scene.match_of(parent).is_some());
    if under_a_worker || scene.context.is_under_a_gateway(process) {
        return Parent::There;
    }
    let proven = match sign {
        AdoptionSign::UnderInit | AdoptionSign::UnderKnownSubreaper => true,
        // The parent may be anything; but not one of the gateways, if each of those is known to be another.
        AdoptionSign::UnderFirst | AdoptionSign::LeaderlessSession => scene.context.all_gateways_known(),
    };
    if proven {
        return Parent::Gone;
    }
    let name = parent.map_or("unknown", |parent| &parent.comm);
    let pid = process.parent.map_or(0, |pid| pid.get());
    Parent::Unknown(format!(
        "its parent {pid} ({name}) may be a gateway: one of the configured gateways has no known process"
    ))
}

/// What the gateways that may have started the worker say of it. A worker may leave its gateway's tree (double-forked) and still be wanted.
fn claim(scene: &Scene<'_>, process: &Process, bond: Bond, parent: &Parent) -> Option<Claim> {
    if let (Bond::Listed, Some(why)) = (bond, scene.distrust())
        && !scene.is_gone()
    {
        return Some(Claim::Unclear(Keep::TableNotTrusted(why.into())));
    }
    let seen_to_lose_it = matches!((bond, parent), (Bond::Child(_), Parent::Gone));
    let claims = scene
        .context
        .claimants(process)
        .filter(|(entry, _)| entry.may_have_started(process))
        .filter_map(|(entry, key)| claim_of(entry, key, seen_to_lose_it));
    claims.min_by_key(|claim| !matches!(claim, Claim::Listed))
}

fn claim_of(entry: &Entry<'_>, key: Option<&str>, seen_to_lose_its_parent: bool) -> Option<Claim> {
    let unknown = |what: &str| Some(Claim::Unclear(Keep::UnknownState(what.into())));
    match (&entry.gateway.table, entry.process) {
        (TableView::Current(_), Some(_)) if key.is_some_and(|key| entry.rows.find_by(key)) => {
            Some(Claim::Listed)
        }
        (TableView::Current(_), None) if key.is_some_and(|key| entry.rows.find_by(key)) => {
            unknown("a listed session carries its key and the gateway's process isn't known")
        }
        // What was seen to lose its gateway isn't one of the things that nobody understands.
        _ if seen_to_lose_its_parent => None,
        (TableView::Current(_), _) if entry.rows.has_obscure_worker => {
            unknown("a session's worker is not understood, and it may be this one")
        }
        (TableView::Current(_), _) if entry.rows.has_obscure_key => {
            unknown("a session's key is not understood, and this worker may carry it")
        }
        (TableView::Current(_), _) if key.is_none() && entry.rows.find_by_key() => {
            unknown("the table doesn't name its workers and worker.match has no group `session`")
        }
        (TableView::Not(missing), Some(_)) => {
            Some(Claim::Unclear(Keep::TableNotTrusted(missing.why.clone())))
        }
        _ => None,
    }
}
