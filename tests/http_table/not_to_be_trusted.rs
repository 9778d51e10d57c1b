//! A gateway that answers, with something that is no table.

use super::server::Step::{Drip, Endless, Read, Say};
use super::*;

async fn view(answer: impl Into<String>) -> (Server, TableView) {
    let server = Server::saying(answer).await;
    let view = gateway(&server, PATIENT).read_table().await;
    (server, view)
}

fn with_status(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_table_larger_than_allowed_is_refused_unread() {
    let why = "the table is larger than max_table_bytes = 4096: raise it if the gateway really has that many sessions";
    for length in ["4097", "9000000000000000000"] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        // Nothing follows: only the announcement can have refused it.
        let server = Server::start([vec![Read, Say(head), server::Step::Silence]]).await;
        assert_eq!(gateway(&server, PATIENT).read_table().await, refused(why));
    }
}

#[tokio::test]
async fn a_table_without_end_is_cut_at_the_limit() {
    let why = "the table is larger than max_table_bytes = 4096: raise it if the gateway really has that many sessions";
    for (head, piece) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\n     \r\n"),
        ("HTTP/1.0 200 OK\r\n\r\n", "     "),
    ] {
        let server = Server::start([vec![Read, Say(head.into()), Endless(piece.into())]]).await;
        assert_eq!(gateway(&server, PATIENT).read_table().await, refused(why));
    }
}

#[tokio::test]
async fn a_table_of_exactly_the_limit_is_read() {
    let table = format!("{TABLE}{}", " ".repeat(LIMIT - TABLE.len()));
    let (_, chunked) =
        view(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n{table}\r\n0\r\n\r\n"))
            .await;
    assert!(is_current(&chunked) && is_current(&view(ok(&table)).await.1));
}

#[tokio::test]
async fn a_truncated_answer_is_refused_even_if_what_came_is_a_table() {
    for answer in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{TABLE}", TABLE.len() + 1),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{TABLE}\r\n", TABLE.len()),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{TABLE}\r\nzz\r\n",
            TABLE.len()
        ),
    ] {
        let (server, view) = view(answer.clone()).await;
        let why =
            format!("the answer from {} was cut short after {} bytes", server.host_and_port(), TABLE.len());
        assert_eq!(view, refused(&why), "{answer}");
    }
    let (_, view) = view(format!("HTTP/1.0 200 OK\r\n\r\n{}", &TABLE[..TABLE.len() - 1])).await;
    assert_eq!(view, refused("not a session table: EOF while parsing an object at line 1 column 63"));
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    for (answer, what) in [
        ("SSH-2.0-OpenSSH_9.9\r\n", "invalid HTTP version parsed"),
        ("HTTP/1.1 2x0 OK\r\n\r\n", "invalid HTTP status-code parsed"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "invalid content-length parsed"),
        ("HTTP/1.1 200 OK\r\nno header\r\n\r\n", "invalid HTTP header parsed"),
    ] {
        let (server, view) = view(answer).await;
        assert_eq!(view, refused(&format!("{} does not speak HTTP/1.1: {what}", server.host_and_port())));
    }
    let server =
        Server::start([vec![Read, Say("HTTP/1.1 200 OK\r\n".into()), Endless("X: y\r\n".into())]]).await;
    let why = format!("{} does not speak HTTP/1.1: message head is too large", server.host_and_port());
    assert_eq!(gateway(&server, PATIENT).read_table().await, refused(&why));
}

#[tokio::test]
async fn a_redirect_is_named_and_not_followed() {
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let answer = with_status(status, "Location: http://elsewhere/login?next=secret\r\n", "");
        let (server, view) = view(answer).await;
        let why = "redirected to http://elsewhere/login: redirects are not followed; put the final address into url";
        assert_eq!(view, refused(why));
        assert_eq!(server.connections(), 1);
    }
    let (server, view) = view(with_status("300 Multiple Choices", "", "")).await;
    let why = format!(
        "{} answered 300 Multiple Choices: redirects are not followed; put the final address into url",
        server.url("/table")
    );
    assert_eq!(view, refused(&why));
}

#[tokio::test]
async fn a_gateway_that_wants_a_token_says_so_with_the_remedy() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let (server, view) = view(with_status(status, "", "no")).await;
        let at = server.url("/table");
        let why = format!("{at} wants a token ({status}): name it by token_env or token_file");
        assert_eq!(view, refused(&why));

        let server = Server::saying(with_status(status, "", "no")).await;
        let at = server.url("/table");
        let why =
            format!("{at} did not accept the token ({status}): check what token_env or token_file names");
        assert_eq!(gateway_with_token(&server, "s3cret").read_table().await, refused(&why));
    }
}

#[tokio::test]
async fn a_gateway_without_a_table_there_says_so() {
    let (server, view) = view(with_status("404 Not Found", "", "<h1>Not found</h1>")).await;
    let at = server.url("/table");
    let why =
        format!("no session table at {at} (404 Not Found): check url, and that the gateway publishes one");
    assert_eq!(view, refused(&why));
}

#[tokio::test]
async fn another_status_is_quoted_with_its_words_if_they_are_words() {
    for (body, words) in [
        ("boom:\n\tno such\u{1b}[31m table", r": boom: no such\u{1b}[31m table"),
        ("<html>boom</html>", ""),
        (" \n", ""),
        (&"é".repeat(5000), &*format!(": {}…", "é".repeat(159))),
    ] {
        let (server, view) = view(with_status("500 Internal Server Error", "", body)).await;
        let at = server.url("/table");
        let why = format!("{at} answered 500 Internal Server Error to a read of the session table{words}");
        assert_eq!(view, refused(&why));
    }
    for status in ["204 No Content", "206 Partial Content"] {
        let (server, view) = view(format!("HTTP/1.1 {status}\r\n\r\n")).await;
        let why = format!("{} answered {status} to a read of the session table", server.url("/table"));
        assert_eq!(view, refused(&why));
    }
}

#[tokio::test]
async fn an_error_page_that_drips_is_quoted_as_far_as_it_came() {
    let head = "HTTP/1.1 503 Service Unavailable\r\n\r\nbusy".to_owned();
    let server = Server::start([vec![Read, Say(head), Drip(" ".repeat(1000))]]).await;
    let at = server.url("/table");
    let why = format!("{at} answered 503 Service Unavailable to a read of the session table: busy");
    assert_eq!(gateway(&server, HASTY).read_table().await, refused(&why));
}

#[tokio::test]
async fn an_html_page_is_called_one() {
    for page in ["<!doctype html><title>Sign in</title>", "\n  <html>"] {
        let (server, view) = view(ok(page)).await;
        let at = server.url("/table");
        let why = format!(
            "{at} answered with an HTML page instead of a session table: a login page, or not the table's url"
        );
        assert_eq!(view, refused(&why));
    }
}

#[tokio::test]
async fn a_compressed_table_is_refused() {
    let (server, view) = view(with_status("200 OK", "Content-Encoding: gzip\r\n", TABLE)).await;
    let at = server.url("/table");
    let why = format!("{at} answered with Content-Encoding gzip, which was not asked for");
    assert_eq!(view, refused(&why));
}

/// A worker that its gateway started since would be in no row of it.
#[tokio::test]
async fn a_table_out_of_a_cache_is_refused() {
    let (server, view) = self::view(with_status("200 OK", "Age: 61\r\n", TABLE)).await;
    let why = format!(
        "a cache before {} answered with what was 61 s ago: have it pass these requests on, or put the gateway's own address into url",
        server.host_and_port()
    );
    assert_eq!(view, refused(&why));
    let (_, passed_on) = self::view(with_status("200 OK", "Age: 0\r\n", TABLE)).await;
    assert!(is_current(&passed_on));
}

#[tokio::test]
async fn a_table_that_breaks_the_contract_is_refused_with_row_and_field() {
    let (_, view) = view(ok(r#"{"version":1,"sessions":[{"id":"a"},{"id":"a"}]}"#)).await;
    assert_eq!(view, refused(r#"sessions[1] ("a").id: duplicate of sessions[0]"#));
}

#[tokio::test]
async fn no_message_and_no_debug_output_has_the_token() {
    let secret = "s3cret-t0ken";
    let echo = format!("you said: Authorization: Bearer {secret}");
    for answer in [
        with_status("500 Oh", "", &echo),
        with_status("302 Found", &format!("Location: /login/{secret}\r\n"), ""),
        with_status("200 OK", &format!("Content-Encoding: {secret}\r\n"), TABLE),
        ok(&format!(r#"{{"version":"{secret}"}}"#)),
        ok(&format!(r#"{{"version":1,"sessions":"{secret}"}}"#)),
    ] {
        let server = Server::saying(answer).await;
        let mut gateway = gateway_with_token(&server, secret);
        let view = format!("{:?} {gateway:?}", gateway.read_table().await);
        assert!(view.contains("Untrusted") && view.contains('…') && !view.contains(secret), "{view}");
    }
}
