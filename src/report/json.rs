//! The JSON report: one document, version 1. Its shape is the interface.

use std::time::Duration;

use serde::Serialize;

use super::{End, GatewayReport, Line, Report};
use crate::domain::orphan::OrphanKind;
use crate::domain::policy::Mode;
use crate::domain::verdict::{Judged, Subject, Verdict};
use crate::reap::outcome::{self, Ending, Outcome};
use crate::text::to_json;

const VERSION: u32 = 1;

#[derive(Debug, Serialize)]
pub(crate) struct Document<'a> {
    pub(crate) version: u32,
    pub(crate) run: &'a str,
    pub(crate) dry_run: bool,
    pub(crate) started_at: String,
    pub(crate) took_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state_dir: Option<String>,
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
    /// The gateway's release, where its kind says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) release: Option<&'a str>,
    /// The version of the plugin that publishes its table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plugin: Option<&'a str>,
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
    /// The run that ended it, as the audit log has it, where that isn't the one of the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<&'a str>,
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
    /// How many clients the session has, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clients: Option<u32>,
    /// How long ago it last did anything, in its gateway's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_active_ago_s: Option<f64>,
    /// Its grace, once it looks like an orphan. `explain` tells it; a report has what is left of it.
    #[serde(skip)]
    pub(crate) grace: Option<Duration>,
    /// What is left of its grace where only an operator keeps it, for `explain`.
    #[serde(skip)]
    pub(crate) held_back: Option<Duration>,
    /// Since when the verdict holds; in `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<&'a str>,
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

/// Sums over a report.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
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
    Document {
        version: VERSION,
        run: &report.begun.run,
        dry_run: report.begun.mode == Mode::DryRun,
        started_at: humantime::format_rfc3339_seconds(report.begun.started_at).to_string(),
        took_s: rounded(report.took),
        config: report.made_with.as_ref().map(|made| made.config.display().to_string()),
        state_dir: report.made_with.as_ref().map(|made| made.state_dir.display().to_string()),
        paused: report.paused.as_deref(),
        gateways: report.gateways.iter().map(gateway).collect(),
        totals: report.totals(),
    }
}

fn gateway(report: &GatewayReport) -> Gateway<'_> {
    Gateway {
        name: report.name.as_str(),
        table: report.table.as_str(),
        error: report.error.as_deref(),
        beside: report.beside.as_deref(),
        pid: report.pid.map(|pid| pid.get()),
        release: report.software.release.as_deref(),
        plugin: report.software.plugin.as_deref(),
        subjects: report.subjects.iter().map(entry).collect(),
    }
}

fn survivor(survivor: &outcome::Survivor) -> Survivor<'_> {
    Survivor { pid: survivor.process.pid.get(), reason: &survivor.why }
}

/// One line of the report in the words of the interface.
pub(crate) fn entry(line: &Line) -> Entry<'_> {
    let Judged { subject, key, rss_bytes, closes_without_effect, by_hand, about, verdict } = &line.judged;
    let (orphan, waited) = match verdict {
        Verdict::Keep(_) => (None, None),
        Verdict::Wait { orphan, waited, .. } | Verdict::Deferred { orphan, waited } => {
            (Some(*orphan), Some(*waited))
        }
        Verdict::Reap { warrant, waited } => (Some(warrant.orphan()), Some(*waited)),
    };
    let entry = Entry {
        kind: match subject {
            Subject::Session { .. } => "session",
            Subject::Worker { .. } => "worker",
        },
        id: subject.id(),
        key: key.as_deref(),
        worker_pid: subject.worker_pid().map(|pid| pid.get()),
        verdict: match verdict {
            Verdict::Keep(_) => "keep",
            Verdict::Wait { .. } => "wait",
            Verdict::Deferred { .. } => "deferred",
            Verdict::Reap { .. } => "reap",
        },
        reason: "orphaned",
        detail: None,
        orphan_kind: orphan.map(OrphanKind::as_str),
        waited_s: waited.map(rounded),
        remaining_s: None,
        outcome: None,
        run: line.run.as_deref(),
        steps: Vec::new(),
        rss_bytes: *rss_bytes,
        reclaimed_bytes: None,
        survivors: Vec::new(),
        closes_without_effect: *closes_without_effect,
        by_hand: by_hand.as_deref(),
        clients: about.clients,
        last_active_ago_s: line.active_ago.map(rounded),
        grace: about.grace,
        held_back: about.held_back.map(|held| held.remaining),
        since: line.since.as_ref().map(|since| &*since.time),
    };
    match (verdict, &line.end) {
        (Verdict::Keep(keep), _) => Entry { reason: keep.reason(), detail: Some(keep.to_string()), ..entry },
        (Verdict::Wait { remaining, .. }, _) => Entry { remaining_s: Some(rounded(*remaining)), ..entry },
        (_, Some(End::Told)) => Entry { outcome: Some("would-reap"), ..entry },
        // Nothing is done by it in any run.
        (Verdict::Reap { warrant, .. }, None) if warrant.is_told() => {
            Entry { outcome: Some("would-reap"), ..entry }
        }
        (_, Some(End::Of(ending))) => ended(ending, entry),
        (_, None) => entry,
    }
}

fn ended<'a>(ending: &'a Ending, entry: Entry<'a>) -> Entry<'a> {
    Entry {
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
        ..entry
    }
}

/// To the millisecond: finer figures would mean nothing.
fn rounded(span: Duration) -> f64 {
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
            config: None,
            state_dir: None,
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
            run: None,
            steps: Vec::new(),
            rss_bytes: None,
            reclaimed_bytes: None,
            survivors: Vec::new(),
            closes_without_effect: 0,
            by_hand: None,
            clients: None,
            last_active_ago_s: None,
            grace: None,
            held_back: None,
            since: None,
        }
    }
}
