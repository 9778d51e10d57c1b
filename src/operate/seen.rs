//! Since when each verdict holds, and at how many looks in a row an orphan was seen as one: `seen.json`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::events::{Event, State};
use super::when;
use crate::report::Since;
use crate::report::json::{Document, Entry, Gateway};
use crate::state::files;

const NAME: &str = "seen.json";
const VERSION: u32 = 1;

/// More subjects of one gateway are not followed: the file is written at every change, and must stay small.
const MOST_SUBJECTS: usize = 10_000;

/// Every subject at the last look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    version: u32,
    /// By gateway.
    pub gateways: BTreeMap<String, GatewaySeen>,
}

/// A gateway at the last look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewaySeen {
    /// How its table was found.
    pub table: String,
    /// Since when, as the reports write times.
    pub since: String,
    /// By kind and id.
    pub subjects: BTreeMap<String, SubjectSeen>,
}

/// A subject at the last look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectSeen {
    /// The verdict and its reason.
    #[serde(flatten)]
    pub state: State,
    /// Since when it holds.
    pub since: String,
    /// The conversation key, where it isn't the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Since when it is due, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// At how many looks in a row it was seen as an orphan.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub looks: u32,
    /// As which kind of orphan it was seen then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphan: Option<String>,
    /// How long it had waited then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<u64>,
}

impl SubjectSeen {
    /// Whether the wait that was seen then goes on. Another kind of orphan has a wait of its own.
    fn goes_on(&self, entry: &Entry<'_>) -> bool {
        let is_shorter = match (self.waited_ms, waited_ms(entry)) {
            (Some(before), Some(now)) => now < before || now == 0,
            _ => false,
        };
        self.orphan.as_deref() == entry.orphan_kind && !is_shorter
    }
}

fn waited_ms(entry: &Entry<'_>) -> Option<u64> {
    let waited = std::time::Duration::try_from_secs_f64(entry.waited_s?).ok()?;
    u64::try_from(waited.as_millis()).ok()
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What a subject is called in the file.
pub(crate) fn name_of(entry: &Entry<'_>) -> String {
    match (entry.kind, entry.worker_pid) {
        // A key may be carried by several workers.
        ("worker", Some(pid)) => format!("worker {} {pid}", entry.id),
        (kind, _) => format!("{kind} {}", entry.id),
    }
}

impl Seen {
    /// Reads what was seen last. What can't be read was not seen: then every verdict is new.
    pub fn load(dir: &Path) -> Self {
        let bytes = files::read(&dir.join(NAME)).ok().flatten().unwrap_or_default();
        let seen: Self = serde_json::from_slice(&bytes).unwrap_or_default();
        if seen.version == VERSION { seen } else { Self::default() }
    }

    /// Writes it.
    ///
    /// # Errors
    /// It could not be written.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        files::replace_often(
            &dir.join(NAME),
            &crate::text::to_json(&Self { version: VERSION, ..self.clone() })?,
        )
    }

    /// What is known of a subject, if its verdict has stayed what it was when it was noted last.
    pub(crate) fn known(&self, gateway: &str, entry: &Entry<'_>) -> Option<&SubjectSeen> {
        let known = self.gateways.get(gateway)?.subjects.get(&name_of(entry))?;
        (known.state.reason == entry.reason).then_some(known)
    }

    /// Since when its verdict holds.
    pub(crate) fn since(&self, gateway: &str, entry: &Entry<'_>, now: SystemTime) -> Option<Since> {
        let time = self.known(gateway, entry)?.since.clone();
        let ago = now.duration_since(when::parse(&time)?).ok()?;
        Some(Since { time, ago })
    }

    /// Whether anything is otherwise than before but what moves at every look: how often an orphan was seen, and the words beside a reason.
    pub(crate) fn is_news_after(&self, before: &Self) -> bool {
        let same = |now: &SubjectSeen, before: &SubjectSeen| {
            now.state.is_same(&before.state)
                && now.orphan == before.orphan
                && (&now.since, &now.key, &now.due) == (&before.since, &before.key, &before.due)
        };
        let same_gateway = |now: &GatewaySeen, before: &GatewaySeen| {
            (&now.table, &now.since) == (&before.table, &before.since)
                && now.subjects.len() == before.subjects.len()
                && now
                    .subjects
                    .iter()
                    .all(|(name, now)| before.subjects.get(name).is_some_and(|before| same(now, before)))
        };
        let known = |(name, now): (&String, &GatewaySeen)| {
            before.gateways.get(name).is_some_and(|before| same_gateway(now, before))
        };
        self.gateways.len() != before.gateways.len() || !self.gateways.iter().all(known)
    }

    /// At how many looks in a row a subject was seen as an orphan, this one included.
    pub(crate) fn looks(&self, gateway: &str, name: &str) -> Option<u32> {
        let looks = self.gateways.get(gateway)?.subjects.get(name)?.looks;
        (looks > 0).then_some(looks)
    }

    /// Takes in a report, and returns what changed. `at`: the time of the report.
    pub(crate) fn take_in(&mut self, report: &Document<'_>, at: &str) -> Vec<Event> {
        let mut events = Vec::new();
        for gateway in &report.gateways {
            let before = self.gateways.remove(gateway.name).unwrap_or_default();
            let now = now_of(gateway, before, at, &mut events);
            self.gateways.insert(gateway.name.to_owned(), now);
        }
        for event in &mut events {
            event.run = report.run.to_owned();
        }
        // A gateway that is not configured any more is not seen any more.
        let configured = |name: &String| report.gateways.iter().any(|gateway| gateway.name == name);
        self.gateways.retain(|name, _| configured(name));
        events
    }
}

fn now_of(gateway: &Gateway<'_>, before: GatewaySeen, at: &str, events: &mut Vec<Event>) -> GatewaySeen {
    let event = |subject: Option<&Entry<'_>>, id: &str| Event {
        time: at.to_owned(),
        run: String::new(),
        gateway: gateway.name.to_owned(),
        subject: id.to_owned(),
        key: subject.and_then(|entry| entry.key).map(Into::into),
        worker_pid: subject.and_then(|entry| entry.worker_pid),
        from: None,
        since: None,
        to: None,
    };
    let is_new = before.table.is_empty();
    if !is_new && before.table != gateway.table {
        events.push(Event {
            from: Some(State::table(&before.table, None)),
            since: Some(before.since.clone()),
            to: Some(State::table(gateway.table, gateway.error)),
            ..event(None, "table")
        });
    }
    let since = if before.table == gateway.table { before.since } else { at.to_owned() };
    let mut subjects = BTreeMap::new();
    let mut old = before.subjects;
    for entry in gateway.subjects.iter().take(MOST_SUBJECTS) {
        let name = name_of(entry);
        let state = State::of(entry);
        let earlier = old.remove(&name);
        let looks = match (state.is_orphan(), &earlier) {
            (false, _) => 0,
            (true, Some(earlier)) if earlier.goes_on(entry) => earlier.looks.saturating_add(1),
            (true, _) => 1,
        };
        let (orphan, waited_ms) = match state.is_orphan() {
            true => (entry.orphan_kind.map(Into::into), waited_ms(entry)),
            false => (None, None),
        };
        let since = match &earlier {
            Some(earlier) if earlier.state.is_same(&state) => earlier.since.clone(),
            Some(earlier) => {
                events.push(Event {
                    from: Some(earlier.state.clone()),
                    since: Some(earlier.since.clone()),
                    to: Some(state.clone()),
                    ..event(Some(entry), &name)
                });
                at.to_owned()
            }
            None => at.to_owned(),
        };
        let due =
            state.is_due().then(|| earlier.and_then(|earlier| earlier.due).unwrap_or_else(|| at.to_owned()));
        let key = entry.key.map(Into::into);
        subjects.insert(name, SubjectSeen { state, since, key, due, looks, orphan, waited_ms });
    }
    for (name, earlier) in old {
        if gateway.table != "ok" && name.starts_with("session ") {
            // Not listed, because nothing was listed: what held before is still the last that is known.
            subjects.insert(name, earlier);
        } else if earlier.state.is_undecided() {
            events.push(Event {
                from: Some(earlier.state),
                since: Some(earlier.since),
                ..event(None, &name)
            });
        }
    }
    GatewaySeen { table: gateway.table.to_owned(), since, subjects }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, verdict: &'static str, reason: &'static str) -> Entry<'static> {
        Entry::plain("session", id, verdict, reason)
    }

    fn report(table: &'static str, subjects: Vec<Entry<'static>>) -> Document<'static> {
        let gateway = Gateway {
            name: "desk",
            table,
            error: None,
            beside: None,
            pid: None,
            release: None,
            plugin: None,
            subjects,
        };
        Document::plain("run", vec![gateway])
    }

    fn told(events: &[Event]) -> Vec<String> {
        events.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_change_of_verdict_is_an_event_and_the_same_verdict_is_none() {
        let mut seen = Seen::default();
        assert_eq!(told(&seen.take_in(&report("ok", vec![entry("a", "keep", "attached")]), "t0")).len(), 0);
        assert_eq!(told(&seen.take_in(&report("ok", vec![entry("a", "keep", "attached")]), "t1")).len(), 0);
        let events = seen.take_in(&report("ok", vec![entry("a", "keep", "mid-turn")]), "t2");
        assert_eq!(told(&events), ["t2 desk session a: keep attached (since t0) -> keep mid-turn"]);
        assert_eq!(seen.gateways["desk"].subjects["session a"].since, "t2");
    }

    #[test]
    fn another_look_at_the_same_is_no_news_and_every_change_is() {
        let report_of = |verdict, reason| report("ok", vec![entry("a", verdict, reason)]);
        let mut seen = Seen::default();
        let mut is_news = |report: &Document<'_>| {
            let before = seen.clone();
            seen.take_in(report, "t");
            (seen.is_news_after(&before), seen != before)
        };
        assert_eq!(is_news(&report_of("wait", "orphaned")), (true, true));
        assert_eq!(is_news(&report_of("wait", "orphaned")), (false, true), "it was seen once more");
        assert_eq!(is_news(&report_of("reap", "orphaned")), (true, true), "it is due");
        assert_eq!(is_news(&report_of("keep", "attached")), (true, true));
        assert_eq!(is_news(&report_of("keep", "attached")), (false, false));
        assert_eq!(is_news(&report("unreachable", vec![])), (true, true));
        assert_eq!(is_news(&report("ok", vec![])), (true, true), "it is gone");
        assert_eq!(
            is_news(&Document::plain("run", vec![])),
            (true, true),
            "no gateway is configured any more"
        );
    }

    #[test]
    fn looks_in_a_row_are_counted_while_it_is_an_orphan_and_begin_again() {
        let mut seen = Seen::default();
        let mut look = |verdict, reason| {
            seen.take_in(&report("ok", vec![entry("a", verdict, reason)]), "t");
            seen.looks("desk", "session a")
        };
        assert_eq!(look("wait", "orphaned"), Some(1));
        assert_eq!(look("wait", "orphaned"), Some(2));
        assert_eq!(look("reap", "orphaned"), Some(3));
        assert_eq!(look("keep", "attached"), None);
        assert_eq!(look("wait", "orphaned"), Some(1));
    }

    #[test]
    fn looks_begin_again_where_it_is_another_kind_of_orphan_or_its_wait_began_again() {
        let mut seen = Seen::default();
        let mut look = |kind: &'static str, waited: f64| {
            let orphan_kind = Some(kind);
            let worker = Entry { orphan_kind, waited_s: Some(waited), ..entry("a", "wait", "orphaned") };
            seen.take_in(&report("ok", vec![worker]), "t");
            seen.looks("desk", "session a")
        };
        assert_eq!(look("ownerless-worker", 0.0), Some(1));
        assert_eq!(look("ownerless-worker", 5.0), Some(2));
        assert_eq!(look("parentless-worker", 6.0), Some(1));
        assert_eq!(look("parentless-worker", 6.0), Some(2), "a time in which nobody looked");
        assert_eq!(look("parentless-worker", 7.0), Some(3));
        assert_eq!(look("parentless-worker", 0.0), Some(1));
        assert_eq!(look("parentless-worker", 0.0), Some(1), "and once more");
        assert_eq!(look("parentless-worker", 2.0), Some(2));
        assert_eq!(look("parentless-worker", 1.0), Some(1));
    }

    #[test]
    fn a_table_that_can_t_be_read_is_an_event_and_its_sessions_are_not_gone() {
        let mut seen = Seen::default();
        seen.take_in(&report("ok", vec![entry("a", "wait", "orphaned")]), "t0");
        let events = seen.take_in(&report("unreachable", vec![]), "t1");
        assert_eq!(told(&events), ["t1 desk table: table ok (since t0) -> table unreachable"]);
        assert!(seen.gateways["desk"].subjects.contains_key("session a"));
        let events = seen.take_in(&report("ok", vec![]), "t2");
        assert_eq!(
            told(&events),
            [
                "t2 desk table: table unreachable (since t1) -> table ok",
                "t2 desk session a: wait orphaned (since t0) -> not there any more"
            ]
        );
    }

    #[test]
    fn it_is_the_same_when_it_is_read_back_and_nothing_where_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let mut seen = Seen::load(dir.path());
        seen.take_in(&report("ok", vec![entry("a", "wait", "orphaned")]), "t0");
        seen.save(dir.path()).unwrap();
        assert_eq!(Seen::load(dir.path()).gateways, seen.gateways);
        std::fs::write(dir.path().join(NAME), "{\"version\":1,").unwrap();
        assert_eq!(Seen::load(dir.path()), Seen::default());
    }
}
