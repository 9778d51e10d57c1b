//! What is there at the end of a run, counted: the gauges of the metrics. Never by session or PID, so that their number stays small.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::counters::BETWEEN;
use super::seen::{self, Seen};
use super::when;
use crate::report::json::{Document, Entry, Gateway};

/// The outcome of what was due and only told of.
const TOLD: &str = "would-reap";

/// Counts and spans, by the values of their labels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Levels {
    /// Sessions, by `verdict/reason/gateway`.
    pub sessions: BTreeMap<String, u64>,
    /// Workers, those of sessions too, by `verdict/reason/gateway`.
    pub workers: BTreeMap<String, u64>,
    /// Memory of workers, by `verdict/reason`.
    pub memory_bytes: BTreeMap<String, u64>,
    /// How long the oldest orphan has looked like one, by its kind, in seconds.
    pub oldest_orphan_s: BTreeMap<String, f64>,
    /// How long the one that is due for longest has been due, in seconds. What is only told of isn't waited for.
    pub longest_overdue_s: f64,
    /// How long a session without a client has been kept, by the reason, in seconds.
    pub longest_detached_s: BTreeMap<String, f64>,
}

impl Levels {
    pub(super) fn of(report: &Document<'_>, seen: &Seen, now: SystemTime) -> Self {
        let mut levels = Self::default();
        for gateway in &report.gateways {
            let (known, is_dry) = (seen.gateways.get(gateway.name), is_dry(gateway));
            for entry in gateway.subjects.iter().filter(|entry| !is_gone(entry)) {
                let known = known.and_then(|known| known.subjects.get(&seen::name_of(entry)));
                levels.add(gateway.name, entry);
                let age = |time: &str| {
                    let age = when::parse(time).and_then(|then| now.duration_since(then).ok());
                    age.unwrap_or_default().as_secs_f64()
                };
                let due = known.and_then(|known| known.due.as_deref());
                if let Some(due) = due.filter(|_| !is_dry && entry.outcome != Some(TOLD)) {
                    levels.longest_overdue_s = levels.longest_overdue_s.max(age(due));
                }
                // Who is attached is kept for that reason before any other.
                if let ("session", "keep", Some(known)) = (entry.kind, entry.verdict, known)
                    && entry.reason != "attached"
                {
                    raise(&mut levels.longest_detached_s, entry.reason, age(&known.since));
                }
            }
        }
        levels
    }

    fn add(&mut self, gateway: &str, entry: &Entry<'_>) {
        let kind = format!("{}{BETWEEN}{}", entry.verdict, entry.reason);
        let label = format!("{kind}{BETWEEN}{gateway}");
        if entry.kind == "session" {
            *self.sessions.entry(label.clone()).or_default() += 1;
        }
        if entry.worker_pid.is_some() {
            *self.workers.entry(label).or_default() += 1;
            *self.memory_bytes.entry(kind).or_default() += entry.rss_bytes.unwrap_or(0);
        }
        if let (Some(orphan), Some(waited)) = (entry.orphan_kind, entry.waited_s) {
            raise(&mut self.oldest_orphan_s, orphan, waited);
        }
    }
}

fn is_gone(entry: &Entry<'_>) -> bool {
    matches!(entry.outcome, Some("reaped" | "gone"))
}

/// Whether all that was due is only told of: then so is what was put off behind it.
fn is_dry(gateway: &Gateway<'_>) -> bool {
    let mut outcomes = gateway.subjects.iter().filter_map(|entry| entry.outcome).peekable();
    outcomes.peek().is_some() && outcomes.all(|outcome| outcome == TOLD)
}

fn raise(levels: &mut BTreeMap<String, f64>, label: &str, value: f64) {
    let level = levels.entry(label.to_owned()).or_default();
    *level = level.max(value);
}
