//! Sessions: `detached-session` if and only if the row says detached, idle and not held, and everything in it is understood.

use super::clock;
use super::context::Scene;
use super::quota::{Due, Found};
use crate::domain::ids::{Pid, SessionId};
use crate::domain::ledger::GatewayMemory;
use crate::domain::orphan::OrphanKind;
use crate::domain::process::Process;
use crate::domain::table::{Session, Told, Transport, Turn};
use crate::domain::verdict::{Keep, Protection, Subject};
use crate::domain::warrant::CloseOrder;

/// The worker of a row, as far as it can be trusted.
enum Claim<'a> {
    /// There is none, or none that may be signalled: the gateway's close is all.
    CloseOnly,
    /// This process, and it may be signalled.
    Worker(&'a Process),
    /// The row names a process that can't be its worker: nothing the row says is to be trusted.
    Impostor(Protection),
}

pub(super) fn judge<'a>(scene: &Scene<'a>, remembered: &mut GatewayMemory) -> Vec<Found> {
    let listed = scene.listed().iter().map(|id| judge_listed(scene, id));
    scene.sessions().iter().map(|session| judge_one(scene, session, remembered)).chain(listed).collect()
}

/// That a session is there says nothing of whether it is wanted.
fn judge_listed(scene: &Scene<'_>, id: &SessionId) -> Found {
    let why = scene.distrust().unwrap_or("its gateway publishes no session table");
    let subject = Subject::Session { id: id.clone(), worker: None };
    Found::keep(subject, None, Keep::UnknownState(why.into()))
}

fn judge_one<'a>(scene: &Scene<'a>, session: &'a Session, remembered: &mut GatewayMemory) -> Found {
    let claim = claim(scene, session);
    let worker = match &claim {
        Claim::Worker(process) => Some(process.identity.pid),
        _ => session.worker.known().copied(),
    };
    let subject = Subject::Session { id: session.id.clone(), worker };
    let rss_bytes = match &claim {
        Claim::Worker(process) => process.rss_bytes,
        _ => None,
    };
    if let Some(keep) = reason_to_keep(session) {
        return Found::keep(subject, rss_bytes, keep);
    }
    let worker = match claim {
        Claim::Impostor(protection) => return Found::keep(subject, rss_bytes, Keep::Protected(protection)),
        Claim::Worker(process) => Some(process.identity),
        Claim::CloseOnly => None,
    };
    let clock = clock::of_session(scene, session);
    let waited = clock::waited(scene, session, &clock);
    remembered.sessions.insert(session.id.clone(), clock);
    let policy = &scene.rules.policy;
    let grace = match session.close_on_disconnect {
        Told::Known(true) => policy.close_on_disconnect_grace,
        _ => policy.grace,
    };
    let instance = scene.gateway.table.current().and_then(|table| table.instance.clone());
    let due = Due {
        orphan: OrphanKind::DetachedSession,
        session: Some(CloseOrder { id: session.id.clone(), instance, activity: session.activity.clone() }),
        worker,
        remnants: Vec::new(),
    };
    Found::orphan(subject, rss_bytes, waited, grace, due)
}

/// The first reason to leave the session alone. What is certain comes before what is unknown.
fn reason_to_keep(session: &Session) -> Option<Keep> {
    if session.transport == Told::Known(Transport::Attached) {
        return Some(Keep::Attached);
    }
    match session.turn {
        Told::Known(Turn::Running) => return Some(Keep::MidTurn),
        Told::Known(Turn::Waiting) => return Some(Keep::Waiting),
        Told::Known(Turn::Starting) => return Some(Keep::Starting),
        Told::Known(Turn::Idle) | Told::Absent | Told::NotUnderstood(_) => {}
    }
    match &session.holds {
        Told::Known(holds) if !holds.is_empty() => return Some(Keep::Held(holds.clone())),
        _ => {}
    }
    let unknown = must_be_told("transport", &session.transport)
        .or_else(|| must_be_told("turn", &session.turn))
        .or_else(|| must_make_sense("holds", &session.holds))
        .or_else(|| must_make_sense("close_on_disconnect", &session.close_on_disconnect))
        .or_else(|| must_make_sense("key", &session.key))
        .or_else(|| must_make_sense("worker", &session.worker));
    unknown.map(|what| Keep::UnknownState(what.into()))
}

fn must_be_told<T>(field: &str, told: &Told<T>) -> Option<String> {
    match told {
        Told::Absent => Some(format!("the table doesn't say its {field}")),
        other => must_make_sense(field, other),
    }
}

fn must_make_sense<T>(field: &str, told: &Told<T>) -> Option<String> {
    match told {
        Told::NotUnderstood(said) => Some(format!("{field} {said} is not understood")),
        Told::Known(_) | Told::Absent => None,
    }
}

fn claim<'a>(scene: &Scene<'a>, session: &'a Session) -> Claim<'a> {
    match session.worker {
        Told::Known(pid) => claim_by_pid(scene, session, pid),
        Told::Absent => claim_by_key(scene, session),
        Told::NotUnderstood(_) => Claim::CloseOnly,
    }
}

fn claim_by_pid<'a>(scene: &Scene<'a>, session: &Session, pid: Pid) -> Claim<'a> {
    if let Some(protection) = scene.limits.protects_pid(pid) {
        return Claim::Impostor(protection);
    }
    if scene.named_count(pid) > 1 {
        return Claim::Impostor(Protection::Shared(pid));
    }
    let Some(process) = scene.context.view().get(pid).filter(|process| !process.zombie) else {
        return Claim::CloseOnly;
    };
    if let Some(protection) = scene.limits.protects(process) {
        return Claim::Impostor(protection);
    }
    // Without its gateway or a pattern there is nothing to check the claim against, so nothing is signalled.
    let Some(gateway) = scene.gateway.process.filter(|_| scene.rules.worker_match.is_some()) else {
        return Claim::CloseOnly;
    };
    let Some(key) = scene.match_of(process) else {
        return Claim::Impostor(Protection::NotAWorker(pid));
    };
    // A worker that left its gateway's tree (double-forked) has to say itself whose it is.
    let says_so = key.is_some() && key == session.worker_key();
    let under_another = || process.parent.is_some_and(|parent| scene.context.gateways.contains(&parent));
    if is_under(scene, process, gateway.pid) || (says_so && !under_another()) {
        Claim::Worker(process)
    } else {
        Claim::Impostor(Protection::NotUnderGateway(pid))
    }
}

fn is_under(scene: &Scene<'_>, process: &Process, ancestor: Pid) -> bool {
    let mut parent = process.parent;
    // A view is not a snapshot: PIDs reused while it was taken could make a ring of it.
    for _ in 0..64 {
        match parent {
            Some(pid) if pid == ancestor => return true,
            Some(pid) => parent = scene.context.view().get(pid).and_then(|process| process.parent),
            None => return false,
        }
    }
    false
}

/// The same key twice is no proof of anything (0.13: two live sessions may carry one key), so only an unambiguous match counts.
fn claim_by_key<'a>(scene: &Scene<'a>, session: &'a Session) -> Claim<'a> {
    let Some(key) = session.worker_key() else { return Claim::CloseOnly };
    match scene.workers_by_key(key) {
        [process]
            if scene.rows_with_key(key) == 1
                && !scene.context.is_named(process.identity.pid)
                && scene.limits.protects(process).is_none() =>
        {
            Claim::Worker(process)
        }
        _ => Claim::CloseOnly,
    }
}
