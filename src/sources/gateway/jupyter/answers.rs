//! The small answers of a server.

use serde::Deserialize;

use crate::sources::gateway::json::Object;

/// When the server started, as it says itself: the identity of this run of it.
pub(super) fn started(body: &[u8]) -> Option<Box<str>> {
    #[derive(Deserialize)]
    struct Status {
        started: Box<str>,
    }
    let status: Object<Status> = serde_json::from_slice(body).ok()?;
    Some(status.0.started).filter(|started| !started.is_empty())
}

/// The version that `/api` tells.
pub(super) fn version(body: &[u8]) -> Option<Box<str>> {
    #[derive(Deserialize)]
    struct Api {
        version: Box<str>,
    }
    let api: Object<Api> = serde_json::from_slice(body).ok()?;
    Some(api.0.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself_is_read() {
        let status = br#"{"connections": 0, "kernels": 0, "last_activity": "x", "started": "2026-11-26T12:52:35.295326Z"}"#;
        assert_eq!(started(status).as_deref(), Some("2026-11-26T12:52:35.295326Z"));
        assert_eq!(started(br#"{"started": ""}"#), None);
        assert_eq!(started(b"<html>"), None);
        assert_eq!(started(br#"["2026"]"#), None);
        assert_eq!(version(br#"{"version": "2.21.1"}"#).as_deref(), Some("2.21.1"));
    }
}
