//! When the last run was and how it ended, for each gateway, also where there was nothing to do: `last_run.json`.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::counters::Counters;
use super::interrupted::Interrupted;
use super::levels::Levels;
use super::seen::{self, Seen};
use crate::report::json::{Document, Entry, Gateway};
use crate::state::files;

const NAME: &str = "last_run.json";
const VERSION: u32 = 1;

/// The last run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastRun {
    /// Of this file.
    pub version: u32,
    /// Its id, as the audit log has it.
    pub run: String,
    /// `once` or `watch`.
    pub runner: String,
    /// The process that made it.
    pub pid: u32,
    /// How long `watch` waits between two looks, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<f64>,
    /// The configuration that it used.
    pub config: String,
    /// Whether it was to do nothing.
    pub dry_run: bool,
    /// When it began.
    pub started_at: String,
    /// When it was over.
    pub ended_at: String,
    /// How long it took.
    pub took_s: f64,
    /// `ok`, `failed` (something due could not be reaped), `distrust` (a table could not be read or trusted), `error` (no run could be made).
    pub result: String,
    /// Why no run could be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether the configuration could be read when it was read last.
    pub config_ok: bool,
    /// What was there at the end of it, counted.
    pub levels: Levels,
    /// How each gateway fared.
    pub gateways: Vec<GatewayRun>,
    /// What could not be reaped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failed>,
    /// What was ever done.
    pub counters: Counters,
    /// What a run that was killed had begun.
    #[serde(skip_serializing_if = "Interrupted::is_nothing")]
    pub interrupted: Interrupted,
}

/// One that could not be reaped: a quiet run tells it once, until it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failed {
    /// Whose orphan.
    pub gateway: String,
    /// By kind and id.
    pub subject: String,
    /// Why.
    pub why: Option<String>,
}

impl Failed {
    /// `None`: it did not fail.
    pub(crate) fn of(gateway: &str, entry: &Entry<'_>) -> Option<Self> {
        let (gateway, subject) = (gateway.to_owned(), seen::name_of(entry));
        (entry.outcome == Some("failed")).then(|| Self { gateway, subject, why: entry.detail.clone() })
    }
}

/// A gateway in the last run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayRun {
    /// Its name.
    pub name: String,
    /// Its kind, in the word of the configuration.
    pub kind: String,
    /// Its release, where its kind says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The version of the plugin that publishes its table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// How its table was found.
    pub table: String,
    /// Why it can't be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When its table was last read and nothing of it failed.
    pub last_success: Option<String>,
    /// How many runs in a row could not read its table.
    pub failing_runs: u32,
    /// Sessions in its table.
    pub sessions: usize,
    /// Subjects by verdict.
    pub keep: usize,
    /// Inside the grace.
    pub wait: usize,
    /// Due, and tried.
    pub reap: usize,
    /// Over the quota.
    pub deferred: usize,
    /// Gone by this run's doing.
    pub reaped: usize,
    /// Due, and still there.
    pub failed: usize,
}

impl LastRun {
    /// Before there was any.
    pub(super) fn none() -> Self {
        Self { version: VERSION, ..Self::default() }
    }

    /// Reads it. `None` if there is none, or none that can be read and understood.
    pub fn load(dir: &Path) -> Option<Self> {
        Self::read(dir).ok().flatten()
    }

    /// Reads it. `None` if there is none, or none that can be understood.
    ///
    /// # Errors
    /// It can't be read.
    pub fn read(dir: &Path) -> io::Result<Option<Self>> {
        let bytes = files::read(&dir.join(NAME))?;
        let run = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Ok(run.filter(|run| run.version == VERSION))
    }

    pub(super) fn save(&self, dir: &Path) -> io::Result<()> {
        files::replace_often(&dir.join(NAME), &crate::text::to_json(self)?)
    }

    /// Takes in a report.
    pub(super) fn take_in(
        &mut self,
        report: &Document<'_>,
        seen: &Seen,
        started: SystemTime,
        ended: SystemTime,
    ) {
        let time = |at| humantime::format_rfc3339_millis(at).to_string();
        self.run = report.run.to_owned();
        self.dry_run = report.dry_run;
        (self.started_at, self.ended_at, self.took_s) = (time(started), time(ended), report.took_s);
        let distrust = report.gateways.iter().any(|gateway| gateway.table != "ok");
        let result = match (distrust, report.totals.failed) {
            (true, _) => "distrust",
            (false, 0) => "ok",
            (false, _) => "failed",
        };
        (self.result, self.error) = (result.to_owned(), None);
        let before = std::mem::take(&mut self.gateways);
        let now = report.gateways.iter().map(|gateway| {
            let before = before.iter().find(|before| before.name == gateway.name);
            GatewayRun::of(gateway, before, &self.ended_at)
        });
        self.gateways = now.collect();
        let failed = |gateway: &Gateway<'_>| -> Vec<Failed> {
            gateway.subjects.iter().filter_map(|entry| Failed::of(gateway.name, entry)).collect()
        };
        self.failures = report.gateways.iter().flat_map(failed).collect();
        // The table reads of a run that acted are counted already.
        if self.interrupted.run.take().is_none() {
            self.counters.reads(report);
        }
        self.counters.run(report, &self.result);
        self.levels = Levels::of(report, seen, ended);
    }

    /// No run could be made.
    pub(super) fn take_in_error(&mut self, error: String, at: SystemTime) {
        self.interrupted.run = None;
        self.ended_at = humantime::format_rfc3339_millis(at).to_string();
        (self.result, self.error) = ("error".to_owned(), Some(error));
        self.counters.run_failed();
    }
}

impl GatewayRun {
    fn of(gateway: &Gateway<'_>, before: Option<&Self>, ended_at: &str) -> Self {
        let of_verdict = |verdict| gateway.subjects.iter().filter(|entry| entry.verdict == verdict).count();
        let of_outcome =
            |outcome| gateway.subjects.iter().filter(|entry| entry.outcome == Some(outcome)).count();
        let is_read = gateway.table == "ok";
        let failed = of_outcome("failed");
        Self {
            name: gateway.name.to_owned(),
            kind: before.map(|before| before.kind.clone()).unwrap_or_default(),
            release: gateway.release.map(Into::into),
            plugin: gateway.plugin.map(Into::into),
            table: gateway.table.to_owned(),
            error: gateway.error.map(Into::into),
            last_success: if is_read && failed == 0 {
                Some(ended_at.to_owned())
            } else {
                before.and_then(|before| before.last_success.clone())
            },
            failing_runs: match (is_read, before) {
                (true, _) => 0,
                (false, Some(before)) => before.failing_runs.saturating_add(1),
                (false, None) => 1,
            },
            sessions: gateway.subjects.iter().filter(|entry| entry.kind == "session").count(),
            keep: of_verdict("keep"),
            wait: of_verdict("wait"),
            reap: of_verdict("reap"),
            deferred: of_verdict("deferred"),
            reaped: of_outcome("reaped") + of_outcome("gone"),
            failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn report(table: &'static str, outcomes: &[&'static str]) -> Document<'static> {
        let entry = |outcome: &&'static str| Entry {
            orphan_kind: Some("detached-session"),
            outcome: Some(outcome),
            steps: vec!["close"],
            ..Entry::plain("session", "a", "reap", "orphaned")
        };
        let subjects = outcomes.iter().map(entry).collect();
        let gateway = Gateway {
            name: "a/b",
            table,
            error: None,
            beside: None,
            pid: None,
            release: None,
            plugin: None,
            subjects,
        };
        Document::plain("run", vec![gateway])
    }

    #[test]
    fn the_last_success_stays_what_it_was_while_nothing_succeeds() {
        let mut run = LastRun::default();
        run.take_in(&report("ok", &[]), &Seen::default(), at(0), at(1));
        assert_eq!((run.result.as_str(), run.gateways[0].failing_runs), ("ok", 0));
        for failing in 1..=3 {
            run.take_in(&report("unreachable", &[]), &Seen::default(), at(5), at(6));
            assert_eq!((run.result.as_str(), run.gateways[0].failing_runs), ("distrust", failing));
            assert_eq!(run.gateways[0].last_success.as_deref(), Some("1970-01-01T00:00:01.000Z"));
        }
        run.take_in(&report("ok", &["failed"]), &Seen::default(), at(7), at(8));
        assert_eq!((run.result.as_str(), run.gateways[0].failing_runs), ("failed", 0));
        assert_eq!(run.gateways[0].last_success.as_deref(), Some("1970-01-01T00:00:01.000Z"));
    }

    #[test]
    fn counters_go_on_from_run_to_run_and_a_dry_run_counts_no_reap() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            let mut run = LastRun::load(dir.path()).unwrap_or_else(LastRun::none);
            run.take_in(&report("ok", &["reaped", "failed", "would-reap"]), &Seen::default(), at(0), at(1));
            run.save(dir.path()).unwrap();
        }
        let counters = LastRun::load(dir.path()).unwrap().counters;
        assert_eq!(counters.reaps["detached-session/reaped"], 3);
        assert_eq!(counters.reaps["detached-session/failed"], 3);
        assert_eq!((counters.reaps.len(), counters.steps["close"]), (2, 6));
        assert_eq!(counters.table_reads["a/b/ok"], 3);
    }

    #[test]
    fn a_run_that_could_not_be_made_is_the_last_one_too() {
        let mut run = LastRun::default();
        run.take_in(&report("ok", &[]), &Seen::default(), at(0), at(1));
        run.take_in_error("no room".into(), at(9));
        assert_eq!((run.result.as_str(), run.error.as_deref()), ("error", Some("no room")));
        assert_eq!(run.gateways[0].last_success.as_deref(), Some("1970-01-01T00:00:01.000Z"));
        assert_eq!((run.ended_at.as_str(), run.counters.runs["error"]), ("1970-01-01T00:00:09.000Z", 1));
    }

    #[test]
    fn what_is_damaged_or_of_another_version_is_none() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["{\"version\":1,", "{\"version\":2}", "[]"] {
            std::fs::write(dir.path().join(NAME), text).unwrap();
            assert_eq!(LastRun::load(dir.path()), None, "{text}");
        }
    }
}
