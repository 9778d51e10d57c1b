//! The grace clock: how long somebody has looked like an orphan, in awake time, and what starts it again.
//!
//! It starts when the look is over and is read as of the moment the table was asked for: a gateway that takes its time shows what was,
//! not what is, and the wait for its answer is no evidence.

use std::time::Duration;

use super::context::Scene;
use crate::domain::ledger::{SessionClock, WorkerClock};
use crate::domain::orphan::OrphanKind;
use crate::domain::process::ProcessIdentity;
use crate::domain::table::Session;

/// The clock of a session that looks like an orphan now.
pub(super) fn of_session(scene: &Scene<'_>, session: &Session) -> SessionClock {
    let now = scene.now();
    let run_changed = scene.run_changed();
    let fresh = |claims_after| SessionClock { since: now, activity: session.activity.clone(), claims_after };
    match scene.memory.sessions.get(&session.id) {
        Some(clock) if !run_changed && clock.activity == session.activity => clock.clone(),
        Some(_) => fresh(Some(now)),
        None if run_changed => fresh(Some(now)),
        None => fresh(None),
    }
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
