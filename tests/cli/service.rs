//! `watch` under a service manager: what it is told, and what the journal gets.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::{Answer, Gateway, orphan, table, with};
use crate::place::{PATIENCE, Place};
use crate::privileges::{after_mounting, has_root};

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

#[test]
fn the_journal_gets_what_was_done_with_its_fields_and_the_report_has_the_rest() {
    if !has_root("the_journal_gets_what_was_done_with_its_fields_and_the_report_has_the_rest") {
        return;
    }
    let gateway = Gateway::start();
    let row = |id: &str| with(orphan(id), "close_on_disconnect", json!(true));
    let kept = with(orphan("kept-1"), "transport", json!("attached"));
    gateway.publish(&table(None, &[with(row("gone-1"), "key", json!("talk-1")), row("broken-1"), kept]));
    gateway.on_reap("gone-1", Answer::reaped());
    gateway.on_reap("broken-1", Answer::Says(500, "no".into()));
    let place = Place::with(&gateway.section("desk"));
    let socket = UnixDatagram::bind(place.path("socket")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // A file stands for the stream that the journal reads, and this test for the journal.
    place.write("log", "");
    let journal = "mount -t tmpfs none /run; mkdir /run/systemd; ln -s \"$PWD\" /run/systemd/journal; \
                   export JOURNAL_STREAM=$(stat -c %d:%i log); exec > log";
    let ran = after_mounting(&place, journal, ["once"]).run();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let mut bytes = [0; 4096];
    let mut entries = [(); 2].map(|()| {
        let length = socket.recv(&mut bytes).expect("an entry");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    });
    entries.sort_by_key(|entry| entry.contains("broken-1"));
    let has = |entry: &str, lines: &[&str]| {
        for line in lines {
            assert!(entry.lines().any(|found| found == *line), "{line} in\n{entry}");
        }
        assert!(entry.lines().all(|line| line.contains('=')) && entry.ends_with('\n'), "{entry}");
    };
    has(
        &entries[0],
        &[
            "MESSAGE=session gone-1 of desk: reaped; detached and idle; closed by its gateway",
            "PRIORITY=6",
            "SYSLOG_IDENTIFIER=gateway-reaper",
            "REAPER_GATEWAY=desk",
            "REAPER_SESSION=gone-1",
            "REAPER_KEY=talk-1",
            "REAPER_ORPHAN=detached-session",
            "REAPER_OUTCOME=reaped",
            "REAPER_RECLAIMED_BYTES=0",
        ],
    );
    has(&entries[1], &["PRIORITY=4", "REAPER_SESSION=broken-1", "REAPER_OUTCOME=failed"]);
    let run = place.audit()[0]["run"].as_str().unwrap().to_owned();
    has(&entries[0], &[&format!("REAPER_RUN={run}")]);
    let log = place.read("log");
    assert!(log.contains("kept-1") && !log.contains("gone-1") && !log.contains("broken-1"), "{log}");
    assert!(
        log.starts_with("desk: 3 sessions\n") && log.ends_with("1 reaped, 1 FAILED, 1 left alone\n"),
        "{log}"
    );

    // Where no journal listens, the report has all of it.
    drop(socket);
    std::fs::remove_file(place.path("socket")).unwrap();
    place.write("log", "");
    assert_eq!(after_mounting(&place, journal, ["once"]).run().code, Some(1));
    assert!(place.read("log").contains("FAILED   session broken-1"), "{}", place.read("log"));
}
