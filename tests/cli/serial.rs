//! A gateway that serves one connection at a time and keeps it open for as long as its client does, as Python's `http.server` does with
//! HTTP/1.1: the reaper must not be what keeps it busy.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::gateway::{orphan, table};
use crate::place::{PATIENCE, Place};
use crate::privileges::has_root;

/// Such a gateway; its thread ends with the test program.
fn serial_gateway(sessions: &[&str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let rows: Vec<_> = sessions.iter().map(|id| orphan(id)).collect();
    let table = table(None, &rows).to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap(), &table);
        }
    });
    at
}

/// Until the client closes.
fn serve(stream: TcpStream, table: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let (mut head, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            head.push_str(&std::mem::take(&mut line));
        }
        if head.is_empty() {
            return;
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let answer = if head.starts_with("POST") { r#"{"outcome":"reaped"}"# } else { table };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
        if stream.write_all((head + answer).as_bytes()).is_err() {
            return;
        }
    }
}

fn section(at: &str) -> String {
    format!(
        "[policy]\ngrace = \"0s\"\n[[gateway]]\nname = \"serial\"\nkind = \"http\"\nurl = \"http://{at}/t\"\n"
    )
}

#[test]
fn its_sessions_are_closed_over_connections_that_do_not_block_each_other() {
    let ids: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let place = Place::with(&section(&serial_gateway(&ids)));
    let ran = place.once(["--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()["totals"]["reaped"], 20, "{ran:?}");
}

#[test]
fn others_are_served_while_a_watch_rests() {
    let at = serial_gateway(&[]);
    let place = Place::with(&section(&at));
    let watch = place.reaper(["watch", "--interval", "1h"]).start();
    watch.eventually("the first report is there", || watch.out().contains("serial"));
    let mut other = TcpStream::connect(&at).unwrap();
    other.set_read_timeout(Some(PATIENCE)).unwrap();
    other.write_all(b"GET /t HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    other.read_exact(&mut answer).expect("the reaper keeps the gateway's only connection");
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[test]
fn a_watch_told_to_leave_while_a_gateway_hangs_leaves_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = section(&listener.local_addr().unwrap().to_string());
    let place = Place::with(&format!("{config}timeout = \"10m\"\n"));
    let watch = place.reaper(["watch"]).start();
    let (_asked, _) = listener.accept().unwrap();
    watch.signal(rustix::process::Signal::TERM);
    let ran = watch.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("leaving"), "{ran:?}");
}

#[test]
fn a_name_that_no_thread_can_look_up_is_an_error_and_no_crash() {
    if !has_root("a user without a thread to spare") {
        return;
    }
    let place = Place::with(&section("gateway.invalid:1"));
    for path in [place.dir(), &place.path("state")] {
        std::fs::create_dir_all(path).unwrap();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    std::os::unix::fs::chown(place.path("state"), Some(61_234), None).unwrap();
    let wrapped = ["--nproc=1", "setpriv", "--reuid=61234", "--clear-groups", crate::place::EXE, "once"];
    let ran = place.program("prlimit", wrapped).run();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.out.contains("gateway.invalid:1 is a name, and no thread can be started"), "{ran:?}");
    // On a machine that is not short of threads the same name is looked up.
    let ran = place.once([]);
    assert!(!ran.out.contains("no thread"), "{ran:?}");
}
