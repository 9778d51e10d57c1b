//! A line of the audit log as it is read back: also one of an older version, which had less in it, or of a newer one, which has more. What an
//! interrupted run left without an end is written once more, with its end.

use serde::{Deserialize, Serialize};

/// A line. What an older version did not write is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// The time, as the log has it.
    pub time: String,
    /// The run.
    pub run: String,
    /// The gateway of the orphan.
    pub gateway: String,
    /// Its subject.
    pub subject: Subject,
    /// The process that a signal was for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The evidence.
    pub evidence: Evidence,
    /// Memory before the first act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The act that is announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What was done, in order, as the line of the end has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<String>>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why it was kept or could not be reaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Memory that came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reclaimed_bytes: Option<u64>,
    /// A remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What was left alive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub survivors: Vec<serde_json::Value>,
}

/// The subject of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subject {
    /// `session` or `worker`.
    pub kind: String,
    /// The session's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The conversation key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The worker process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<Process>,
}

/// A process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Its PID.
    pub pid: u32,
    /// When it started, in ticks since boot.
    pub start_ticks: u64,
}

/// The evidence of a line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Which kind of orphan.
    pub orphan_kind: String,
    /// How long it had looked like one, in seconds.
    pub waited_s: f64,
    /// At how many looks in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks: Option<u32>,
}
