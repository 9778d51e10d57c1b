//! Looks and decides once more in the middle of a teardown, for victims whose first signal comes too late for the table that they were
//! judged by, and for sessions whose gateway did not say whether it closed them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::{Sweep, kept_by_hand};
use crate::domain::decide::{Decision, GatewayPlan};
use crate::domain::ids::{GatewayName, Pid, SessionId};
use crate::domain::ledger::Ledger;
use crate::domain::looking::Series;
use crate::domain::observation::{GatewayObservation, Observation};
use crate::domain::process::{Process, ProcessIdentity, ProcessView};
use crate::domain::table::{Session, TableView, Told};
use crate::domain::verdict::{Judged, Keep, Subject, Verdict};
use crate::domain::veto::Vetoes;
use crate::domain::warrant::{GOOD_FOR, Warrant};
use crate::reap::event::{Question, Recheck};
use crate::sources::clock;
use crate::state::holds;

/// Tables that gateways failed to give in this run, by gateway: one that hangs costs a run one timeout.
pub(super) type Unread = Vec<Option<TableView>>;

/// The tables of an observation that are not asked for again.
pub(super) fn unread(seen: &Observation) -> Unread {
    let views = seen.gateways.iter().map(|gateway| &gateway.table);
    views.map(|view| view.is_asked_once().then(|| view.clone())).collect()
}

impl Sweep {
    /// What another look says of these warrants and questions, in their order.
    pub(super) async fn recheck(
        &mut self,
        memory: &Ledger,
        dir: &Path,
        known: &mut Unread,
        batch: &[(Warrant, Question)],
    ) -> Vec<Recheck> {
        let not_known = |why: String| {
            let answer = |(_, question): &(_, Question)| match question.closed {
                Some(_) => Recheck::Unknown { why: why.as_str().into() },
                None => Recheck::Lapsed { why: why.as_str().into() },
            };
            batch.iter().map(answer).collect()
        };
        self.processes.read_afresh();
        // What it shows is remembered by nobody, so it isn't one of the looks that a grace rests on.
        let looked = self.looked;
        let observed = self.observe(memory, Series::Continued, known.clone()).await;
        self.looked = looked;
        let (mut seen, _) = match observed {
            Ok(seen) => seen,
            Err(error) => return not_known(format!("it could not be looked at again: {error}")),
        };
        *known = unread(&seen);
        // What was seen below a worker is looked at wherever it is by now, with what is below it.
        let closed = batch.iter().filter_map(|(_, question)| question.closed.as_ref()).flatten();
        let trees: Vec<Pid> = closed.map(|process| process.pid).collect();
        let processes = &mut self.processes;
        let looked = processes
            .look_below(&mut seen.processes, &trees)
            .and_then(|()| processes.look_at_marks(&mut seen.processes, &self.rules));
        if let Err(error) = looked {
            return not_known(format!("it could not be looked at again: {error}"));
        }
        let forbidden = self.forbidden(holds::vetoes(dir, clock::wall_now()));
        seen.forbidden.clone_from(&forbidden);
        let Ok(decision) = self.decide(&mut seen, memory, clock::awake_now()) else {
            return not_known("what is below it could not be looked at".into());
        };
        let judged = batch.iter().map(|(warrant, question)| match forbids(&forbidden, warrant) {
            Some(keep) => Recheck::Lapsed { why: keep.to_string().into() },
            None => judge(warrant, question.closed.as_deref(), &seen, &decision),
        });
        judged.collect()
    }
}

/// That an operator forbids to end what this warrant is for, by whichever of its names, also where its session is closed and gone by now.
pub(super) fn forbids(vetoes: &Vetoes, warrant: &Warrant) -> Option<Keep> {
    let (gateway, key) = (warrant.gateway(), warrant.worker_key());
    let session = warrant.session().map(|order| Subject::Session {
        id: order.id.clone(),
        worker: warrant.worker().map(|worker| worker.pid),
    });
    let worker = warrant
        .worker()
        .or(warrant.remnants_of())
        .map(|identity| Subject::Worker { key: key.map(Into::into), identity });
    session.into_iter().chain(worker).find_map(|subject| {
        let names: Vec<&str> = key.into_iter().collect();
        kept_by_hand(vetoes, gateway, &subject, &names)
    })
}

/// What an observation and a decision say of a warrant that an earlier decision signed. `closed`: its session is closed, and these processes
/// are to be ended.
pub fn judge(
    warrant: &Warrant,
    closed: Option<&[ProcessIdentity]>,
    seen: &Observation,
    decision: &Decision,
) -> Recheck {
    let gateway = seen.gateways.iter().find(|gateway| gateway.name == *warrant.gateway());
    let plan = decision.gateways.iter().find(|plan| plan.name == *warrant.gateway());
    let (Some(gateway), Some(plan)) = (gateway, plan) else {
        return Recheck::Lapsed { why: "its gateway is not configured any more".into() };
    };
    let judged = plan.judged.iter().find(|judged| is_subject_of(&judged.subject, warrant));
    let stands = Recheck::Stands { until: gateway.asked + GOOD_FOR, claimed: Arc::clone(&decision.claimed) };
    let lapsed = |why: String| Recheck::Lapsed { why: why.into() };
    if let Some(order) = warrant.session() {
        let answer = match closed {
            Some(processes) => {
                let tree = with_all_below(&seen.processes, processes);
                reason_to_leave(warrant, (processes, &tree), seen, (gateway, plan, decision))
            }
            // Whether it was closed is for the table to say; whether it is to be closed was for the gateway.
            None => {
                let is_it = |row: &Session| row.id == order.id;
                let is_listed = gateway.table.current().is_none_or(|table| table.sessions.iter().any(is_it));
                (!is_listed).then_some(Recheck::Gone)
            }
        };
        return answer.unwrap_or_else(|| match judged.map(|judged| &judged.verdict) {
            Some(Verdict::Keep(keep)) if is_wanted(keep) && closed.is_some() => {
                Recheck::Wanted { why: keep.to_string().into() }
            }
            // A row that isn't understood, say, says nothing of whether the session was closed.
            Some(Verdict::Keep(keep)) if is_wanted(keep) || closed.is_some() => lapsed(keep.to_string()),
            // It was due, and did something since, or is in another run of its gateway.
            Some(Verdict::Wait { .. }) if closed.is_some() => {
                Recheck::Wanted { why: "its grace has begun again".into() }
            }
            _ => stands,
        });
    }
    match judged.map(|judged| &judged.verdict) {
        Some(Verdict::Reap { warrant: again, .. }) if again.orphan() == warrant.orphan() => stands,
        Some(Verdict::Deferred { orphan, .. }) if *orphan == warrant.orphan() => stands,
        Some(Verdict::Keep(keep)) => lapsed(keep.to_string()),
        Some(_) => lapsed("it looks like another kind of orphan now, so its grace starts again".into()),
        None => lapsed("another look doesn't find it to be an orphan any more".into()),
    }
}

/// Why what is left of a closed session isn't ended: it is another session's by now, or that can't be known.
fn reason_to_leave(
    warrant: &Warrant,
    (processes, tree): (&[ProcessIdentity], &BTreeSet<Pid>),
    seen: &Observation,
    (gateway, plan, decision): (&GatewayObservation, &GatewayPlan, &Decision),
) -> Option<Recheck> {
    let is_gone = || decision.ledger.gateways.get(warrant.gateway()).is_some_and(|memory| memory.gone);
    if let TableView::Not(missing) = &gateway.table
        && !is_gone()
    {
        let why =
            format!("its session is closed, and whose its worker is by now can't be known: {}", missing.why);
        return Some(Recheck::Unknown { why: why.into() });
    }
    let another = tree.iter().find_map(|pid| why_not_its_own(warrant, *pid, seen, decision));
    // It may have been taken up again under another id, with its worker.
    let is_due = |row: &Session| {
        let is_it =
            |judged: &&Judged| matches!(&judged.subject, Subject::Session { id, .. } if *id == row.id);
        let judged = plan.judged.iter().find(is_it).map(|judged| &judged.verdict);
        matches!(judged, Some(Verdict::Reap { .. } | Verdict::Deferred { .. }))
    };
    let has_worker = |row: &Session| {
        let row = (gateway.name.clone(), row.id.clone());
        decision.claimed.values().any(|claim| claim.owners.contains(&row))
    };
    let mut rows = gateway.table.current().into_iter().flat_map(|table| &table.sessions);
    let mut unknown = || {
        rows.find(|row| {
            !warrant.knew_without_worker(&row.id)
                && !matches!(row.worker, Told::Known(_))
                && !has_worker(row)
                && !is_due(row)
        })
    };
    let may_be_its =
        |row: &Session| format!("which worker session {:?} has isn't known: this may be it", row.id.as_str());
    let in_doubt = |process: &ProcessIdentity| {
        decision.claimed.get(&process.pid).is_some_and(|claim| claim.doubt.is_some())
    };
    let is_worker = |process: &ProcessIdentity| warrant.worker() == Some(*process) || in_doubt(process);
    let worker_is_left = || processes.iter().any(is_worker);
    let why = another.or_else(|| if worker_is_left() { unknown().map(may_be_its) } else { None })?;
    Some(Recheck::Lapsed { why: why.into() })
}

/// Why this process of the tree is or may be another's: a row says so, it is a gateway, or it is a worker of which that can't be known.
fn why_not_its_own(warrant: &Warrant, pid: Pid, seen: &Observation, decision: &Decision) -> Option<String> {
    let claim = decision.claimed.get(&pid)?;
    if claim.is_gateway {
        return Some(format!("process {pid} is a gateway"));
    }
    let is_own = |(name, id): &(GatewayName, SessionId)| {
        name == warrant.gateway() && warrant.session().is_some_and(|order| order.id == *id)
    };
    if let Some((_, id)) = claim.all().find(|owner| !is_own(owner)) {
        return Some(format!("process {pid} is of session {:?} by now", id.as_str()));
    }
    let process = seen.processes.get(pid)?.identity;
    let limits = warrant.limits();
    // Of a worker that was there when the warrant was made it was known whose it was: only a table that can't be read any more may have it now.
    let counts = |doubt: &&Keep| {
        !limits.was_its_own(process) && (matches!(doubt, Keep::TableNotTrusted(_)) || !limits.knew(process))
    };
    let doubt = claim.doubt.as_ref().filter(counts)?;
    Some(format!("whose process {pid} is can't be known: {doubt}"))
}

/// These and all that is below them now: what is another session's is no part of the tree, and may be below it.
fn with_all_below(view: &ProcessView, processes: &[ProcessIdentity]) -> BTreeSet<Pid> {
    let mut tree: BTreeSet<Pid> = processes.iter().map(|process| process.pid).collect();
    loop {
        let is_new = |process: &&Process| {
            process.parent.is_some_and(|parent| tree.contains(&parent))
                && !tree.contains(&process.identity.pid)
        };
        let more: Vec<Pid> =
            view.processes.values().filter(is_new).map(|process| process.identity.pid).collect();
        if more.is_empty() {
            return tree;
        }
        tree.extend(more);
    }
}

/// Whether its table says that the session is wanted.
fn is_wanted(keep: &Keep) -> bool {
    matches!(keep, Keep::Attached | Keep::MidTurn | Keep::Waiting | Keep::Starting | Keep::Held(_))
}

fn is_subject_of(subject: &Subject, warrant: &Warrant) -> bool {
    match subject {
        Subject::Session { id, .. } => warrant.session().is_some_and(|order| order.id == *id),
        Subject::Worker { identity, .. } => {
            warrant.session().is_none()
                && match warrant.worker() {
                    Some(worker) => worker == *identity,
                    None => warrant.remnants_of() == Some(*identity) || warrant.remnants().contains(identity),
                }
        }
    }
}
