//! A line of the audit log as it is read back: also one of an older version, which had less in it, or of a newer one, which has more.

use serde::Deserialize;

/// A line. What an older version did not write is absent.
#[derive(Debug, Clone, Default, Deserialize)]
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
    pub process: Option<Process>,
    /// The evidence.
    pub evidence: Evidence,
    /// Memory before the first act.
    pub memory_bytes: Option<u64>,
    /// The act that is announced.
    pub step: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// Why it was kept or could not be reaped.
    pub why: Option<String>,
    /// Memory that came back.
    pub reclaimed_bytes: Option<u64>,
    /// A remark.
    pub note: Option<String>,
    /// What was left alive.
    pub survivors: Vec<serde_json::Value>,
}

/// The subject of a line.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Subject {
    /// `session` or `worker`.
    pub kind: String,
    /// The session's id.
    pub id: Option<String>,
    /// The conversation key.
    pub key: Option<String>,
    /// The worker process.
    pub worker: Option<Process>,
}

/// A process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Its PID.
    pub pid: u32,
    /// When it started, in ticks since boot.
    pub start_ticks: u64,
}

/// The evidence of a line.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Which kind of orphan.
    pub orphan_kind: String,
    /// How long it had looked like one, in seconds.
    pub waited_s: f64,
    /// At how many looks in a row.
    pub looks: Option<u32>,
}
