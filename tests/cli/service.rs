//! `watch` under a service manager: what it is told, and what the journal gets.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use crate::gateway::{Gateway, orphan, table};
use crate::place::{PATIENCE, Place};

fn hears(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 256];
    let length = socket.recv(&mut bytes).expect("it is told");
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// Says what comes next besides signs of life, and how many of those came before it.
fn hears_next(socket: &UnixDatagram) -> (usize, String) {
    let mut alive = 0;
    loop {
        match hears(socket) {
            sign if sign == "WATCHDOG=1" => alive += 1,
            other => return (alive, other),
        }
    }
}

#[test]
fn it_says_that_it_is_ready_alive_and_stopping() {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("a")]));
    let place = Place::with(&gateway.section("desk"));
    let socket = UnixDatagram::bind(place.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let running = place
        .reaper(["watch", "--interval", "1h"])
        .env("NOTIFY_SOCKET", place.path("notify"))
        .env("WATCHDOG_USEC", "200000")
        .start();
    assert_eq!(hears_next(&socket).1, "READY=1");
    assert!(gateway.looks() > 0, "it was ready before it had looked");
    for _ in 0..3 {
        assert_eq!(hears(&socket), "WATCHDOG=1", "it goes on between two looks");
    }
    running.signal(Signal::TERM);
    assert_eq!(hears_next(&socket).1, "STOPPING=1");
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn a_watchdog_that_is_anothers_is_not_answered() {
    let gateway = Gateway::start();
    let place = Place::with(&gateway.section("desk"));
    let socket = UnixDatagram::bind(place.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let running = place
        .reaper(["watch", "--interval", "1h"])
        .env("NOTIFY_SOCKET", place.path("notify"))
        .env("WATCHDOG_USEC", "1000")
        .env("WATCHDOG_PID", "1")
        .start();
    assert_eq!(hears_next(&socket), (0, "READY=1".to_owned()));
    std::thread::sleep(Duration::from_millis(50));
    running.signal(Signal::TERM);
    assert_eq!(hears_next(&socket), (0, "STOPPING=1".to_owned()));
}

#[test]
fn the_journal_gets_the_severity_and_no_time_and_another_stream_does_not() {
    let gateway = Gateway::start();
    gateway.go_down();
    let place = Place::with(&gateway.section("desk"));
    // A file stands for the journal's socket: it is known by its device and inode.
    let log = place.write("log", "");
    let in_shell = "JOURNAL_STREAM=$(stat -c %d:%i log) \"$0\" once 2> log";
    place.program("sh", ["-c", in_shell, crate::place::EXE]).run();
    let told = std::fs::read_to_string(log).unwrap();
    assert!(told.starts_with("<4>") && told.contains("nothing listens at"), "{told}");
    let ran = place.reaper(["once"]).env("JOURNAL_STREAM", "1:2").run();
    assert!(ran.err.contains(" WARN ") && !ran.err.contains("<4>"), "{ran:?}");
}
