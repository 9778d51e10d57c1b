//! Reads that succeed, and what they ask.

use gateway_reaper::config::token::TokenSource;
use gateway_reaper::domain::table::Answer;
use gateway_reaper::sources::gateway;

use super::server::Step::{Drip, Read, Say, Silence};
use super::*;

#[tokio::test]
async fn a_read_asks_for_the_table_and_nothing_else() {
    let server = Server::saying(ok(TABLE)).await;
    let mut gateway = gateway_at(&server.url("/api/table"), PATIENT);
    assert!(is_current(&gateway.read_table().await));
    let expected = format!(
        "GET /api/table HTTP/1.1\r\nhost: {}\r\naccept: application/json\r\nuser-agent: gateway-reaper/{}\r\ncache-control: no-cache\r\n\r\n",
        server.host_and_port(),
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(server.requests(), [expected]);
}

#[tokio::test]
async fn a_configured_token_goes_along_as_bearer() {
    let server = Server::saying(ok(TABLE)).await;
    assert!(is_current(&gateway_with_token(&server, "s3cret").read_table().await));
    assert!(server.requests()[0].contains("\r\nauthorization: Bearer s3cret\r\n"));
}

#[tokio::test]
async fn a_token_learnt_later_goes_along_from_then_on() {
    let server = Server::start([vec![Read, Say(ok("page")), Read, Say(ok(TABLE))]]).await;
    let mut client = client(&server.url("/table"), PATIENT, None);
    let page = client.get("/", LIMIT).await.unwrap();
    assert_eq!((page.status.as_u16(), &*page.body), (200, &b"page"[..]));
    client.learn_token(Token::new("learnt"));
    assert!(is_current(&HttpGateway::new(client, LIMIT).read_table().await));
    let requests = server.requests();
    assert!(requests[0].starts_with("GET / HTTP/1.1\r\n") && !requests[0].contains("authorization"));
    assert!(requests[1].contains("\r\nauthorization: Bearer learnt\r\n"));
}

#[tokio::test]
async fn a_name_that_needs_no_look_up_connects() {
    let server = Server::saying(ok(TABLE)).await;
    let mut gateway = gateway_at(&server.url("/").replace("127.0.0.1", "localhost"), PATIENT);
    assert!(is_current(&gateway.read_table().await));
}

#[tokio::test]
async fn any_framing_that_http_has_will_do() {
    let length = TABLE.len();
    for answer in [
        format!("HTTP/1.0 200 OK\r\n\r\n{TABLE}"),
        format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{TABLE}"),
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{TABLE}"),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            length - 1,
            &TABLE[1..]
        ),
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n{}", ok(TABLE)),
        format!("HTTP/1.1 200\r\nContent-Length: {length}\r\nContent-Encoding: identity\r\n\r\n{TABLE}"),
    ] {
        let server = Server::saying(answer.clone()).await;
        let view = gateway(&server, PATIENT).read_table().await;
        assert!(is_current(&view), "{answer}: {view:?}");
    }
}

#[tokio::test]
async fn a_slow_answer_within_the_timeout_is_an_answer() {
    let server = Server::start([vec![Read, Drip("HTTP/1.1".into()), Say(ok(TABLE)[8..].into())]]).await;
    assert!(is_current(&gateway(&server, PATIENT).read_table().await));
}

#[tokio::test]
async fn the_connection_is_kept_for_the_next_read_until_everything_is_read() {
    let thrice = || vec![Read, Say(ok(TABLE)), Read, Say(ok(TABLE)), Read, Say(ok(TABLE))];
    let server = Server::start([thrice(), thrice()]).await;
    let mut gateway = gateway(&server, PATIENT);
    for connections in [1, 2] {
        for _ in 0..3 {
            assert!(is_current(&gateway.read_table().await));
        }
        assert_eq!(server.connections(), connections);
        gateway.rest();
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_is_replaced_in_silence() {
    let once = || vec![Read, Say(ok(TABLE))];
    let server = Server::start([once(), once(), once()]).await;
    let mut gateway = gateway(&server, PATIENT);
    for _ in 0..3 {
        assert!(is_current(&gateway.read_table().await));
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_kept_connection_that_closes_on_the_request_is_replaced_once() {
    let server = Server::start([vec![Read, Say(ok(TABLE)), Read], vec![Read]]).await;
    let mut gateway = gateway(&server, PATIENT);
    assert!(is_current(&gateway.read_table().await));
    let why = format!("{} closed the connection without an answer", server.host_and_port());
    assert_eq!(gateway.read_table().await, unreachable(&why));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn an_answer_that_came_before_the_question_answers_nothing() {
    let stale = ok(r#"{"version":1,"sessions":[]}"#);
    let server =
        Server::start([vec![Read, Say(ok(TABLE) + &stale), Silence], vec![Read, Say(ok(TABLE))]]).await;
    let mut gateway = gateway(&server, PATIENT);
    assert!(is_current(&gateway.read_table().await));
    assert!(is_current(&gateway.read_table().await));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_refused_answer_leaves_the_next_read_a_fresh_start() {
    let server =
        Server::start([vec![Read, Say("HTTP/1.1 500 X\r\n\r\n".into())], vec![Read, Say(ok(TABLE))]]).await;
    let mut gateway = gateway(&server, PATIENT);
    assert!(!is_current(&gateway.read_table().await));
    assert!(is_current(&gateway.read_table().await));
}

#[tokio::test]
async fn a_socket_in_the_file_system_is_asked_like_a_port() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("gw.sock");
    let server = Server::at_socket(&socket, [vec![Read, Say(ok(TABLE))]]);
    let mut gateway = gateway_at(&format!("unix://{}:/api/table", socket.display()), PATIENT);
    assert!(is_current(&gateway.read_table().await));
    assert!(server.requests()[0].starts_with("GET /api/table HTTP/1.1\r\nhost: localhost\r\n"));
    drop(server);
    std::fs::remove_file(&socket).unwrap();
    let view = gateway.read_table().await;
    let missing = view.missing().unwrap();
    assert_eq!(missing.answer, Answer::Missing, "a gateway may be there without its file");
    assert!(missing.why.starts_with(&format!("no connection to unix://{}", socket.display())), "{missing:?}");
}

#[tokio::test]
async fn a_token_that_was_replaced_in_its_file_is_read_again_when_the_old_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "old").unwrap();
    let no = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned();
    let server =
        Server::start([vec![Read, Say(no.clone())], vec![Read, Say(ok(TABLE))], vec![Read, Say(no)]]).await;
    let credential = Credential::fetch(TokenSource::File(file.clone())).unwrap();
    let client = HttpClient::new(server.url("/table").parse().unwrap(), credential, PATIENT);
    let mut gateway = HttpGateway::new(client, LIMIT);
    std::fs::write(&file, "new").unwrap();
    assert!(is_current(&gateway::read_table(&mut gateway).await));
    // Once: a file that says the same again is no reason to ask again.
    assert!(!is_current(&gateway::read_table(&mut gateway).await));
    let said: Vec<bool> = server.requests().iter().map(|request| request.contains("Bearer new")).collect();
    assert_eq!(said, [false, true, true]);
}
