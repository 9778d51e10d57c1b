//! Workers that do nothing, while their sessions stay: `idle-worker` if and only if an operator asked for it and the worker did nothing for
//! that long by its own account, of a session that is idle and not held, or that isn't known; `unattended-worker` if and only if an
//! operator asked for it, the gateway publishes no table, no client at all is connected to it, and the worker is its own child and does
//! nothing.
//!
//! Only the worker is ever ended by these, never a session.

use std::time::Duration;

use super::claims::{Claim, Claims};
use super::clock;
use super::quota;
use super::world::{Gateway, RowId, World};
use crate::domain::activity::Account;
use crate::domain::ledger::{GatewayMemory, WorkerClock};
use crate::domain::orphan::OrphanKind;
use crate::domain::outside::{Clients, Outside};
use crate::domain::policy::WithoutTable;
use crate::domain::process::Process;
use crate::domain::table::Session;
use crate::domain::time::Awake;
use crate::domain::verdict::{Judged, Keep, Subject, Verdict, WORKER_BUSY};
use crate::domain::warrant::Warrant;

/// A worker that does nothing.
pub(super) struct Idle {
    pub(super) kind: OrphanKind,
    /// Since when it looked like one, by what was seen of it.
    pub(super) since: Awake,
    pub(super) grace: Duration,
}

/// Whether this worker of a gateway without a table may be ended all the same. `None`: that isn't asked for, or can't be.
pub(super) fn beside(world: &World<'_>, index: usize, process: &Process) -> Option<Result<Idle, Keep>> {
    let gateway = &world.gateways[index];
    let policy = &gateway.rules.policy;
    let outside = outside(gateway)?;
    let is_child = outside.gateway.is_some() && process.parent == outside.gateway;
    let is_its = gateway.process.map(|process| process.pid) == outside.gateway;
    // One that another gateway had is adopted, and may still be wanted there.
    let remembered = world.known.get(&process.identity);
    let is_anothers = remembered.is_some_and(|(name, _)| **name != gateway.seen.name);
    if !is_child || !is_its || is_anothers || gateway.shares_process {
        return None;
    }
    let unattended = policy.without_table == WithoutTable::Workers && outside.clients == Clients::Nobody;
    if !unattended && policy.idle_worker.is_none() {
        return None;
    }
    let account = world.account(process)?;
    let Some(rests) = account.rests_since else { return Some(Err(Keep::Held(vec![WORKER_BUSY.into()]))) };
    if let Some(nobody) = outside.nobody_since.filter(|_| unattended) {
        let since = rests.max(nobody).max(account.looked_at_since);
        return Some(Ok(Idle { kind: OrphanKind::UnattendedWorker, since, grace: policy.worker_grace }));
    }
    let grace = policy.idle_worker?;
    Some(Ok(Idle { kind: OrphanKind::IdleWorker, since: rests, grace }))
}

/// What was seen of a gateway from outside, where it answered and has no table.
fn outside<'a>(gateway: &Gateway<'a>) -> Option<&'a Outside> {
    gateway.seen.table.missing()?.outside.as_ref()
}

/// The idle workers of listed sessions, besides what was found of the sessions themselves.
pub(super) fn judge(
    world: &World<'_>,
    claims: &Claims<'_>,
    index: usize,
    sessions: &[Judged],
    remembered: &mut GatewayMemory,
) -> Vec<Judged> {
    let gateway = &world.gateways[index];
    let Some(grace) = gateway.rules.policy.idle_worker else { return Vec::new() };
    let rows = gateway.rows.iter().enumerate().zip(sessions);
    // What is due with its session needs no reason of its own.
    let staying = rows.filter(|(_, found)| !matches!(found.verdict, Verdict::Reap { .. }));
    let idle = staying.filter(|((_, session), _)| is_idle(session));
    idle.filter_map(|((row, _), _)| {
        judge_one(world, claims, RowId { gateway: index, row }, grace, remembered)
    })
    .collect()
}

fn judge_one(
    world: &World<'_>,
    claims: &Claims<'_>,
    row: RowId,
    grace: Duration,
    remembered: &mut GatewayMemory,
) -> Option<Judged> {
    let gateway = &world.gateways[row.gateway];
    let Claim::Processes { worker: Some(worker), .. } = claims.of(row) else { return None };
    // Only the one that the row itself names, and that carries its key: a copy may be another's.
    if world.session(row).named_worker() != Some(worker.identity.pid) {
        return None;
    }
    let rests = world.rests_since(worker)?;
    let identity = worker.identity;
    let activity = &world.session(row).activity;
    let before = world.known.get(&identity).map(|(_, worker)| *worker);
    // Its session did something, or is in another run of its gateway.
    let same_session = gateway.remembered_run() == gateway.run().as_ref()
        && before.is_some_and(|before| before.activity == *activity);
    let clock = if same_session {
        clock::of_worker(world, gateway, &identity, OrphanKind::IdleWorker)
    } else {
        WorkerClock { kind: OrphanKind::IdleWorker, since: world.now, failures: 0 }
    };
    let known = remembered.workers.iter_mut().find(|known| known.identity == identity)?;
    (known.clock, known.activity) = (Some(clock), activity.clone());
    let subject = Subject::Worker { key: gateway.key_of(identity.pid).map(Into::into), identity };
    let idle = Idle { kind: OrphanKind::IdleWorker, since: rests, grace };
    Some(idle.found(gateway, subject, worker, &clock))
}

impl Idle {
    /// `clock`: since when it looked like one at every look.
    pub(super) fn found(
        &self,
        gateway: &Gateway<'_>,
        subject: Subject,
        worker: &Process,
        clock: &WorkerClock,
    ) -> Judged {
        let warrant = Warrant {
            worker: Some(worker.identity),
            failures: Some(clock.failures),
            ..gateway.warrant(self.kind)
        };
        let waited = gateway.seen.asked.since(self.since.max(clock.since));
        Judged::new(subject, worker.rss_bytes, quota::after(self.grace, waited, warrant))
    }
}

/// By all that its row says it is idle, attached or not, and the row makes sense.
fn is_idle(session: &Session) -> bool {
    session.transport.odd().is_none() && session.key.odd().is_none() && session.is_idle()
}

impl World<'_> {
    /// Since when this worker has done nothing, as far as its own account goes; where that says only that it rests now, the grace clock
    /// knows the rest. `None`: it is at work, or nothing is known of it.
    fn rests_since(&self, worker: &Process) -> Option<Awake> {
        match self.account(worker) {
            Some(account) => account.rests_since,
            None => self.view().resting.contains(&worker.identity.pid).then_some(Awake::from_nanos(0)),
        }
    }

    /// What this worker showed of its work, if it was looked at.
    pub(super) fn account(&self, worker: &Process) -> Option<Account> {
        self.view().accounts.get(&worker.identity).copied()
    }
}
