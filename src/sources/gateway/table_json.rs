//! Version 1 of the session table, from JSON.
//!
//! Whole or nothing: a table that breaks the contract anywhere is refused, because an unreadable table is never an empty one. Within a
//! valid table a field that isn't understood is kept as such, and its session with it. One pass over the bytes; values are looked at
//! where they stand, and only what is kept is copied.

mod error;
mod row;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

pub use self::error::TableError;
use self::row::RawRow;
use super::json::{Object, Raw, object, opaque};
use crate::domain::ids::{Instance, Pid};
use crate::domain::table::{Listener, Session, SessionTable};
use crate::text::excerpt;

/// Reads a session table.
///
/// # Errors
/// It isn't one, isn't version 1, or breaks the contract in a place where the contract says that the table is refused.
pub fn parse(body: &[u8]) -> Result<SessionTable, TableError> {
    parse_at_most(body, usize::MAX)
}

/// Reads a session table of no more than so many rows: the smallest ones take less room in the document than in memory.
///
/// # Errors
/// As for [`parse`], or there are more rows.
pub fn parse_at_most(body: &[u8], most_rows: usize) -> Result<SessionTable, TableError> {
    let text = std::str::from_utf8(body).map_err(|error| TableError::NotUtf8 { at: error.valid_up_to() })?;
    // RFC 8259 lets a reader ignore a byte order mark; files written on Windows begin with one.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = serde_json::Deserializer::from_str(text);
    let raw = TableSeed { most_rows }.deserialize(&mut reader)?;
    reader.end()?;

    // The version first: in a table of another version nothing else can be expected to fit.
    if raw.version.is_none_or(|version| version.get() != "1") {
        let expected = "1, the only version this gateway-reaper reads: update the older of the two";
        return Err(TableError::field("version", raw.version, expected));
    }
    let gateway = RawGateway::read(raw.gateway)?;
    let Some(rows) = raw.sessions else {
        return Err(TableError::field("sessions", None, "an array, empty if there are none"));
    };
    let sessions = rows.0?;
    refuse_duplicates(&sessions)?;
    let (gateway_pid, instance) = (gateway.pid()?, gateway.instance());
    Ok(SessionTable { gateway_pid, instance, sessions, listener: Listener::Unverified })
}

#[derive(Default)]
struct RawTable<'a> {
    version: Raw<'a>,
    gateway: Raw<'a>,
    sessions: Option<Rows>,
}

/// Reads a table, and in it no more rows than this.
#[derive(Clone, Copy)]
struct TableSeed {
    most_rows: usize,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Version,
    Gateway,
    Sessions,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for TableSeed {
    type Value = RawTable<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawTable<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TableSeed {
    type Value = RawTable<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawTable<'de>, A::Error> {
        let mut raw = RawTable::default();
        let [mut version, mut gateway, mut sessions] = [false; 3];
        let first = |seen: &mut bool, name| {
            if std::mem::replace(seen, true) { Err(A::Error::duplicate_field(name)) } else { Ok(()) }
        };
        while let Some(key) = map.next_key()? {
            match key {
                Key::Version => {
                    first(&mut version, "version")?;
                    raw.version = map.next_value()?;
                }
                Key::Gateway => {
                    first(&mut gateway, "gateway")?;
                    raw.gateway = map.next_value()?;
                }
                Key::Sessions => {
                    first(&mut sessions, "sessions")?;
                    raw.sessions = map.next_value_seed(RowsSeed { most: self.most_rows })?;
                }
                Key::Other => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(raw)
    }
}

#[derive(Deserialize, Default)]
struct RawGateway<'a> {
    #[serde(borrow)]
    pid: Raw<'a>,
    #[serde(borrow)]
    instance: Raw<'a>,
}

impl<'a> RawGateway<'a> {
    fn read(raw: Raw<'a>) -> Result<Self, TableError> {
        let Some(json) = raw else { return Ok(Self::default()) };
        let expected = "an object with one `pid` and one `instance` at most";
        object(json).ok_or_else(|| TableError::field("gateway", raw, expected))
    }

    fn pid(&self) -> Result<Option<Pid>, TableError> {
        let Some(raw) = self.pid else { return Ok(None) };
        let expected = "a process id, 1 to 2147483647";
        pid(raw.get()).map(Some).ok_or_else(|| TableError::field("gateway.pid", self.pid, expected))
    }

    /// An empty text identifies nothing; the identity of the gateway's process serves then.
    fn instance(&self) -> Option<Instance> {
        self.instance.map(opaque).filter(|text| !text.is_empty()).map(Instance::from)
    }
}

/// A PID as JSON has it: digits, no sign, no fraction, no exponent.
fn pid(json: &str) -> Option<Pid> {
    json.parse().ok().and_then(Pid::new)
}

/// All rows, or what is wrong with the first bad one. The rest is still passed over, so that a document that is cut off or of another
/// version is called that.
struct Rows(Result<Vec<Session>, TableError>);

/// Reads the rows; `None`: `null`.
struct RowsSeed {
    most: usize,
}

impl<'de> DeserializeSeed<'de> for RowsSeed {
    type Value = Option<Rows>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Rows>, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for RowsSeed {
    type Value = Option<Rows>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of sessions")
    }

    fn visit_none<E>(self) -> Result<Option<Rows>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<Rows>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Rows>, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Option<Rows>, A::Error> {
        let mut sessions = Vec::new();
        loop {
            let row = rows
                .next_element::<Object<RawRow<'_>>>()
                .map_err(|error| A::Error::custom(format_args!("sessions[{}]: {error}", sessions.len())))?;
            let Some(Object(row)) = row else { break };
            let session = if sessions.len() == self.most {
                Err(TableError::TooManyRows { most: self.most })
            } else {
                row.into_session(sessions.len())
            };
            match session {
                Ok(session) => sessions.push(session),
                Err(error) => {
                    // What is there already isn't needed any more.
                    drop(sessions);
                    while rows.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(Some(Rows(Err(error))));
                }
            }
        }
        Ok(Some(Rows(Ok(sessions))))
    }
}

fn refuse_duplicates(sessions: &[Session]) -> Result<(), TableError> {
    let mut seen = HashMap::with_capacity(sessions.len());
    for (row, session) in sessions.iter().enumerate() {
        match seen.entry(session.id.as_str()) {
            Entry::Vacant(entry) => {
                entry.insert(row);
            }
            Entry::Occupied(entry) => {
                let id = excerpt(session.id.as_str(), error::ID_SHOWN);
                return Err(TableError::DuplicateId { row, id, first: *entry.get() });
            }
        }
    }
    Ok(())
}
