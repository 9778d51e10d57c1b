//! What the plugin says beside the contract's table: its own version, the release of Hermes, and what of that release it doesn't understand.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// What stands beside the sessions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The plugin's version. `None`: it doesn't say.
    pub(super) version: Option<Box<str>>,
    /// The release of Hermes. `None`: it doesn't say.
    pub(super) release: Option<Box<str>>,
    /// What the gateway can't be asked, though a reap rests on it.
    pub(super) missing: Vec<Box<str>>,
}

#[derive(Deserialize)]
struct Table {
    plugin: Option<Value>,
    gateway: Option<Value>,
    capabilities: Option<Map<String, Value>>,
    sessions: Option<Vec<Row>>,
}

#[derive(Deserialize)]
struct Row {
    transport: Option<IgnoredAny>,
    turn: Option<IgnoredAny>,
}

impl Said {
    /// Reads an answer, whatever it is.
    pub(super) fn read(answer: &[u8]) -> Self {
        let Ok(table) = serde_json::from_slice::<Table>(answer) else { return Self::default() };
        let text = |value: Option<Value>, key| value?.get(key)?.as_str().map(Box::from);
        let capabilities = table.capabilities.unwrap_or_default().into_iter();
        let mut missing: Vec<Box<str>> =
            capabilities.filter(|(_, way)| way == "missing").map(|(name, _)| name.into()).collect();
        // A release that keeps a record otherwise than every known one does so for each of its sessions.
        if let Some(rows) = table.sessions.filter(|rows| !rows.is_empty()) {
            if rows.iter().all(|row| row.transport.is_none()) {
                missing.push("the transport of every session".into());
            }
            if rows.iter().all(|row| row.turn.is_none()) {
                missing.push("the turn of every session".into());
            }
        }
        Self { version: text(table.plugin, "version"), release: text(table.gateway, "release"), missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(version: Option<&str>, release: Option<&str>, missing: &[&str]) -> Said {
        Said {
            version: version.map(Into::into),
            release: release.map(Into::into),
            missing: missing.iter().map(|name| Box::from(*name)).collect(),
        }
    }

    #[test]
    fn the_version_the_release_and_what_is_missing_are_read() {
        let answer = br#"{"plugin":{"version":"1.1.0"},"gateway":{"pid":1,"release":"0.22.2"},
            "capabilities":{"approval":"records","pending-request":"missing","teardown":"missing"},
            "sessions":[{"id":"a","transport":"detached","turn":"idle"},{"id":"b"}]}"#;
        assert_eq!(Said::read(answer), said(Some("1.1.0"), Some("0.22.2"), &["pending-request", "teardown"]));
        assert_eq!(Said::read(br#"{"version":1,"sessions":[]}"#), said(None, None, &[]));
    }

    #[test]
    fn what_every_row_lacks_is_missing_and_what_one_lacks_is_not() {
        let rows = |rows: &str| Said::read(format!("{{\"sessions\":[{rows}]}}").as_bytes()).missing;
        assert_eq!(rows(r#"{"turn":"idle"},{"turn":"idle"}"#), ["the transport of every session".into()]);
        assert_eq!(
            rows(r#"{"transport":"attached"},{"transport":"attached"}"#),
            ["the turn of every session".into()]
        );
        assert!(rows(r#"{"transport":"attached"},{"turn":"idle"}"#).is_empty());
    }

    #[test]
    fn what_is_no_table_says_nothing() {
        for answer in ["", "{", "[]", "<html>", r#"{"plugin":1,"gateway":"x","capabilities":{}}"#] {
            assert_eq!(Said::read(answer.as_bytes()), Said::default(), "{answer}");
        }
    }
}
