//! The audit log: one line per act, written and flushed before the act it announces, and one for its outcome.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
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
        // One write, and straight to the kernel: it outlives this process.
        let written = file.write_all(&bytes);
        if written.is_err() {
            // Half a line may be there: opened again, it is ended first.
            self.open = None;
        }
        written
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
    let mut file = files::open_to_append(path)?;
    let length = file.metadata()?.len();
    if length > MOST_BYTES {
        std::fs::rename(path, path.with_extension("1.jsonl"))?;
        return files::open_to_append(path);
    }
    // Half a line that a full disk left is ended, so that it doesn't spoil the next.
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::domain::ids::Pid;
    use crate::domain::orphan::OrphanKind;

    fn case() -> Case {
        let worker = ProcessIdentity { pid: Pid::new(7).unwrap(), start_ticks: 70, inode: 0 };
        Case {
            gateway: "gw".into(),
            session: Some("s".into()),
            worker: Some(worker),
            orphan: OrphanKind::DetachedSession,
            waited: Duration::from_micros(21_300_400),
        }
    }

    fn lines(dir: &Path) -> Vec<String> {
        std::fs::read_to_string(dir.join(NAME)).unwrap().lines().map(Into::into).collect()
    }

    #[test]
    fn a_line_says_who_on_what_evidence_which_step_and_how_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut audit = Audit::new(dir.path(), "run-1");
        let case = case();
        audit.announce(UNIX_EPOCH, &case, Step::Term, case.worker).unwrap();
        audit.conclude(UNIX_EPOCH, &case, &Outcome::Failed { why: "no reason".into() }).unwrap();
        audit.conclude(UNIX_EPOCH, &case, &Outcome::Kept { reason: "attached".into() }).unwrap();
        let head = r#"{"time":"1970-01-01T00:00:00.000Z","run":"run-1","gateway":"gw","subject":{"kind":"session","id":"s","worker":{"pid":7,"start_ticks":70}},"#;
        let evidence = r#""evidence":{"orphan_kind":"detached-session","waited_s":21.3},"#;
        assert_eq!(
            lines(dir.path()),
            [
                format!(r#"{head}"process":{{"pid":7,"start_ticks":70}},{evidence}"step":"SIGTERM"}}"#),
                format!(r#"{head}{evidence}"outcome":"failed","why":"no reason"}}"#),
                format!(r#"{head}{evidence}"outcome":"kept","why":"attached"}}"#),
            ]
        );
    }

    #[test]
    fn a_worker_without_a_session_is_the_subject_itself() {
        let dir = tempfile::tempdir().unwrap();
        let mut audit = Audit::new(dir.path(), "run-1");
        audit.conclude(UNIX_EPOCH, &Case { session: None, ..case() }, &Outcome::Gone).unwrap();
        let line = &lines(dir.path())[0];
        assert!(
            line.contains(r#""subject":{"kind":"worker","worker":{"pid":7,"start_ticks":70}}"#),
            "{line}"
        );
        assert!(line.ends_with(r#""outcome":"gone"}"#), "{line}");
    }

    #[test]
    fn half_a_line_that_a_full_disk_left_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        std::fs::write(&path, "{\"half\":").unwrap();
        let mut audit = Audit::new(dir.path(), "run-1");
        audit.announce(UNIX_EPOCH, &case(), Step::Close, None).unwrap();
        files::open_to_append(&path).unwrap().write_all(b"{\"another half").unwrap();
        audit.open = Some(File::open(&path).unwrap());
        audit.announce(UNIX_EPOCH, &case(), Step::Term, None).unwrap_err();
        audit.announce(UNIX_EPOCH, &case(), Step::Kill, None).unwrap();
        let lines = lines(dir.path());
        assert_eq!((lines.len(), &*lines[0], &*lines[2]), (4, "{\"half\":", "{\"another half"));
        assert!(lines[1].ends_with(r#""step":"close"}"#) && lines[3].ends_with(r#""step":"SIGKILL"}"#));
    }

    #[test]
    fn a_log_that_has_grown_large_is_put_aside_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let large = |bytes| File::create(&path).unwrap().set_len(bytes).unwrap();
        const SIXTEEN_MIB: u64 = 16 * 1024 * 1024;
        large(SIXTEEN_MIB);
        Audit::new(dir.path(), "run-1").announce(UNIX_EPOCH, &case(), Step::Close, None).unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() > SIXTEEN_MIB, "it is still the same");
        Audit::new(dir.path(), "run-2").announce(UNIX_EPOCH, &case(), Step::Close, None).unwrap();
        assert_eq!(lines(dir.path()).len(), 1);
        assert!(std::fs::metadata(dir.path().join("audit.1.jsonl")).unwrap().len() > SIXTEEN_MIB);
    }
}
