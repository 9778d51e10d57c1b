//! What a run has to tell: every subject that was considered, with the reason, and what became of those that were due.

mod beside;
mod filter;
pub mod human;
pub mod json;
pub(crate) mod layout;
mod sums;
pub(crate) mod text;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::domain::decide::{Along, Decision, GatewayPlan, Place};
use crate::domain::ids::{GatewayName, Pid};
use crate::domain::observation::Observation;
use crate::domain::policy::Mode;
use crate::domain::table::{Answer, NoTable, Software, TableView};
use crate::domain::time::Awake;
use crate::domain::verdict::{HeldBack, Judged, Subject, Verdict};
use crate::reap::outcome::{Ending, Outcome};
pub use filter::Filter;
use json::Totals;

/// A run, and when it began.
#[derive(Debug)]
pub struct Begun {
    pub(crate) run: String,
    pub(crate) mode: Mode,
    pub(crate) started_at: SystemTime,
    started: Awake,
}

impl Begun {
    /// A run that starts now.
    pub fn new(mode: Mode, started_at: SystemTime, started: Awake) -> Self {
        let run = format!("{:x}-{:x}", started.as_nanos(), std::process::id());
        Self { run, mode, started_at, started }
    }
}

/// The report of one run.
#[derive(Debug)]
pub struct Report {
    pub(crate) begun: Begun,
    pub(crate) took: Duration,
    pub(crate) gateways: Vec<GatewayReport>,
    /// By which configuration, and which memory.
    pub(crate) made_with: Option<MadeWith>,
    /// That nothing at all is reaped now, and until when.
    pub(crate) paused: Option<Box<str>>,
    /// How many lines are left out, where only some were asked for.
    pub(crate) left_out: Option<usize>,
    /// Of a report that a person asked for: which workers are judged with what it lists.
    pub(crate) along: Vec<Along>,
}

/// By which configuration a run was made, and where its memory is.
#[derive(Debug, Clone)]
pub(crate) struct MadeWith {
    pub(crate) config: PathBuf,
    pub(crate) state_dir: PathBuf,
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
    pub(crate) software: Software,
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

/// One subject in it: what was decided, and what came of it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) judged: Judged,
    /// Of what was due, once the run is over.
    pub(crate) end: Option<End>,
    /// The run that ended it, where that is a later one than the report is called by: each look of `--wait` is a run of its own.
    pub(crate) run: Option<Box<str>>,
    /// A later look that the report is of lists its subject once more: it isn't counted twice.
    pub(crate) is_listed_again: bool,
    /// It is told already, elsewhere or in an earlier report: it counts, and has no line.
    pub(crate) is_told: bool,
    /// How long ago it last did anything.
    pub(crate) active_ago: Option<Duration>,
    /// Since when its verdict holds, where that was looked up.
    pub(crate) since: Option<Since>,
}

/// Since when a verdict holds.
#[derive(Debug)]
pub(crate) struct Since {
    /// As the files have it.
    pub(crate) time: String,
    /// The same, until the report.
    pub(crate) ago: Duration,
}

/// What came of what was due.
#[derive(Debug)]
pub(crate) enum End {
    /// It was only to be told of.
    Told,
    /// It was to be ended.
    Of(Ending),
}

impl Line {
    pub(crate) fn of(judged: Judged, now: SystemTime) -> Self {
        let active_ago = judged.about.last_active.and_then(|active| active.ago(now));
        Self { judged, end: None, run: None, is_listed_again: false, is_told: false, active_ago, since: None }
    }

    /// It is due, and this run did nothing about it, or nothing yet.
    pub(crate) fn is_only_due(&self) -> bool {
        matches!((&self.judged.verdict, &self.end), (Verdict::Reap { .. }, None | Some(End::Told)))
    }

    /// Whether a report of acts alone has a line of it.
    pub(crate) fn is_act(&self) -> bool {
        !self.is_told && matches!(self.judged.verdict, Verdict::Reap { .. } | Verdict::Deferred { .. })
    }

    /// Whether it is a session's, to count these.
    pub(crate) fn is_a_session(&self) -> bool {
        matches!(self.judged.subject, Subject::Session { .. }) && !self.is_listed_again
    }

    /// Whether it was due and could not be reaped.
    pub(crate) fn has_failed(&self) -> bool {
        self.ending().is_some_and(|ending| matches!(ending.outcome, Outcome::Failed { .. }))
    }

    /// How its teardown ended.
    pub(crate) fn ending(&self) -> Option<&Ending> {
        match &self.end {
            Some(End::Of(ending)) => Some(ending),
            Some(End::Told) | None => None,
        }
    }
}

impl Report {
    /// Of what was seen and decided in a run that has begun.
    pub fn new(begun: Begun, seen: &Observation, decision: Decision) -> Self {
        let now = begun.started_at;
        let gateways = decision.gateways.into_iter().map(|plan| described(seen, plan, now)).collect();
        Self {
            begun,
            took: Duration::ZERO,
            gateways,
            paused: decision.paused,
            made_with: None,
            left_out: None,
            along: Vec::new(),
        }
    }

    /// Says which programs the gateways are, in the order of the gateways.
    pub fn published_by(&mut self, software: impl IntoIterator<Item = Software>) {
        for (gateway, software) in self.gateways.iter_mut().zip(software) {
            gateway.software = software;
        }
    }

    /// Says by which configuration it was made, and where the memory is.
    pub fn made_with(&mut self, config: &Path, state_dir: &Path) {
        self.made_with = Some(MadeWith { config: config.to_owned(), state_dir: state_dir.to_owned() });
    }

    /// Says since when each verdict holds, where that is known.
    pub(crate) fn holds_since(&mut self, known: impl Fn(&str, &json::Entry<'_>) -> Option<Since>) {
        for gateway in &mut self.gateways {
            for line in &mut gateway.subjects {
                line.since = known(gateway.name.as_str(), &json::entry(line));
            }
        }
    }

    /// The run's id, as the audit log has it.
    pub fn run(&self) -> &str {
        &self.begun.run
    }

    /// The lines of what is due, with their gateways.
    pub(crate) fn due(&self) -> impl Iterator<Item = (&GatewayName, &Line)> {
        let lines = self
            .gateways
            .iter()
            .flat_map(|gateway| gateway.subjects.iter().map(move |line| (&gateway.name, line)));
        lines.filter(|(_, line)| line.is_only_due())
    }

    /// The run is over, and so it ended. Whatever else was due was only to be told of.
    pub fn end(&mut self, endings: impl IntoIterator<Item = (Place, Ending)>, now: Awake) {
        for (place, ending) in endings {
            let gateway = self.gateways.get_mut(place.gateway);
            if let Some(line) = gateway.and_then(|gateway| gateway.subjects.get_mut(place.subject)) {
                line.end = Some(End::Of(ending));
            }
        }
        for line in self.gateways.iter_mut().flat_map(|gateway| &mut gateway.subjects) {
            if matches!(line.judged.verdict, Verdict::Reap { .. }) {
                line.end.get_or_insert(End::Told);
            }
        }
        self.looked(now);
    }

    /// These tables could not be read again in the middle of the run. Where that is why something was left undone, they are told of as any other
    /// table that can't be read.
    pub(crate) fn could_not_read<'m>(
        &mut self,
        unread: impl Iterator<Item = (&'m GatewayName, &'m NoTable)>,
    ) {
        for (name, missing) in unread {
            let is_why = |line: &Line| {
                line.ending().is_some_and(|ending| match &ending.outcome {
                    Outcome::Failed { why } | Outcome::Spared { why } => why.ends_with(&*missing.why),
                    Outcome::Reaped | Outcome::Gone | Outcome::Kept { .. } => false,
                })
            };
            if !self.lines().any(is_why) {
                continue;
            }
            for gateway in self.gateways.iter_mut().filter(|gateway| gateway.name == *name) {
                (gateway.table, gateway.error) = (missing.answer.into(), Some(missing.why.clone()));
            }
        }
    }

    /// So much time has passed since the decision: so much less is left of every grace.
    pub fn is_later_by(&mut self, span: Duration) {
        for line in self.gateways.iter_mut().flat_map(|gateway| &mut gateway.subjects) {
            if let Verdict::Wait { remaining, .. } = &mut line.judged.verdict {
                *remaining = remaining.saturating_sub(span);
            }
            if let Some(HeldBack { remaining, .. }) = &mut line.judged.about.held_back {
                *remaining = remaining.saturating_sub(span);
            }
        }
    }

    /// The look is over that the report is of, and nothing was to be done.
    pub fn looked(&mut self, now: Awake) {
        self.took = now.since(self.begun.started);
    }

    /// Takes in what earlier looks of the same command did, so that one report tells all of it: also of what is listed again, whatever came
    /// of it since.
    pub fn absorb(&mut self, earlier: Self) {
        self.took += self.begun.started.since(earlier.begun.started);
        for line in self.gateways.iter_mut().flat_map(|gateway| &mut gateway.subjects) {
            if line.ending().is_some() {
                line.run.get_or_insert_with(|| self.begun.run.as_str().into());
            }
        }
        self.begun = Begun { mode: self.begun.mode, ..earlier.begun };
        for mut before in earlier.gateways {
            before.subjects.retain(|line| line.ending().is_some());
            let now = self.gateways.iter_mut().find(|gateway| gateway.name == before.name);
            match now {
                Some(now) => {
                    for line in &mut before.subjects {
                        line.is_listed_again |= now.subjects.iter().any(|other| is_same(other, line));
                    }
                    now.subjects.splice(0..0, before.subjects);
                }
                None if before.subjects.is_empty() => {}
                // One of those that are looked for; it is gone.
                None => self.gateways.push(before),
            }
        }
    }

    /// Whether something was due: whether a report of acts alone has a line.
    pub fn has_acts(&self) -> bool {
        self.lines().any(Line::is_act)
    }

    /// Who would be reaped, were there no dry run. A watcher tells of them when they change, not at every look.
    pub fn would_reap(&self) -> Vec<Subject> {
        let would = self.lines().filter(|line| matches!(line.end, Some(End::Told)));
        would.map(|line| line.judged.subject.clone()).collect()
    }

    /// What could not be reaped, and why.
    pub fn failures(&self) -> Vec<(Subject, Box<str>)> {
        let failed =
            self.lines().filter_map(|line| Some((line.judged.subject.clone(), line.failure()?.into())));
        failed.collect()
    }

    /// Whether something was done, or put off to a later run, other than what failed in the same way before.
    pub fn has_deeds_but(&self, told: &[(Subject, Box<str>)]) -> bool {
        let is_deferred = |line: &Line| matches!(line.judged.verdict, Verdict::Deferred { .. });
        self.lines().any(|line| is_deferred(line) || (line.ending().is_some() && !line.failed_as(told)))
    }

    /// Whether something due could not be reaped. What a later look did about it counts.
    pub fn has_failures(&self) -> bool {
        self.gateways.iter().any(|gateway| {
            let mut lines = gateway.subjects.iter().enumerate();
            lines.any(|(index, line)| {
                let mut later = gateway.subjects[index + 1..].iter();
                let is_tried_again = |other: &Line| other.ending().is_some() && is_same(other, line);
                line.has_failed() && !(line.is_listed_again && later.any(is_tried_again))
            })
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
        let (mut of_sessions, mut of_earlier_looks) = (HashSet::new(), HashSet::new());
        for line in self.lines() {
            let Judged { subject, verdict, .. } = &line.judged;
            totals.sessions += usize::from(line.is_a_session());
            match verdict {
                Verdict::Keep(_) => totals.keep += 1,
                Verdict::Wait { .. } => totals.wait += 1,
                Verdict::Deferred { .. } => totals.deferred += 1,
                Verdict::Reap { .. } => totals.reap += 1,
            }
            // One that is idle is listed beside its session; and what is listed again may have the same one.
            totals.workers += usize::from(match (subject, subject.worker_pid()) {
                (_, None) => false,
                (_, Some(pid)) if line.is_listed_again => of_earlier_looks.insert(pid),
                (_, Some(pid)) if of_earlier_looks.contains(&pid) => false,
                // Two rows may name one.
                (Subject::Session { .. }, Some(pid)) => of_sessions.insert(pid),
                (Subject::Worker { .. }, Some(pid)) => !of_sessions.contains(&pid),
            });
            let Some(ending) = line.ending() else { continue };
            totals.reclaimed_bytes += ending.reclaimed_bytes;
            match ending.outcome {
                Outcome::Reaped => totals.reaped += 1,
                Outcome::Gone => totals.gone += 1,
                Outcome::Kept { .. } | Outcome::Spared { .. } => totals.kept += 1,
                Outcome::Failed { .. } => totals.failed += 1,
            }
        }
        totals.reclaimed_rss_bytes = totals.reclaimed_bytes;
        totals
    }
}

fn described(seen: &Observation, plan: GatewayPlan, now: SystemTime) -> GatewayReport {
    let observed = seen.gateways.iter().find(|gateway| gateway.name == plan.name);
    let beside = observed.and_then(|gateway| beside::told(seen, gateway, &plan.judged)).map(Into::into);
    let table = observed.map(|gateway| &gateway.table);
    let (table, error) = match table {
        Some(TableView::Current(_)) => (TableState::Ok, plan.contradiction.map(Into::into)),
        Some(TableView::Not(missing)) => (missing.answer.into(), Some(missing.why.clone())),
        None => (TableState::Unreachable, None),
    };
    let subjects = plan.judged.into_iter().map(|judged| Line::of(judged, now)).collect();
    let pid = plan.process.map(|process| process.pid);
    GatewayReport { name: plan.name, table, error, beside, pid, software: Software::default(), subjects }
}

fn is_same(one: &Line, other: &Line) -> bool {
    match (&one.judged.subject, &other.judged.subject) {
        (Subject::Session { id: one, .. }, Subject::Session { id: other, .. }) => one == other,
        (Subject::Worker { identity: one, .. }, Subject::Worker { identity: other, .. }) => one == other,
        _ => false,
    }
}
