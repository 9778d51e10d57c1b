//! What of a report is asked for.

use std::time::{Duration, SystemTime};

use super::{Line, Report};
use crate::domain::ids::GatewayName;
use crate::domain::verdict::{HeldBack, Subject, Verdict};
use crate::reap::outcome::Outcome;

/// All of it has to fit; what isn't given fits.
#[derive(Debug, Default)]
pub struct Filter {
    /// What is due, or will be within this time.
    pub due: Option<Duration>,
    /// The gateways.
    pub gateways: Vec<GatewayName>,
    /// The words of the report.
    pub reasons: Vec<String>,
}

impl Filter {
    /// Whether everything fits.
    pub fn is_empty(&self) -> bool {
        self.due.is_none() && self.gateways.is_empty() && self.reasons.is_empty()
    }

    fn fits(&self, line: &Line, now: SystemTime) -> bool {
        let is_due = self.due.is_none_or(|due| line.due_unless_kept_longer(now) <= due);
        is_due && (self.reasons.is_empty() || self.reasons.iter().any(|reason| *reason == line.reason()))
    }
}

impl Report {
    /// Leaves only what is asked for.
    pub fn only(&mut self, filter: &Filter) {
        if !filter.gateways.is_empty() {
            self.gateways.retain(|gateway| filter.gateways.contains(&gateway.name));
        }
        let lines = |report: &Self| report.lines().count();
        let all = lines(self);
        let now = self.begun.started_at;
        for gateway in &mut self.gateways {
            gateway.subjects.retain(|line| filter.fits(line, now));
        }
        self.left_out = (!filter.is_empty()).then(|| all - lines(self));
    }
}

impl Report {
    /// What was done, or tried, with its gateway.
    pub(crate) fn ended(&self) -> impl Iterator<Item = (&GatewayName, &Line)> {
        let lines = self
            .gateways
            .iter()
            .flat_map(|gateway| gateway.subjects.iter().map(move |line| (&gateway.name, line)));
        lines.filter(|(_, line)| line.ending().is_some())
    }

    /// Says of which lines it is known that they are told already.
    pub(crate) fn tell_no_more(&mut self, is_told: impl Fn(&GatewayName, &Line) -> bool) {
        for gateway in &mut self.gateways {
            for line in &mut gateway.subjects {
                line.is_told |= is_told(&gateway.name, line);
            }
        }
    }
}

impl Line {
    /// Whether it could not be reaped, for the reason that is told there.
    pub(crate) fn failed_as(&self, told: &[(Subject, Box<str>)]) -> bool {
        self.failure().is_some_and(|why| {
            told.iter().any(|(subject, known)| *subject == self.judged.subject && **known == *why)
        })
    }

    /// When it is due, to sort by: now, after so long, or never.
    pub(crate) fn due(&self) -> Duration {
        match (&self.judged.verdict, self.ending()) {
            (Verdict::Wait { remaining, .. }, _) => *remaining,
            (Verdict::Keep(_), _) | (_, Some(_)) => Duration::MAX,
            (Verdict::Deferred { .. } | Verdict::Reap { .. }, None) => Duration::ZERO,
        }
    }

    /// The same, also where an operator keeps it for a time.
    fn due_unless_kept_longer(&self, now: SystemTime) -> Duration {
        let Some(HeldBack { remaining, until: Some(until) }) = self.judged.about.held_back else {
            return self.due();
        };
        remaining.max(until.duration_since(now).unwrap_or_default())
    }

    /// Why it could not be reaped.
    pub(crate) fn failure(&self) -> Option<&str> {
        match &self.ending()?.outcome {
            Outcome::Failed { why } => Some(why),
            _ => None,
        }
    }

    /// The word of the JSON report.
    pub(crate) fn reason(&self) -> &'static str {
        match &self.judged.verdict {
            Verdict::Keep(keep) => keep.reason(),
            _ => "orphaned",
        }
    }
}
