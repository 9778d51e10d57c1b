//! Every output as a person sees it, at 80 and at 40 columns.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use regex_lite::Regex;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::gateway::{Answer, Gateway, orphan, table, with};
use crate::place::Place;
use crate::screen::{Screen, WIDTHS};
use crate::top::Live;

/// A desk with sessions of all sorts, one that can't be closed, and a gateway that is down. Graces and ages are so long that they read the
/// same on a busy machine.
fn scene() -> (Gateway, Place) {
    let gateway = Gateway::start();
    let at_once = |id: &str| with(orphan(id), "close_on_disconnect", json!(true));
    let active = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() - days(9.5);
    let attached = with(orphan("20261123_005036_2bdafa"), "transport", json!("attached"));
    let attached = with(with(attached, "clients", json!(2)), "key", json!("agent:main:telegram:1"));
    let rows = [
        with(attached, "last_active", json!(active.as_secs_f64())),
        with(
            orphan("held-1"),
            "holds",
            json!(["delegation", "approval", "background-process", "queued-prompt"]),
        ),
        with(orphan("odd-1"), "transport", json!("sideways")),
        orphan("patient-1"),
        orphan("patient-2"),
        at_once("gone-1"),
        at_once("broken-1"),
    ];
    gateway.publish(&table(None, &rows));
    gateway.on_reap("gone-1", Answer::reaped());
    gateway.on_reap("broken-1", Answer::Says(500, "no".into()));
    let down = "[[gateway]]\nname = \"other\"\nkind = \"http\"\nurl = \"http://127.0.0.1:9/sessions\"\n";
    let place = Place::in_tmp(&format!("[policy]\ngrace = \"20d\"\n{}{down}", gateway.section("desk")));
    (gateway, place)
}

/// A configuration with three mistakes.
const BAD: &str = "[policy]\ngrase = \"20s\"\n[[gateway]]\nname = \"desk\"\nkind = \"htp\"\n";

fn days(days: f64) -> Duration {
    Duration::from_secs_f64(days * 86_400.0)
}

/// A run of each width has a memory of its own.
fn in_a_new_state(screen: &mut Screen<'_>, place: &Place, args: &[&str]) {
    let name = args.join("");
    screen.show_each(
        |_| args.iter().map(|arg| (*arg).to_owned()).collect(),
        |reaper, width| reaper.env("STATE_DIRECTORY", place.path(&format!("state-{name}-{width}"))),
    );
}

#[test]
fn what_is_there_and_what_is_done() {
    let (gateway, place) = scene();
    let mut screen = Screen::of(&place, &[&gateway]);
    for args in [
        &["status"][..],
        &["status", "-v", "--gateway", "desk"],
        &["status", "--due"],
        &["status", "--due", "30d", "--gateway", "desk"],
        &["status", "--reason", "held", "--reason", "unknown-state"],
        &["status", "--gateway", "desk", "--due", "--reason", "attached"],
        &["once", "--dry-run"],
        &["once"],
        &["-q", "once"],
    ] {
        in_a_new_state(&mut screen, &place, args);
    }
    insta::assert_snapshot!(screen.shown());
}

#[test]
fn two_hundred_sessions_as_sums() {
    let gateway = Gateway::start();
    let attached = |number| with(orphan(&format!("a-{number}")), "transport", json!("attached"));
    let mut rows: Vec<Value> = (0..150).map(attached).collect();
    rows.extend((0..49).map(|number| orphan(&format!("w-{number}"))));
    rows.push(with(orphan("due-1"), "close_on_disconnect", json!(true)));
    gateway.publish(&table(None, &rows));
    gateway.on_reap("due-1", Answer::reaped());
    let place = Place::in_tmp(&format!("[policy]\ngrace = \"20d\"\n{}", gateway.section("desk")));
    let mut screen = Screen::of(&place, &[&gateway]);
    for args in [&["status"][..], &["status", "--due"], &["once", "--dry-run"], &["once"]] {
        in_a_new_state(&mut screen, &place, args);
    }
    insta::assert_snapshot!(screen.shown());
}

#[test]
fn what_is_forbidden_by_hand() {
    let (gateway, place) = scene();
    let mut screen = Screen::of(&place, &[&gateway]);
    let why = "a demo for the people of the third floor";
    for args in [&["hold"][..], &["hold", "patient-1", "--for", "9d", "--why", why], &["pause", "8d"]] {
        screen.show(args);
    }
    // The pause ends before the hold does, so that both are told of. Now almost a whole day less is left. A run notes since when each verdict
    // holds, so what is told of that comes first.
    std::thread::sleep(Duration::from_millis(1100));
    for args in
        [&["hold"][..], &["status", "--gateway", "desk"], &["explain", "patient-1"], &["once", "--dry-run"]]
    {
        screen.show(args);
    }
    screen.show_each(
        |width| vec!["release".to_owned(), if width == 80 { "patient-1" } else { "patient-2" }.to_owned()],
        |reaper, _| reaper,
    );
    screen.show(&["resume"]);
    insta::assert_snapshot!(screen.shown());
}

/// Weeks of a log, as old as they are meant to look.
fn write_log(place: &Place) {
    let at = |ago: f64| {
        let time = SystemTime::now() - days(ago);
        humantime::format_rfc3339_millis(time).to_string()
    };
    let session = json!({ "kind": "session", "id": "360e0f95", "key": "talk-1", "worker": { "pid": 24126, "start_ticks": 70 } });
    let evidence = json!({ "orphan_kind": "detached-session", "waited_s": 21.3, "looks": 3 });
    let worker =
        json!({ "kind": "worker", "key": "gone-7a99", "worker": { "pid": 24130, "start_ticks": 90 } });
    let parentless = json!({ "orphan_kind": "parentless-worker", "waited_s": 60.0 });
    let line = |ago: f64, run: &str, subject: &Value, evidence: &Value| json!({ "time": at(ago), "run": run, "gateway": "desk", "subject": subject, "evidence": evidence });
    let mut audit = vec![
        with(line(19.5, "r1", &session, &evidence), "step", json!("close")),
        with(line(19.5, "r1", &session, &evidence), "step", json!("SIGTERM")),
    ];
    let reaped = with(line(19.5, "r1", &session, &evidence), "outcome", json!("reaped"));
    audit.push(with(with(reaped, "memory_bytes", json!(55_812_096)), "reclaimed_bytes", json!(55_812_096)));
    for (ago, run) in [(9.5, "r2"), (8.5, "r3"), (7.5, "r4")] {
        let failed = with(line(ago, run, &worker, &parentless), "outcome", json!("failed"));
        let failed =
            with(failed, "why", json!("not permitted: run it as the gateway's user, or with CAP_KILL"));
        audit.push(with(
            failed,
            "survivors",
            json!([{ "pid": 24130, "start_ticks": 90, "why": "not permitted" }]),
        ));
    }
    let cut_off = json!({ "kind": "session", "id": "cut-off" });
    audit.push(with(line(3.5, "r5", &cut_off, &evidence), "step", json!("close")));
    let state = |verdict: &str, reason: &str| json!({ "verdict": verdict, "reason": reason });
    let events = [
        json!({ "time": at(20.5), "run": "r0", "gateway": "desk", "subject": "session 360e0f95", "key": "talk-1",
                "from": state("keep", "attached"), "since": at(30.5), "to": state("wait", "orphaned") }),
        json!({ "time": at(9.5), "run": "r2", "gateway": "desk", "subject": "session 20261123_005036_2bdafa",
                "from": state("wait", "orphaned"), "since": at(10.5),
                "to": with(state("keep", "attached"), "detail", json!("a client is attached")) }),
    ];
    let lines = |all: &[Value]| all.iter().map(|line| format!("{line}\n")).collect::<String>();
    place.write("state/audit.jsonl", lines(&audit));
    place.write("state/events.jsonl", lines(&events));
}

#[test]
fn what_was_done_and_why() {
    let (gateway, place) = scene();
    let mut screen = Screen::of(&place, &[&gateway]);
    screen.show(&["history"]);
    write_log(&place);
    for args in [
        &["history"][..],
        &["history", "--since", "10d", "--gateway", "desk"],
        &["explain", "360e"],
        &["explain", "gone-7a99"],
        &["explain", "2026"],
        &["explain", "held-1"],
        &["explain", "patient-2"],
    ] {
        screen.show(args);
    }
    insta::assert_snapshot!(screen.shown());
}

#[test]
fn whether_all_fits_together() {
    let (gateway, place) = scene();
    let mut screen = Screen::of(&place, &[&gateway]);
    screen.show(&["check"]);
    // What it says of this machine and this user is another test's.
    let checks = |args: &[&str], width: usize| {
        let mut ran = place.reaper(args.iter().copied()).env("COLUMNS", width.to_string()).run();
        let mut is_of_machine = false;
        ran.out = ran
            .out
            .split_inclusive('\n')
            .filter(|line| {
                if !line.starts_with(' ') {
                    is_of_machine =
                        ["listener", "processes", "pidfds"].iter().any(|word| line.contains(word));
                }
                !is_of_machine
            })
            .collect();
        ran
    };
    place.write("bad.toml", BAD);
    for args in [&["doctor"][..], &["--config", "bad.toml", "doctor"]] {
        for width in WIDTHS {
            screen.add(&args.join(" "), width, &checks(args, width));
        }
    }
    insta::assert_snapshot!(screen.shown());
}

#[test]
fn what_is_told_of_a_hermes_home() {
    let place = Place::in_tmp("");
    let home = |width| format!("hermes-{width}");
    for width in WIDTHS {
        for folder in ["cron", "logs", "memories", "sessions"] {
            std::fs::create_dir_all(place.path(&home(width)).join(folder)).unwrap();
        }
    }
    let mut screen = Screen::of(&place, &[]);
    for command in ["status", "install", "install", "status", "uninstall", "status", "uninstall"] {
        screen.show_each(
            |width| {
                let home = place.path(&home(width)).display().to_string();
                ["hermes", command, "--home", &home].map(ToOwned::to_owned).to_vec()
            },
            |reaper, _| reaper,
        );
    }
    insta::assert_snapshot!(screen.shown());
}

#[test]
fn the_lines_of_watch() {
    let (gateway, place) = scene();
    let mut screen = Screen::of(&place, &[&gateway]);
    for width in WIDTHS {
        let state = place.path(&format!("state-{width}"));
        let watch = place.reaper(["watch", "--interval", "1h"]);
        let watch = watch.env("COLUMNS", width.to_string()).env("STATE_DIRECTORY", state).start();
        watch.eventually("a whole report is there", || watch.out().contains("left alone"));
        watch.signal(Signal::TERM);
        screen.add("watch --interval 1h", width, &watch.end());
    }
    insta::assert_snapshot!(screen.shown());
}

static WAITED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r" for [\d.]+m? ?[\d]*s(\n)").unwrap());

#[test]
fn a_frame_of_top() {
    let (gateway, place) = scene();
    let mut screen = Screen::of(&place, &[&gateway]);
    let mut frames = String::new();
    for width in WIDTHS {
        let live = Live::start(&place, u16::try_from(width).unwrap());
        // Once some of the grace has passed, and nothing reaps, all that changes are tenths of seconds.
        live.await_screen("it counts down", |screen| screen.contains("19d") && screen.contains("broken-1"));
        // How long it has waited stands at the end of its line.
        let frame = WAITED.replace_all(&live.screen().replace('\r', ""), " for 1s$1").into_owned();
        frames += &format!("{width} columns\n{}\n\n", screen.still(&frame));
        live.press("q");
        assert_eq!(live.left().0, Some(0));
    }
    let _ = screen.shown();
    insta::assert_snapshot!(frames);
}

#[test]
fn the_help_of_each_command() {
    let place = Place::in_tmp("");
    let commands = gateway_reaper::cli::command();
    let names = commands.get_subcommands().filter(|command| !command.is_hide_set());
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for command in names {
        let name = command.get_name().to_owned();
        all.extend(command.get_subcommands().map(|inner| vec![name.clone(), inner.get_name().to_owned()]));
        all.push(vec![name]);
    }
    let mut screen = Screen::of(&place, &[]);
    for command in all {
        for flag in ["-h", "--help"] {
            screen.show_each(
                |_| command.iter().cloned().chain([flag.to_owned()]).collect(),
                |reaper, _| reaper,
            );
        }
    }
    insta::assert_snapshot!(screen.shown());
}

#[test]
fn what_can_not_be_done() {
    let (gateway, place) = scene();
    let mut screen = Screen::of(&place, &[&gateway]);
    place.write("bad.toml", BAD);
    place.write("a-file", "");
    for args in [
        &["onec"][..],
        &["once", "--wait", "soon"],
        &["status", "--reason", "atached"],
        &["watch", "--interval", "1ms"],
        &["status", "--gateway", "dsk"],
        &["explain", "nothing-like-that"],
        &["explain", "patient"],
        &["hold", "patient", "--for", "1h"],
        &["hold", "patient-1"],
        &["release", "patient-1"],
        &["top"],
        &["hermes", "install", "--home", "nowhere"],
        &["hermes", "status"],
        &["--config", "no.toml", "once"],
        &["--config", "bad.toml", "once"],
        &["--config", "bad.toml", "check"],
    ] {
        screen.show(args);
    }
    screen.show_each(
        |_| vec!["once".to_owned()],
        |reaper, _| reaper.env("STATE_DIRECTORY", place.path("a-file")),
    );
    insta::assert_snapshot!(screen.shown());
}
