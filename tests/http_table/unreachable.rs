//! A gateway that can't be asked.

use super::server::Step::{Drip, Read, Say, Silence};
use super::*;

#[tokio::test]
async fn nothing_listens() {
    // Bound and not listening, so that no other socket can take the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let at = socket.local_addr().unwrap();
    let mut gateway = gateway_at(&format!("http://{at}/"), PATIENT);
    let why = format!("nothing listens at {at}: is the gateway running, and is this its address?");
    assert_eq!(gateway.read_table().await, TableView::nothing_listens(why));
}

#[tokio::test]
async fn a_stopped_gateway_accepts_and_says_nothing() {
    let server = Server::start([vec![Silence]]).await;
    let why =
        format!("no answer from {} within 250ms: it is busy, stopped or hanging", server.host_and_port());
    assert_eq!(gateway(&server, HASTY).read_table().await, unreachable(&why));
}

#[tokio::test]
async fn a_gateway_that_stops_between_two_reads_is_given_one_timeout() {
    let server = Server::start([vec![Read, Say(ok(TABLE)), Silence]]).await;
    let mut gateway = gateway(&server, HASTY);
    assert!(is_current(&gateway.read_table().await));
    let why =
        format!("no answer from {} within 250ms: it is busy, stopped or hanging", server.host_and_port());
    assert_eq!(gateway.read_table().await, unreachable(&why));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_head_that_drips_does_not_outlive_the_timeout() {
    let server = Server::start([vec![Read, Drip(ok(TABLE))]]).await;
    let why =
        format!("no answer from {} within 250ms: it is busy, stopped or hanging", server.host_and_port());
    assert_eq!(gateway(&server, HASTY).read_table().await, unreachable(&why));
}

#[tokio::test]
async fn a_body_that_drips_does_not_outlive_the_timeout() {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", TABLE.len());
    let server = Server::start([vec![Read, Say(head), Drip(TABLE.into())]]).await;
    let why = format!("the answer from {} was not complete within 250ms", server.host_and_port());
    assert_eq!(gateway(&server, HASTY).read_table().await, unreachable(&why));
}

#[tokio::test]
async fn interim_answers_without_end_do_not_outlive_the_timeout() {
    let server = Server::start([vec![Read, Drip("HTTP/1.1 100 Continue\r\n\r\n".repeat(20))]]).await;
    let why =
        format!("no answer from {} within 250ms: it is busy, stopped or hanging", server.host_and_port());
    assert_eq!(gateway(&server, HASTY).read_table().await, unreachable(&why));
}

#[tokio::test]
async fn a_gateway_that_closes_before_it_has_answered_was_not_read() {
    for script in [vec![], vec![Read], vec![Read, Say("HTTP/1.1 200 OK\r\nContent-".into())]] {
        let server = Server::start([script]).await;
        let why = format!("{} closed the connection without an answer", server.host_and_port());
        assert_eq!(gateway(&server, PATIENT).read_table().await, unreachable(&why));
        assert_eq!(server.connections(), 1);
    }
}
