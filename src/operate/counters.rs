//! What was ever done, counted since the state directory was made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::acts::{Act, UNFINISHED};
use crate::report::json::Document;

/// The counters, by the values of their labels. They are kept with the last run, and written in one step. A kill at any moment leaves the
/// counts of this run or of the one before, and then the next run counts what the audit log says of this one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Runs by result.
    pub runs: BTreeMap<String, u64>,
    /// Orphans that were due, by `orphan kind/outcome`.
    pub reaps: BTreeMap<String, u64>,
    /// Acts by step.
    pub steps: BTreeMap<String, u64>,
    /// Memory that came back.
    pub reclaimed_bytes: u64,
    /// Reads of a table, by `gateway/result`.
    pub table_reads: BTreeMap<String, u64>,
    /// How often the memory of graces was of no use, by reason.
    pub memory_resets: BTreeMap<String, u64>,
}

/// Between the values of two labels. Neither orphan kinds nor results have one; of a gateway's name only the last counts.
pub(crate) const BETWEEN: char = '/';

impl Counters {
    /// Whether anything was ever done.
    pub fn has_acts(&self) -> bool {
        !self.steps.is_empty()
    }

    pub(super) fn reads(&mut self, report: &Document<'_>) {
        for gateway in &report.gateways {
            add(&mut self.table_reads, &format!("{}{BETWEEN}{}", gateway.name, gateway.table));
        }
    }

    pub(super) fn run(&mut self, report: &Document<'_>, result: &str) {
        add(&mut self.runs, result);
        for gateway in &report.gateways {
            for entry in &gateway.subjects {
                let (Some(orphan), Some(outcome)) = (entry.orphan_kind, entry.outcome) else { continue };
                // A dry run does nothing, however often it says so.
                if outcome == "would-reap" {
                    continue;
                }
                self.reap(orphan, outcome);
                for step in &entry.steps {
                    add(&mut self.steps, step);
                }
            }
        }
        self.came_back(report.totals.reclaimed_rss_bytes);
    }

    /// What a run that was killed had done. Of an act without an end only its steps are known.
    pub(super) fn interrupted_run(&mut self, acts: &[Act]) {
        add(&mut self.runs, "interrupted");
        for act in acts {
            act.steps.iter().for_each(|step| add(&mut self.steps, step));
            if act.outcome != UNFINISHED {
                self.reap(&act.orphan_kind, &act.outcome);
                self.came_back(act.reclaimed_bytes);
            }
        }
    }

    pub(super) fn reap(&mut self, orphan: &str, outcome: &str) {
        add(&mut self.reaps, &format!("{orphan}{BETWEEN}{outcome}"));
    }

    pub(super) fn came_back(&mut self, bytes: u64) {
        self.reclaimed_bytes = self.reclaimed_bytes.saturating_add(bytes);
    }

    pub(super) fn memory_was_reset(&mut self, why: &str) {
        add(&mut self.memory_resets, why);
    }

    pub(super) fn run_failed(&mut self) {
        add(&mut self.runs, "error");
    }
}

fn add(counts: &mut BTreeMap<String, u64>, label: &str) {
    match counts.get_mut(label) {
        Some(count) => *count = count.saturating_add(1),
        None => {
            counts.insert(label.to_owned(), 1);
        }
    }
}
