//! The grace clock: how long somebody has looked like an orphan, in awake time, and what starts it again.
//!
//! It starts when the look is over and is read as of the moment the table was asked for: a gateway that takes its time shows what was,
//! not what is, and the wait for its answer is no evidence.

use std::collections::BTreeSet;
use std::time::Duration;

use super::context::Scene;
use crate::domain::ids::SessionId;
use crate::domain::ledger::{SessionClock, WorkerClock};
use crate::domain::orphan::OrphanKind;
use crate::domain::process::ProcessIdentity;
use crate::domain::table::{Session, Told};

/// The clock of a session that looks like an orphan now.
pub(super) fn of_session(scene: &Scene<'_>, session: &Session) -> SessionClock {
    let now = scene.now();
    let run_changed = scene.run_changed();
    let fresh = |claims_after| SessionClock { since: now, activity: session.activity.clone(), claims_after };
    match scene.memory.sessions.get(&session.id) {
        Some(clock) if !run_changed && clock.activity == session.activity => clock.clone(),
        Some(_) => fresh(Some(now)),
        None if run_changed || scene.memory.doubted.contains(&session.id) => fresh(Some(now)),
        None => fresh(None),
    }
}

/// What must not be forgotten of sessions that have no clock now, because their gateway's clocks may have run on: a hold stops neither,
/// and a table that can't be read doesn't undo what was seen before it.
pub(super) fn doubts(scene: &Scene<'_>) -> BTreeSet<SessionId> {
    if scene.gateway.table.current().is_some() {
        let misleading = |session: &&Session| {
            let idles = session.detached_for.is_some() && session.idle_for.is_some();
            let held = match &session.holds {
                Told::Known(holds) => !holds.is_empty(),
                Told::NotUnderstood(_) => true,
                Told::Absent => false,
            };
            idles && held
        };
        return scene.sessions().iter().filter(misleading).map(|session| session.id.clone()).collect();
    }
    let clocks = scene.memory.sessions.iter().filter(|(_, clock)| clock.claims_after.is_some());
    scene.memory.doubted.iter().chain(clocks.map(|(id, _)| id)).cloned().collect()
}

/// How long the session has looked like an orphan.
///
/// The gateway knows better than its polls: a client may come and go between two of them. Both of its clocks together stand in for the
/// reaper's own, and then the smaller one counts; one alone can only make the wait longer.
pub(super) fn waited(scene: &Scene<'_>, session: &Session, clock: &SessionClock) -> Duration {
    let asked = scene.gateway.asked;
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
    let restarted = kind.depends_on_table() && scene.run_changed();
    let remembered = scene.context.known.get(identity).and_then(|(_, worker)| worker.clock);
    match remembered {
        Some(clock) if clock.kind == kind && !restarted => clock,
        _ => WorkerClock { kind, since: scene.now() },
    }
}
