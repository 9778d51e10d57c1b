//! The JSON report: one document, version 1. Its shape is the interface.

use serde::Serialize;

use super::{Fate, GatewayReport, Line, Report};
use crate::domain::policy::Mode;
use crate::domain::verdict::Subject;
use crate::reap::outcome::Outcome;

const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    run: &'a str,
    dry_run: bool,
    started_at: String,
    took_s: f64,
    gateways: Vec<Gateway<'a>>,
    totals: Totals,
}

#[derive(Serialize)]
struct Gateway<'a> {
    name: &'a str,
    table: &'static str,
    error: Option<&'a str>,
    pid: Option<u32>,
    subjects: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    kind: &'static str,
    id: String,
    worker_pid: Option<u32>,
    verdict: &'static str,
    reason: &'static str,
    /// The reason in words, with its evidence.
    detail: Option<String>,
    orphan_kind: Option<&'static str>,
    waited_s: Option<f64>,
    remaining_s: Option<f64>,
    outcome: Option<&'a str>,
    steps: Vec<&'static str>,
    rss_bytes: Option<u64>,
}

#[derive(Serialize)]
struct Totals {
    sessions: usize,
    workers: usize,
    keep: usize,
    wait: usize,
    reap: usize,
    reaped: usize,
    gone: usize,
    kept: usize,
    failed: usize,
    deferred: usize,
    reclaimed_rss_bytes: u64,
}

/// The whole report as one line of JSON.
///
/// # Errors
/// None in practice: everything in it can be JSON.
pub fn render(report: &Report) -> serde_json::Result<String> {
    let totals = report.totals();
    serde_json::to_string(&Document {
        version: VERSION,
        run: &report.run,
        dry_run: report.mode == Mode::DryRun,
        started_at: humantime::format_rfc3339_seconds(report.started_at).to_string(),
        took_s: rounded(report.took),
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
            reclaimed_rss_bytes: totals.reclaimed_rss_bytes,
        },
    })
}

fn gateway(report: &GatewayReport) -> Gateway<'_> {
    Gateway {
        name: report.name.as_str(),
        table: report.table.as_str(),
        error: report.error.as_deref(),
        pid: report.pid.map(|pid| pid.get()),
        subjects: report.subjects.iter().map(entry).collect(),
    }
}

fn entry(line: &Line) -> Entry<'_> {
    let empty = Entry {
        kind: match line.subject {
            Subject::Session { .. } => "session",
            Subject::Worker { .. } => "worker",
        },
        id: line.subject.id(),
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
                Outcome::Kept { reason } => Some(format!("the gateway keeps it: {reason}")),
                Outcome::Failed { why } => Some(why.to_string()),
                Outcome::Reaped | Outcome::Gone => ending.note.as_ref().map(ToString::to_string),
            },
            rss_bytes: match ending.reclaimed_bytes {
                0 => empty.rss_bytes,
                bytes => Some(bytes),
            },
            ..empty
        },
    }
}

/// Milliseconds are as fine as anybody wants to read.
fn rounded(span: std::time::Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}
