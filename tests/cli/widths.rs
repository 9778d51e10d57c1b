//! Lines in a file, many sessions as sums, and the filters of `status`. What is seen on a terminal is in `screens`.

use serde_json::{Value, json};

use crate::gateway::{Answer, Gateway, orphan, table, with};
use crate::place::Place;
use crate::told::Names;

/// A desk with sessions of all sorts, of which two were reaped and one could not be.
fn scene() -> (Gateway, Place) {
    let gateway = Gateway::start();
    let attached = |id: &str| with(orphan(id), "transport", json!("attached"));
    let at_once = |id: &str| with(orphan(id), "close_on_disconnect", json!(true));
    let rows = [
        attached("20261123_005036_2bdafa"),
        with(
            orphan("held-1"),
            "holds",
            json!(["delegation", "approval", "background-process", "queued-prompt"]),
        ),
        with(orphan("odd-1"), "transport", json!("sideways")),
        orphan("patient-1"),
        at_once("gone-1"),
        at_once("broken-1"),
    ];
    gateway.publish(&table(None, &rows));
    gateway.on_reap("gone-1", Answer::reaped());
    gateway.on_reap("broken-1", Answer::Says(500, "no".into()));
    let down = "[[gateway]]\nname = \"other\"\nkind = \"http\"\nurl = \"http://127.0.0.1:9/sessions\"\n";
    let place = Place::with(&format!("[policy]\ngrace = \"1h\"\n{}{down}", gateway.section("desk")));
    (gateway, place)
}

#[test]
fn a_line_is_whole_in_a_file() {
    let (_gateway, place) = scene();
    let why = "a demo for the people of the third floor";
    assert_eq!(place.reaper(["hold", "patient", "--for", "1h", "--why", why]).run().code, Some(0));
    let whole = place.status([]).out;
    let held = "by hand: held until";
    assert!(
        whole
            .lines()
            .any(|line| line.contains("patient-1") && line.contains(held) && line.ends_with("third floor")),
        "{whole}"
    );
}

#[test]
fn two_hundred_sessions_are_summed_by_reason_unless_they_are_asked_for() {
    let gateway = Gateway::start();
    let mut rows: Vec<Value> =
        (0..150).map(|number| with(orphan(&format!("a-{number}")), "transport", json!("attached"))).collect();
    rows.extend((0..49).map(|number| orphan(&format!("w-{number}"))));
    rows.push(with(orphan("due-1"), "close_on_disconnect", json!(true)));
    gateway.publish(&table(None, &rows));
    let place = Place::with(&format!("[policy]\ngrace = \"1h\"\n{}", gateway.section("desk")));
    let status = place.status([]).out;
    let shown = Names::of(&place).plain(&status);
    assert_eq!(
        shown.lines().collect::<Vec<_>>(),
        [
            "configuration [dir]/reaper.toml, state [dir]/state",
            "desk: 200 sessions",
            "  due      session due-1                          -         -  detached and idle; the next run reaps it",
            "  wait     49 sessions: detached-session; the first is due in [span]",
            "  keep     150 sessions: attached",
            "1 due, 49 inside the grace, 150 left alone",
            "by reason: 150 attached, 50 orphaned",
        ]
    );
    assert!(place.once(["--dry-run"]).out.lines().count() < 8);
    assert_eq!(place.status(["-v"]).out.lines().count(), 204);
    assert_eq!(place.status(["--json"]).subjects(), 200, "a program gets all of them");
    assert_eq!(place.status(["--reason", "attached"]).out.lines().count(), 154);
}

#[test]
fn status_tells_what_is_asked_for_and_what_is_due_next_comes_first() {
    let (gateway, place) = scene();
    let ids = |args: &[&str]| -> Vec<String> {
        let ran = place.reaper(["status", "--json"].into_iter().chain(args.iter().copied())).run();
        let report = ran.json();
        let gateways = report["gateways"].as_array().unwrap().clone();
        let subjects = gateways.iter().flat_map(|gateway| gateway["subjects"].as_array().unwrap().clone());
        subjects.map(|subject| subject["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["--due"]), ["gone-1", "broken-1"]);
    assert_eq!(ids(&["--due", "2h"]), ["patient-1", "gone-1", "broken-1"]);
    assert_eq!(ids(&["--reason", "held", "--reason", "unknown-state"]), ["held-1", "odd-1"]);
    assert_eq!(ids(&["--gateway", "other"]), [""; 0]);
    let none = place.status(["--gateway", "desk", "--due", "--reason", "attached"]);
    assert_eq!(none.out.lines().skip(1).collect::<Vec<_>>(), ["nothing of that; 6 others are there"]);
    assert_eq!(ids(&["--gateway", "desk", "--reason", "attached"]), ["20261123_005036_2bdafa"]);
    let unknown = place.status(["--gateway", "dsk"]);
    assert!(unknown.code == Some(2) && unknown.err.contains("there is no gateway \"dsk\""), "{unknown:?}");
    assert!(unknown.err.ends_with("has desk, other\n"), "{unknown:?}");
    assert_eq!(place.status(["--reason", "atached"]).code, Some(2));
    let order: Vec<String> = place
        .status(["--gateway", "desk"])
        .out
        .lines()
        .filter_map(|line| {
            line.split_whitespace().nth(2).filter(|id| id.contains("-1")).map(ToOwned::to_owned)
        })
        .collect();
    assert_eq!(order, ["gone-1", "broken-1", "patient-1", "held-1", "odd-1"]);
    assert_eq!(place.reaper(["hold", "gone-1", "--for", "90m"]).run().code, Some(0));
    assert_eq!(ids(&["--due"]), ["broken-1"]);
    assert_eq!(ids(&["--due", "1h"]), ["patient-1", "broken-1"]);
    let of_a_day = ids(&["--due", "1d"]);
    assert!(of_a_day.len() == 3 && of_a_day.contains(&"gone-1".to_owned()), "{of_a_day:?}");
    let why = |id: &str| place.reaper(["explain", id]).run().out;
    assert!(why("gone-1").contains("; due as soon as that ends"), "{}", why("gone-1"));
    assert_eq!(gateway.reaps().len(), 0);
}

#[test]
fn an_error_is_said_once_and_not_on_every_line() {
    let (gateway, place) = scene();
    assert_eq!(place.once([]).code, Some(3));
    gateway.answer(Answer::Says(500, "broken".into()));
    let ran = place.status([]);
    assert_eq!(ran.out.matches("500 Internal Server Error").count(), 1, "{ran:?}");
}

#[test]
fn what_is_not_understood_is_json_where_json_is_asked_for() {
    let place = Place::new();
    for args in
        [&["--json", "frobnicate"][..], &["once", "--bad", "--json"], &["status", "--json", "--reason", "x"]]
    {
        let ran = place.reaper(args.iter().copied()).run();
        let error: Value = serde_json::from_str(&ran.err).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!((ran.code, ran.out.as_str(), &error["exit_code"]), (Some(2), "", &json!(2)));
        assert!(error["error"].as_str().unwrap().starts_with("error: "), "{error}");
    }
}

#[test]
fn verbose_says_what_was_looked_at_and_how_long_it_took() {
    let (_gateway, place) = scene();
    let ran = place.once(["-v"]);
    for expected in ["processes looked at", "session tables read", "gateways=2", "took=", "run finished"] {
        assert!(ran.err.contains(expected), "{expected} in {}", ran.err);
    }
    assert!(!place.once([]).err.contains("took="));
}
