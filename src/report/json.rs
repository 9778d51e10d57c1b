//! The JSON report: one document, version 1. Its shape is the interface.

use serde::Serialize;

use super::{Fate, GatewayReport, Line, Report};
use crate::domain::policy::Mode;
use crate::domain::verdict::Subject;
use crate::reap::outcome::{self, Outcome};
use crate::text::to_json;

const VERSION: u32 = 1;

#[derive(Debug, Serialize)]
pub(crate) struct Document<'a> {
    pub(crate) version: u32,
    pub(crate) run: &'a str,
    pub(crate) dry_run: bool,
    pub(crate) started_at: String,
    pub(crate) took_s: f64,
    /// That nothing at all is reaped now, and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paused: Option<&'a str>,
    pub(crate) gateways: Vec<Gateway<'a>>,
    pub(crate) totals: Totals,
}

#[derive(Debug, Serialize)]
pub(crate) struct Gateway<'a> {
    pub(crate) name: &'a str,
    pub(crate) table: &'static str,
    pub(crate) error: Option<&'a str>,
    /// What a look from outside shows of one without a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) beside: Option<&'a str>,
    pub(crate) pid: Option<u32>,
    pub(crate) subjects: Vec<Entry<'a>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    /// The conversation key, where it isn't the id.
    pub(crate) key: Option<&'a str>,
    pub(crate) worker_pid: Option<u32>,
    pub(crate) verdict: &'static str,
    pub(crate) reason: &'static str,
    /// The reason in words, with its evidence.
    pub(crate) detail: Option<String>,
    pub(crate) orphan_kind: Option<&'static str>,
    pub(crate) waited_s: Option<f64>,
    pub(crate) remaining_s: Option<f64>,
    pub(crate) outcome: Option<&'a str>,
    pub(crate) steps: Vec<&'static str>,
    pub(crate) rss_bytes: Option<u64>,
    /// What was there before of the processes that are gone.
    pub(crate) reclaimed_bytes: Option<u64>,
    pub(crate) survivors: Vec<Survivor<'a>>,
    /// How often its gateway said that it closed this session, which it lists all the same.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) closes_without_effect: u32,
    /// That an operator keeps it, until when and why; whatever else keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by_hand: Option<&'a str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A process that is left alive.
#[derive(Debug, Serialize)]
pub(crate) struct Survivor<'a> {
    pub(crate) pid: u32,
    pub(crate) reason: &'a str,
}

#[derive(Debug, Default, Serialize)]
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
    /// Older name of the same.
    pub(crate) reclaimed_rss_bytes: u64,
    pub(crate) reclaimed_bytes: u64,
}

/// The whole report as one line of JSON.
///
/// # Errors
/// None in practice: everything in it can be JSON.
pub fn render(report: &Report) -> serde_json::Result<String> {
    to_json(&document(report)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The report in the words of the interface, for whatever else is made of them: events, metrics, `explain`.
pub(crate) fn document(report: &Report) -> Document<'_> {
    let totals = report.totals();
    Document {
        version: VERSION,
        run: &report.run,
        dry_run: report.mode == Mode::DryRun,
        started_at: humantime::format_rfc3339_seconds(report.started_at).to_string(),
        took_s: rounded(report.took),
        paused: report.paused.as_deref(),
        gateways: report.gateways.iter().map(gateway).collect(),
        totals: Totals {
            sessions: totals.sessions,
            workers: totals.workers,
            keep: totals.keep,
            wait: totals.wait,
            reap: totals.reap,
            reaped: totals.reaped,
            gone: totals.gone,
            kept: totals.kept,
            failed: totals.failed,
            deferred: totals.deferred,
            reclaimed_rss_bytes: totals.reclaimed_bytes,
            reclaimed_bytes: totals.reclaimed_bytes,
        },
    }
}

fn gateway(report: &GatewayReport) -> Gateway<'_> {
    Gateway {
        name: report.name.as_str(),
        table: report.table.as_str(),
        error: report.error.as_deref(),
        beside: report.beside.as_deref(),
        pid: report.pid.map(|pid| pid.get()),
        subjects: report.subjects.iter().map(entry).collect(),
    }
}

/// One line of the report in the words of the interface.
fn survivor(survivor: &outcome::Survivor) -> Survivor<'_> {
    Survivor { pid: survivor.process.pid.get(), reason: &survivor.why }
}

pub(crate) fn entry(line: &Line) -> Entry<'_> {
    let empty = Entry {
        kind: match line.subject {
            Subject::Session { .. } => "session",
            Subject::Worker { .. } => "worker",
        },
        id: line.subject.id(),
        key: line.key.as_deref(),
        worker_pid: line.subject.worker_pid().map(|pid| pid.get()),
        verdict: "reap",
        reason: "orphaned",
        detail: None,
        orphan_kind: None,
        waited_s: None,
        remaining_s: None,
        outcome: None,
        steps: Vec::new(),
        rss_bytes: line.rss_bytes,
        reclaimed_bytes: None,
        survivors: Vec::new(),
        closes_without_effect: line.closes_without_effect,
        by_hand: line.by_hand.as_deref(),
    };
    match &line.fate {
        Fate::Keep(keep) => {
            Entry { verdict: "keep", reason: keep.reason(), detail: Some(keep.to_string()), ..empty }
        }
        Fate::Wait { orphan, waited, remaining } => Entry {
            verdict: "wait",
            orphan_kind: Some(orphan.as_str()),
            waited_s: Some(rounded(*waited)),
            remaining_s: Some(rounded(*remaining)),
            ..empty
        },
        Fate::Deferred { orphan, waited } => Entry {
            verdict: "deferred",
            orphan_kind: Some(orphan.as_str()),
            waited_s: Some(rounded(*waited)),
            ..empty
        },
        Fate::Due { warrant, waited } => {
            Entry { orphan_kind: Some(warrant.orphan().as_str()), waited_s: Some(rounded(*waited)), ..empty }
        }
        Fate::WouldReap { orphan, waited } => Entry {
            orphan_kind: Some(orphan.as_str()),
            waited_s: Some(rounded(*waited)),
            outcome: Some("would-reap"),
            ..empty
        },
        Fate::Reap { orphan, waited, ending } => Entry {
            orphan_kind: Some(orphan.as_str()),
            waited_s: Some(rounded(*waited)),
            outcome: Some(ending.outcome.as_str()),
            steps: ending.steps.iter().map(|step| step.as_str()).collect(),
            detail: match &ending.outcome {
                Outcome::Kept { reason } => Some(format!("the gateway keeps it: {}", reason.as_str())),
                Outcome::Spared { why } => Some(why.to_string()),
                Outcome::Failed { why } => Some(why.to_string()),
                Outcome::Reaped | Outcome::Gone => ending.note.as_ref().map(ToString::to_string),
            },
            reclaimed_bytes: Some(ending.reclaimed_bytes),
            survivors: ending.survivors.iter().map(survivor).collect(),
            ..empty
        },
    }
}

/// Milliseconds are as fine as anybody wants to read.
fn rounded(span: std::time::Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
impl<'a> Document<'a> {
    /// With nothing but these gateways.
    pub(crate) fn plain(run: &'a str, gateways: Vec<Gateway<'a>>) -> Self {
        let totals = Totals { failed: outcomes(&gateways, "failed"), ..Totals::default() };
        Self {
            version: VERSION,
            run,
            dry_run: false,
            started_at: String::new(),
            took_s: 0.0,
            paused: None,
            gateways,
            totals,
        }
    }
}

#[cfg(test)]
fn outcomes(gateways: &[Gateway<'_>], outcome: &str) -> usize {
    let entries = gateways.iter().flat_map(|gateway| &gateway.subjects);
    entries.filter(|entry| entry.outcome == Some(outcome)).count()
}

#[cfg(test)]
impl<'a> Entry<'a> {
    /// With nothing but this.
    pub(crate) fn plain(kind: &'static str, id: &str, verdict: &'static str, reason: &'static str) -> Self {
        Self {
            kind,
            id: id.to_owned(),
            key: None,
            worker_pid: None,
            verdict,
            reason,
            detail: None,
            orphan_kind: None,
            waited_s: None,
            remaining_s: None,
            outcome: None,
            steps: Vec::new(),
            rss_bytes: None,
            reclaimed_bytes: None,
            survivors: Vec::new(),
            closes_without_effect: 0,
            by_hand: None,
        }
    }
}
