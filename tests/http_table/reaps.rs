//! The conditional reap: what is asked, and what each answer means.

use std::sync::Arc;

use futures_util::future::join_all;
use gateway_reaper::domain::table::{CloseAnswer, Refusal};
use gateway_reaper::domain::warrant::CloseOrder;
use tokio::sync::Barrier;

use super::server::Step::{Drip, Endless, Read, Say, Silence};
use super::*;

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn failed(why: &str) -> CloseAnswer {
    CloseAnswer::Failed { why: why.into() }
}

fn kept(reason: &str) -> CloseAnswer {
    CloseAnswer::Kept { reason: reason.into() }
}

fn other_run() -> CloseAnswer {
    CloseAnswer::Kept { reason: Refusal::OtherRun }
}

fn order(id: &str) -> CloseOrder {
    CloseOrder { id: id.into(), instance: None, activity: None }
}

async fn reap(server: &Server) -> CloseAnswer {
    gateway(server, HASTY).reap(&order("a"), PATIENT).await
}

#[tokio::test]
async fn a_reap_posts_the_instance_it_saw_and_the_reason_and_no_more() {
    let server = Server::saying(answer("200 OK", r#"{"outcome":"reaped"}"#)).await;
    let gateway = gateway_with_token(&server, "s3cret");
    let seen =
        CloseOrder { id: "a/b".into(), instance: Some("run \"1\"".into()), activity: Some("7".into()) };
    let said = gateway.reap(&seen, PATIENT).await;
    assert_eq!(said, CloseAnswer::Reaped);
    let body = r#"{"instance":"run \"1\"","reason":"orphaned"}"#;
    let expected = format!(
        "POST /table/a%2Fb/reap HTTP/1.1\r\nhost: {}\r\naccept: application/json\r\nuser-agent: gateway-reaper/{}\r\ncache-control: no-cache\r\n\
         authorization: Bearer s3cret\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        server.host_and_port(),
        env!("CARGO_PKG_VERSION"),
        body.len()
    );
    assert_eq!(server.requests(), [expected]);
}

#[tokio::test]
async fn a_table_without_an_instance_is_reaped_without_one() {
    let server = Server::saying(answer("200 OK", r#"{"outcome":"reaped"}"#)).await;
    assert_eq!(reap(&server).await, CloseAnswer::Reaped);
    assert!(server.requests()[0].ends_with(r#"{"instance":null,"reason":"orphaned"}"#));
}

#[tokio::test]
async fn each_answer_of_the_contract_means_what_it_says() {
    for (status, body, expected) in [
        ("200 OK", r#"{"outcome":"reaped","more":[1e999]}"#, CloseAnswer::Reaped),
        ("409 Conflict", r#"{"outcome":"kept","reason":"attached"}"#, kept("attached")),
        ("409 Conflict", r#"{"outcome":"kept"}"#, kept("kept")),
        ("409 Conflict", r#"{"outcome":"kept","reason":""}"#, kept("kept")),
        ("409 Conflict", r#"{"outcome":"kept","reason":5}"#, kept("kept")),
        ("409 Conflict", "busy", kept("kept")),
        ("404 Not Found", r#"{"outcome":"gone"}"#, CloseAnswer::Gone),
        ("412 Precondition Failed", r#"{"outcome":"kept","reason":"instance"}"#, other_run()),
        ("412 Precondition Failed", "", other_run()),
    ] {
        let server = Server::saying(answer(status, body)).await;
        assert_eq!(reap(&server).await, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn anything_else_has_failed_and_nothing_is_assumed() {
    let ok_without = "answered 200 without the outcome \"reaped\": nothing is assumed";
    let gone_without =
        "answered 404 without the outcome \"gone\": is that the path at which the gateway takes reaps?";
    for (status, body, said) in [
        ("200 OK", "", ok_without),
        ("200 OK", "[\"reaped\"]", ok_without),
        ("200 OK", r#"{"outcome":"gone"}"#, ok_without),
        ("200 OK", r#"{"outcome":"reaped","outcome":"kept"}"#, ok_without),
        ("200 OK", r#"{"outcome":"reaped"} x"#, ok_without),
        ("404 Not Found", "<h1>Not found</h1>", gone_without),
        ("404 Not Found", r#"{"detail":"Not Found"}"#, gone_without),
        ("405 Method Not Allowed", "", "answered 405 Method Not Allowed to the reap"),
        (
            "202 Accepted",
            r#"{"outcome":"reaped"}"#,
            r#"answered 202 Accepted to the reap: {"outcome":"reaped"}"#,
        ),
        ("500 Internal Server Error", "boom", "answered 500 Internal Server Error to the reap: boom"),
        ("401 Unauthorized", "", "wants a token (401 Unauthorized): name it by token_env or token_file"),
    ] {
        let server = Server::saying(answer(status, body)).await;
        assert_eq!(reap(&server).await, failed(&format!("{} {said}", server.url("/table"))));
    }
}

#[tokio::test]
async fn a_reap_that_was_not_answered_is_never_sent_again() {
    for script in [vec![], vec![Read], vec![Read, Say("HTTP/1.1 200".into())]] {
        let server = Server::start([script]).await;
        let why = format!("{} closed the connection without an answer", server.host_and_port());
        assert_eq!(reap(&server).await, failed(&why));
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_reap_uses_no_connection_that_may_have_been_closed_meanwhile() {
    let reaped = answer("200 OK", r#"{"outcome":"reaped"}"#);
    let server = Server::start([vec![Read, Say(ok(TABLE))], vec![Read, Say(reaped)]]).await;
    let mut gateway = gateway(&server, PATIENT);
    assert!(is_current(&gateway.read_table().await));
    assert_eq!(gateway.reap(&order("a"), PATIENT).await, CloseAnswer::Reaped);
}

#[tokio::test]
async fn a_reap_waits_as_long_as_it_is_told_to_and_no_longer() {
    let server =
        Server::start([vec![Read, Silence], vec![Read, Drip(answer("200 OK", r#"{"outcome":"reaped"}"#))]])
            .await;
    for _ in 0..2 {
        let said = gateway(&server, PATIENT).reap(&order("a"), HASTY).await;
        let why =
            format!("no answer from {} within 250ms: it is busy, stopped or hanging", server.host_and_port());
        assert_eq!(said, failed(&why));
    }
}

#[tokio::test]
async fn an_answer_to_a_reap_is_not_read_without_end() {
    let head = "HTTP/1.1 200 OK\r\n\r\n{\"outcome\":\"reaped\"}".to_owned();
    let server = Server::start([vec![Read, Say(head), Endless(" ".repeat(1024))]]).await;
    let why = format!("the answer from {} is larger than 65536 bytes", server.host_and_port());
    assert_eq!(reap(&server).await, failed(&why));
}

#[tokio::test]
async fn an_id_that_no_url_can_carry_fails_and_is_not_sent() {
    let server = Server::start([]).await;
    let said = gateway(&server, PATIENT).reap(&order(&"x".repeat(100_000)), PATIENT).await;
    let why =
        format!("no request to {} can carry this path: it is too long, or none", server.host_and_port());
    assert_eq!(said, failed(&why));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_hundred_reaps_are_under_way_at_once() {
    // Nobody is answered before all have asked.
    let all = Arc::new(Barrier::new(100));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let accepting = tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let all = Arc::clone(&all);
            open.spawn(async move {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let _ = stream.read(&mut [0; 1024]).await;
                all.wait().await;
                let _ = stream.write_all(answer("200 OK", r#"{"outcome":"reaped"}"#).as_bytes()).await;
            });
        }
    });
    let gateway = gateway_at(&url, HASTY);
    let orders: Vec<_> = (0..100).map(|n| order(&n.to_string())).collect();
    let said = join_all(orders.iter().map(|order| gateway.reap(order, PATIENT))).await;
    accepting.abort();
    assert_eq!(said, vec![CloseAnswer::Reaped; 100]);
}
