//! Standard streams of every sort: pipes nobody reads, closed ones, full ones; colour only where it is wanted.

use std::os::fd::AsFd;
use std::process::Stdio;

use crate::gateway::{Answer, Gateway, orphan, table};
use crate::place::{EXE, Place};

fn desk() -> (Gateway, Place) {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("a")]));
    gateway.on_reap("a", Answer::reaped());
    let place = Place::with(&format!("[policy]\ngrace = \"0s\"\n{}", gateway.section("desk")));
    (gateway, place)
}

/// A pipe whose reader has gone.
fn broken() -> Stdio {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    drop(reader);
    Stdio::from(writer)
}

#[test]
fn a_reader_that_has_heard_enough_changes_nothing() {
    for command in ["once", "status"] {
        let (gateway, place) = desk();
        let ran = place.reaper([command]).change(|command| _ = command.stdout(broken())).run();
        assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)), "{command}");
        assert_eq!(gateway.reaps().len(), usize::from(command == "once"));
    }
}

#[test]
fn a_broken_or_full_stderr_changes_nothing_either() {
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    for stderr in [broken as fn() -> Stdio, full] {
        let (gateway, place) = desk();
        gateway.answer(Answer::Nothing);
        let ran = place.reaper(["once", "-vv"]).change(|command| _ = command.stderr(stderr())).run();
        assert_eq!(ran.code, Some(3));
        let ran = place
            .reaper(["once", "--config", "nowhere"])
            .change(|command| _ = command.stderr(stderr()))
            .run();
        assert_eq!(ran.code, Some(2));
    }
}

#[test]
fn a_full_stdout_is_said_after_the_work_was_done() {
    let (gateway, place) = desk();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = place.reaper(["once"]).change(|command| _ = command.stdout(full)).run();
    assert_eq!(
        ran.err,
        "gateway-reaper: the report can't be written: No space left on device (os error 28)\n"
    );
    assert_eq!((ran.code, gateway.reaps().len()), (Some(1), 1));
}

#[test]
fn a_watch_whose_stdout_is_full_goes_on() {
    let (gateway, place) = desk();
    gateway.publish(&table(None, &[]));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let running =
        place.reaper(["watch", "--interval", "100ms"]).change(|command| _ = command.stdout(full)).start();
    running.await_err("the report can't be written");
    gateway.publish(&table(None, &[orphan("a")]));
    running.eventually("it still reaps", || gateway.reaps() == ["a"]);
    running.signal(rustix::process::Signal::TERM);
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn closed_streams_are_not_mistaken_for_files() {
    let (gateway, place) = desk();
    let ran = place.program("sh", ["-c", "exec \"$0\" once 0<&- 1>&- 2>&-", EXE]).run();
    assert_eq!((ran.out.as_str(), ran.err.as_str(), ran.code), ("", "", Some(0)));
    assert_eq!(gateway.reaps(), ["a"]);
    for name in ["ledger.json", "lock", "audit.jsonl"] {
        let text = place.read(&format!("state/{name}"));
        assert!(!text.contains("desk:") && !text.is_empty(), "{name}: {text}");
    }
}

#[test]
fn pipes_get_no_colour_and_a_terminal_gets_it_unless_it_is_not_wanted() {
    let (gateway, place) = desk();
    gateway.answer(Answer::Nothing);
    let ran = place.once(["-vv"]);
    assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{ran:?}");
    let on_terminal = |name: &str, value: &str| {
        let (master, slave) = terminal();
        let ends = [slave.try_clone().unwrap(), slave];
        let [out, err] = ends;
        let reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = rustix::io::read(&master, &mut bytes) {
                text.extend_from_slice(&bytes[..read]);
            }
            String::from_utf8_lossy(&text).into_owned()
        });
        let run = place.reaper(["once"]).env(name, value).change(|command| {
            command.stdout(out).stderr(err);
        });
        assert_eq!(run.run().code, Some(3));
        reader.join().unwrap()
    };
    assert!(on_terminal("TERM", "xterm").contains("\u{1b}["));
    let plain = on_terminal("NO_COLOR", "1");
    assert!(plain.contains("desk") && !plain.contains('\u{1b}'), "{plain:?}");
    assert!(!on_terminal("TERM", "dumb").contains('\u{1b}'));
}

/// Both ends of a terminal.
pub(crate) fn terminal() -> (std::os::fd::OwnedFd, std::os::fd::OwnedFd) {
    use rustix::fs::{Mode, OFlags};
    // No process that another test starts just now may get it: it would keep the terminal open.
    let how = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::open("/dev/ptmx", how, Mode::empty()).unwrap();
    rustix::pty::unlockpt(master.as_fd()).unwrap();
    let name = rustix::pty::ptsname(master.as_fd(), Vec::new()).unwrap();
    let slave = rustix::fs::open(name, how, Mode::empty()).unwrap();
    (master, slave)
}

#[test]
fn nothing_is_asked_of_the_environment_but_a_place_for_the_memory() {
    let (gateway, place) = desk();
    let bare = || place.reaper(["once"]).change(|command| _ = command.env_clear());
    let ran = bare().run();
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)), "{ran:?}");
    assert_eq!(
        ran.err,
        "gateway-reaper: nowhere to keep the memory: set [state] dir in the configuration, or $STATE_DIRECTORY, $XDG_STATE_HOME or $HOME\n"
    );
    assert_eq!(gateway.asked().len(), 0);
    for (name, under) in [
        ("HOME", ".local/state/gateway-reaper"),
        ("XDG_STATE_HOME", "gateway-reaper"),
        ("STATE_DIRECTORY", ""),
    ] {
        let ran = bare().env(name, place.path(name)).run();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(place.path(name).join(under).join("ledger.json").exists(), "{name}");
    }
    assert_eq!(
        bare().env("XDG_STATE_HOME", "relative").run().code,
        Some(2),
        "XDG: a relative path is to be ignored"
    );
}
