//! What was done to each session or worker, put together from the lines of the audit log; what ended the same run after run is one act.

use std::collections::HashMap;

use serde::Serialize;

use crate::state::audit::Entry;

/// The outcome of an act whose end isn't known.
pub(crate) const UNFINISHED: &str = "unfinished";

/// One subject in one run: what was done to it, and how that ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Act {
    /// When it ended, or began where no end is known.
    pub time: String,
    /// The last of several that ended the same, where there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How many there were.
    pub times: u32,
    /// In which run.
    pub run: String,
    /// Whose orphan.
    pub gateway: String,
    /// `session` or `worker`.
    pub kind: String,
    /// The session's id, the worker's key, else its PID.
    pub id: String,
    /// The conversation key.
    pub key: Option<String>,
    /// The worker process.
    pub worker_pid: Option<u32>,
    /// Which kind of orphan.
    pub orphan_kind: String,
    /// How long it had looked like one.
    pub waited_s: f64,
    /// At how many looks in a row.
    pub looks: Option<u32>,
    /// What was done, in order.
    pub steps: Vec<String>,
    /// How it ended; `unfinished` where the run was killed in the middle of it.
    pub outcome: String,
    /// Why it was kept or could not be reaped.
    pub why: Option<String>,
    /// Memory before the first act.
    pub memory_bytes: Option<u64>,
    /// Memory that came back.
    pub reclaimed_bytes: u64,
    /// Anything besides.
    pub note: Option<String>,
    /// What was left alive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub survivors: Vec<serde_json::Value>,
}

/// By which the lines of one act are known: the run, the gateway, and the session or worker.
pub(super) type Who = (String, String, String);

pub(super) fn who(entry: &Entry) -> Who {
    let worker = entry.subject.worker.map(|worker| (worker.pid, worker.start_ticks));
    let subject = entry.subject.id.clone().unwrap_or_else(|| format!("{worker:?}"));
    (entry.run.clone(), entry.gateway.clone(), subject)
}

/// Puts the lines of the log together, oldest first.
pub fn of_lines(entries: Vec<Entry>) -> Vec<Act> {
    let mut acts: Vec<Act> = Vec::new();
    let mut open: HashMap<Who, usize> = HashMap::new();
    for entry in entries {
        let place = *open.entry(who(&entry)).or_insert_with(|| {
            acts.push(Act { outcome: UNFINISHED.to_owned(), times: 1, ..Act::default() });
            acts.len() - 1
        });
        take_in(&mut acts[place], entry);
    }
    acts
}

fn take_in(act: &mut Act, entry: Entry) {
    let subject = entry.subject;
    act.worker_pid = act.worker_pid.or(subject.worker.map(|worker| worker.pid));
    act.key = act.key.take().or(subject.key);
    act.id = subject
        .id
        .or_else(|| act.key.clone())
        .or_else(|| act.worker_pid.map(|pid| pid.to_string()))
        .unwrap_or_else(|| "?".to_owned());
    (act.time, act.run, act.gateway, act.kind) = (entry.time, entry.run, entry.gateway, subject.kind);
    (act.orphan_kind, act.waited_s) = (entry.evidence.orphan_kind, entry.evidence.waited_s);
    act.looks = act.looks.or(entry.evidence.looks);
    act.memory_bytes = act.memory_bytes.or(entry.memory_bytes);
    if let Some(step) = entry.step
        && !act.steps.contains(&step)
    {
        act.steps.push(step);
    }
    // What was announced is done unless the end says otherwise.
    if let Some(steps) = entry.steps {
        act.steps = steps;
    }
    if let Some(outcome) = entry.outcome {
        act.outcome = outcome;
        act.why = entry.why;
        act.note = entry.note;
        act.survivors = entry.survivors;
        act.reclaimed_bytes = entry.reclaimed_bytes.unwrap_or(0);
    }
}

/// Puts what ended the same for the same subject, run after run, on one line.
pub fn folded(acts: Vec<Act>) -> Vec<Act> {
    let mut folded: Vec<Act> = Vec::new();
    let mut last_of: HashMap<(String, String, String), usize> = HashMap::new();
    for act in acts {
        let who = (act.gateway.clone(), act.kind.clone(), act.id.clone());
        let repeats = |before: &Act| {
            matches!(act.outcome.as_str(), "failed" | "kept" | "unfinished")
                && (&before.outcome, &before.why, before.worker_pid)
                    == (&act.outcome, &act.why, act.worker_pid)
        };
        match last_of.get(&who).map(|place| &mut folded[*place]).filter(|before| repeats(before)) {
            Some(before) => {
                before.times = before.times.saturating_add(1);
                before.until = Some(act.time);
            }
            None => {
                last_of.insert(who, folded.len());
                folded.push(act);
            }
        }
    }
    folded
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::operate) fn entries(lines: &str) -> Vec<Entry> {
        lines.lines().map(|line| serde_json::from_str(line.trim()).unwrap()).collect()
    }

    /// With lines of an older version among them, which had neither key nor memory.
    pub(in crate::operate) const LOG: &str = r#"{"time":"1970-01-01T00:00:00Z","run":"r1","gateway":"desk","subject":{"kind":"session","id":"360e0f95","worker":{"pid":7,"start_ticks":70}},"evidence":{"orphan_kind":"detached-session","waited_s":21.3},"step":"close"}
        {"time":"1970-01-01T00:00:01Z","run":"r1","gateway":"desk","subject":{"kind":"session","id":"360e0f95","worker":{"pid":7,"start_ticks":70}},"evidence":{"orphan_kind":"detached-session","waited_s":21.3},"step":"SIGTERM"}
        {"time":"1970-01-01T00:00:02Z","run":"r1","gateway":"desk","subject":{"kind":"session","id":"360e0f95","key":"talk","worker":{"pid":7,"start_ticks":70}},"evidence":{"orphan_kind":"detached-session","waited_s":21.3,"looks":5},"memory_bytes":55812096,"outcome":"reaped","reclaimed_bytes":55812096}
        {"time":"1970-01-01T00:10:00Z","run":"r2","gateway":"desk","subject":{"kind":"worker","key":"gone-7a99","worker":{"pid":9,"start_ticks":90}},"evidence":{"orphan_kind":"parentless-worker","waited_s":60},"outcome":"failed","why":"not permitted"}
        {"time":"1970-01-01T00:20:00Z","run":"r3","gateway":"desk","subject":{"kind":"worker","key":"gone-7a99","worker":{"pid":9,"start_ticks":90}},"evidence":{"orphan_kind":"parentless-worker","waited_s":600},"outcome":"failed","why":"not permitted"}
        {"time":"1970-01-01T00:30:00Z","run":"r4","gateway":"desk","subject":{"kind":"session","id":"cut-off"},"evidence":{"orphan_kind":"detached-session","waited_s":20},"step":"close"}"#;

    #[test]
    fn lines_of_one_case_are_one_act_and_repeated_failures_are_folded() {
        let acts = folded(of_lines(entries(LOG)));
        let told: Vec<_> =
            acts.iter().map(|act| (act.id.as_str(), act.outcome.as_str(), act.times)).collect();
        assert_eq!(
            told,
            [("360e0f95", "reaped", 1), ("gone-7a99", "failed", 2), ("cut-off", "unfinished", 1)]
        );
        assert_eq!((acts[0].steps.join(" "), acts[0].looks), ("close SIGTERM".to_owned(), Some(5)));
        assert_eq!(acts[1].until.as_deref(), Some("1970-01-01T00:20:00Z"));
    }

    #[test]
    fn a_signal_that_was_announced_and_not_sent_is_no_step() {
        let line = |what: &str| {
            let head = r#"{"run":"r1","gateway":"desk","subject":{"kind":"session","id":"a"},"#;
            format!("{head}{what}}}")
        };
        let [close, term] = ["close", "SIGTERM"].map(|step| line(&format!(r#""step":"{step}""#)));
        let end = line(r#""steps":["close"],"outcome":"kept""#);
        let acts = of_lines(entries(&[close, term, end].join("\n")));
        assert_eq!(acts[0].steps, ["close"]);
    }
}
