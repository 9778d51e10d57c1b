//! An operator at 3 a.m., after three weeks with three gateways: each question is answered by one command.
//!
//! The three weeks are made by the program itself: `once` after `once`, with a wall clock that libfaketime puts back. Graces are awake time, which
//! it leaves alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::cast::{gateway_of, pid, worker, worker_match};
use crate::gateway::{Answer, Gateway, orphan, orphan_with, table, with};
use crate::place::{Place, Ran};
use crate::support::family::{Family, part};
use crate::top::Live;

/// Where libfaketime is. Without a network it can't be had: that is said, and fails where `CI` is set.
fn faketime() -> Option<PathBuf> {
    match fetch() {
        Ok(path) => Some(path),
        Err(why) => {
            assert!(std::env::var_os("CI").is_none(), "{why}");
            eprintln!("NOT RUN: {why}");
            None
        }
    }
}

fn fetch() -> Result<PathBuf, String> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faketime");
    let library = |libraries: &Path| {
        let libraries = std::fs::read_dir(libraries).ok()?;
        let paths = libraries.flatten().map(|folder| folder.path().join("faketime/libfaketime.so.1"));
        paths.into_iter().find(|path| path.exists())
    };
    let unpacked = dir.join("root/usr/lib");
    if let Some(found) = library(Path::new("/usr/lib")).or_else(|| library(&unpacked)) {
        return Ok(found);
    }
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let script = "apt-get download libfaketime && dpkg -x libfaketime_*.deb root";
    let output = Command::new("sh").args(["-c", script]).current_dir(&dir).output();
    let output = output.map_err(|error| error.to_string())?;
    library(&unpacked)
        .ok_or_else(|| format!("libfaketime can't be had: {}", String::from_utf8_lossy(&output.stderr)))
}

struct Weeks {
    place: Place,
    faketime: PathBuf,
    desk: Gateway,
    bench: Gateway,
    lab: Gateway,
    /// The desk's process with its workers, and a gateway that is not configured with two of the same kind.
    family: Family,
    _stranger: Family,
}

impl Weeks {
    fn new(faketime: PathBuf) -> Self {
        let (desk, bench, lab) = (Gateway::start(), Gateway::start(), Gateway::start());
        let family = gateway_of([worker("talk-1"), worker("talk-2")]).start(&["gateway", "talk-1", "talk-2"]);
        let stranger = part("other").child(worker("far-1")).child(worker("far-2"));
        let stranger = stranger.start(&["other", "far-1", "far-2"]);
        let place = Place::with(&format!(
            "[policy]\ngrace = \"0s\"\nworker_grace = \"0s\"\nclose_timeout = \"0s\"\nterm_timeout = \"1s\"\n\
             [audit]\nmax_bytes = 65536\nkeep = 9\n{}{}{}{}grace = \"5m\"\n",
            desk.section("desk"),
            worker_match(),
            bench.section("bench"),
            lab.section("lab"),
        ));
        for gateway in [&desk, &bench, &lab] {
            gateway.publish(&table(None, &[]));
            gateway.when_reaping(|_| Answer::reaped());
        }
        Self { place, faketime, desk, bench, lab, family, _stranger: stranger }
    }

    /// A run so many hours ago.
    fn once(&self, hours_ago: u32) -> Ran {
        let run = self.place.reaper(["once"]).env("LD_PRELOAD", &self.faketime);
        run.env("FAKETIME", format!("-{hours_ago}h")).env("FAKETIME_DONT_FAKE_MONOTONIC", "1").run()
    }

    fn desk(&self, rows: &[Value]) {
        self.desk.publish(&table(Some(pid(&self.family, "gateway")), rows));
    }

    /// Three weeks of it. A day is a run at midnight, in which the bench loses nine sessions, and one at noon.
    fn pass(&self) {
        let stays = |transport: &str| {
            let row = with(orphan_with("stay-1", pid(&self.family, "talk-2")), "key", json!("talk-2"));
            with(row, "transport", json!(transport))
        };
        let leaks = with(orphan_with("360e0f95", pid(&self.family, "talk-1")), "key", json!("talk-1"));
        for day in (1..=21_u32).rev() {
            let hours = day * 24;
            let kept = match day {
                10.. => stays("attached"),
                _ => with(stays("detached"), "holds", json!(["delegation"])),
            };
            match day {
                21 => self.desk(&[kept.clone(), with(leaks.clone(), "turn", json!("running"))]),
                20 => self.desk(&[kept.clone(), leaks.clone()]),
                _ => self.desk(std::slice::from_ref(&kept)),
            }
            let lost: Vec<Value> = (0..9).map(|number| orphan(&format!("b{day}-{number}"))).collect();
            self.bench.publish(&table(None, &lost));
            if day == 12 {
                self.lab.go_down();
            }
            let ran = self.once(hours);
            assert_eq!(ran.code, Some(if (11..=12).contains(&day) { 3 } else { 0 }), "day {day}: {ran:?}");
            if day == 11 {
                self.lab.come_back();
            }
            // One that its gateway could not close, for some hours.
            let broken = if day == 3 { vec![orphan("broken-1")] } else { Vec::new() };
            self.bench.on_reap("broken-1", Answer::Says(500, "no".into()));
            self.bench.publish(&table(None, &broken));
            if day == 20 {
                self.desk(&[kept]);
            }
            for hour in 0..if day == 3 { 3 } else { 1 } {
                let ran = self.once(hours - 12 - hour);
                assert_eq!(
                    ran.code,
                    Some(if day == 3 {
                        1
                    } else if day == 12 {
                        3
                    } else {
                        0
                    }),
                    "day {day}: {ran:?}"
                );
            }
        }
        self.lab.publish(&table(None, &[orphan("soon-1")]));
        assert_eq!(self.place.once([]).code, Some(0));
    }

    fn ask(&self, args: &[&str]) -> Ran {
        self.place.reaper(args.iter().copied()).run()
    }
}

fn assert_says(ran: &Ran, expected: &[&str]) {
    for words in expected {
        assert!(ran.out.contains(words), "{words:?} in\n{}\n{}", ran.out, ran.err);
    }
}

#[test]
fn each_question_has_its_answer_in_one_command() {
    let Some(faketime) = faketime() else { return };
    let weeks = Weeks::new(faketime);
    weeks.pass();
    let ask = |args: &[&str]| weeks.ask(args);

    // Why was it reaped, on what evidence, how much came back?
    let gone = weeks.family.pid("talk-1").to_string();
    for named in ["360e", "talk-1", gone.as_str()] {
        let told = ask(&["explain", named]);
        assert_says(
            &told,
            &[
                "session 360e0f95 of desk, key talk-1, worker ",
                "now: not there",
                "mid-turn (since 21d ago) -> reap orphaned",
                "20d ago ",
                "detached-session for 0s, 1 look, ",
                " of memory -> ",
                "SIGTERM to worker ",
                " back (run ",
            ],
        );
    }

    // Why is that one still there? Since when, and by whom is it kept?
    let stays = ask(&["explain", "stay-1"]);
    assert_says(
        &stays,
        &[
            "now: kept: held by its gateway: delegation; since 9d ago",
            "attached (since 21d ago) -> keep held",
        ],
    );
    let events = ask(&["--json", "explain", "stay-1"]).json()["subjects"][0]["events"].clone();
    let reasons: Vec<&str> =
        events.as_array().unwrap().iter().map(|event| event["to"]["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons.last(), Some(&"held"), "{events:#}");
    assert!(events.as_array().unwrap().len() <= 4, "changes, and not every look: {events:#}");

    // What goes in the next ten minutes?
    let due = ask(&["status", "--due", "10m", "--json"]);
    assert_eq!((due.subjects(), due.subject("soon-1")["verdict"].as_str()), (1, Some("wait")));
    let dry = ask(&["once", "--dry-run", "--json"]);
    assert_eq!(dry.subject("soon-1")["verdict"], "wait");
    assert!(dry.subject("soon-1")["remaining_s"].as_f64().unwrap() < 300.0);

    // How much this week? In all? Of one gateway?
    let totals = |args: &[&str]| ask(args).json()["totals"].clone();
    let week = totals(&["--json", "history", "--since", "7d"]);
    // The run of the seventh midnight is a moment more than seven days ago.
    assert_eq!((&week["reaped"], &week["failed"]), (&json!(6 * 9), &json!(3)), "{week}");
    let all = totals(&["--json", "history"]);
    assert_eq!((&all["reaped"], &all["failed"]), (&json!(21 * 9 + 1), &json!(3)), "{all}");
    assert!(all["reclaimed_bytes"].as_u64().unwrap() > 0);
    assert_eq!(totals(&["--json", "history", "--gateway", "desk"])["reaped"], 1);
    let told = ask(&["history", "--since", "7d"]);
    assert_says(&told, &["broken-1", "(x3 until 2d ago)", "54 reaped, 3 failed"]);

    // The log after a year: it is in several files by now, and all of them are read.
    assert!(weeks.place.path("state/audit.1.jsonl").exists(), "the log has rotated");

    // Is it still running, when was the last run, did it fail?
    let last: Value = serde_json::from_str(&weeks.place.read("state/last_run.json")).unwrap();
    assert_eq!((&last["result"], &last["runner"]), (&json!("ok"), &json!("once")), "{last:#}");
    let metrics = ask(&["metrics"]);
    assert_says(
        &metrics,
        &[
            "gateway_reaper_last_success_timestamp_seconds{gateway=\"lab\"}",
            "gateway_reaper_reaps_total{orphan=\"detached-session\",outcome=\"reaped\"} 190",
            "gateway_reaper_reaps_total{orphan=\"detached-session\",outcome=\"failed\"} 3",
            "gateway_reaper_runs_total{result=\"distrust\"} 3",
        ],
    );

    // What leaks that it can't or won't reap, and how large is it?
    assert_says(&ask(&["status"]), &["by reason: ", "1 held (", "1 orphaned"]);
    let doctor = ask(&["doctor"]);
    assert_says(
        &doctor,
        &["runner      once, last run ", "2 of these, ", " belong to process ", "which is no [[gateway]]"],
    );
    let programs: Value = ask(&["--json", "doctor"]).json();
    assert!(programs["checks"].as_array().unwrap().len() > 7 && programs["ok"].is_boolean());
    let home = weeks.place.path("hermes");
    for folder in ["cron", "logs", "memories", "sessions"] {
        std::fs::create_dir_all(home.join(folder)).unwrap();
    }
    assert!(ask(&["--json", "hermes", "status", "--home", home.to_str().unwrap()]).json().is_object());

    // Pause it; protect one.
    weeks.desk(&[orphan("keep-me"), orphan("other-1")]);
    assert_says(&ask(&["hold", "keep", "--for", "2d", "--why", "a demo"]), &["is held for 2d, until 20"]);
    assert_eq!(ask(&["pause", "1h"]).code, Some(0));
    assert_says(&ask(&["once"]), &["nothing is reaped: paused until 20", "held until 20", ": a demo"]);
    assert_eq!(ask(&["resume"]).code, Some(0));
    assert_eq!(ask(&["once"]).code, Some(0));
    assert_eq!(weeks.desk.reaps().last().map(String::as_str), Some("other-1"));

    // Look live.
    let live = Live::start(&weeks.place, 80);
    live.await_screen("it counts down", |screen| screen.contains("soon-1") && screen.contains("4m"));
    live.press("q");
    assert_eq!(live.left().0, Some(0));

    // Before it is deployed.
    assert_says(&ask(&["check"]), &["gateway lab", "grace                      \"5m\"", "line "]);
}
