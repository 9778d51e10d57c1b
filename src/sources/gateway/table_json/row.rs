//! One row of the table. Only a missing `id` can refuse it; what else isn't understood is kept as not understood, and keeps the session.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::{ID_SHOWN, TableError, VALUE_SHOWN};
use super::pid;
use crate::domain::ids::{Pid, WorkerKey};
use crate::domain::table::{Session, Shown, Told, Transport, Turn};
use crate::sources::gateway::json::{Raw, object, opaque, string};
use crate::text::excerpt;

/// No session has been detached or idle for longer than a gateway runs: ten years.
const ABSURD_S: f64 = 10.0 * 365.25 * 86_400.0;
/// One hold keeps a session as well as a million; these are for the report.
const HOLDS_KEPT: usize = 16;

#[derive(Deserialize)]
pub(super) struct RawRow<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    key: Raw<'a>,
    #[serde(borrow)]
    transport: Raw<'a>,
    #[serde(borrow)]
    detached_for_s: Raw<'a>,
    #[serde(borrow)]
    turn: Raw<'a>,
    #[serde(borrow)]
    idle_for_s: Raw<'a>,
    #[serde(borrow)]
    activity: Raw<'a>,
    #[serde(borrow)]
    close_on_disconnect: Raw<'a>,
    #[serde(borrow)]
    holds: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "also_null")]
    worker: Option<&'a RawValue>,
    /// Beyond the contract, like the next: a gateway may say it.
    #[serde(borrow)]
    clients: Raw<'a>,
    #[serde(borrow)]
    last_active: Raw<'a>,
}

/// A value that tells `null` from nothing at all.
fn also_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl RawRow<'_> {
    pub(super) fn into_session(self, row: usize) -> Result<Session, TableError> {
        let Some(id) = self.id.and_then(name) else {
            return Err(TableError::field(format!("sessions[{row}].id"), self.id, "a text that isn't empty"));
        };
        let worker = worker(self.worker).ok_or_else(|| {
            let field = format!("sessions[{row}] (\"{}\").worker", excerpt(&id, ID_SHOWN));
            TableError::field(field, self.worker, "one `pid` at most")
        })?;
        Ok(Session {
            id: id.into(),
            key: told(self.key, |raw| name(raw).map(WorkerKey::from)),
            transport: told(self.transport, transport),
            turn: told(self.turn, turn),
            detached_for: self.detached_for_s.and_then(seconds),
            idle_for: self.idle_for_s.and_then(seconds),
            activity: self.activity.map(opaque),
            close_on_disconnect: told(self.close_on_disconnect, |raw| raw.get().parse().ok()),
            holds: told(self.holds, holds),
            worker,
            shown: Shown {
                clients: self.clients.and_then(|raw| raw.get().parse().ok()),
                last_active: self.last_active.and_then(moment),
            },
        })
    }
}

fn told<T>(raw: Raw<'_>, understand: impl FnOnce(&RawValue) -> Option<T>) -> Told<T> {
    match raw {
        None => Told::Absent,
        Some(raw) => understand(raw).map_or_else(|| not_understood(raw), Told::Known),
    }
}

/// As it stands in the document, quotes included: `"true"` is not `true`.
fn not_understood<T>(raw: &RawValue) -> Told<T> {
    Told::NotUnderstood(excerpt(raw.get(), VALUE_SHOWN))
}

fn name(raw: &RawValue) -> Option<Box<str>> {
    string(raw).filter(|text| !text.is_empty()).map(Into::into)
}

fn transport(raw: &RawValue) -> Option<Transport> {
    match &*string(raw)? {
        "attached" => Some(Transport::Attached),
        "detached" => Some(Transport::Detached),
        _ => None,
    }
}

fn turn(raw: &RawValue) -> Option<Turn> {
    match &*string(raw)? {
        "idle" => Some(Turn::Idle),
        "running" => Some(Turn::Running),
        "waiting" => Some(Turn::Waiting),
        "starting" => Some(Turn::Starting),
        _ => None,
    }
}

/// Only JSON numbers parse as one: its strings have quotes. Too large a number becomes infinite, and is left out with the absurd.
fn seconds(raw: &RawValue) -> Option<Duration> {
    let seconds: f64 = raw.get().parse().ok()?;
    (0.0..=ABSURD_S).contains(&seconds).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

/// Seconds since 1970, as programs count them.
fn moment(raw: &RawValue) -> Option<SystemTime> {
    let seconds: f64 = raw.get().parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

fn holds(raw: &RawValue) -> Option<Vec<Box<str>>> {
    serde_json::from_str(raw.get()).ok().map(|Holds(holds)| holds)
}

/// `None`: two pids.
fn worker(raw: Option<&RawValue>) -> Option<Told<Option<Pid>>> {
    let Some(raw) = raw else { return Some(Told::Absent) };
    if raw.get() == "null" {
        return Some(Told::Known(None));
    }
    if !raw.get().starts_with('{') {
        return Some(not_understood(raw));
    }
    let worker: RawWorker<'_> = object(raw)?;
    let Some(named) = worker.pid else { return Some(not_understood(raw)) };
    Some(pid(named.get()).map_or_else(|| not_understood(named), |pid| Told::Known(Some(pid))))
}

#[derive(Deserialize)]
struct RawWorker<'a> {
    #[serde(borrow)]
    pid: Raw<'a>,
}

struct Holds(Vec<Box<str>>);

impl<'de> Deserialize<'de> for Holds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(HoldsVisitor).map(Holds)
    }
}

struct HoldsVisitor;

impl<'de> Visitor<'de> for HoldsVisitor {
    type Value = Vec<Box<str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of holds")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut holds = Vec::new();
        while holds.len() < HOLDS_KEPT {
            let Some(entry) = entries.next_element::<&RawValue>()? else { return Ok(holds) };
            holds.push(string(entry).map_or_else(|| excerpt(entry.get(), VALUE_SHOWN), Into::into));
        }
        let mut more = 0_usize;
        while entries.next_element::<IgnoredAny>()?.is_some() {
            more += 1;
        }
        if more > 0 {
            holds.push(format!("and {more} more").into());
        }
        Ok(holds)
    }
}
