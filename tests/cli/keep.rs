//! `[[keep]]`: what the configuration names is never reaped, or not until a time, and every report says so.

use serde_json::{Value, json};

use crate::gateway::{Answer, Gateway, orphan, table, with};
use crate::place::{Place, Ran};

const KEEPS: &str = "[[keep]]\nkey = \"talk-*\"\nuntil = 2999-01-01\nwhy = \"a demo\"\n\
                     [[keep]]\ngateway = \"desk\"\nsession = \"over-?\"\nuntil = \"2001-01-01\"\n";

fn ask<const N: usize>(place: &Place, args: [&str; N]) -> Ran {
    place.reaper(args).run()
}

fn place(gateway: &Gateway, grace: &str) -> Place {
    Place::with(&format!("[policy]\ngrace = \"{grace}\"\n{}{KEEPS}", gateway.section("desk")))
}

fn gateway() -> Gateway {
    let gateway = Gateway::start();
    let keyed = with(orphan("a"), "key", json!("talk-1"));
    let attached = with(with(orphan("b"), "key", json!("talk-2")), "transport", json!("attached"));
    gateway.publish(&table(None, &[keyed, attached, orphan("over-1"), orphan("talk")]));
    gateway.when_reaping(|_| Answer::reaped());
    gateway
}

#[test]
fn what_fits_is_kept_in_every_report_with_its_end_and_the_rest_is_reaped() {
    let gateway = gateway();
    let place = place(&gateway, "0s");
    let words = "[[keep]] in line 8 until 2999-01-01T00:00:00Z: a demo";
    for report in [place.status(["--json"]), place.once(["--json", "--dry-run"]), place.once(["--json"])] {
        let kept = report.subject("a");
        assert_eq!(
            (&kept["verdict"], &kept["reason"], &kept["detail"], &kept["by_hand"]),
            (&json!("keep"), &json!("held"), &json!(format!("by hand: {words}")), &json!(words))
        );
        let attached = report.subject("b");
        assert_eq!((&attached["reason"], &attached["by_hand"]), (&json!("attached"), &json!(words)));
        assert_eq!(report.subject("talk")["by_hand"], Value::Null, "talk-* is not talk");
    }
    let mut reaped = gateway.reaps();
    reaped.sort();
    assert_eq!(reaped, ["over-1", "talk"]);
    let human = place.status([]).out;
    let line =
        |id: &str| human.lines().find(|line| line.contains(&format!("session {id} "))).unwrap().to_owned();
    assert!(line("a").ends_with(&format!("by hand: {words}")), "{human}");
    assert!(line("b").ends_with(&format!("a client is attached; and by hand: {words}")), "{human}");
    let told = ask(&place, ["explain", "talk-2"]);
    assert!(told.out.contains(&format!("a client is attached; by hand: {words}")), "{told:?}");
}

#[test]
fn a_run_does_not_wait_for_what_is_kept() {
    let gateway = gateway();
    let place = place(&gateway, "5m");
    gateway.publish(&table(None, &[with(orphan("a"), "key", json!("talk-1"))]));
    let ran = place.once(["--wait", "1h", "--json"]);
    assert_eq!((ran.code, &ran.subject("a")["reason"]), (Some(0), &json!("held")), "{ran:?}");
}

#[test]
fn an_entry_that_is_over_is_said_by_check_and_doctor() {
    let gateway = gateway();
    let place = place(&gateway, "0s");
    let over = "[[keep]] in line 12 until 2001-01-01T00:00:00Z is over and keeps nothing any more";
    let check = ask(&place, ["check"]);
    assert!(check.out.ends_with(&format!("{over}\n")), "{check:?}");
    assert!(check.out.contains("keep[1].key") && check.out.contains("\"talk-*\""), "{check:?}");
    assert_eq!(ask(&place, ["--json", "check"]).json()["notes"], json!([over]));
    let checks = ask(&place, ["--json", "doctor"]).json();
    let keeps = checks["checks"].as_array().unwrap().iter().filter(|check| check["check"] == "keep");
    let keeps: Vec<_> = keeps.map(|check| (check["state"].clone(), check["detail"].clone())).collect();
    let in_force = json!("1 [[keep]] in force; the first ends 2999-01-01T00:00:00Z");
    assert_eq!(keeps, [(json!("warning"), json!(over)), (json!("ok"), in_force)]);
}
