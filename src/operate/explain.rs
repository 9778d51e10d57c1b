//! `explain`: what holds for one session or worker now and since when, and all that was ever done to it, from the notes and the audit log.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use anstyle::Style;
use serde::Serialize;

use super::events::Event;
use super::history::{self, Act};
use super::seen::{Seen, SubjectSeen};
use super::when;
use crate::report::human::{attached_by, last_active};
use crate::report::json::{Document, Entry};
use crate::report::text::{bytes, count, plain, span};

/// What there is to search in.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    /// What is there now, if it could be looked at.
    pub(crate) now: Option<Document<'a>>,
    /// Since when each verdict holds.
    pub(crate) seen: Seen,
    /// Changes of verdict, oldest first.
    pub(crate) events: Vec<Event>,
    /// Acts, oldest first.
    pub(crate) acts: Vec<Act>,
}

/// All that is known of one subject.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Story<'a> {
    gateway: String,
    kind: String,
    id: String,
    key: Option<String>,
    worker_pid: Option<u32>,
    now: Option<Now<'a>>,
    /// What held before its gateway's table could not be read any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<SubjectSeen>,
    events: Vec<Event>,
    acts: Vec<Act>,
}

#[derive(Debug, Serialize)]
struct Now<'a> {
    #[serde(flatten)]
    entry: Entry<'a>,
    since: Option<String>,
    looks: Option<u32>,
}

/// Several subjects, or none, begin with what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NotOne {
    /// None.
    #[error(
        "nothing is known of {0:?}; `gateway-reaper status` lists what is there, `gateway-reaper history` what was reaped"
    )]
    Unknown(String),
    /// A gateway.
    #[error(
        "process {pid} is the gateway {name}, which is never signalled; `gateway-reaper status --gateway {name}` tells of its sessions"
    )]
    Gateway {
        /// Its process.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// Several.
    #[error("{named:?} begins several names: {}; write more of the one that is meant", .names.join(", "))]
    Several {
        /// What was asked for.
        named: String,
        /// What begins so.
        names: Vec<String>,
    },
}

/// A subject where several are named: people know a conversation by its key.
pub(crate) fn named_with_key(kind: &str, id: &str, key: Option<&str>) -> String {
    let key = key.filter(|key| *key != id).map(|key| format!(" ({})", plain(key, 64))).unwrap_or_default();
    format!("{kind} {}{key}", plain(id, 64))
}

/// Who a subject is: its gateway, kind, and id.
type Who = (String, String, String);

impl<'a> Sources<'a> {
    /// All that is known of the subject that this names: an id, a conversation key, the PID of a worker, or the unique beginning of one.
    ///
    /// # Errors
    /// It names none, or the beginnings of several.
    pub(crate) fn find(self, named: &str) -> Result<Vec<Story<'a>>, NotOne> {
        let gateways = self.now.iter().flat_map(|document| &document.gateways);
        let mut gateways = gateways.filter_map(|gateway| Some((gateway.pid?, gateway.name)));
        let gateway = gateways.find(|(pid, _)| pid.to_string() == named);
        let mut stories = self.stories();
        let is_exact = |story: &Story<'_>| {
            story.id == named
                || story.key.as_deref() == Some(named)
                || story.worker_pid.is_some_and(|pid| pid.to_string() == named)
                || story.acts.iter().any(|act| act.worker_pid.is_some_and(|pid| pid.to_string() == named))
        };
        let begins = |story: &Story<'_>| {
            story.id.starts_with(named) || story.key.as_ref().is_some_and(|key| key.starts_with(named))
        };
        if stories.iter().any(is_exact) {
            stories.retain(is_exact);
            return Ok(stories);
        }
        if let Some((pid, name)) = gateway {
            return Err(NotOne::Gateway { pid, name: name.to_owned() });
        }
        stories.retain(begins);
        match stories.as_slice() {
            [] => Err(NotOne::Unknown(named.to_owned())),
            [_] => Ok(stories),
            several => {
                let names = several
                    .iter()
                    .take(10)
                    .map(|story| named_with_key(&story.kind, &story.id, story.key.as_deref()));
                Err(NotOne::Several { named: named.to_owned(), names: names.collect() })
            }
        }
    }

    fn stories(self) -> Vec<Story<'a>> {
        let mut stories: BTreeMap<Who, Story<'a>> = BTreeMap::new();
        for gateway in self.now.into_iter().flat_map(|document| document.gateways) {
            for entry in gateway.subjects {
                // What was noted last may be older than what was seen just now.
                let holds = self.seen.known(gateway.name, &entry);
                let story = story_of(&mut stories, gateway.name, entry.kind, &entry.id);
                story.key = entry.key.map(Into::into);
                story.worker_pid = entry.worker_pid;
                story.now = Some(Now {
                    since: holds.map(|known| known.since.clone()),
                    looks: holds.map(|known| known.looks).filter(|looks| *looks > 0),
                    entry,
                });
            }
        }
        let unread = self.seen.gateways.into_iter().filter(|(_, gateway)| gateway.table != "ok");
        for (gateway, seen) in unread {
            for (name, subject) in seen.subjects {
                let Some(id) = name.strip_prefix("session ") else { continue };
                let story = story_of(&mut stories, &gateway, "session", id);
                if story.now.is_none() {
                    story.key = subject.key.clone();
                    story.last_seen = Some(subject);
                }
            }
        }
        for act in self.acts {
            let story = story_of(&mut stories, &act.gateway, &act.kind, &act.id);
            story.key = story.key.take().or_else(|| act.key.clone());
            story.worker_pid = story.worker_pid.or(act.worker_pid);
            story.acts.push(act);
        }
        for event in self.events {
            let Some((kind, name)) = event.subject.split_once(' ') else { continue };
            // A worker's name ends with its PID, because several may carry one key.
            let id = if kind == "worker" { name.rsplit_once(' ').map_or(name, |(id, _)| id) } else { name };
            let story = story_of(&mut stories, &event.gateway, kind, id);
            story.key = story.key.take().or_else(|| event.key.clone());
            story.worker_pid = story.worker_pid.or(event.worker_pid);
            story.events.push(event);
        }
        stories.into_values().collect()
    }
}

fn story_of<'s, 'a>(
    stories: &'s mut BTreeMap<Who, Story<'a>>,
    gateway: &str,
    kind: &str,
    id: &str,
) -> &'s mut Story<'a> {
    let who = (gateway.to_owned(), kind.to_owned(), id.to_owned());
    stories.entry(who).or_insert_with(|| Story {
        gateway: gateway.to_owned(),
        kind: kind.to_owned(),
        id: id.to_owned(),
        ..Story::default()
    })
}

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
        let _ = writeln!(text, "  now: {}", self.in_words(now));
        let mut past: Vec<(&str, String)> = Vec::new();
        past.extend(self.events.iter().map(|event| (event.time.as_str(), changed(event, now))));
        let acts = history::folded(self.acts.clone());
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
        parts.extend(grace.map(|grace| match grace.is_zero() {
            true => "due as soon as that ends".to_owned(),
            false => format!("due {} after that ends", span(grace)),
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

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::operate::events::State;
    use crate::report::json::Gateway;
    use crate::report::layout;

    fn act(id: &str, key: &str, pid: u32) -> Act {
        Act {
            time: "1970-01-01T00:10:00Z".into(),
            run: "r1".into(),
            gateway: "desk".into(),
            kind: "session".into(),
            id: id.into(),
            key: Some(key.into()),
            worker_pid: Some(pid),
            orphan_kind: "detached-session".into(),
            waited_s: 21.3,
            looks: Some(3),
            steps: vec!["close".into(), "SIGTERM".into()],
            outcome: "reaped".into(),
            memory_bytes: Some(55_812_096),
            reclaimed_bytes: 55_812_096,
            times: 1,
            ..Act::default()
        }
    }

    fn sources(acts: Vec<Act>) -> Sources<'static> {
        let state = |verdict: &str, reason: &str| {
            Some(State { verdict: verdict.into(), reason: reason.into(), detail: None })
        };
        let event = Event {
            time: "1970-01-01T00:09:00Z".into(),
            gateway: "desk".into(),
            subject: "session 360e0f95".into(),
            from: state("keep", "attached"),
            since: Some("1970-01-01T00:00:00Z".into()),
            to: state("wait", "orphaned"),
            ..Event::default()
        };
        let entry = Entry {
            detail: Some("a client is attached".into()),
            clients: Some(2),
            last_active_ago_s: Some(250.0),
            grace: Some(Duration::from_secs(20)),
            ..Entry::plain("session", "still-there", "keep", "attached")
        };
        let gateway = Gateway {
            name: "desk",
            table: "ok",
            error: None,
            beside: None,
            pid: None,
            release: None,
            plugin: None,
            subjects: vec![entry],
        };
        let now = Some(Document::plain("r9", vec![gateway]));
        Sources { now, seen: Seen::default(), events: vec![event], acts }
    }

    #[test]
    fn an_id_its_beginning_its_key_and_its_pid_all_find_it() {
        for named in ["360e0f95", "360", "talk-1", "talk", "24126"] {
            let found = sources(vec![act("360e0f95", "talk-1", 24126)]).find(named).unwrap();
            assert_eq!((found.len(), found[0].id.as_str()), (1, "360e0f95"), "{named}");
        }
    }

    #[test]
    fn the_beginning_of_several_is_refused_with_their_names_and_an_unknown_one_with_where_to_look() {
        let two = || sources(vec![act("abc-1", "k", 1), act("abc-2", "l", 2)]);
        let refused = two().find("abc").unwrap_err().to_string();
        assert_eq!(
            refused,
            "\"abc\" begins several names: session abc-1 (k), session abc-2 (l); write more of the one that is meant"
        );
        assert!(two().find("zzz").unwrap_err().to_string().starts_with("nothing is known of \"zzz\""));
    }

    #[test]
    fn what_failed_again_and_again_is_one_line_with_what_it_left_alive() {
        let failed = |minute: u32| Act {
            time: format!("1970-01-01T00:{minute}:00Z"),
            outcome: "failed".into(),
            why: Some("no answer".into()),
            reclaimed_bytes: 0,
            survivors: vec![
                serde_json::json!({ "pid": 24126, "start_ticks": 1, "why": "its teardown failed" }),
            ],
            ..act("360e0f95", "talk-1", 24126)
        };
        let found = sources((10..50).map(failed).collect()).find("360").unwrap();
        let told = anstream::adapter::strip_str(&found[0].render(UNIX_EPOCH + Duration::from_secs(3600)))
            .to_string();
        let expected =
            "-> FAILED: no answer; left alive: 24126, its teardown failed (x40 until 11m ago) (run r1)";
        assert!(told.matches("FAILED").count() == 1 && told.contains(expected), "{told}");
    }

    #[test]
    fn it_tells_the_evidence_the_steps_and_what_came_back() {
        let now = UNIX_EPOCH + Duration::from_secs(4 * 3600);
        let told = |named: &str| {
            let found = sources(vec![act("360e0f95", "talk-1", 24126)]).find(named).unwrap();
            anstream::adapter::strip_str(&found[0].render(now)).to_string()
        };
        insta::assert_snapshot!(told("360") + &told("still"));
        let shown = |width| layout::wrap(&(told("360") + &told("still")), width);
        for width in [80, 40] {
            assert!(shown(width).lines().all(|line| line.chars().count() <= width));
        }
        insta::assert_snapshot!("it_fits_80_and_40_columns", format!("{}\n{}", shown(80), shown(40)));
    }
}
