//! `top` on a real terminal: live, with its keys, and the terminal as it was on every way out.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::Signal;
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use serde_json::json;

use crate::gateway::{Gateway, orphan, table, with};
use crate::place::Place;
use crate::running::{Running, eventually};
use crate::streams::terminal;

/// `top` on a terminal, and all that it wrote there.
pub(crate) struct Live {
    running: Running,
    master: OwnedFd,
    slave: OwnedFd,
    written: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

impl Live {
    pub(crate) fn start(place: &Place, columns: u16) -> Self {
        let (master, slave) = terminal();
        let size = Winsize { ws_row: 12, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).unwrap();
        assert!(is_cooked(&slave));
        let running = place
            .reaper(["top"])
            .change(|command| {
                command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap());
            })
            .start();
        let written = Arc::new(Mutex::new(String::new()));
        let (mut reader, place) = (std::fs::File::from(master.try_clone().unwrap()), Arc::clone(&written));
        let reading = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // EIO: the other end is closed.
            while let Ok(read) = reader.read(&mut bytes) {
                place.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        Self { running, master, slave, written, reading }
    }

    /// The last whole screen, without colours.
    pub(crate) fn screen(&self) -> String {
        let written = self.written.lock().unwrap().clone();
        let frames: Vec<&str> = written.split("\u{1b}[H").collect();
        let whole = frames.iter().rev().find(|frame| frame.contains("\u{1b}[J")).copied().unwrap_or_default();
        anstream::adapter::strip_str(whole).to_string()
    }

    pub(crate) fn await_screen(&self, what: &str, shows: impl Fn(&str) -> bool) {
        eventually(what, || shows(&self.screen()), || format!("{}\n{}", self.screen(), self.running.err()));
    }

    pub(crate) fn press(&self, keys: &str) {
        rustix::io::write(&self.master, keys.as_bytes()).unwrap();
    }

    /// Waits for its end, and returns how the terminal was left.
    pub(crate) fn left(self) -> (Option<i32>, bool, String, String) {
        let ran = self.running.end();
        let is_cooked = is_cooked(&self.slave);
        // The last of it may not be read yet.
        drop(self.slave);
        self.reading.join().unwrap();
        let written = self.written.lock().unwrap().clone();
        (ran.code, is_cooked, written, ran.err)
    }
}

fn is_cooked(slave: &OwnedFd) -> bool {
    tcgetattr(slave).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
}

fn desk(grace: &str) -> (Gateway, Place) {
    let gateway = Gateway::start();
    let attached = with(orphan("attached-1"), "transport", json!("attached"));
    gateway.publish(&table(None, &[attached, orphan("orphan-1")]));
    let place = Place::with(&format!("[policy]\ngrace = \"{grace}\"\n{}", gateway.section("desk")));
    (gateway, place)
}

#[test]
fn it_is_live_counts_down_and_changes_nothing() {
    let (gateway, place) = desk("1h");
    assert_eq!(place.once([]).code, Some(0));
    let ledger = place.read("state/ledger.json");
    let live = Live::start(&place, 80);
    live.await_screen("both are there", |screen| {
        screen.contains("attached-1") && screen.contains("orphan-1")
    });
    live.await_screen("it counts down", |screen| screen.contains("59m"));
    live.await_screen("it says who makes the runs", |screen| screen.contains("once, last run"));
    live.press("m");
    live.await_screen("memory comes first", |screen| screen.contains("by memory (m)"));
    live.press("\u{1b}[Ad");
    live.press("d");
    live.await_screen("due times come first", |screen| screen.contains("by due time (d)"));
    gateway.publish(&table(None, &[orphan("new-1")]));
    live.await_screen("it looks again", |screen| screen.contains("new-1") && !screen.contains("attached-1"));
    gateway.go_down();
    live.await_screen("a gateway that is down is said", |screen| screen.contains("table unreachable"));
    for line in live.screen().lines() {
        assert!(line.trim_end_matches('\r').chars().count() <= 80, "{line:?}");
    }
    let size = Winsize { ws_row: 12, ws_col: 40, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&live.slave, size).unwrap();
    live.running.signal(Signal::WINCH);
    live.await_screen("it fits 40 columns", |screen| {
        screen.lines().all(|line| line.trim_end_matches('\r').chars().count() <= 40)
    });
    live.press("q");
    let (code, is_cooked, written, err) = live.left();
    assert_eq!((code, is_cooked, err.as_str()), (Some(0), true, ""));
    assert!(written.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{written:?}");
    assert_eq!(place.read("state/ledger.json"), ledger, "it changed the memory");
    assert_eq!(gateway.reaps().len(), 0);
}

#[test]
fn the_terminal_is_as_it_was_on_every_way_out() {
    let (_gateway, place) = desk("1h");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let live = Live::start(&place, 40);
        live.await_screen("it draws", |screen| screen.contains("orphan-1"));
        assert!(!is_cooked(&live.slave), "keys are read one by one");
        live.running.signal(signal);
        let (code, is_cooked, written, err) = live.left();
        assert_eq!((code, is_cooked, err.as_str()), (Some(0), true, ""), "{signal:?}");
        assert!(written.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{signal:?}: {written:?}");
    }
    let live = Live::start(&place, 80);
    live.await_screen("it draws", |screen| screen.contains("orphan-1"));
    // Ctrl-C and Ctrl-Z are keys of the line discipline only where the terminal is the controlling one; Ctrl-D is a byte like any other.
    live.press("\u{4}");
    assert_eq!(live.left().0, Some(0));
}

#[test]
fn without_a_terminal_it_says_so() {
    let (gateway, place) = desk("1h");
    let ran = place.reaper(["top"]).run();
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert_eq!(
        ran.err,
        "gateway-reaper: top needs a terminal for its input and output; `gateway-reaper status` tells the same once\n"
    );
    let ran = place.reaper(["top"]).change(|command| _ = command.stdout(Stdio::piped())).run();
    assert_eq!(ran.code, Some(2));
    let ran = place.reaper(["--json", "top"]).run();
    assert!(ran.code == Some(2) && ran.err.contains("status --json"), "{ran:?}");
    assert_eq!(gateway.asked().len(), 0);
}
