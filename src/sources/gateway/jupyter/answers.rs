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

/// Whether the extensions that a server's metrics list have the one that hides who is connected. `None`: they list none.
pub(super) fn hides_clients(metrics: &[u8]) -> Option<bool> {
    const EXTENSION: &[u8] = b"jupyter_server_extension_info{";
    let mut extensions =
        metrics.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(EXTENSION)).peekable();
    extensions.peek()?;
    Some(extensions.filter_map(|labels| std::str::from_utf8(labels).ok()).any(|labels| {
        labels.contains(r#"name="jupyter_server_documents""#) && labels.contains(r#"enabled="true""#)
    }))
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

    #[test]
    fn metrics_tell_of_the_extension_that_hides_clients_where_they_list_extensions() {
        let of = |name: &str, enabled: &str| {
            let line = format!(
                "jupyter_server_extension_info{{enabled=\"{enabled}\",name=\"{name}\",version=\"1\"}} 1.0\n"
            );
            hides_clients(format!("# HELP jupyter_server_extension_info x\nother 1\n{line}").as_bytes())
        };
        assert_eq!(of("jupyter_server_documents", "true"), Some(true));
        assert_eq!(of("jupyter_server_documents", "false"), Some(false));
        assert_eq!(of("jupyter_server_terminals", "true"), Some(false));
        assert_eq!(hides_clients(b"other 1\n"), None);
    }
}
