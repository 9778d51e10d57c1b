//! The kind `hermes` against a dashboard that says exactly what each test wants it to say; the real ones are in `tests/hermes`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod dashboard;

use std::time::Duration;

use gateway_reaper::config::token::Token;
use gateway_reaper::domain::table::{Answer, NoTable, TableView};
use gateway_reaper::hermes::plugin;
use gateway_reaper::sources::gateway::Gateway as _;
use gateway_reaper::sources::gateway::hermes::HermesGateway;
use gateway_reaper::sources::http::{Credential, HttpClient};

use self::dashboard::Dashboard;

const TABLE: &str = "/api/plugins/gateway-reaper/sessions";
const STATUS: &str = r#"{"version":"0.19.0","auth_required":false}"#;

fn table() -> String {
    format!(
        r#"{{"version":1,"gateway":{{"instance":"i"}},"plugin":{{"name":"gateway-reaper","version":"{}"}},"sessions":[{{"id":"a","transport":"detached","turn":"idle"}}]}}"#,
        plugin::VERSION
    )
}

fn page(token: &str) -> String {
    format!(
        r#"<html><head><script>window.__HERMES_SESSION_TOKEN__="{token}";window.__HERMES_DASHBOARD_EMBEDDED_CHAT__=true;</script></head></html>"#
    )
}

fn gateway(dashboard: &Dashboard, token: Option<&str>) -> HermesGateway {
    gateway_at(&dashboard.url(), token)
}

fn gateway_at(url: &str, token: Option<&str>) -> HermesGateway {
    let credential = Credential::of(token.and_then(Token::new));
    HermesGateway::new(HttpClient::new(url.parse().unwrap(), credential, Duration::from_secs(10)), 65536)
}

/// What the refusal says, behind the address.
async fn refusal(dashboard: &Dashboard, token: Option<&str>) -> String {
    match gateway(dashboard, token).read_table().await {
        TableView::Not(NoTable { why, answer: Answer::Untrusted, .. }) => {
            why.strip_prefix(&format!("{}: ", dashboard.url())).unwrap_or(&why).to_owned()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_token_is_read_off_the_page_of_a_loopback_dashboard() {
    let dashboard = Dashboard::start();
    dashboard.says("/", 200, &page("t1"));
    dashboard.says_with_token(TABLE, "t1", 200, &table());
    let mut gateway = gateway(&dashboard, None);
    assert!(gateway.read_table().await.current().is_some());
    assert!(gateway.read_table().await.current().is_some());
    assert_eq!(dashboard.asked("/"), 1, "once is enough");

    // 0.13 makes another token at every start.
    dashboard.says("/", 200, &page("t2"));
    dashboard.says_with_token(TABLE, "t2", 200, &table());
    assert!(gateway.read_table().await.current().is_some());
    assert_eq!(dashboard.asked("/"), 2);
}

#[tokio::test]
async fn a_configured_token_is_used_and_the_page_never_asked_for() {
    let dashboard = Dashboard::start();
    dashboard.says_with_token(TABLE, "mine", 200, &table());
    assert!(gateway(&dashboard, Some("mine")).read_table().await.current().is_some());
    assert_eq!(dashboard.asked("/"), 0);
}

#[tokio::test]
async fn an_address_that_is_not_loopback_is_never_asked_for_a_page() {
    let mut gateway = gateway_at("http://gateway.invalid:9119", None);
    let TableView::Not(NoTable { why, answer: Answer::Missing, .. }) = gateway.read_table().await else {
        panic!()
    };
    assert!(why.starts_with("gateway.invalid:9119"), "{why}");
}

#[tokio::test]
async fn each_trouble_has_its_own_words_and_its_own_remedy() {
    let missing = r#"{"detail":"No such API endpoint: /api/plugins/gateway-reaper/sessions"}"#;
    let gated = r#"{"detail":"Plugin not found"}"#;
    let listed = r#"[{"name":"kanban"},{"name":"gateway-reaper","version":"1.0.0"}]"#;
    let hub = r#"{"plugins":[],"orphan_dashboard_plugins":[{"name":"gateway-reaper"}]}"#;
    let old = table().replace(plugin::VERSION, "0.9.9");
    let newer = table().replace(r#""instance":"i""#, r#""instance":"i","release":"0.30.1""#).replace(
        r#""version":1,"#,
        r#""version":1,"capabilities":{"approval":"records","pending-request":"missing"},"#,
    );
    let otherwise = table().replace(r#","turn":"idle""#, "");
    let unnamed = r#"{"version":1,"sessions":[]}"#;
    let install = "run `gateway-reaper hermes install`, then restart the dashboard";
    for (what, answers, expected) in [
        ("the plugin is missing, 0.13", vec![(TABLE, 200, "<!doctype html>")], install),
        ("the plugin is missing, 0.16", vec![(TABLE, 404, missing)], install),
        (
            "the plugin is missing, 0.19",
            vec![(TABLE, 404, gated), ("/api/dashboard/plugins", 200, "[]")],
            "has no plugin",
        ),
        (
            "it is there and not enabled",
            vec![(TABLE, 404, gated), ("/api/dashboard/plugins/hub", 200, hub)],
            "not enabled",
        ),
        (
            "it is there and not loaded",
            vec![(TABLE, 404, missing), ("/api/dashboard/plugins", 200, listed)],
            "has not loaded it",
        ),
        ("it is old", vec![(TABLE, 200, &old)], "its plugin is 0.9.9, and this gateway-reaper needs"),
        (
            "its release has something elsewhere",
            vec![(TABLE, 200, &newer)],
            "this release of Hermes (0.30.1) is not understood, and none of its sessions is reaped: it can't be asked for pending-request;",
        ),
        (
            "its release keeps its records otherwise",
            vec![(TABLE, 200, &otherwise)],
            "it can't be asked for the turn of every session",
        ),
        ("it doesn't say what it is", vec![(TABLE, 200, unnamed)], "its plugin is of an unknown version"),
        (
            "the token is wrong",
            vec![(TABLE, 401, r#"{"detail":"Unauthorized"}"#)],
            "did not accept the token: check what token_env",
        ),
        (
            "people log in",
            vec![(TABLE, 401, "{}"), ("/api/status", 200, r#"{"version":"0.19.0","auth_required":true}"#)],
            "auth_required",
        ),
        (
            "it is something else",
            vec![(TABLE, 200, "<html>"), ("/api/status", 404, "")],
            "no Hermes dashboard answers there",
        ),
        (
            "it is in trouble itself",
            vec![(TABLE, 503, r#"{"error":"this gateway keeps its sessions elsewhere"}"#)],
            "keeps its sessions elsewhere",
        ),
        ("its table is broken", vec![(TABLE, 200, "{\"version\":1")], "not a session table"),
    ] {
        let dashboard = Dashboard::start();
        dashboard.says("/api/status", 200, STATUS);
        for (path, status, body) in answers {
            dashboard.says(path, status, body);
        }
        let why = refusal(&dashboard, Some("s3cret")).await;
        assert!(why.contains(expected), "{what}: {why}");
    }
}

#[tokio::test]
async fn a_page_without_what_is_needed_says_what_is_missing() {
    for (what, page, status, expected) in [
        (
            "no chat",
            (200, r#"__HERMES_SESSION_TOKEN__="t";window.__HERMES_DASHBOARD_EMBEDDED_CHAT__=false;"#),
            STATUS,
            "start it with --tui",
        ),
        ("no page", (404, "{}"), STATUS, "no token on it"),
        ("no token", (200, "<html></html>"), STATUS, "no token on it"),
        ("a login", (302, ""), r#"{"version":"0.19.0","auth_required":true}"#, "people log in"),
        ("no Hermes", (200, "<html></html>"), r#"{"ok":true}"#, "no Hermes dashboard"),
    ] {
        let dashboard = Dashboard::start();
        dashboard.says("/", page.0, page.1);
        dashboard.says("/api/status", 200, status);
        let why = refusal(&dashboard, None).await;
        assert!(why.contains(expected), "{what}: {why}");
    }
}

#[tokio::test]
async fn a_token_that_its_own_dashboard_refuses_is_told_from_a_configured_one() {
    let dashboard = Dashboard::start();
    dashboard.says("/", 200, &page("t1"));
    dashboard.says("/api/status", 200, STATUS);
    dashboard.says(TABLE, 401, "{}");
    assert!(refusal(&dashboard, None).await.contains("from its own page"));
}

#[tokio::test]
async fn the_dashboard_may_live_under_a_path() {
    let dashboard = Dashboard::start();
    dashboard.says("/hermes/", 200, &page("t"));
    dashboard.says_with_token(&format!("/hermes{TABLE}"), "t", 200, &table());
    for url in ["/hermes", "/hermes/"] {
        let mut gateway = gateway_at(&format!("{}{url}", dashboard.url()), None);
        assert!(gateway.read_table().await.current().is_some());
    }
}

#[tokio::test]
async fn no_message_ever_shows_a_token() {
    let dashboard = Dashboard::start();
    dashboard.says("/api/status", 200, STATUS);
    dashboard.says(TABLE, 500, "no: s3cret");
    let TableView::Not(NoTable { why, .. }) = gateway(&dashboard, Some("s3cret")).read_table().await else {
        panic!()
    };
    assert!(!why.contains("s3cret"), "{why}");
}
