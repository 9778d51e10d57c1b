//! The audit log: one line per act, written and flushed before the act it announces, and one for its outcome.

mod entry;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::log::{self, Lines, Log, Rotation};
use crate::domain::ids::{GatewayName, SessionId};
use crate::domain::process::ProcessIdentity;
use crate::reap::outcome::{Ending, Outcome, Step};
use crate::reap::record::Case;

pub use entry::Entry;

const NAME: &str = "audit.jsonl";

/// The outcome of what is gone by the reaper's doing.
pub const REAPED: &str = "reaped";

/// Where the log of a state directory is.
pub fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Reads the whole log, the rotated files too, oldest line first.
pub fn read(dir: &Path, wanted: impl Fn(&Entry) -> bool) -> Lines<Entry> {
    log::read(&path(dir), wanted)
}

/// Writes the end of an act of which an interrupted run left only the announcement.
///
/// # Errors
/// It could not be written.
pub fn conclude_later(dir: &Path, rotation: Rotation, end: &Entry) -> io::Result<()> {
    Log::new(path(dir), rotation).append(end)
}

/// What is known of a subject besides its case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The conversation key of a session, or what the worker's argv says.
    pub key: Option<Box<str>>,
    /// Memory of its processes before the first act.
    pub memory_bytes: Option<u64>,
    /// At how many looks in a row it was seen as an orphan.
    pub looks: Option<u32>,
}

/// What is known of everything that is due in a run.
#[derive(Debug, Default)]
pub struct Dossier {
    sessions: HashMap<(GatewayName, SessionId), Known>,
    workers: HashMap<(GatewayName, ProcessIdentity), Known>,
}

impl Dossier {
    /// Adds a session.
    pub fn add_session(&mut self, gateway: &GatewayName, session: &SessionId, known: Known) {
        self.sessions.insert((gateway.clone(), session.clone()), known);
    }

    /// Adds a worker without a session.
    pub fn add_worker(&mut self, gateway: &GatewayName, worker: ProcessIdentity, known: Known) {
        self.workers.insert((gateway.clone(), worker), known);
    }

    fn of(&self, case: &Case) -> Known {
        let known = match (&case.session, case.subject()) {
            (Some(session), _) => self.sessions.get(&(case.gateway.clone(), session.clone())),
            (None, Some(worker)) => self.workers.get(&(case.gateway.clone(), worker)),
            (None, None) => None,
        };
        known.cloned().unwrap_or_default()
    }
}

/// The log of one run.
#[derive(Debug)]
pub struct Audit {
    run: Box<str>,
    log: Log,
    dossier: Dossier,
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
    memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reclaimed_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    survivors: Vec<Survivor<'a>>,
}

#[derive(Serialize)]
struct Survivor<'a> {
    #[serde(flatten)]
    process: Process,
    why: &'a str,
}

#[derive(Serialize)]
struct Subject<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    looks: Option<u32>,
}

impl Audit {
    /// For a run; nothing is opened yet.
    pub fn new(dir: &Path, run: &str, rotation: Rotation, dossier: Dossier) -> Self {
        Self { run: run.into(), log: Log::new(path(dir), rotation), dossier }
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
        let known = self.dossier.of(case);
        let line = line_of(at, &self.run, case, &known);
        self.log.append(&Line { process: on.map(Into::into), step: Some(step.as_str()), ..line })
    }

    /// Writes how a teardown ended.
    ///
    /// # Errors
    /// It could not be written.
    pub fn conclude(&mut self, at: SystemTime, case: &Case, ending: &Ending) -> io::Result<()> {
        let known = self.dossier.of(case);
        let line = line_of(at, &self.run, case, &known);
        let why = match &ending.outcome {
            Outcome::Kept { reason } => Some(reason.as_str()),
            Outcome::Spared { why } | Outcome::Failed { why } => Some(&**why),
            Outcome::Reaped | Outcome::Gone => None,
        };
        let reclaimed_bytes = (ending.reclaimed_bytes > 0).then_some(ending.reclaimed_bytes);
        let outcome = Some(ending.outcome.as_str());
        // What was announced may not have been done: it was unfit for it by then.
        let steps = Some(ending.steps.iter().map(|step| step.as_str()).collect());
        let survivors = ending.survivors.iter();
        let survivors = survivors
            .map(|survivor| Survivor { process: survivor.process.into(), why: &survivor.why })
            .collect();
        let note = ending.note.as_deref();
        self.log.append(&Line { steps, outcome, why, reclaimed_bytes, note, survivors, ..line })
    }
}

fn line_of<'a>(at: SystemTime, run: &'a str, case: &'a Case, known: &'a Known) -> Line<'a> {
    Line {
        time: humantime::format_rfc3339_millis(at).to_string(),
        run,
        gateway: case.gateway.as_str(),
        subject: Subject {
            kind: if case.session.is_some() { "session" } else { "worker" },
            id: case.session.as_ref().map(|id| id.as_str()),
            key: known.key.as_deref(),
            worker: case.subject().map(Into::into),
        },
        process: None,
        evidence: Evidence {
            orphan_kind: case.orphan.as_str(),
            waited_s: (case.waited.as_secs_f64() * 1000.0).round() / 1000.0,
            looks: known.looks,
        },
        memory_bytes: known.memory_bytes,
        step: None,
        steps: None,
        outcome: None,
        why: None,
        reclaimed_bytes: None,
        note: None,
        survivors: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::files;

    use super::*;
    use crate::domain::ids::Pid;
    use crate::domain::orphan::OrphanKind;

    fn case() -> Case {
        let worker = ProcessIdentity { pid: Pid::new(7).unwrap(), start_ticks: 70, inode: None };
        Case {
            gateway: "gw".into(),
            session: Some("s".into()),
            worker: Some(worker),
            remnant: None,
            orphan: OrphanKind::DetachedSession,
            waited: Duration::from_micros(21_300_400),
        }
    }

    fn audit(dir: &Path, run: &str) -> Audit {
        Audit::new(dir, run, Rotation::default(), Dossier::default())
    }

    fn ending(outcome: Outcome) -> Ending {
        Ending::of(outcome)
    }

    fn lines(dir: &Path) -> Vec<String> {
        std::fs::read_to_string(dir.join(NAME)).unwrap().lines().map(Into::into).collect()
    }

    #[test]
    fn a_line_says_who_on_what_evidence_which_step_and_how_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut audit = audit(dir.path(), "run-1");
        let case = case();
        audit.announce(UNIX_EPOCH, &case, Step::Term, case.worker).unwrap();
        audit.conclude(UNIX_EPOCH, &case, &ending(Outcome::Failed { why: "no reason".into() })).unwrap();
        audit.conclude(UNIX_EPOCH, &case, &ending(Outcome::Kept { reason: "attached".into() })).unwrap();
        let head = r#"{"time":"1970-01-01T00:00:00.000Z","run":"run-1","gateway":"gw","subject":{"kind":"session","id":"s","worker":{"pid":7,"start_ticks":70}},"#;
        let evidence = r#""evidence":{"orphan_kind":"detached-session","waited_s":21.3},"#;
        assert_eq!(
            lines(dir.path()),
            [
                format!(r#"{head}"process":{{"pid":7,"start_ticks":70}},{evidence}"step":"SIGTERM"}}"#),
                format!(r#"{head}{evidence}"steps":[],"outcome":"failed","why":"no reason"}}"#),
                format!(r#"{head}{evidence}"steps":[],"outcome":"kept","why":"attached"}}"#),
            ]
        );
    }

    #[test]
    fn what_is_left_alive_is_named_in_the_last_line() {
        let dir = tempfile::tempdir().unwrap();
        let process = ProcessIdentity { pid: Pid::new(8).unwrap(), start_ticks: 80, inode: None };
        let survivors = vec![crate::reap::outcome::Survivor { process, why: "it is root's".into() }];
        let end = Ending { survivors, ..Ending::of(Outcome::Reaped) };
        audit(dir.path(), "run-1").conclude(UNIX_EPOCH, &case(), &end).unwrap();
        let expected = r#""survivors":[{"pid":8,"start_ticks":80,"why":"it is root's"}]"#;
        assert!(lines(dir.path())[0].contains(expected), "{:?}", lines(dir.path()));
    }

    #[test]
    fn what_else_is_known_is_in_every_line_and_what_came_back_in_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let known = Known { key: Some("conversation".into()), memory_bytes: Some(4096), looks: Some(5) };
        let mut dossier = Dossier::default();
        dossier.add_session(&"gw".into(), &"s".into(), known);
        dossier.add_session(&"gw".into(), &"another".into(), Known::default());
        let mut audit = Audit::new(dir.path(), "run-1", Rotation::default(), dossier);
        audit.announce(UNIX_EPOCH, &case(), Step::Close, None).unwrap();
        let note = Some("a note".into());
        let end =
            Ending { steps: vec![Step::Close], reclaimed_bytes: 2048, note, ..Ending::of(Outcome::Reaped) };
        audit.conclude(UNIX_EPOCH, &case(), &end).unwrap();
        let lines = lines(dir.path());
        for line in &lines {
            assert!(line.contains(r#""id":"s","key":"conversation""#), "{line}");
            assert!(line.contains(r#""looks":5},"memory_bytes":4096,"#), "{line}");
        }
        assert!(
            lines[1]
                .ends_with(r#""steps":["close"],"outcome":"reaped","reclaimed_bytes":2048,"note":"a note"}"#),
            "{}",
            lines[1]
        );
        let read = read(dir.path(), |_| true);
        assert_eq!((read.lines.len(), read.damaged), (2, 0));
        assert_eq!(read.lines[1].subject.key.as_deref(), Some("conversation"));
        assert_eq!(read.lines[1].reclaimed_bytes, Some(2048));
    }

    #[test]
    fn a_worker_without_a_session_is_the_subject_itself() {
        let dir = tempfile::tempdir().unwrap();
        let mut audit = audit(dir.path(), "run-1");
        audit.conclude(UNIX_EPOCH, &Case { session: None, ..case() }, &ending(Outcome::Gone)).unwrap();
        let line = &lines(dir.path())[0];
        assert!(
            line.contains(r#""subject":{"kind":"worker","worker":{"pid":7,"start_ticks":70}}"#),
            "{line}"
        );
        assert!(line.ends_with(r#""outcome":"gone"}"#), "{line}");
    }

    #[test]
    fn what_is_left_of_a_dead_worker_is_the_subject_by_its_own_process() {
        let dir = tempfile::tempdir().unwrap();
        let remnant = case().worker.map(|worker| ProcessIdentity { start_ticks: 90, ..worker });
        let mut audit = audit(dir.path(), "run-1");
        let case = Case { session: None, remnant, ..case() };
        audit.conclude(UNIX_EPOCH, &case, &ending(Outcome::Reaped)).unwrap();
        let line = &lines(dir.path())[0];
        assert!(line.contains(r#""worker":{"pid":7,"start_ticks":90}}"#), "{line}");
    }

    #[test]
    fn half_a_line_that_a_full_disk_left_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        std::fs::write(&path, "{\"half\":").unwrap();
        let mut audit = audit(dir.path(), "run-1");
        audit.announce(UNIX_EPOCH, &case(), Step::Close, None).unwrap();
        files::open_to_append(&path).unwrap().write_all(b"{\"another half").unwrap();
        audit.log.replace_file(File::open(&path).unwrap());
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
        audit(dir.path(), "run-1").announce(UNIX_EPOCH, &case(), Step::Close, None).unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() > SIXTEEN_MIB, "it is still the same");
        audit(dir.path(), "run-2").announce(UNIX_EPOCH, &case(), Step::Close, None).unwrap();
        assert_eq!(lines(dir.path()).len(), 1);
        assert!(std::fs::metadata(dir.path().join("audit.1.jsonl")).unwrap().len() > SIXTEEN_MIB);
    }
}
