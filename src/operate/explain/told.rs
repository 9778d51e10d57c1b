//! What is known of one session or worker, in words: what holds now and since when, and all that was ever done to it.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use anstyle::Style;

use super::Story;
use crate::operate::acts::{self, Act};
use crate::operate::events::Event;
use crate::operate::history;
use crate::operate::when;
use crate::report::human::{attached_by, last_active};
use crate::report::text::{bytes, count, plain, span};

/// Reasons to keep a session that end by themselves: it is an orphan then, if no other reason comes.
const ENDS: [&str; 5] = ["attached", "mid-turn", "waiting", "starting", "held"];

const HEAD: Style = Style::new().bold();

/// The most that is told of the past; the files have the rest.
const MOST_LINES: usize = 40;

impl Story<'_> {
    /// As text.
    pub(crate) fn render(&self, now: SystemTime) -> String {
        let mut text = String::new();
        let key = self.key.as_ref().filter(|key| **key != self.id);
        let key = key.map(|key| format!(", key {}", plain(key, 64))).unwrap_or_default();
        let pid = self.worker_pid.map(|pid| format!(", worker {pid}")).unwrap_or_default();
        let (id, gateway) = (plain(&self.id, 64), plain(&self.gateway, 64));
        let _ = writeln!(text, "{HEAD}{} {id}{HEAD:#} of {gateway}{key}{pid}", self.kind);
        if let Some(asked) = &self.asked_for_by {
            let key = asked.key.map(|key| format!(", key {}", plain(key, 64))).unwrap_or_default();
            let _ = writeln!(text, "  process {}{key}, is judged with it", asked.worker_pid);
        }
        let _ = writeln!(text, "  now: {}", self.in_words(now));
        let mut past: Vec<(&str, String)> = Vec::new();
        past.extend(self.events.iter().map(|event| (event.time.as_str(), changed(event, now))));
        let acts = acts::folded(self.acts.clone());
        past.extend(acts.iter().map(|act| (act.time.as_str(), done(act, now))));
        past.sort_by_key(|(time, _)| *time);
        let left_out = past.len().saturating_sub(MOST_LINES);
        if left_out > 0 {
            let _ = writeln!(
                text,
                "  {left_out} earlier lines are in audit.jsonl and events.jsonl (`--json` has them)"
            );
        }
        for (time, line) in past.into_iter().skip(left_out) {
            let _ = writeln!(text, "  {:<12} {line}", when::ago(time, now));
        }
        text
    }

    fn in_words(&self, time: SystemTime) -> String {
        let Some(now) = &self.now else {
            return match &self.last_seen {
                Some(seen) => {
                    let since = when::ago(&seen.since, time);
                    let detail =
                        seen.state.detail.as_deref().map(|detail| format!(", {}", plain(detail, 200)));
                    let before = format!("{}{}", seen.state, detail.unwrap_or_default());
                    format!("not known: its gateway's table can't be read; before: {before}; since {since}")
                }
                None if self.is_under_way => "its teardown is under way".to_owned(),
                None => "not there".to_owned(),
            };
        };
        let entry = &now.entry;
        let mut parts = match entry.verdict {
            "keep" => {
                let why = entry.detail.as_deref().unwrap_or(entry.reason);
                vec![format!("kept: {}", attached_by(why, entry.reason, entry.clients))]
            }
            verdict => {
                let kind = entry.orphan_kind.unwrap_or(entry.reason);
                let waited = entry.waited_s.map(|seconds| format!(" for {}", span(seconds_of(seconds))));
                // Of what a run is to reap it is told what it did, once it did it.
                let verdict = if entry.outcome == Some("would-reap") { "would be reaped" } else { verdict };
                vec![format!("{verdict}: {kind}{}", waited.unwrap_or_default())]
            }
        };
        let is_said = entry.detail.as_deref().is_some_and(|detail| detail.starts_with("by hand: "));
        parts.extend(entry.by_hand.filter(|_| !is_said).map(|words| format!("by hand: {words}")));
        parts.extend(now.since.as_deref().map(|since| format!("since {} ({since})", when::ago(since, time))));
        parts.extend(now.looks.map(|looks| format!("seen so at {}", looks_in_words(looks))));
        parts.extend(entry.last_active_ago_s.map(|seconds| last_active(seconds_of(seconds))));
        let is_detached = entry.clients == Some(0) && entry.verdict == "keep";
        parts.extend(is_detached.then(|| "no client is attached".to_owned()));
        let grace = entry.grace.filter(|_| ENDS.contains(&entry.reason));
        parts.extend(entry.held_back.or(grace).map(|left| match entry.held_back {
            _ if left.is_zero() => "due as soon as that ends".to_owned(),
            Some(_) => format!("due in {}, if that has ended by then", span(left)),
            None => format!("due {} after that ends", span(left)),
        }));
        parts.extend(entry.remaining_s.map(|seconds| format!("due in {}", span(seconds_of(seconds)))));
        parts.extend(entry.rss_bytes.map(|memory| format!("{} of memory", bytes(memory))));
        plain(&parts.join("; "), 400)
    }
}

fn looks_in_words(looks: u32) -> String {
    count(usize::try_from(looks).unwrap_or(usize::MAX), "look")
}

fn seconds_of(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn changed(event: &Event, now: SystemTime) -> String {
    let from = event.from.as_ref().map(|from| from.reason.clone()).unwrap_or_default();
    let since = event.since.as_deref().map(|since| format!(" (since {})", when::ago(since, now)));
    let to = match &event.to {
        Some(to) => {
            format!("{to}{}", to.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default())
        }
        None => "not there any more".to_owned(),
    };
    plain(&format!("{from}{} -> {to}", since.unwrap_or_default()), 300)
}

fn done(act: &Act, now: SystemTime) -> String {
    let mut parts = vec![format!("{} for {}", act.orphan_kind, span(seconds_of(act.waited_s)))];
    parts.extend(act.looks.map(looks_in_words));
    parts.extend(act.memory_bytes.map(|memory| format!("{} of memory", bytes(memory))));
    let steps = act.steps.iter().map(|step| match (step.as_str(), act.worker_pid) {
        ("close", _) => "asked its gateway to close it".to_owned(),
        (step, Some(pid)) => format!("{step} to worker {pid}"),
        (step, None) => step.to_owned(),
    });
    let mut chain: Vec<String> = [parts.join(", ")].into_iter().chain(steps).collect();
    let mut end = history::word(&act.outcome).1.to_owned();
    if act.reclaimed_bytes > 0 {
        let _ = write!(end, ", {} back", bytes(act.reclaimed_bytes));
    }
    for more in [&act.why, &act.note].into_iter().flatten() {
        let _ = write!(end, ": {more}");
    }
    let survivors: Vec<String> = act.survivors.iter().map(survivor).collect();
    if !survivors.is_empty() {
        let _ = write!(end, "; left alive: {}", survivors.join("; "));
    }
    chain.push(format!("{end}{} (run {})", history::repeated(act, now), act.run));
    plain(&chain.join(" -> "), 500)
}

fn survivor(survivor: &serde_json::Value) -> String {
    let pid = survivor.get("pid").map(ToString::to_string).unwrap_or_default();
    let why = survivor.get("why").and_then(serde_json::Value::as_str).unwrap_or("?");
    format!("{pid}, {why}")
}
