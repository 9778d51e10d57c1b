//! Sessions: `detached-session` if and only if the row says detached, idle and not held, and everything in it is understood.

use super::clock;
use super::context::ancestors;
use super::quota::{Due, Found};
use super::scene::Scene;
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
    /// It is, or has under it, what is never signalled. Either nothing the row says is to be trusted, or closing the session would take
    /// somebody else along.
    Untouchable(Protection),
}

pub(super) fn judge<'a>(scene: &Scene<'a>, remembered: &mut GatewayMemory) -> Vec<Found> {
    if scene.distrust().is_some() {
        clock::mark_all(scene, remembered);
    }
    let listed = scene.listed().iter().map(judge_listed);
    scene.rows.all.iter().map(|session| judge_one(scene, session, remembered)).chain(listed).collect()
}

/// That a session is there says nothing of whether it is wanted. Why there is no table, and the remedy, is told once, with the gateway.
fn judge_listed(id: &SessionId) -> Found {
    let why = "no session table says whether it is in use";
    let subject = Subject::Session { id: id.clone(), worker: None };
    Found::keep(subject, None, Keep::UnknownState(why.into()))
}

fn judge_one<'a>(scene: &Scene<'a>, session: &'a Session, remembered: &mut GatewayMemory) -> Found {
    let claim = claim(scene, session);
    let worker = match &claim {
        Claim::Worker(process) => Some(process.identity.pid),
        _ => session.named_worker(),
    };
    let subject = Subject::Session { id: session.id.clone(), worker };
    let rss_bytes = match &claim {
        Claim::Worker(process) => process.rss_bytes,
        _ => None,
    };
    let untouchable = match &claim {
        Claim::Untouchable(protection) => Some(Keep::Protected(*protection)),
        Claim::CloseOnly | Claim::Worker(_) => None,
    };
    if let Some(keep) = reason_to_keep(session).or(untouchable) {
        clock::mark(scene, session, remembered);
        return Found::keep(subject, rss_bytes, keep);
    }
    let worker = match claim {
        Claim::Worker(process) => Some(process.identity),
        Claim::CloseOnly | Claim::Untouchable(_) => None,
    };
    let clock = clock::of_session(scene, session);
    let waited = clock::waited(scene.gateway.asked, session, &clock);
    let failures = clock.failures;
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
        remnants_of: None,
    };
    Found::orphan(subject, rss_bytes, due, waited, grace, failures)
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
    let claim = match session.worker {
        Told::Known(Some(pid)) => claim_by_pid(scene, session, pid),
        Told::Known(None) => Claim::CloseOnly,
        Told::Absent => claim_by_key(scene, session),
        Told::NotUnderstood(_) => Claim::CloseOnly,
    };
    let worker = match &claim {
        Claim::Worker(process) => Some(process.identity.pid),
        Claim::CloseOnly => session.named_worker(),
        Claim::Untouchable(_) => None,
    };
    let above = |pid| scene.context.above(pid).map(|other| Protection::Above { pid, other });
    worker.and_then(above).map_or(claim, Claim::Untouchable)
}

fn claim_by_pid<'a>(scene: &Scene<'a>, session: &Session, pid: Pid) -> Claim<'a> {
    if let Some(protection) = scene.limits.protects_pid(pid) {
        return Claim::Untouchable(protection);
    }
    if scene.context.namers(pid).len() > 1 {
        return Claim::Untouchable(Protection::Shared(pid));
    }
    let Some(process) = scene.context.view().get(pid).filter(|process| !process.zombie) else {
        return Claim::CloseOnly;
    };
    if let Some(protection) = scene.limits.protects(process) {
        return Claim::Untouchable(protection);
    }
    // Without its gateway or a pattern there is nothing to check the claim against, so nothing is signalled.
    let Some(gateway) =
        scene.process.filter(|_| scene.rules.worker_match.is_some() && scene.contradiction().is_none())
    else {
        return Claim::CloseOnly;
    };
    let Some(key) = scene.match_of(process) else {
        return Claim::Untouchable(Protection::NotAWorker(pid));
    };
    let says_so = key.is_some() && key == session.worker_key();
    if !says_so && key.is_some_and(|key| scene.rows.with_key(key) > 0) {
        return Claim::Untouchable(Protection::Shared(pid));
    }
    let line = || ancestors(scene.context.view(), process);
    let is_under = || line().any(|ancestor| ancestor == gateway.pid);
    if !says_so
        && line().take_while(|ancestor| *ancestor != gateway.pid).any(|pid| scene.context.is_named(pid))
    {
        return Claim::Untouchable(Protection::Shared(pid));
    }
    // A worker that left its gateway's tree (double-forked) has to say itself whose it is.
    if !is_under() && (!says_so || scene.context.is_under_a_gateway(process)) {
        return Claim::Untouchable(Protection::NotUnderGateway(pid));
    }
    // It carries another key than the row says, and may be of a session that isn't listed yet; or it doesn't say whose it is, and may be the
    // worker of a row that nobody understands. If it is this one's after all, its gateway ends it with its session.
    let contradicts = key.is_some() && session.key.known().is_some();
    if !says_so && (contradicts || scene.rows.has_obscure()) {
        return Claim::CloseOnly;
    }
    Claim::Worker(process)
}

/// The same key twice is no proof of anything (0.13: two live sessions may carry one key), so only an unambiguous match counts. It isn't one
/// while another row's key or worker is not understood.
fn claim_by_key<'a>(scene: &Scene<'a>, session: &'a Session) -> Claim<'a> {
    let Some(key) = session.worker_key() else { return Claim::CloseOnly };
    match scene.workers_by_key(key) {
        [process]
            if scene.rows.with_key(key) == 1
                && !scene.rows.has_obscure()
                && !scene.context.is_named(process.identity.pid)
                && !scene.shares_process
                && scene.contradiction().is_none()
                && scene.limits.protects(process).is_none() =>
        {
            Claim::Worker(process)
        }
        _ => Claim::CloseOnly,
    }
}
