//! Looks and decides once more in the middle of a teardown, for victims whose next signal comes too late for the table that they were
//! judged by, and for sessions whose gateway did not say whether it closed them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::{Sweep, kept_by_hand};
use crate::domain::decide::Decision;
use crate::domain::ids::{GatewayName, Pid, SessionId};
use crate::domain::ledger::Ledger;
use crate::domain::looking::Series;
use crate::domain::observation::{GatewayObservation, Observation};
use crate::domain::process::ProcessIdentity;
use crate::domain::table::{Session, TableView, Told};
use crate::domain::verdict::{Judged, Keep, Subject, UNKNOWN_WORKER_BUSY, Verdict, WORKER_BUSY};
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
            let answer = |(_, question): &(_, Question)| match question.under_way {
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
        let under_way = batch.iter().filter_map(|(_, question)| question.under_way.as_ref()).flatten();
        let trees: Vec<Pid> = under_way.map(|process| process.pid).collect();
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
        let again = Again::new(&seen, &decision);
        let judged = batch.iter().map(|(warrant, question)| match forbids(&forbidden, warrant) {
            Some(keep) => Recheck::Lapsed { why: keep.to_string().into() },
            None => again.judge(warrant, question.under_way.as_deref()),
        });
        judged.collect()
    }
}

/// That an operator forbids to end what this warrant is for, by whichever of its names, also where its session is closed and gone by now.
pub(super) fn forbids(vetoes: &Vetoes, warrant: &Warrant) -> Option<Keep> {
    let key = warrant.worker_key();
    // A session is of the gateway that lists it; its worker may be of others.
    let any: &[GatewayName] = if warrant.session().is_some() { &[] } else { warrant.may_be_of() };
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
        let mut gateways = std::iter::once(warrant.gateway()).chain(any);
        gateways.find_map(|gateway| kept_by_hand(vetoes, gateway, &subject, &names))
    })
}

/// What was seen and decided at another look, for the warrants that an earlier decision signed.
#[derive(Debug)]
pub struct Again<'a> {
    seen: &'a Observation,
    decision: &'a Decision,
    gateways: HashMap<&'a GatewayName, OfGateway<'a>>,
    children: HashMap<Pid, Vec<Pid>>,
}

/// The same, of one gateway.
#[derive(Debug)]
struct OfGateway<'a> {
    seen: &'a GatewayObservation,
    sessions: HashMap<&'a SessionId, &'a Verdict>,
    /// Without a session.
    workers: Vec<&'a Judged>,
    /// Of which sessions a worker is known.
    with_worker: HashSet<&'a SessionId>,
}

impl<'a> Again<'a> {
    /// Of what was seen, and what was decided of that.
    #[must_use]
    pub fn new(seen: &'a Observation, decision: &'a Decision) -> Self {
        let mut gateways = HashMap::new();
        for plan in &decision.gateways {
            let Some(seen) = seen.gateways.iter().find(|gateway| gateway.name == plan.name) else { continue };
            let (mut sessions, mut workers) = (HashMap::new(), Vec::new());
            for judged in &plan.judged {
                match &judged.subject {
                    Subject::Session { id, .. } => _ = sessions.insert(id, &judged.verdict),
                    Subject::Worker { .. } => workers.push(judged),
                }
            }
            let owners = decision.claimed.values().flat_map(|claim| &claim.owners);
            let with_worker = owners.filter(|(name, _)| *name == plan.name).map(|(_, id)| id).collect();
            gateways.insert(&plan.name, OfGateway { seen, sessions, workers, with_worker });
        }
        let mut children: HashMap<Pid, Vec<Pid>> = HashMap::new();
        for process in seen.processes.processes.values() {
            if let Some(parent) = process.parent {
                children.entry(parent).or_default().push(process.identity.pid);
            }
        }
        Self { seen, decision, gateways, children }
    }

    /// What it says of a warrant. `under_way`: its session is closed, or it was signalled, and these processes are to be ended.
    #[must_use]
    pub fn judge(&self, warrant: &Warrant, under_way: Option<&[ProcessIdentity]>) -> Recheck {
        let Some(gateway) = self.gateways.get(warrant.gateway()) else {
            return Recheck::Lapsed { why: "its gateway is not configured any more".into() };
        };
        if let Some(processes) = under_way
            && let Some(answer) = self.reason_to_leave(warrant, processes, gateway)
        {
            return answer;
        }
        let stands = || Recheck::Stands {
            until: gateway.seen.asked + GOOD_FOR,
            claimed: Arc::clone(&self.decision.claimed),
        };
        let lapsed = |why: String| Recheck::Lapsed { why: why.into() };
        let Some(order) = warrant.session() else {
            let judged = gateway.workers.iter().find(|judged| is_subject_of(&judged.subject, warrant));
            let verdict = judged.map(|judged| &judged.verdict);
            return match (verdict, under_way) {
                (Some(Verdict::Keep(Keep::TableNotTrusted(why))), Some(_)) => unknown_by_now(warrant, why),
                // It may do much as it ends.
                (Some(Verdict::Keep(keep)), Some(_)) if !is_only_at_work(keep) => lapsed(keep.to_string()),
                (_, Some(_)) => gateway.goes_on_with(warrant).map_or_else(stands, lapsed),
                (Some(Verdict::Reap { warrant: again, .. }), None) if again.orphan() == warrant.orphan() => {
                    stands()
                }
                (Some(Verdict::Deferred { orphan, .. }), None) if *orphan == warrant.orphan() => stands(),
                (Some(Verdict::Keep(keep)), None) => lapsed(keep.to_string()),
                (Some(_), None) => {
                    lapsed("it looks like another kind of orphan now, so its grace starts again".into())
                }
                (None, None) => lapsed("another look doesn't find it to be an orphan any more".into()),
            };
        };
        // Whether it was closed is for the table to say; whether it is to be closed was for the gateway.
        let is_listed = || {
            let is_it = |row: &Session| row.id == order.id;
            gateway.seen.table.current().is_none_or(|table| table.sessions.iter().any(is_it))
        };
        match (gateway.sessions.get(&order.id), under_way) {
            (_, None) if !is_listed() => Recheck::Gone,
            (Some(Verdict::Keep(keep)), Some(_)) if is_wanted(keep) => {
                Recheck::Wanted { why: keep.to_string().into() }
            }
            (Some(Verdict::Keep(keep)), None) if is_wanted(keep) => lapsed(keep.to_string()),
            // A row that isn't understood, say, says nothing of whether the session was closed.
            (Some(Verdict::Keep(keep)), Some(_)) => lapsed(keep.to_string()),
            // It was due, and did something since, or is in another run of its gateway.
            (Some(Verdict::Wait { .. }), Some(_)) => {
                Recheck::Wanted { why: "its grace has begun again".into() }
            }
            _ => stands(),
        }
    }

    /// Why what is left of it isn't ended: it is another session's by now, or that can't be known.
    fn reason_to_leave(
        &self,
        warrant: &Warrant,
        processes: &[ProcessIdentity],
        gateway: &OfGateway<'_>,
    ) -> Option<Recheck> {
        let is_gone =
            || self.decision.ledger.gateways.get(warrant.gateway()).is_some_and(|memory| memory.gone);
        if let TableView::Not(missing) = &gateway.seen.table
            && warrant.orphan().depends_on_table()
            && !is_gone()
        {
            return Some(unknown_by_now(warrant, &missing.why));
        }
        let tree = self.with_all_below(processes);
        let another = tree.iter().find_map(|pid| self.why_not_its_own(warrant, *pid, processes));
        let in_doubt = |process: &ProcessIdentity| {
            self.decision.claimed.get(&process.pid).is_some_and(|claim| claim.doubt.is_some())
        };
        let is_worker = |process: &ProcessIdentity| warrant.worker() == Some(*process) || in_doubt(process);
        let why = another.or_else(|| {
            // It may have been taken up again under another id, with its worker.
            let row = gateway.row_that_may_have_one(warrant).filter(|_| processes.iter().any(is_worker))?;
            Some(format!("which worker session {:?} has isn't known: this may be it", row.id.as_str()))
        })?;
        Some(Recheck::Lapsed { why: why.into() })
    }

    /// Why this process of the tree is or may be another's: a row says so, it is a gateway, or it is a worker of which that can't be known.
    fn why_not_its_own(&self, warrant: &Warrant, pid: Pid, processes: &[ProcessIdentity]) -> Option<String> {
        let (claim, limits) = (self.decision.claimed.get(&pid)?, warrant.limits());
        if claim.is_gateway {
            return Some(format!("process {pid} is a gateway"));
        }
        if let Some((_, id)) = claim.all().find(|owner| !limits.is_of_its_own(owner)) {
            return Some(format!("process {pid} is of session {:?} by now", id.as_str()));
        }
        let process = self.seen.processes.get(pid)?;
        // Its worker, and a fork of that which this run has seen in the tree, are its own, whatever they run below now.
        let is_worker = warrant.worker() == Some(process.identity);
        let is_copy = || process.argv.as_deref().is_some_and(|argv| limits.is_copy(argv));
        if processes.contains(&process.identity) && (is_worker || is_copy()) {
            return None;
        }
        // Of a worker that was there when the warrant was made it was known whose it was: only a table that can't be read any more may have it
        // now.
        let counts =
            |doubt: &&Keep| matches!(doubt, Keep::TableNotTrusted(_)) || !limits.knew(process.identity);
        let doubt = claim.doubt.as_ref().filter(counts)?;
        Some(format!("whose process {pid} is can't be known: {doubt}"))
    }

    /// These and all that is below them now: what is another session's is no part of the tree, and may be below it.
    fn with_all_below(&self, processes: &[ProcessIdentity]) -> BTreeSet<Pid> {
        let mut tree = BTreeSet::new();
        let mut left: Vec<Pid> = processes.iter().map(|process| process.pid).collect();
        while let Some(pid) = left.pop() {
            if tree.insert(pid) {
                left.extend(self.children.get(&pid).into_iter().flatten());
            }
        }
        tree
    }
}

impl<'a> OfGateway<'a> {
    /// Why the session of an idle worker wants that by now.
    fn goes_on_with(&self, warrant: &Warrant) -> Option<String> {
        let is_own =
            |row: &&Session| warrant.limits().is_of_its_own(&(self.seen.name.clone(), row.id.clone()));
        let mut rows = self.seen.table.current()?.sessions.iter().filter(is_own);
        let row = rows.find(|row| !row.is_idle())?;
        Some(format!("session {:?} goes on with it", row.id.as_str()))
    }

    /// A session that came since, or lost its worker, and of which none is known.
    fn row_that_may_have_one(&self, warrant: &Warrant) -> Option<&'a Session> {
        let is_due = |row: &Session| {
            matches!(self.sessions.get(&row.id), Some(Verdict::Reap { .. } | Verdict::Deferred { .. }))
        };
        let mut rows = self.seen.table.current()?.sessions.iter();
        rows.find(|row| {
            !matches!(row.worker, Told::Known(_))
                && !self.with_worker.contains(&row.id)
                && !warrant.knew_without_worker(&row.id)
                && !is_due(row)
        })
    }
}

fn unknown_by_now(warrant: &Warrant, why: &str) -> Recheck {
    let whose = match warrant.session() {
        Some(_) => "its session is closed, and whose its worker is by now can't be known",
        None => "whose it is by now can't be known",
    };
    Recheck::Unknown { why: format!("{whose}: {why}").into() }
}

/// Whether nothing else keeps it.
fn is_only_at_work(keep: &Keep) -> bool {
    let is_at_work = |hold: &str| [WORKER_BUSY, UNKNOWN_WORKER_BUSY].contains(&hold);
    matches!(keep, Keep::Held(holds) if holds.iter().all(|hold| is_at_work(hold)))
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
