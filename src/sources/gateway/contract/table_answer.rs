//! What the answer to a read of the session table means: a table, or in one sentence why there is none and what to do.

use hyper::StatusCode;
use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderName, LOCATION};

use crate::config::address::Address;
use crate::domain::table::{Listener, Session, SessionTable, TableView};
use crate::sources::gateway::table_json::{self, TableError};
use crate::sources::http::{HttpClient, HttpError, HttpProblem, Response};

/// A row in the contract's words has some four hundred bytes. Many more rows than that allows would fill the memory: the smallest row
/// takes ten bytes in a table, and a thousand where it is judged and reported.
const BYTES_OF_A_ROW: usize = 160;

pub(super) fn judge(
    client: &HttpClient,
    at: &Address,
    answer: Result<Response, HttpError>,
    limit: usize,
) -> TableView {
    let response = match answer {
        Ok(response) => response,
        Err(HttpError { problem: HttpProblem::TooLarge { .. }, .. }) => {
            let why = format!(
                "the table is larger than max_table_bytes = {limit}: raise it if the gateway really has that many sessions"
            );
            return TableView::refused(why);
        }
        Err(error) if error.reached() => return TableView::refused(error.in_full()),
        Err(error) if error.nothing_listens() => return TableView::nothing_listens(error.in_full()),
        Err(error) => return TableView::unreachable(error.in_full()),
    };
    match table(client, at, &response, limit) {
        Ok(table) => TableView::Current(table),
        Err(why) => TableView::refused(why),
    }
}

fn table(
    client: &HttpClient,
    at: &Address,
    response: &Response,
    limit: usize,
) -> Result<SessionTable, String> {
    let status = response.status;
    if status != StatusCode::OK {
        return Err(refusal(client, at, response, "a read of the session table"));
    }
    if let Some(encoding) = text_of(&response.headers, CONTENT_ENCODING).filter(|name| *name != "identity") {
        let encoding = client.quote(encoding);
        return Err(format!("{at} answered with Content-Encoding {encoding}, which was not asked for"));
    }
    if is_html(&response.body) {
        return Err(format!(
            "{at} answered with an HTML page instead of a session table: a login page, or not the table's url"
        ));
    }
    let table = parse(&response.body, limit).map_err(|error| client.redact(&error).into_owned())?;
    if client.token().is_some_and(|token| reveals(&table, token.expose())) {
        return Err(format!(
            "{at} published its own token in the session table: it is not shown, and the table not used"
        ));
    }
    let mut table = SessionTable { listener: response.listener, ..table };
    if table.listener == Listener::Unverified {
        // What the gateway claims of the time before the reaper looked counts only from one that is known.
        table.sessions.iter_mut().for_each(|row| (row.detached_for, row.idle_for) = (None, None));
    }
    Ok(table)
}

/// A session table that may have this many bytes.
///
/// # Errors
/// It isn't one, or has too many rows, in words for an operator.
pub(in crate::sources::gateway) fn parse(body: &[u8], limit: usize) -> Result<SessionTable, String> {
    table_json::parse_at_most(body, limit / BYTES_OF_A_ROW).map_err(|error| match error {
        TableError::TooManyRows { most } => format!(
            "the table has more than {most} sessions, one for every {BYTES_OF_A_ROW} bytes of max_table_bytes = {limit}: raise it if \
             the gateway really has that many"
        ),
        error => error.to_string(),
    })
}

/// Shorter tokens are parts of ordinary words.
const TELLING: usize = 8;

/// Whether the token stands in a text that reports and logs repeat.
fn reveals(table: &SessionTable, token: &str) -> bool {
    let has = |text: &str| text == token || token.len() >= TELLING && text.contains(token);
    let rows = table.sessions.iter().any(|row| {
        let holds = row.holds.known().into_iter().flatten().any(|hold| has(hold));
        holds
            || has(row.id.as_str())
            || row.worker_key().is_some_and(has)
            || row.activity.as_deref().is_some_and(has)
            || not_understood(row).into_iter().flatten().any(has)
    });
    rows || table.instance.as_ref().is_some_and(|instance| has(instance.as_str()))
}

/// What of a row is shown as it came.
fn not_understood(row: &Session) -> [Option<&str>; 6] {
    [
        row.key.odd(),
        row.transport.odd(),
        row.turn.odd(),
        row.close_on_disconnect.odd(),
        row.holds.odd(),
        row.worker.odd(),
    ]
}

/// What a status other than the expected ones says, and the remedy where there is one.
pub(super) fn refusal(client: &HttpClient, at: &Address, response: &Response, what: &str) -> String {
    let status = response.status;
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if client.token().is_some() => {
            format!("{at} did not accept the token ({status}): check what token_env or token_file names")
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!("{at} wants a token ({status}): name it by token_env or token_file")
        }
        StatusCode::NOT_FOUND => {
            format!("no session table at {at} ({status}): check url, and that the gateway publishes one")
        }
        _ if status.is_redirection() => match text_of(&response.headers, LOCATION) {
            Some(to) => {
                let to = client.quote(to.split('?').next().unwrap_or(to));
                format!("redirected to {to}: redirects are not followed; put the final address into url")
            }
            None => {
                format!("{at} answered {status}: redirects are not followed; put the final address into url")
            }
        },
        _ => {
            let said = said(client, &response.body);
            format!("{at} answered {status} to {what}{said}")
        }
    }
}

/// The body's own words, if they are words.
fn said(client: &HttpClient, body: &[u8]) -> String {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        // The excerpt may end within a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return String::new(),
    };
    if text.trim().is_empty() || is_html(body) { String::new() } else { format!(": {}", client.quote(text)) }
}

fn is_html(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
