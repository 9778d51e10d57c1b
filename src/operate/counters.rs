//! What was ever done, counted since the state directory was made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::report::json::Document;

/// The counters, by the values of their labels. They are kept with the last run, and written in one step: a kill at any moment leaves the
/// counts of this run or of the one before.
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
    pub(super) fn count(&mut self, report: &Document<'_>, result: &str) {
        add(&mut self.runs, result);
        for gateway in &report.gateways {
            add(&mut self.table_reads, &format!("{}{BETWEEN}{}", gateway.name, gateway.table));
            for entry in &gateway.subjects {
                let (Some(orphan), Some(outcome)) = (entry.orphan_kind, entry.outcome) else { continue };
                // A dry run does nothing, however often it says so.
                if outcome == "would-reap" {
                    continue;
                }
                add(&mut self.reaps, &format!("{orphan}{BETWEEN}{outcome}"));
                for step in &entry.steps {
                    add(&mut self.steps, step);
                }
            }
        }
        self.reclaimed_bytes = self.reclaimed_bytes.saturating_add(report.totals.reclaimed_rss_bytes);
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
