//! The HTTP gateway against a server that says, on a real socket, exactly what each test wants it to say.

#![expect(clippy::unwrap_used, reason = "a test")]

mod listeners;
mod not_to_be_trusted;
mod reads;
mod reaps;
mod server;
mod unreachable;

use std::time::Duration;

use gateway_reaper::config::token::Token;
use gateway_reaper::domain::table::TableView;
use gateway_reaper::sources::gateway::Gateway as _;
use gateway_reaper::sources::gateway::http::HttpGateway;
use gateway_reaper::sources::http::{Credential, HttpClient};

use self::server::Server;

/// Where nothing is to time out.
const PATIENT: Duration = Duration::from_secs(20);
/// Where something is.
const HASTY: Duration = Duration::from_millis(250);
const LIMIT: usize = 4096;
const TABLE: &str = r#"{"version":1,"gateway":{"instance":"i"},"sessions":[{"id":"a"}]}"#;

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn client(url: &str, timeout: Duration, token: Option<Token>) -> HttpClient {
    HttpClient::new(url.parse().unwrap(), Credential::of(token), timeout)
}

fn gateway_at(url: &str, timeout: Duration) -> HttpGateway {
    HttpGateway::new(client(url, timeout, None), LIMIT)
}

fn gateway(server: &Server, timeout: Duration) -> HttpGateway {
    gateway_at(&server.url("/table"), timeout)
}

fn gateway_with_token(server: &Server, token: &str) -> HttpGateway {
    HttpGateway::new(client(&server.url("/table"), PATIENT, Token::new(token)), LIMIT)
}

fn is_current(view: &TableView) -> bool {
    view.current().is_some_and(|table| table.sessions.len() == 1)
}

fn refused(why: &str) -> TableView {
    TableView::refused(why)
}

fn unreachable(why: &str) -> TableView {
    TableView::unreachable(why)
}
