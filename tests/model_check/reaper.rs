//! A run of the reaper, one step at a time: lock, load and look; ask; decide and save; each act; settle and save. The decision, the memory
//! and the settling are production's own.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::LazyLock;

use gateway_reaper::config::defaults;
use gateway_reaper::domain::decide::decide;
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::policy::{Policy, Rules, WorkerMatch};
use gateway_reaper::domain::table::Refusal;
use gateway_reaper::domain::verdict::Verdict;
use gateway_reaper::domain::warrant::Warrant;
use gateway_reaper::reap::outcome::{Ending, Outcome};
use gateway_reaper::sweep::settle::settle;

use super::memory::{Known, Memory, Tie};
use super::model::{Numbers, Reaper};
use super::print::Print;
use super::snapshot::{Look, Row, TICK, Table, ago, name, name_of, observe, run};
use super::world::{Age, Answer, GRACE, LONG, Luck, Name, Tells, Token, World};

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Phase {
    Off,
    Looked(Look),
    Asked {
        look: Look,
        /// None: the gateway could not be asked.
        table: Option<Table>,
        asked: Age,
    },
    Acting {
        due: Vec<Due>,
        after: Memory,
        answer: Option<Answer>,
    },
}

/// What a warrant allows, as far as it matters here: the session of which run to close, and the worker to end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Due {
    pub(crate) session: Option<(Name, Token)>,
    pub(crate) worker: Option<Name>,
}

static RULES: LazyLock<Vec<Rules>> = LazyLock::new(|| {
    let grace = TICK * u32::from(GRACE);
    vec![Rules {
        gateway: "gw".into(),
        policy: Policy {
            grace,
            close_on_disconnect_grace: grace,
            worker_grace: grace,
            close_timeout: TICK,
            term_timeout: TICK,
            ..defaults::policy()
        },
        worker_match: WorkerMatch::new(r"worker (?P<session>\S+)").ok(),
        worker_uid: 1000,
        takes_workers_back: true,
        describes_process: false,
        workers: gateway_reaper::domain::policy::Workers::Matching,
    }]
});

/// What went into a decision.
type Case = (Option<Memory>, Look, Option<Table>, Age);

/// The real decision and the real settling, each asked once for the same.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    decided: HashMap<Case, (Vec<Due>, Memory), BuildHasherDefault<Print>>,
    warrants: HashMap<Due, Warrant>,
}

fn warrants((memory, look, table, asked): &Case) -> (Vec<Warrant>, Memory) {
    let seen = observe(memory.as_ref(), look, table.as_ref(), *asked);
    let ledger = memory.as_ref().map(Memory::ledger).unwrap_or_default();
    let decision = decide(&seen, &ledger, &RULES, ago(0));
    let judged = decision.gateways.into_iter().flat_map(|plan| plan.judged);
    let due = judged.filter_map(|judged| match judged.verdict {
        Verdict::Reap { warrant, .. } => Some(*warrant),
        _ => None,
    });
    (due.collect(), Memory::of(&decision.ledger))
}

fn due(warrant: &Warrant) -> Due {
    let session = warrant.session().map(|order| {
        let instance = order.instance.as_ref().unwrap();
        (name(order.id.as_str()), run(instance.as_str()))
    });
    Due { session, worker: warrant.worker().map(name_of) }
}

impl Judge {
    fn decide(&mut self, case: Case) -> (Vec<Due>, Memory) {
        let decision = self.decided.entry(case).or_insert_with_key(|case| {
            let (warrants, after) = warrants(case);
            (warrants.iter().map(due).collect(), after)
        });
        decision.clone()
    }

    fn settle(&mut self, memory: &mut Memory, due: &Due, outcome: Outcome) {
        let warrant = self.warrants.entry(due.clone()).or_insert_with(|| warrant(due));
        let mut ledger = memory.ledger();
        let ending = Ending::of(outcome);
        settle(&mut ledger, warrant, &ending);
        *memory = Memory::of(&ledger);
    }
}

/// A warrant that allows just this. Only a decision makes one, so a world is made in which nothing else is due.
fn warrant(wanted: &Due) -> Warrant {
    let case = match (wanted.session, wanted.worker) {
        (Some((name, run)), worker) => {
            let row = Row {
                name,
                is_attached: false,
                is_running: false,
                detached_for: Some(GRACE),
                idle_for: Some(GRACE),
                activity: None,
                has_worker: worker.is_some(),
                orphan_for: None,
            };
            let workers = worker.map(|worker| (worker, Some(1))).into_iter().collect();
            (None, Look { process: 1, workers }, Some(Table { process: 1, run, rows: vec![row] }), 0)
        }
        (None, worker) => {
            let name = worker.unwrap();
            let clock = Some((OrphanKind::ParentlessWorker, LONG));
            let workers = vec![Known { name, tie: Tie::Child(2), clock }];
            (
                Some(Memory { workers, ..Memory::default() }),
                Look { process: 1, workers: vec![(name, None)] },
                Some(Table { process: 1, run: 1, rows: Vec::new() }),
                0,
            )
        }
    };
    let mut made = warrants(&case).0;
    assert_eq!(made.iter().map(due).collect::<Vec<_>>(), std::slice::from_ref(wanted));
    made.remove(0)
}

impl Reaper {
    /// The next step of the run; if there is none, of a new one.
    pub(crate) fn advance(
        &mut self,
        world: &mut World,
        tells: Tells,
        luck: Luck,
        judge: &mut Judge,
    ) -> Result<(), String> {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Off) {
            Phase::Off => Phase::Looked(world.look()),
            Phase::Looked(look) => {
                let table = (luck == Luck::Good).then(|| world.table(tells));
                Phase::Asked { look, table, asked: 0 }
            }
            Phase::Asked { look, table, asked } => {
                let case = (self.ledger.take(), look, table, asked);
                let (due, after) = judge.decide(case.clone());
                self.ledger = Some(after.clone());
                for due in &due {
                    is_right(due, world, case.2.as_ref(), asked)?;
                }
                acting(due, after)
            }
            Phase::Acting { mut due, mut after, answer } => match (due[0].session, answer) {
                (Some((name, run)), None) => {
                    let answer = Some(world.close(name, run, luck));
                    Phase::Acting { due, after, answer }
                }
                (_, answer) => {
                    let outcome = outcome(answer.unwrap_or(Answer::Reaped));
                    let done = due.remove(0);
                    if let (Outcome::Reaped, Some(worker)) = (&outcome, done.worker) {
                        world.signal(worker)?;
                    }
                    judge.settle(&mut after, &done, outcome);
                    if due.is_empty() {
                        self.ledger = Some(after.clone());
                    }
                    acting(due, after)
                }
            },
        };
        Ok(())
    }
}

fn acting(due: Vec<Due>, after: Memory) -> Phase {
    if due.is_empty() { Phase::Off } else { Phase::Acting { due, after, answer: None } }
}

fn outcome(answer: Answer) -> Outcome {
    match answer {
        Answer::Reaped => Outcome::Reaped,
        Answer::Gone => Outcome::Gone,
        Answer::NoOrphan => Outcome::Kept { reason: "attached".into() },
        Answer::AnotherRun => Outcome::Kept { reason: Refusal::OtherRun },
        Answer::None => Outcome::Failed { why: "no answer".into() },
    }
}

/// No act is even thought of on a row that wasn't an orphan's, or on a worker that a session needed, at any time of its whole grace.
fn is_right(due: &Due, world: &World, table: Option<&Table>, asked: Age) -> Result<(), String> {
    if let Some((name, _)) = due.session {
        let row = table.and_then(|table| table.rows.iter().find(|row| row.name == name));
        let waited = row.and_then(|row| row.orphan_for);
        return match waited.filter(|waited| *waited >= GRACE) {
            Some(_) => Ok(()),
            None => Err(format!("the close of {name:?}, an orphan for {waited:?}")),
        };
    }
    let worker = world.workers.iter().find(|worker| Some(worker.name) == due.worker);
    match worker.map(|worker| worker.unwanted.unwrap_or(0).saturating_sub(asked)) {
        Some(waited) if waited < GRACE => Err(format!("the end of {worker:?} which had waited for {waited}")),
        _ => Ok(()),
    }
}

impl Phase {
    /// What may go wrong with the next request.
    pub(crate) fn misfortunes(&self) -> &'static [Luck] {
        match self {
            Self::Looked(_) => &[Luck::Lost],
            Self::Acting { due, answer: None, .. } if due[0].session.is_some() => {
                &[Luck::NoAnswer, Luck::Lost]
            }
            _ => &[],
        }
    }

    pub(crate) fn seen(&self) -> (Option<&Look>, Option<&Table>) {
        match self {
            Self::Looked(look) => (Some(look), None),
            Self::Asked { look, table, .. } => (Some(look), table.as_ref()),
            Self::Off | Self::Acting { .. } => (None, None),
        }
    }

    pub(crate) fn age(&mut self) {
        match self {
            Self::Asked { asked, .. } => *asked += 1,
            Self::Acting { after, .. } => after.age(),
            Self::Off | Self::Looked(_) => {}
        }
    }

    pub(crate) fn renumber(&mut self, numbers: &Numbers) {
        let look_again = |look: &mut Look| {
            look.process = numbers.run(look.process);
            for (name, parent) in &mut look.workers {
                *name = numbers.name(*name);
                *parent = parent.map(|process| numbers.run(process));
            }
        };
        match self {
            Self::Off => {}
            Self::Looked(look) => look_again(look),
            Self::Asked { look, table, .. } => {
                look_again(look);
                let Some(table) = table else { return };
                (table.process, table.run) = (numbers.run(table.process), numbers.run(table.run));
                for row in &mut table.rows {
                    row.activity = row.activity.map(|activity| numbers.activity(row.name.place, activity));
                    row.name = numbers.name(row.name);
                }
            }
            Self::Acting { due, after, .. } => {
                for due in due {
                    numbers.due(due);
                }
                numbers.memory(after);
            }
        }
    }
}
