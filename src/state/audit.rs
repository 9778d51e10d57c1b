//! The audit log: one line per act, written and flushed before the act it announces, and one for its outcome.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::files;
use crate::domain::process::ProcessIdentity;
use crate::reap::outcome::{Outcome, Step};
use crate::reap::record::Case;

const NAME: &str = "audit.jsonl";

/// Beyond this a new file is begun and the one before is kept, so that a log nobody reads can't fill a disk.
const MOST_BYTES: u64 = 16 << 20;

/// Opened at the first act, so that a run without one costs nothing.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    run: Box<str>,
    open: Option<File>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    run: &'a str,
    gateway: &'a str,
    subject: Subject<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<Process>,
    evidence: Evidence,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct Subject<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<Process>,
}

#[derive(Serialize)]
struct Process {
    pid: u32,
    start_ticks: u64,
}

impl From<ProcessIdentity> for Process {
    fn from(identity: ProcessIdentity) -> Self {
        Self { pid: identity.pid.get(), start_ticks: identity.start_ticks }
    }
}

#[derive(Serialize)]
struct Evidence {
    orphan_kind: &'static str,
    waited_s: f64,
}

impl Audit {
    /// For a run; nothing is opened yet.
    pub fn new(dir: &Path, run: &str) -> Self {
        Self { path: dir.join(NAME), run: run.into(), open: None }
    }

    /// Announces an act.
    ///
    /// # Errors
    /// It could not be written; then the act must not be done.
    pub fn announce(
        &mut self,
        at: SystemTime,
        case: &Case,
        step: Step,
        on: Option<ProcessIdentity>,
    ) -> io::Result<()> {
        let mut line = line_of(at, case);
        line.process = on.map(Into::into);
        line.step = Some(step.as_str());
        self.write(line)
    }

    /// Writes an end down.
    ///
    /// # Errors
    /// It could not be written.
    pub fn conclude(&mut self, at: SystemTime, case: &Case, outcome: &Outcome) -> io::Result<()> {
        let mut line = line_of(at, case);
        line.outcome = Some(outcome.as_str());
        line.why = match outcome {
            Outcome::Kept { reason } => Some(reason),
            Outcome::Failed { why } => Some(why),
            Outcome::Reaped | Outcome::Gone => None,
        };
        self.write(line)
    }

    fn write(&mut self, line: Line<'_>) -> io::Result<()> {
        let line = Line { run: &self.run, ..line };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        let file = match &mut self.open {
            Some(file) => file,
            none => none.insert(open(&self.path)?),
        };
        // One write, so that a line is there whole or not at all, and straight to the kernel: it outlives this process.
        file.write_all(&bytes)
    }
}

fn line_of(at: SystemTime, case: &Case) -> Line<'_> {
    Line {
        time: humantime::format_rfc3339_millis(at).to_string(),
        run: "",
        gateway: case.gateway.as_str(),
        subject: Subject {
            kind: if case.session.is_some() { "session" } else { "worker" },
            id: case.session.as_ref().map(|id| id.as_str()),
            worker: case.worker.map(Into::into),
        },
        process: None,
        evidence: Evidence {
            orphan_kind: case.orphan.as_str(),
            waited_s: (case.waited.as_secs_f64() * 1000.0).round() / 1000.0,
        },
        step: None,
        outcome: None,
        why: None,
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = files::open_to_append(path)?;
    if file.metadata()?.len() <= MOST_BYTES {
        return Ok(file);
    }
    std::fs::rename(path, path.with_extension("1.jsonl"))?;
    files::open_to_append(path)
}
