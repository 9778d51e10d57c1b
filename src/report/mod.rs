//! What a run has to tell: everybody who was considered, with the reason, and what became of those who were due.

mod beside;
pub mod human;
pub mod json;
pub(crate) mod text;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use crate::domain::decide::GatewayPlan;
use crate::domain::ids::{GatewayName, Pid};
use crate::domain::observation::Observation;
use crate::domain::orphan::OrphanKind;
use crate::domain::outside::LOOK_EVERY;
use crate::domain::policy::Mode;
use crate::domain::table::{Answer, TableView};
use crate::domain::time::Awake;
use crate::domain::verdict::{Keep, Subject, Verdict};
use crate::domain::veto::{Scope, Vetoes};
use crate::domain::warrant::Warrant;
use crate::reap::outcome::{Ending, Outcome};

/// The report of one run.
#[derive(Debug)]
pub struct Report {
    pub(crate) run: String,
    pub(crate) mode: Mode,
    pub(crate) started_at: SystemTime,
    started: Awake,
    pub(crate) took: Duration,
    pub(crate) gateways: Vec<GatewayReport>,
    /// That nothing at all is reaped now, and until when.
    pub(crate) paused: Option<Box<str>>,
}

/// One gateway in it.
#[derive(Debug)]
pub(crate) struct GatewayReport {
    pub(crate) name: GatewayName,
    pub(crate) table: TableState,
    pub(crate) error: Option<Box<str>>,
    /// What a look from outside shows of one without a table.
    pub(crate) beside: Option<Box<str>>,
    pub(crate) pid: Option<Pid>,
    pub(crate) subjects: Vec<Line>,
}

/// How the table was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableState {
    Ok,
    Unreachable,
    Refused,
}

impl From<Answer> for TableState {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::NothingListens | Answer::Missing => Self::Unreachable,
            Answer::Untrusted => Self::Refused,
        }
    }
}

impl TableState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
        }
    }
}

/// One subject in it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) subject: Subject,
    /// The conversation key of a session, where it isn't its id.
    pub(crate) key: Option<Box<str>>,
    pub(crate) rss_bytes: Option<u64>,
    /// How often its gateway said that it closed this session, which it lists all the same.
    pub(crate) closes_without_effect: u32,
    /// That an operator keeps it, until when and why.
    pub(crate) by_hand: Option<Box<str>>,
    pub(crate) fate: Fate,
}

/// What was decided on a subject, and what came of it.
#[derive(Debug)]
pub(crate) enum Fate {
    Keep(Keep),
    Wait {
        orphan: OrphanKind,
        waited: Duration,
        remaining: Duration,
    },
    Deferred {
        orphan: OrphanKind,
        waited: Duration,
    },
    /// Due; nothing was done, because nothing was to be done.
    WouldReap {
        orphan: OrphanKind,
        waited: Duration,
    },
    /// Due; the warrant is taken out when it is carried out.
    Due {
        warrant: Box<Warrant>,
        waited: Duration,
    },
    Reap {
        orphan: OrphanKind,
        waited: Duration,
        ending: Ending,
    },
}

/// Where a line is in the report.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    gateway: usize,
    line: usize,
}

/// Sums over a report.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) sessions: usize,
    pub(crate) workers: usize,
    pub(crate) keep: usize,
    pub(crate) wait: usize,
    pub(crate) reap: usize,
    pub(crate) reaped: usize,
    pub(crate) gone: usize,
    pub(crate) kept: usize,
    pub(crate) failed: usize,
    pub(crate) deferred: usize,
    pub(crate) reclaimed_bytes: u64,
}

impl Report {
    /// Begins the report of a run that starts now.
    pub fn begin(mode: Mode, started_at: SystemTime, started: Awake) -> Self {
        let run = format!("{:x}-{:x}", started.as_nanos(), std::process::id());
        Self { run, mode, started_at, started, took: Duration::ZERO, gateways: Vec::new(), paused: None }
    }

    /// The run's id, as the audit log has it.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Writes down what was decided.
    pub fn describe(&mut self, seen: &Observation, plans: Vec<GatewayPlan>) {
        for plan in plans {
            let observed = seen.gateways.iter().find(|gateway| gateway.name == plan.name);
            let beside = observed.and_then(|gateway| beside::told(seen, gateway, &plan.judged));
            let table = observed.map(|gateway| &gateway.table);
            let (table, error) = match table {
                Some(TableView::Current(_)) => (TableState::Ok, plan.contradiction.map(Into::into)),
                Some(TableView::Not(missing)) => (missing.answer.into(), Some(missing.why.clone())),
                None => (TableState::Unreachable, None),
            };
            let keys = keys(seen, &plan.name);
            let closes = plan.closes_without_effect;
            let lines = plan.judged.into_iter().map(|judged| Line {
                key: match &judged.subject {
                    Subject::Session { id, .. } => keys.get(id.as_str()).map(|key| (*key).into()),
                    Subject::Worker { .. } => None,
                },
                closes_without_effect: match &judged.subject {
                    Subject::Session { id, .. } => closes.get(id).copied().unwrap_or_default(),
                    Subject::Worker { .. } => 0,
                },
                subject: judged.subject,
                by_hand: None,
                rss_bytes: judged.rss_bytes,
                fate: match judged.verdict {
                    Verdict::Keep(keep) => Fate::Keep(keep),
                    Verdict::Wait { orphan, waited, remaining } => Fate::Wait { orphan, waited, remaining },
                    Verdict::Deferred { orphan, waited } => Fate::Deferred { orphan, waited },
                    Verdict::Reap { warrant, waited } => Fate::Due { warrant, waited },
                },
            });
            let subjects = lines.collect();
            let pid = plan.process.map(|process| process.pid);
            let beside = beside.map(Into::into);
            self.gateways.push(GatewayReport { name: plan.name, table, error, beside, pid, subjects });
        }
    }

    /// Keeps what is or would be due and is forbidden by an operator. Its grace goes on meanwhile.
    pub fn heed(&mut self, vetoes: &Vetoes, now: SystemTime) {
        if vetoes.0.is_empty() {
            return;
        }
        for gateway in &mut self.gateways {
            let mut of_sessions = HashMap::new();
            for line in &mut gateway.subjects {
                let veto = vetoes.forbid(&gateway.name, &line.subject, line.key.as_deref(), now);
                let worker = line.subject.worker_pid();
                if let (Subject::Session { .. }, Some(veto), Some(worker)) = (&line.subject, veto, worker) {
                    of_sessions.insert(worker, veto);
                }
                // A session's worker may be listed besides, where it is idle: what covers the one covers the other.
                let of_session = || worker.and_then(|worker| of_sessions.get(&worker).copied());
                let Some(veto) = veto.or_else(of_session) else { continue };
                if veto.scope == Scope::All {
                    self.paused.get_or_insert_with(|| veto.words.clone());
                } else {
                    line.by_hand.get_or_insert_with(|| veto.words.clone());
                }
                if matches!(line.fate, Fate::Due { .. } | Fate::Deferred { .. } | Fate::Wait { .. }) {
                    line.fate = Fate::Keep(Keep::ByHand(veto.words.clone()));
                }
            }
        }
    }

    /// When to look again at the latest, if something waits that counts only while looks are close together.
    pub(crate) fn next_look(&self) -> Option<Duration> {
        let rests_on_looks =
            |line: &Line| matches!(line.fate, Fate::Wait { orphan: OrphanKind::UnattendedWorker, .. });
        self.lines().any(rests_on_looks).then_some(LOOK_EVERY)
    }

    /// Awake time until the next orphan is due, if one is inside its grace and nobody keeps it.
    pub fn next_due(&self) -> Option<Duration> {
        let waits = self.lines().filter_map(|line| match line.fate {
            Fate::Wait { remaining, .. } => Some(remaining),
            _ => None,
        });
        waits.min()
    }

    /// Takes out the warrants that are to be enforced; the other orphans are only told of. That is all there is to a dry run.
    pub fn warrants(&mut self, mode_of: impl Fn(&Warrant) -> Mode) -> Vec<(Place, (Warrant, Duration))> {
        let mut warrants = Vec::new();
        for (gateway, report) in self.gateways.iter_mut().enumerate() {
            for (line, subject) in report.subjects.iter_mut().enumerate() {
                let Fate::Due { warrant, waited } = &subject.fate else { continue };
                let (orphan, waited) = (warrant.orphan(), *waited);
                if mode_of(warrant) == Mode::Enforce {
                    warrants.push((Place { gateway, line }, (Warrant::clone(warrant), waited)));
                }
                subject.fate = Fate::WouldReap { orphan, waited };
            }
        }
        warrants
    }

    /// The lines of what is due, with their gateways.
    pub(crate) fn due(&self) -> impl Iterator<Item = (&GatewayName, &Line)> {
        let lines = self
            .gateways
            .iter()
            .flat_map(|gateway| gateway.subjects.iter().map(move |line| (&gateway.name, line)));
        lines.filter(|(_, line)| matches!(line.fate, Fate::Due { .. } | Fate::WouldReap { .. }))
    }

    /// Writes down how it ended.
    pub fn conclude(&mut self, place: Place, ending: Ending) {
        let line =
            self.gateways.get_mut(place.gateway).and_then(|gateway| gateway.subjects.get_mut(place.line));
        let Some(line) = line else { return };
        if let Fate::WouldReap { orphan, waited } = line.fate {
            line.fate = Fate::Reap { orphan, waited, ending };
        }
    }

    /// The run is over.
    pub fn end(&mut self, now: Awake) {
        self.took = now.since(self.started);
    }

    /// Takes in what an earlier look of the same run did, so that one report tells all of it.
    pub fn absorb(&mut self, earlier: Self) {
        self.run = earlier.run;
        self.took += self.started.since(earlier.started);
        self.started = earlier.started;
        self.started_at = earlier.started_at;
        for before in earlier.gateways {
            let Some(now) = self.gateways.iter_mut().find(|gateway| gateway.name == before.name) else {
                continue;
            };
            let acted = before.subjects.into_iter().filter(|line| matches!(line.fate, Fate::Reap { .. }));
            let missing: Vec<_> = acted
                .filter(|line| !now.subjects.iter().any(|other| is_same(&other.subject, &line.subject)))
                .collect();
            now.subjects.splice(0..0, missing);
        }
    }

    /// Whether something was due: whether there is news for somebody who only wants to hear of acts.
    pub fn has_acts(&self) -> bool {
        self.lines().any(|line| {
            matches!(
                line.fate,
                Fate::Reap { .. } | Fate::WouldReap { .. } | Fate::Due { .. } | Fate::Deferred { .. }
            )
        })
    }

    /// Who would be reaped, were there no dry run. A watcher tells of them when they change, not at every look.
    pub fn would_reap(&self) -> Vec<Subject> {
        let would = self.lines().filter(|line| matches!(line.fate, Fate::WouldReap { .. }));
        would.map(|line| line.subject.clone()).collect()
    }

    /// Whether something was done, or put off to a later run.
    pub fn has_deeds(&self) -> bool {
        self.lines().any(|line| matches!(line.fate, Fate::Reap { .. } | Fate::Deferred { .. }))
    }

    /// Whether something due could not be reaped.
    pub fn has_failures(&self) -> bool {
        self.lines().any(|line| {
            matches!(&line.fate, Fate::Reap { ending: Ending { outcome: Outcome::Failed { .. }, .. }, .. })
        })
    }

    /// Whether some table could not be read or trusted.
    pub fn has_distrust(&self) -> bool {
        self.gateways.iter().any(|gateway| gateway.table != TableState::Ok)
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.gateways.iter().flat_map(|gateway| &gateway.subjects)
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        let mut of_sessions = HashSet::new();
        for line in self.lines() {
            match line.subject {
                Subject::Session { .. } => totals.sessions += 1,
                Subject::Worker { .. } => {}
            }
            // One that is idle is listed beside its session.
            totals.workers += usize::from(match (&line.subject, line.subject.worker_pid()) {
                (_, None) => false,
                (Subject::Session { .. }, Some(pid)) => {
                    of_sessions.insert(pid);
                    true
                }
                (Subject::Worker { .. }, Some(pid)) => !of_sessions.contains(&pid),
            });
            match &line.fate {
                Fate::Keep(_) => totals.keep += 1,
                Fate::Wait { .. } => totals.wait += 1,
                Fate::Deferred { .. } => totals.deferred += 1,
                Fate::WouldReap { .. } | Fate::Due { .. } => totals.reap += 1,
                Fate::Reap { ending, .. } => {
                    totals.reap += 1;
                    totals.reclaimed_bytes += ending.reclaimed_bytes;
                    match ending.outcome {
                        Outcome::Reaped => totals.reaped += 1,
                        Outcome::Gone => totals.gone += 1,
                        Outcome::Kept { .. } | Outcome::Spared { .. } => totals.kept += 1,
                        Outcome::Failed { .. } => totals.failed += 1,
                    }
                }
            }
        }
        totals
    }
}

/// The conversation keys of a gateway's sessions, by session id, where they differ.
fn keys<'a>(seen: &'a Observation, gateway: &GatewayName) -> HashMap<&'a str, &'a str> {
    let table = seen.gateways.iter().find(|seen| seen.name == *gateway).and_then(|seen| seen.table.current());
    let rows = table.into_iter().flat_map(|table| &table.sessions);
    let keys = rows.filter_map(|row| Some((row.id.as_str(), row.key.known()?.as_str())));
    keys.filter(|(id, key)| id != key).collect()
}

fn is_same(one: &Subject, other: &Subject) -> bool {
    match (one, other) {
        (Subject::Session { id: one, .. }, Subject::Session { id: other, .. }) => one == other,
        (Subject::Worker { identity: one, .. }, Subject::Worker { identity: other, .. }) => one == other,
        _ => false,
    }
}
