//! The commands that answer an operator: `history`, `explain`, `check`, `doctor`. They change nothing.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::cast::{gateway_of, pid, worker, worker_match};
use crate::gateway::{Answer, Gateway, orphan, orphan_with, table, with};
use crate::place::{Place, Ran};

fn config(gateway: &Gateway) -> String {
    format!(
        "[policy]\ngrace = \"0s\"\nworker_grace = \"0s\"\nclose_timeout = \"0s\"\nterm_timeout = \"300ms\"\n{}{}",
        gateway.section("desk"),
        worker_match()
    )
}

fn ask<const N: usize>(place: &Place, args: [&str; N]) -> Ran {
    place.reaper(args).run()
}

/// Everything in the state directory, with when it was written.
fn state(place: &Place) -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
    let mut files: Vec<_> = fs::read_dir(place.path("state"))
        .into_iter()
        .flatten()
        .map(|file| {
            let path = file.unwrap().path();
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            (path.clone(), fs::read(&path).unwrap(), modified)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn what_was_reaped_is_told_with_its_evidence_by_id_beginning_key_and_pid() {
    let family = gateway_of([worker("talk-1")]).start(&["gateway", "talk-1"]);
    let gateway = Gateway::start();
    let row = with(orphan_with("360e0f95", pid(&family, "talk-1")), "key", json!("talk-1"));
    gateway
        .publish(&table(Some(pid(&family, "gateway")), &[row, with(orphan("other"), "holds", json!(["x"]))]));
    gateway.on_reap("360e0f95", Answer::reaped());
    let place = Place::with(&config(&gateway));
    assert_eq!(place.once([]).code, Some(0));
    gateway.publish(&table(Some(pid(&family, "gateway")), &[with(orphan("other"), "holds", json!(["x"]))]));
    assert_eq!(place.once([]).code, Some(0));

    let before = state(&place);
    let worker = pid(&family, "talk-1").to_string();
    for named in ["360e0f95", "360", "talk-1", worker.as_str()] {
        let ran = ask(&place, ["explain", named]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for expected in [
            "session 360e0f95 of desk, key talk-1",
            "now: not there",
            "detached-session",
            "1 look",
            "SIGTERM",
            "back",
        ] {
            assert!(ran.out.contains(expected), "{named}: {expected} in {}", ran.out);
        }
    }
    let kept = ask(&place, ["explain", "oth"]);
    assert!(kept.out.contains("now: kept: held by its gateway: x; since"), "{}", kept.out);
    let unknown = ask(&place, ["explain", "nobody"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (Some(2), ""), "{unknown:?}");
    let told = ask(&place, ["--json", "explain", "360e0f95"]).json();
    assert_eq!(told["subjects"][0]["acts"][0]["outcome"], "reaped");
    assert_eq!(told["subjects"][0]["now"], Value::Null);

    let history = ask(&place, ["history", "--since", "1h"]);
    assert!(history.out.contains("reaped") && history.out.contains("360e0f95"), "{history:?}");
    assert!(history.out.lines().last().unwrap().starts_with("1 reaped; "), "{history:?}");
    let elsewhere = ask(&place, ["history", "--gateway", "nowhere"]);
    assert_eq!(elsewhere.out, "nothing was due\n");
    let json = ask(&place, ["--json", "history"]).json();
    assert_eq!((&json["totals"]["reaped"], &json["acts"][0]["id"]), (&json!(1), &json!("360e0f95")));
    assert_eq!(state(&place), before, "they changed something");
}

#[test]
fn damaged_lines_are_said_and_passed_over() {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("a")]));
    gateway.on_reap("a", Answer::reaped());
    let place = Place::with(&config(&gateway));
    assert_eq!(place.once([]).code, Some(0));
    let good = place.read("state/audit.jsonl");
    place.write("state/audit.1.jsonl", format!("{{\"time\":\n\u{0}\u{0}{good}not JSON\n"));
    let ran = ask(&place, ["history"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("2 damaged lines") && ran.out.ends_with("1 reaped\n"), "{ran:?}");
}

#[test]
fn check_shows_every_key_with_its_value_and_where_it_comes_from_and_asks_no_gateway() {
    let gateway = Gateway::start();
    let place = Place::with(&config(&gateway));
    let ran = ask(&place, ["check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for expected in
        ["grace                      \"0s\"                     line 2", "max_reaps", "default", "audit.keep"]
    {
        assert!(ran.out.contains(expected), "{expected:?} in {}", ran.out);
    }
    let keys = ask(&place, ["--json", "check"]).json();
    let desk =
        keys["settings"].as_array().unwrap().iter().find(|settings| settings["gateway"] == "desk").unwrap();
    let grace = desk["keys"].as_array().unwrap().iter().find(|key| key["key"] == "worker_grace").unwrap();
    assert_eq!((&grace["from"], &grace["line"]), (&json!("file"), &json!(3)));
    assert_eq!(gateway.asked().len(), 0);
    assert!(!place.path("state").exists(), "it made a state directory");
    place.write("reaper.toml", "[polcy]\n");
    assert_eq!(ask(&place, ["check"]).code, Some(2));
}

#[test]
fn doctor_says_what_is_wrong_and_what_to_do_about_it() {
    let family = gateway_of([worker("k1")]).start(&["gateway", "k1"]);
    let gateway = Gateway::start();
    let row =
        with(with(orphan_with("s1", pid(&family, "k1")), "key", json!("k1")), "transport", json!("attached"));
    gateway.publish(&table(Some(pid(&family, "gateway")), &[row]));
    let place = Place::with(&config(&gateway));
    let state_of = |ran: &Ran, check: &str| {
        let checks = ran.json()["checks"].as_array().unwrap().clone();
        let found = checks
            .iter()
            .find(|found| found["check"] == check)
            .unwrap_or_else(|| panic!("no {check} in {checks:#?}"));
        assert!(found["state"] == "ok" || found["fix"].is_string(), "{found}");
        found["state"].as_str().unwrap().to_owned()
    };
    let ran = ask(&place, ["--json", "doctor"]);
    assert_eq!((ran.code, state_of(&ran, "runner").as_str()), (Some(0), "warning"), "{ran:?}");
    assert!(!place.path("state").exists(), "it made a state directory");
    assert_eq!(place.once([]).code, Some(0));
    let ran = ask(&place, ["--json", "doctor"]);
    for check in ["config", "gateway", "workers", "signals", "processes", "pidfds", "state", "runner"] {
        assert_eq!(state_of(&ran, check), "ok", "{}", ran.out);
    }
    assert_eq!((ran.code, &ran.json()["ok"]), (Some(0), &json!(true)));
    gateway.go_down();
    let ran = ask(&place, ["doctor"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("✗ gateway") && ran.out.contains("Fix: start the gateway"), "{}", ran.out);
    place.write("reaper.toml", "[polcy]\n");
    let ran = ask(&place, ["doctor"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.starts_with("✗ config"), "{}", ran.out);
}

#[test]
fn what_is_held_or_paused_by_hand_is_kept_and_every_report_says_so_until_it_is_released() {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("abc-1"), orphan("abd-2")]));
    gateway.when_reaping(|_| Answer::reaped());
    let place = Place::with(&config(&gateway));
    let held = ask(&place, ["hold", "abc", "--for", "2d", "--why", "a demo"]);
    assert_eq!(
        (held.code, held.out.as_str()),
        (Some(0), "session abc-1 of desk is held for 2days\n"),
        "{held:?}"
    );
    assert_eq!(ask(&place, ["hold", "ab", "--for", "1h"]).code, Some(2), "which of the two?");
    assert_eq!(ask(&place, ["pause", "1h"]).code, Some(0));
    for report in [place.once(["--json"]), place.status(["--json"])] {
        for id in ["abc-1", "abd-2"] {
            let subject = report.subject(id);
            assert_eq!(
                (&subject["verdict"], &subject["reason"]),
                (&json!("keep"), &json!("held")),
                "{subject}"
            );
            assert!(subject["detail"].as_str().unwrap().starts_with("by hand: "), "{subject}");
        }
    }
    assert_eq!(gateway.reaps().len(), 0);
    assert_eq!(ask(&place, ["resume"]).code, Some(0));
    let ran = place.once(["--json"]);
    assert_eq!(ran.subject("abd-2")["outcome"], "reaped");
    assert!(ran.subject("abc-1")["detail"].as_str().unwrap().ends_with(": a demo"), "{ran:?}");
    assert_eq!(gateway.reaps(), ["abd-2"]);
    assert_eq!(ask(&place, ["release", "abc"]).code, Some(0));
    place.write("state/holds.json", "{\"version\":1,");
    assert!(place.once([]).out.contains("can't be understood"), "what can't be read forbids everything");
    assert_eq!(gateway.reaps(), ["abd-2"]);
    fs::remove_file(place.path("state/holds.json")).unwrap();
    place.once([]);
    assert!(gateway.reaps().contains(&"abc-1".to_owned()), "{:?}", gateway.reaps());
}
