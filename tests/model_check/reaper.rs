//! A run of the reaper, one step at a time: lock and load, look, ask, decide and save, then each act, then settle and save.

use std::sync::LazyLock;
use std::time::Duration;

use gateway_reaper::domain::decide::decide;
use gateway_reaper::domain::ledger::Ledger;
use gateway_reaper::domain::observation::{GatewayObservation, Observation};
use gateway_reaper::domain::policy::{Policy, Rules, WorkerMatch};
use gateway_reaper::domain::process::ProcessView;
use gateway_reaper::domain::time::Awake;
use gateway_reaper::domain::verdict::Verdict;
use gateway_reaper::domain::warrant::Warrant;
use gateway_reaper::reap::outcome::{Ending, Outcome};
use gateway_reaper::sweep::settle::settle;

use super::model::{GRACE, State, TICK};

/// The truth about each session when its row was written: its id, and since when it had been an orphan.
type Witness = Vec<(String, Option<u64>)>;

/// Where a run is. What a decision gave can't be kept, only what went into it; the same comes out of it every time.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    Off,
    Looked(Ledger, ProcessView),
    Asked {
        memory: Ledger,
        seen: Observation,
        witness: Witness,
        at: u64,
    },
    Acting {
        memory: Ledger,
        seen: Observation,
        at: Awake,
        after: Ledger,
        place: usize,
        answer: Option<Outcome>,
    },
}

static RULES: LazyLock<Vec<Rules>> = LazyLock::new(|| {
    let grace = TICK * u32::try_from(GRACE).unwrap();
    vec![Rules {
        gateway: "gw".into(),
        policy: Policy {
            grace,
            close_on_disconnect_grace: Duration::ZERO,
            worker_grace: grace,
            close_timeout: TICK,
            term_timeout: TICK,
            max_reaps: 100,
            dry_run: false,
        },
        worker_match: WorkerMatch::new(r"worker (?P<session>\S+)").ok(),
        worker_uid: 1000,
    }]
});

fn warrants(memory: &Ledger, seen: &Observation, at: Awake) -> (Vec<Warrant>, Ledger) {
    let decision = decide(seen, memory, &RULES, at);
    let judged = decision.gateways.into_iter().flat_map(|plan| plan.judged);
    let due = judged.filter_map(|judged| match judged.verdict {
        Verdict::Reap { warrant, .. } => Some(*warrant),
        _ => None,
    });
    (due.collect(), decision.ledger)
}

impl State {
    /// The next step of a run, if it can take one.
    pub(crate) fn advance(&self, run: usize) -> Option<(&'static str, Self)> {
        let mut next = self.clone();
        let (what, phase) = match self.runs[run].clone() {
            Phase::Off if self.is_locked_out(run) => return None,
            Phase::Off => ("starts and looks", Phase::Looked(self.ledgers[run].clone(), self.look())),
            Phase::Looked(memory, view) => {
                let witness = (0..self.sessions.len())
                    .map(|index| (self.id(index), self.sessions[index].orphan_since))
                    .collect();
                ("asks", Phase::Asked { seen: self.observe(view), memory, witness, at: self.now })
            }
            Phase::Asked { memory, seen, witness, at } => {
                let now = self.awake();
                let (due, after) = warrants(&memory, &seen, now);
                for warrant in &due {
                    next.check_close(warrant, &witness, at);
                }
                next.ledgers[run] = after.clone();
                ("decides", Phase::Acting { memory, seen, at: now, after, place: 0, answer: None })
            }
            Phase::Acting { memory, seen, at, mut after, place, answer } => {
                let (due, _) = warrants(&memory, &seen, at);
                match (due.get(place), answer) {
                    (None, _) => {
                        next.ledgers[run] = after;
                        ("is done", Phase::Off)
                    }
                    (Some(warrant), None) if warrant.session().is_some() => {
                        let answer = Some(next.close(warrant));
                        ("asks for a close", Phase::Acting { memory, seen, at, after, place, answer })
                    }
                    (Some(warrant), answer) => {
                        let outcome = answer.unwrap_or(Outcome::Reaped);
                        if outcome == Outcome::Reaped {
                            next.signal(warrant);
                        }
                        let ending = Ending { outcome, steps: Vec::new(), reclaimed_bytes: 0, note: None };
                        settle(&mut after, warrant, &ending);
                        ("acts", Phase::Acting { memory, seen, at, after, place: place + 1, answer: None })
                    }
                }
            }
        };
        next.runs[run] = phase;
        Some((what, next))
    }

    fn observe(&self, view: ProcessView) -> Observation {
        let process = view.alive(&self.gateway()).map(|process| process.identity);
        let gateway =
            GatewayObservation { name: "gw".into(), table: self.table(), process, asked: self.awake() };
        Observation { boot: "boot".into(), processes: view, gateways: vec![gateway] }
    }

    /// No close is even asked for on a row that wasn't an orphan's for its whole grace.
    fn check_close(&mut self, warrant: &Warrant, witness: &Witness, at: u64) {
        let Some(order) = warrant.session() else { return };
        let row = witness.iter().find(|(id, _)| id == order.id.as_str());
        let since = row.and_then(|(_, since)| *since);
        if since.is_none_or(|since| at - since < GRACE) {
            self.breach =
                Some(format!("the close of {} which was an orphan since {since:?} at {at}", order.id));
        }
    }

    /// The gateway closes the session only if it is an orphan now. Its worker stays: gateways leak.
    fn close(&mut self, warrant: &Warrant) -> Outcome {
        let kept = |reason: &str| Outcome::Kept { reason: reason.into() };
        let Some(order) = warrant.session() else { return Outcome::Gone };
        if order.instance.as_ref().is_some_and(|seen| seen.as_str() != format!("run {}", self.run)) {
            return kept("instance");
        }
        let found = (0..self.sessions.len())
            .find(|index| self.sessions[*index].is_live && self.id(*index) == order.id.as_str());
        let Some(index) = found else { return Outcome::Gone };
        if self.sessions[index].is_attached || self.sessions[index].is_running {
            return kept("attached");
        }
        self.sessions[index].is_live = false;
        self.settle(index);
        Outcome::Reaped
    }

    /// The worker's end, if it is still that very process.
    fn signal(&mut self, warrant: &Warrant) {
        let Some(identity) = warrant.worker() else { return };
        let Some(place) = self.workers.iter().position(|worker| Self::identity(worker) == identity) else {
            return;
        };
        if self.is_wanted(&self.workers[place]) {
            self.breach = Some(format!("a signal to {identity}, the worker of a live session"));
        }
        self.workers.remove(place);
    }
}
