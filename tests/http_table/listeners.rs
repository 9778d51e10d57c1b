//! Who listens is known before a byte is sent. The strangers here are real: their sockets are made by a thread of another user.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use gateway_reaper::domain::table::{CloseAnswer, Listener};
use gateway_reaper::domain::warrant::CloseOrder;
use gateway_reaper::sources::http::Listeners;
use rustix::process::{Uid, geteuid};
use rustix::thread::set_thread_res_uid;

use super::server::Step::{Read as ReadRequest, Say};
use super::*;

/// A user of no name and no process.
const STRANGER: u32 = 61_234;
const SECRET: &str = "s3cret-t0ken";

/// Whether another user can be played; in CI nothing may be left out.
#[expect(clippy::disallowed_methods, reason = "the tests' own environment")]
fn can_be_another(test: &str) -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        assert!(std::env::var_os("CI").is_none(), "{test} needs root");
        eprintln!("NOT RUN: {test} needs root");
    }
    is_root
}

/// What the stranger was sent on each connection that it accepted.
type Sent = Receiver<Vec<u8>>;

/// Runs in a thread that is of another user, for good.
fn as_stranger<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    std::thread::spawn(|| {
        let stranger = Uid::from_raw(STRANGER);
        set_thread_res_uid(stranger, stranger, stranger).unwrap();
        work()
    })
}

/// A stranger that listens at the address and takes whatever it is sent.
fn stranger_at(address: SocketAddr) -> (SocketAddr, Sent) {
    let (at, told_at) = channel();
    let (sent, received) = channel();
    as_stranger(move || {
        let listener = TcpListener::bind(address).unwrap();
        at.send(listener.local_addr().unwrap()).unwrap();
        for stream in listener.incoming() {
            let mut bytes = Vec::new();
            let _ = stream.unwrap().read_to_end(&mut bytes);
            if sent.send(bytes).is_err() {
                return;
            }
        }
    });
    (told_at.recv().unwrap(), received)
}

fn with_secret(url: &str) -> HttpClient {
    client(url, PATIENT, Token::new(SECRET))
}

fn asking(client: HttpClient) -> HttpGateway {
    HttpGateway::new(client, LIMIT)
}

fn stranger_says(at: &str) -> String {
    format!(
        "{at}: a process of user {STRANGER} listens there, which is neither the reaper's user nor root nor \
         gateway.worker.user: nothing was sent. If the gateway runs as that user, set listener_user = \"{STRANGER}\" \
         under [[gateway]]; if not, find out what that process is (ss -ltnp)"
    )
}

fn nothing_was_sent(sent: &Sent) {
    let bytes = sent.recv_timeout(PATIENT).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), "");
}

#[tokio::test]
async fn a_stranger_at_the_gateways_port_is_sent_nothing_in_either_family() {
    if !can_be_another("a stranger") {
        return;
    }
    for (bound, host) in [
        (SocketAddr::from(([127, 0, 0, 1], 0)), "127.0.0.1"),
        (([0, 0, 0, 0], 0).into(), "127.0.0.1"),
        ((Ipv6Addr::LOCALHOST, 0).into(), "[::1]"),
        ((Ipv6Addr::UNSPECIFIED, 0).into(), "127.0.0.1"),
        ((Ipv6Addr::UNSPECIFIED, 0).into(), "[::ffff:127.0.0.1]"),
        ((Ipv6Addr::UNSPECIFIED, 0).into(), "localhost"),
    ] {
        let (at, sent) = stranger_at(bound);
        let at = format!("{host}:{}", at.port());
        let mut gateway = asking(with_secret(&format!("http://{at}/table")));
        assert_eq!(gateway.read_table().await, refused(&stranger_says(&at)), "{host}");
        nothing_was_sent(&sent);
        let order = CloseOrder { id: "a".into(), instance: None, activity: None };
        let answer = gateway.reap(&order, PATIENT).await;
        assert_eq!(answer, CloseAnswer::Failed { why: stranger_says(&at).into() });
        nothing_was_sent(&sent);
    }
}

#[tokio::test]
async fn a_stranger_that_listens_and_does_not_accept_is_not_taken_for_root() {
    if !can_be_another("a stranger") {
        return;
    }
    let listener = as_stranger(|| TcpListener::bind("127.0.0.1:0").unwrap()).join().unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let mut gateway = asking(with_secret(&format!("http://{at}/table")));
    assert_eq!(gateway.read_table().await, refused(&stranger_says(&at)));
    let mut bytes = Vec::new();
    listener.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"");
}

#[tokio::test]
async fn localhost_is_where_the_gateway_is_and_not_where_a_squatter_sits() {
    if !can_be_another("a squatter") {
        return;
    }
    let (at, sent) = stranger_at(([127, 0, 0, 1], 0).into());
    let real = Server::at((Ipv6Addr::LOCALHOST, at.port()).into(), [vec![ReadRequest, Say(ok(TABLE))]]).await;
    let mut gateway = asking(with_secret(&format!("http://localhost:{}/table", at.port())));
    assert!(is_current(&gateway.read_table().await));
    assert_eq!(real.requests().len(), 1);
    nothing_was_sent(&sent);
}

#[tokio::test]
async fn a_user_that_may_listen_is_asked_and_known() {
    let server = Server::saying(ok(TABLE)).await;
    let view = gateway(&server, PATIENT).read_table().await;
    assert_eq!(view.current().unwrap().listener, Listener::Verified);

    let server = Server::saying(ok(TABLE)).await;
    let only_another = Listeners::Users(BTreeSet::from([STRANGER]));
    let mut gateway = asking(client(&server.url("/table"), PATIENT, None).with_listeners(only_another));
    let missing = gateway.read_table().await;
    assert!(missing.missing().unwrap().why.contains("nothing was sent"), "{missing:?}");
    assert_eq!(server.requests().len(), 0);

    if !can_be_another("another user's gateway") {
        return;
    }
    let (at, sent) = stranger_at(([127, 0, 0, 1], 0).into());
    let client = with_secret(&format!("http://{at}/table")).with_listeners(Listeners::own_and([STRANGER]));
    // It only listens and never answers: what counts is that it is asked.
    let mut gateway = asking(client);
    let _ = tokio::time::timeout(HASTY, gateway.read_table()).await;
    drop(gateway);
    let received = tokio::task::spawn_blocking(move || sent.recv_timeout(PATIENT).unwrap());
    assert!(String::from_utf8_lossy(&received.await.unwrap()).contains(SECRET));
}

#[tokio::test]
async fn where_any_may_listen_nobody_is_known() {
    // What it claims of the time before any look counts only from a listener that is known.
    let claims = r#"{"version":1,"sessions":[{"id":"a","detached_for_s":9000,"idle_for_s":9000}]}"#;
    for (listeners, is_known) in [(Listeners::Any, false), (Listeners::own_and([]), true)] {
        let server = Server::saying(ok(claims)).await;
        let client = client(&server.url("/table"), PATIENT, None).with_listeners(listeners);
        let view = asking(client).read_table().await;
        let table = view.current().unwrap();
        assert_eq!(table.listener == Listener::Verified, is_known);
        let row = &table.sessions[0];
        assert_eq!((row.detached_for.is_some(), row.idle_for.is_some()), (is_known, is_known));
    }
}

#[tokio::test]
async fn the_owner_of_a_socket_in_the_file_system_is_its_listeners() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("own.sock");
    let _server = Server::at_socket(&socket, [vec![ReadRequest, Say(ok(TABLE))]]);
    let url = |socket: &Path| format!("unix://{}:/table", socket.display());
    let view = asking(with_secret(&url(&socket))).read_table().await;
    assert_eq!(view.current().unwrap().listener, Listener::Verified);

    if !can_be_another("a stranger's socket") {
        return;
    }
    rustix::fs::chmod(folder.path(), rustix::fs::Mode::from_raw_mode(0o777)).unwrap();
    let socket = folder.path().join("stranger.sock");
    let path = socket.clone();
    let listener = as_stranger(move || UnixListener::bind(path).unwrap()).join().unwrap();
    let mut gateway = asking(with_secret(&url(&socket)));
    let at = format!("unix://{}", socket.display());
    assert_eq!(gateway.read_table().await, refused(&stranger_says(&at)));
    let mut bytes = Vec::new();
    listener.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"");
}
