//! The grace clock: how long somebody has looked like an orphan, in awake time, and what starts it again.
//!
//! It starts when the look is over, and is read as of the moment the table was asked for: a gateway that takes its time shows what was,
//! not what is, and the wait for its answer is no evidence.

use std::time::Duration;

use super::scene::Scene;
use crate::domain::ledger::{GatewayMemory, SessionClock, WorkerClock};
use crate::domain::orphan::OrphanKind;
use crate::domain::process::ProcessIdentity;
use crate::domain::table::{Session, Told};
use crate::domain::time::Awake;

/// The clock of a session that looks like an orphan now.
pub(super) fn of_session(scene: &Scene<'_>, session: &Session) -> SessionClock {
    let now = scene.now();
    let fresh = |claims_after| SessionClock {
        since: now,
        activity: session.activity.clone(),
        claims_after,
        failures: 0,
    };
    let Some(memory) = scene.memory else { return fresh(None) };
    let (before, run) = (scene.remembered_run(), scene.run());
    let is_marked = memory.restart.contains(&session.id);
    match memory.sessions.get(&session.id) {
        Some(clock)
            if !is_marked
                && before == run
                && clock.activity == session.activity
                && clock.since <= now
                && clock.claims_after.is_none_or(|after| after <= now) =>
        {
            clock.clone()
        }
        Some(_) => fresh(Some(now)),
        None if is_marked || (before.is_some() && before != run) => fresh(Some(now)),
        None => fresh(None),
    }
}

/// Marks a session that isn't judged an orphan in this run, if the gateway's own clocks wouldn't show what ought to start its grace again:
/// they know when its transport and its turn ended, not when a hold did, nor when it was refused.
pub(super) fn mark(scene: &Scene<'_>, session: &Session, remembered: &mut GatewayMemory) {
    let held = match &session.holds {
        Told::Known(holds) => !holds.is_empty(),
        Told::NotUnderstood(_) => true,
        Told::Absent => false,
    };
    let has_fresher_evidence = |memory: &&GatewayMemory| {
        let clock = memory.sessions.get(&session.id);
        memory.restart.contains(&session.id) || clock.is_some_and(|clock| clock.claims_after.is_some())
    };
    if held || scene.memory.is_some_and(|memory| has_fresher_evidence(&memory)) {
        remembered.restart.insert(session.id.clone());
    }
}

/// The same for all sessions, when the table isn't current.
pub(super) fn mark_all(scene: &Scene<'_>, remembered: &mut GatewayMemory) {
    let Some(memory) = scene.memory else { return };
    let refused = memory.sessions.iter().filter(|(_, clock)| clock.claims_after.is_some());
    remembered.restart.extend(memory.restart.iter().chain(refused.map(|(id, _)| id)).cloned());
}

/// How long the session has looked like an orphan.
///
/// The gateway knows better than its polls: a client may come and go between two of them. Both of its clocks together stand in for the
/// reaper's own, and then the smaller one counts; one alone can only make the wait longer.
pub(super) fn waited(asked: Awake, session: &Session, clock: &SessionClock) -> Duration {
    let own = asked.since(clock.since);
    let claim = match (session.detached_for, session.idle_for) {
        (None, None) => return own,
        (Some(one), None) | (None, Some(one)) => own.min(one),
        (Some(detached), Some(idle)) => detached.min(idle),
    };
    clock.claims_after.map_or(claim, |after| claim.min(asked.since(after)))
}

/// The clock of a worker that is this kind of orphan now.
pub(super) fn of_worker(scene: &Scene<'_>, identity: &ProcessIdentity, kind: OrphanKind) -> WorkerClock {
    let now = scene.now();
    let known = scene.context.known.get(identity);
    // What one gateway's table said of a worker is nothing to another gateway, nor to another run of this one.
    let same_evidence = |gateway| {
        !kind.depends_on_table() || (gateway == &scene.gateway.name && scene.remembered_run() == scene.run())
    };
    match known.and_then(|(gateway, worker)| Some((gateway, worker.clock?))) {
        Some((gateway, clock)) if clock.kind == kind && clock.since <= now && same_evidence(*gateway) => {
            clock
        }
        _ => WorkerClock { kind, since: now, failures: 0 },
    }
}
