//! Sessions: `detached-session` if and only if the row says detached, idle and not held, everything in it is understood, and nothing that
//! belongs to it is what may never be signalled.

use super::claims::{Claim, Claims};
use super::clock;
use super::families::Families;
use super::named;
use super::quota;
use super::world::{Gateway, RowId, World};
use crate::domain::ids::{Pid, SessionId};
use crate::domain::ledger::GatewayMemory;
use crate::domain::orphan::OrphanKind;
use crate::domain::process::ProcessIdentity;
use crate::domain::table::{Session, Told, Transport, Turn};
use crate::domain::verdict::{About, Judged, Keep, LastActive, Subject};
use crate::domain::warrant::{CloseOrder, Warrant};

pub(super) fn judge(
    world: &World<'_>,
    claims: &Claims<'_>,
    families: &Families<'_, '_>,
    index: usize,
    remembered: &mut GatewayMemory,
) -> Vec<Judged> {
    let gateway = &world.gateways[index];
    if let Some(missing) = gateway.seen.table.missing() {
        clock::mark_all(gateway, remembered);
        let closes = |id| remembered.closes.get(id).copied().unwrap_or_default();
        let listed = missing.listed.iter();
        return listed.map(|id| Judged { closes_without_effect: closes(id), ..judge_listed(id) }).collect();
    }
    let judged = world.rows_of(index).map(|row| {
        let session = world.session(row);
        let closes = remembered.closes.get(&session.id).copied();
        let key = session.key.known().filter(|key| key.as_str() != session.id.as_str());
        let judged = judge_one(world, claims, families, row, remembered);
        let key = key.map(|key| key.as_str().into());
        let about = about(gateway, session);
        Judged { key, about, closes_without_effect: closes.unwrap_or_default(), ..judged }
    });
    judged.collect()
}

/// That a session is there says nothing of whether it is wanted. Why there is no table, and the remedy, is told once, with the gateway.
fn judge_listed(id: &SessionId) -> Judged {
    let why = "no session table says whether it is in use";
    let subject = Subject::Session { id: id.clone(), worker: None };
    Judged::keep(subject, None, Keep::UnknownState(why.into()))
}

fn judge_one(
    world: &World<'_>,
    claims: &Claims<'_>,
    families: &Families<'_, '_>,
    row: RowId,
    remembered: &mut GatewayMemory,
) -> Judged {
    let gateway = &world.gateways[row.gateway];
    let session = world.session(row);
    let claim = claims.of(row);
    let worker = claim.worker();
    let subject = Subject::Session {
        id: session.id.clone(),
        worker: worker.map(|process| process.identity.pid).or_else(|| named_and_not_gone(world, session)),
    };
    let rss_bytes = worker.and_then(|process| process.rss_bytes);
    let protected = || match claim {
        Claim::Untouchable(protection) => Some(Keep::Protected(*protection)),
        Claim::CloseOnly | Claim::Processes { .. } => None,
    };
    if let Some(keep) = reason_to_keep(session).or_else(protected) {
        clock::mark(world, gateway, session, remembered);
        return Judged::keep(subject, rss_bytes, keep);
    }
    let clock = clock::of_session(world, gateway, session);
    let waited = clock::waited(gateway.seen.asked, session, &clock);
    let failures = clock.failures;
    remembered.sessions.insert(session.id.clone(), clock);
    let claimed = worker.into_iter().chain(claim.others());
    let strays = claimed.flat_map(|process| families.strays_of(row.gateway, process.identity));
    let (left, left_of) = families.left_of(row.gateway, &session.id);
    let others = claim.others().map(|process| process.identity);
    let mut remnants: Vec<ProcessIdentity> = Vec::new();
    for along in others.chain(strays).chain(left) {
        if !remnants.contains(&along) {
            remnants.push(along);
        }
    }
    let warrant = Warrant {
        session: Some(CloseOrder {
            id: session.id.clone(),
            instance: gateway.seen.table.current().and_then(|table| table.instance.clone()),
            activity: session.activity.clone(),
        }),
        worker: worker.map(|process| process.identity),
        remnants,
        remnants_of: left_of,
        failures: Some(failures),
        closes_without_effect: remembered.closes.get(&session.id).copied().unwrap_or_default(),
        left_to_gateway: left_to_gateway(world, row, claim),
        ..gateway.warrant(OrphanKind::DetachedSession)
    };
    Judged::new(subject, rss_bytes, quota::after(gateway.rules.policy.grace_of(session), waited, warrant))
}

/// That its close is all that is done about the process which its row names, and why.
fn left_to_gateway(world: &World<'_>, row: RowId, claim: &Claim<'_>) -> Option<Box<str>> {
    if !matches!(claim, Claim::CloseOnly) || world.gateways[row.gateway].is_elsewhere {
        return None;
    }
    let Some(named) = world.session(row).named_worker() else {
        let pid = world.changed_worker_of(row)?.identity.pid;
        let note = "which was its worker, is left to its gateway: it doesn't look like one any more";
        return Some(format!("process {pid}, {note}").into());
    };
    let named = world.alive(named)?.identity.pid;
    let why = named::why_unproven(world, row, named);
    Some(format!("process {named}, which its row names as its worker, is left to its gateway: {why}").into())
}

/// The process that its row names, unless that is known to be gone.
fn named_and_not_gone(world: &World<'_>, session: &Session) -> Option<Pid> {
    session.named_worker().filter(|pid| !world.view().is_gone(*pid))
}

fn about(gateway: &Gateway<'_>, session: &Session) -> About {
    About {
        clients: session.shown.clients,
        last_active: session.shown.last_active.map(LastActive::At).or(session.idle_for.map(LastActive::Ago)),
        grace: Some(gateway.rules.policy.grace_of(session)),
        held_back: None,
    }
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
