//! What a run that was killed in the middle of its acts had done: the next one counts it, from the audit log, whose lines are written before
//! and after each act.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::acts::{self, Who};
use super::counters::Counters;
use crate::report::json::{Document, Gateway};
use crate::state::audit::{self, Entry};

/// What is not counted yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interrupted {
    /// The run that began to act. It is written before its first act, and taken out together with the counts of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The last lines of acts that have no end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acts: Vec<Entry>,
}

impl Interrupted {
    pub(super) fn is_nothing(&self) -> bool {
        self.run.is_none() && self.acts.is_empty()
    }

    /// Counts what an interrupted run had done. Of what it left without an end, see [`Self::found_gone`].
    pub(super) fn count(&mut self, dir: &Path, counters: &mut Counters) {
        let Some(run) = self.run.take() else { return };
        let lines = audit::read(dir, |entry| entry.run == run).lines;
        let mut without_end: HashMap<Who, &Entry> = HashMap::new();
        for line in &lines {
            match line.outcome {
                Some(_) => without_end.remove(&acts::who(line)),
                None => without_end.insert(acts::who(line), line),
            };
        }
        self.acts.extend(without_end.into_values().cloned());
        counters.interrupted_run(&acts::of_lines(lines));
    }

    /// What had no end and is gone now, as a line of its end each. What is still there is judged again, and its end is counted with that; of
    /// sessions a table that can't be read says nothing, so they stay.
    pub(super) fn found_gone(&mut self, report: &Document<'_>, at: &str) -> Vec<Entry> {
        let mut gone = Vec::new();
        for act in std::mem::take(&mut self.acts) {
            let gateway = report.gateways.iter().find(|gateway| gateway.name == act.gateway);
            match gateway.map(|gateway| Found::of(&act, gateway)) {
                Some(Found::Gone) => gone.push(ended(act, at)),
                Some(Found::Unknown) => self.acts.push(act),
                Some(Found::There) | None => {}
            }
        }
        gone
    }
}

/// What a later run sees of an act's subject.
enum Found {
    There,
    Gone,
    Unknown,
}

impl Found {
    fn of(act: &Entry, gateway: &Gateway<'_>) -> Self {
        let session = act.subject.id.as_deref();
        let worker = act.subject.worker.map(|worker| worker.pid);
        let is_there = gateway.subjects.iter().any(|entry| {
            (entry.kind == "session" && Some(&*entry.id) == session)
                || (worker.is_some() && entry.worker_pid == worker)
        });
        match (is_there, session, gateway.table) {
            (true, ..) => Self::There,
            (false, Some(_), table) if table != "ok" => Self::Unknown,
            (false, ..) => Self::Gone,
        }
    }
}

fn ended(act: Entry, at: &str) -> Entry {
    // Of what lives on nothing came back, and what else was below its worker isn't known any more.
    let note = "its run was killed, and the next one found it gone; how much memory came back isn't known";
    Entry {
        time: at.to_owned(),
        process: None,
        step: None,
        outcome: Some(audit::REAPED.to_owned()),
        reclaimed_bytes: None,
        note: Some(note.to_owned()),
        ..act
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::json;

    const WORKER: &str = r#""worker":{"pid":7,"start_ticks":70}"#;

    fn line(run: &str, subject: &str, rest: &str) -> String {
        format!(
            r#"{{"time":"1970-01-01T00:00:00Z","run":"{run}","gateway":"desk","subject":{subject},"evidence":{{"orphan_kind":"detached-session","waited_s":1}},"memory_bytes":4096,{rest}}}"#
        ) + "\n"
    }

    fn session(id: &str) -> String {
        format!(r#"{{"kind":"session","id":"{id}",{WORKER}}}"#)
    }

    fn interrupted(lines: &[String]) -> (Interrupted, Counters) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(audit::path(dir.path()), lines.concat()).unwrap();
        let mut interrupted = Interrupted { run: Some("r2".into()), ..Interrupted::default() };
        let mut counters = Counters::default();
        interrupted.count(dir.path(), &mut counters);
        assert_eq!(interrupted.run, None);
        (interrupted, counters)
    }

    fn report(table: &'static str, subjects: Vec<json::Entry<'static>>) -> Document<'static> {
        let (name, error, beside) = ("desk", None, None);
        let gateway =
            Gateway { name, table, error, beside, pid: None, release: None, plugin: None, subjects };
        Document::plain("r3", vec![gateway])
    }

    #[test]
    fn what_the_killed_run_had_ended_is_counted_from_its_own_lines_and_from_no_other_runs() {
        let ended = r#""outcome":"reaped","reclaimed_bytes":2048"#;
        let (interrupted, counters) = interrupted(&[
            line("r1", &session("a"), ended),
            line("r2", &session("b"), r#""step":"close""#),
            line("r2", &session("c"), r#""step":"close""#),
            line("r2", &session("b"), r#""step":"SIGTERM""#),
            line("r2", &session("b"), ended),
        ]);
        assert_eq!((counters.runs["interrupted"], counters.reaps["detached-session/reaped"]), (1, 1));
        assert_eq!((counters.steps["close"], counters.steps["SIGTERM"]), (2, 1));
        assert_eq!(counters.reclaimed_bytes, 2048);
        assert_eq!(interrupted.acts.len(), 1, "one has no end");
    }

    #[test]
    fn what_has_no_end_counts_once_it_is_seen_to_be_gone_and_never_while_it_is_there() {
        let lines = [line("r2", &session("b"), r#""step":"SIGTERM""#)];
        let entry = |kind, id| json::Entry::plain(kind, id, "wait", "orphaned");
        let worker = json::Entry { worker_pid: Some(7), ..entry("worker", "7") };
        let gone = |document: &Document<'_>| {
            let (mut interrupted, _) = interrupted(&lines);
            let gone = interrupted.found_gone(document, "1970-01-01T00:01:00Z");
            (gone, interrupted.acts.len())
        };
        let (ends, left) = gone(&report("ok", vec![entry("session", "another")]));
        assert_eq!((ends.len(), left), (1, 0));
        let end = (&ends[0].outcome, ends[0].reclaimed_bytes, &ends[0].step);
        assert_eq!(end, (&Some("reaped".into()), None, &None));
        assert_eq!((ends[0].run.as_str(), ends[0].subject.id.as_deref()), ("r2", Some("b")));
        for there in [entry("session", "b"), worker] {
            let (ends, left) = gone(&report("ok", vec![there]));
            assert_eq!((ends.len(), left), (0, 0), "it is judged again");
        }
        let (ends, left) = gone(&report("unreachable", vec![]));
        assert_eq!((ends.len(), left), (0, 1), "nothing is known of it yet");
        let (ends, left) = gone(&Document::plain("r3", vec![]));
        assert_eq!((ends.len(), left), (0, 0), "its gateway isn't configured any more");
    }
}
