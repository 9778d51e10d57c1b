//! Changes of verdict, one line each, so that "why was it kept until noon" has an answer: `events.jsonl`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::report::json::Entry;
use crate::state::log::{self, Lines, Rotation};

/// Some weeks of a busy gateway, and never more than 8 MiB.
pub(super) const ROTATION: Rotation = Rotation { max_bytes: 4 << 20, keep: 1 };

/// A verdict and its reason, in the report's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// `keep`, `wait`, `reap`, `deferred`; `table` where it is a gateway's table.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// The same in words, with its evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl State {
    pub(super) fn of(entry: &Entry<'_>) -> Self {
        // Of what is reaped the audit log has the details.
        let detail = entry.detail.clone().filter(|_| entry.verdict == "keep");
        Self { verdict: entry.verdict.to_owned(), reason: entry.reason.to_owned(), detail }
    }

    pub(super) fn table(state: &str, why: Option<&str>) -> Self {
        Self { verdict: "table".to_owned(), reason: state.to_owned(), detail: why.map(Into::into) }
    }

    /// The details carry figures that change from look to look.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.verdict == other.verdict && self.reason == other.reason
    }

    pub(super) fn is_orphan(&self) -> bool {
        matches!(self.verdict.as_str(), "wait" | "reap" | "deferred")
    }

    pub(super) fn is_due(&self) -> bool {
        matches!(self.verdict.as_str(), "reap" | "deferred")
    }

    /// An orphan that nothing was done to yet.
    pub(super) fn is_undecided(&self) -> bool {
        matches!(self.verdict.as_str(), "wait" | "deferred")
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verdict, self.reason)
    }
}

/// A change. What an older version did not write is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// When it was seen.
    pub time: String,
    /// In which run.
    pub run: String,
    /// Of which gateway.
    pub gateway: String,
    /// `session ID`, `worker ID PID` or `table`.
    pub subject: String,
    /// The conversation key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_pid: Option<u32>,
    /// What held before.
    pub from: Option<State>,
    /// Since when.
    pub since: Option<String>,
    /// What holds now; nothing where it is not there any more.
    pub to: Option<State>,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: ", self.time, self.gateway, self.subject)?;
        if let Some(from) = &self.from {
            write!(f, "{from}")?;
        }
        if let Some(since) = &self.since {
            write!(f, " (since {since})")?;
        }
        match &self.to {
            Some(to) => write!(f, " -> {to}"),
            None => f.write_str(" -> not there any more"),
        }
    }
}

/// Where they are.
pub fn path(dir: &Path) -> PathBuf {
    dir.join("events.jsonl")
}

/// Reads those that `wanted` asks for, oldest first.
pub fn read(dir: &Path, wanted: impl Fn(&Event) -> bool) -> Lines<Event> {
    log::read(&path(dir), wanted)
}
