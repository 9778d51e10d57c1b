//! The grace clock: how long a subject has looked like an orphan, in awake time that was observed, and what starts it again.
//!
//! It starts when the look is over, and is read as of the moment the table was asked for: a gateway that takes its time shows what was,
//! not what is, and the wait for its answer is no evidence.

use std::time::Duration;

use super::doubts;
use super::world::{Gateway, World};
use crate::domain::ids::GatewayName;
use crate::domain::ledger::{GatewayMemory, SessionClock, WorkerClock};
use crate::domain::orphan::OrphanKind;
use crate::domain::process::ProcessIdentity;
use crate::domain::table::{Session, Told, Transport, Turn};
use crate::domain::time::Awake;

/// What a gateway's clocks may differ by from look to look while they are right: an answer's way takes its time.
const JITTER: Duration = Duration::from_millis(100);

/// The clock of a session that looks like an orphan now.
pub(super) fn of_session(world: &World<'_>, gateway: &Gateway<'_>, session: &Session) -> SessionClock {
    let now = world.now;
    let named = session.named_worker().and_then(|pid| Some(world.alive(pid)?.identity));
    let fresh = |claims_after, started| SessionClock {
        since: now,
        activity: session.activity.clone(),
        claims_after,
        started,
        worker: named,
        failures: 0,
    };
    let Some(memory) = gateway.memory else { return grown(world, gateway, session, fresh(None, None)) };
    let (before, run) = (gateway.remembered_run(), gateway.run());
    // What has the PID of its worker by now was nobody's orphan yet.
    let is_another = |clock: &SessionClock| match (clock.worker, named) {
        (Some(before), Some(now)) => before.pid == now.pid && before != now,
        (before, now) => before.is_none() && now.is_some(),
    };
    let is_marked = memory.restart.contains(&session.id);
    let clock = match memory.sessions.get(&session.id) {
        Some(clock)
            if !is_marked
                && !is_another(clock)
                && before == run.as_ref()
                && clock.activity == session.activity
                && clock.since <= now
                && clock.claims_after.is_none_or(|after| after <= now) =>
        {
            SessionClock { worker: named.or(clock.worker), ..clock.clone() }
        }
        // What its gateway's clocks have shown bounds them still, also where it is kept for what that process is.
        Some(clock) if is_another(clock) => fresh(Some(now), clock.started),
        Some(_) => fresh(Some(now), None),
        None if is_marked || (before.is_some() && before != run.as_ref()) => fresh(Some(now), None),
        // It was kept or not seen since, and something happened in it.
        None if memory.activity.get(&session.id).is_some_and(|it| Some(it) != session.activity.as_ref()) => {
            fresh(Some(now), None)
        }
        // It was in use at the last look, or not listed: its clocks can't reach back before that.
        None => fresh(None, memory.started.get(&session.id).copied().or(memory.looked)),
    };
    grown(world, gateway, session, clock)
}

/// Between two looks neither of the gateway's clocks may grow by more than the awake time that passed: they are held to the latest instant
/// that they ever started at. (A gateway that counts the machine's sleep, or whose wall clock was set, claims hours in a second.)
fn grown(world: &World<'_>, gateway: &Gateway<'_>, session: &Session, clock: SessionClock) -> SessionClock {
    let Some(claim) = claim(session) else { return clock };
    // Time that was not observed doesn't count in the gateway's clocks either. Where a look was stopped, its table may have been written after
    // that.
    let unobserved = world.seen.unobserved;
    let written = if unobserved.is_zero() { gateway.seen.asked } else { world.now };
    let starts = (written.before(claim) + unobserved).min(world.now);
    let is_news = clock.started.is_none_or(|before| starts.since(before) > JITTER);
    SessionClock { started: if is_news { Some(starts) } else { clock.started }, ..clock }
}

/// Remembers of a session that isn't judged an orphan in this run what the gateway's own clocks wouldn't show later. They know when its
/// transport and its turn ended, not when a hold did, nor when it was refused.
pub(super) fn mark(
    world: &World<'_>,
    gateway: &Gateway<'_>,
    session: &Session,
    remembered: &mut GatewayMemory,
) {
    let held = match &session.holds {
        Told::Known(holds) => !holds.is_empty(),
        Told::NotUnderstood(_) => true,
        Told::Absent => false,
    };
    let was_refused = |memory: &&GatewayMemory| {
        let clock = memory.sessions.get(&session.id);
        memory.restart.contains(&session.id) || clock.is_some_and(|clock| clock.claims_after.is_some())
    };
    let in_use = session.transport == Told::Known(Transport::Attached)
        || matches!(session.turn, Told::Known(Turn::Running | Turn::Waiting | Turn::Starting));
    if held || gateway.memory.as_ref().is_some_and(was_refused) {
        remembered.restart.insert(session.id.clone());
    } else if in_use {
        remembered.in_use.insert(session.id.clone());
    } else if claim(session).is_some()
        && let Some(started) = of_session(world, gateway, session).started
    {
        // It is kept for its worker or for what isn't understood, and its gateway's clocks go on.
        remembered.started.insert(session.id.clone(), started);
        if let Some(activity) = &session.activity {
            remembered.activity.insert(session.id.clone(), activity.clone());
        }
    }
}

/// The same for all sessions, when the table isn't current.
pub(super) fn mark_all(gateway: &Gateway<'_>, remembered: &mut GatewayMemory) {
    let Some(memory) = gateway.memory else { return };
    let refused = memory.sessions.iter().filter(|(_, clock)| clock.claims_after.is_some());
    remembered.restart.extend(memory.restart.iter().chain(refused.map(|(id, _)| id)).cloned());
    remembered.in_use.clone_from(&memory.in_use);
    let started = memory.sessions.iter().filter_map(|(id, clock)| Some((id.clone(), clock.started?)));
    remembered.started = memory.started.clone().into_iter().chain(started).collect();
    let activity =
        memory.sessions.iter().filter_map(|(id, clock)| Some((id.clone(), clock.activity.clone()?)));
    remembered.activity = memory.activity.clone().into_iter().chain(activity).collect();
    remembered.looked = memory.looked;
}

/// How long the session has looked like an orphan.
///
/// The gateway knows better than its polls: a client may come and go between two of them. Both of its clocks together stand in for the
/// reaper's own, and then the smaller one counts; one alone can only make the wait longer.
pub(super) fn waited(asked: Awake, session: &Session, clock: &SessionClock) -> Duration {
    let own = asked.since(clock.since);
    let Some(claim) = session.orphaned_for() else {
        return claim(session).map_or(own, |claim| own.min(claim));
    };
    let bounds = clock.claims_after.into_iter().chain(clock.started);
    bounds.fold(claim, |claim, bound| claim.min(asked.since(bound)))
}

/// The smaller of the gateway's own clocks.
fn claim(session: &Session) -> Option<Duration> {
    session.detached_for.into_iter().chain(session.idle_for).min()
}

/// The clock of a worker that is this kind of orphan now.
pub(super) fn of_worker(
    world: &World<'_>,
    gateway: &Gateway<'_>,
    identity: &ProcessIdentity,
    kind: OrphanKind,
) -> WorkerClock {
    let known = world.known.get(identity).and_then(|(name, worker)| Some((*name, worker.clock?)));
    let starts_again = kind == OrphanKind::ParentlessWorker && is_its_gateway_back(world, identity);
    going_on(world, gateway, known.filter(|_| !starts_again), kind)
}

/// Whether a gateway that may have started this worker seemed to be gone at the last look and answers now. One that the worker was seen
/// below and that is gone doesn't come back, but its successor may take the worker back.
fn is_its_gateway_back(world: &World<'_>, worker: &ProcessIdentity) -> bool {
    let Some(process) = world.view().alive(worker) else { return false };
    let is_alive = |gateway: &ProcessIdentity| world.view().alive(gateway).is_some();
    let has_lost_one = world.seen_below(process).is_some_and(|gateway| !is_alive(&gateway));
    let mut gateways = doubts::may_have_started(world, process, &world.position(process)).into_iter();
    gateways.any(|index| {
        let gateway = &world.gateways[index];
        gateway.is_back() && (gateway.rules.takes_workers_back || !has_lost_one)
    })
}

/// The clock of what is left of a worker that this gateway remembers.
pub(super) fn of_family(
    world: &World<'_>,
    gateway: &Gateway<'_>,
    before: Option<WorkerClock>,
    kind: OrphanKind,
) -> WorkerClock {
    going_on(world, gateway, before.map(|clock| (&gateway.seen.name, clock)), kind)
}

fn going_on(
    world: &World<'_>,
    gateway: &Gateway<'_>,
    known: Option<(&GatewayName, WorkerClock)>,
    kind: OrphanKind,
) -> WorkerClock {
    // What one gateway's table said of a worker is nothing to another gateway, nor to another run of this one.
    let same_run = || gateway.remembered_run() == gateway.run().as_ref();
    let same_evidence =
        |name: &GatewayName| !kind.depends_on_table() || (*name == gateway.seen.name && same_run());
    match known {
        Some((name, clock)) if clock.kind == kind && clock.since <= world.now && same_evidence(name) => clock,
        _ => WorkerClock { kind, since: world.now, failures: 0 },
    }
}
