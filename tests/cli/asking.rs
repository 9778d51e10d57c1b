//! The commands that answer an operator: `history`, `explain`, `check`, `doctor`. They change nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::cast::{gateway_of, pid, worker, worker_match};
use crate::gateway::{Answer, Gateway, orphan, orphan_with, table, with};
use crate::place::{Place, Ran};
use crate::privileges::powerless;

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
    assert!(
        elsewhere.code == Some(2) && elsewhere.err.contains("there is no gateway \"nowhere\""),
        "{elsewhere:?}"
    );
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
    // A line of the first versions, which said less, and one of a later version, which says more.
    let old = r#"{"time":"2026-01-01T00:00:00Z","run":"r0","gateway":"desk","subject":{"kind":"session","id":"old-1"},"outcome":"reaped"}"#;
    let new = old.replace("old-1", "new-1").replace("r0", "r1").replace('{', r#"{"colour":["blue"],"#);
    place.write("state/audit.1.jsonl", format!("{old}\n{new}\n"));
    for id in ["old-1", "new-1"] {
        let ran = ask(&place, ["explain", id]);
        assert!(ran.code == Some(0) && ran.out.contains("-> reaped (run r"), "{ran:?}");
        assert!(!ran.err.contains("damaged"), "{ran:?}");
    }
}

#[test]
fn last_run_json_is_written_by_every_run_whatever_it_found() {
    let gateway = Gateway::start();
    let place = Place::with(&config(&gateway));
    let last_run = || serde_json::from_str::<Value>(&place.read("state/last_run.json")).unwrap();
    assert_eq!(place.once([]).code, Some(0));
    let nothing = last_run();
    assert_eq!((&nothing["result"], &nothing["gateways"][0]["table"]), (&json!("ok"), &json!("ok")));
    gateway.answer(Answer::Says(500, "broken".into()));
    assert_eq!(place.once([]).code, Some(3));
    let unread = last_run();
    assert_eq!((&unread["result"], &unread["gateways"][0]["table"]), (&json!("distrust"), &json!("refused")));
    assert_ne!(unread["run"], nothing["run"]);
    assert_eq!(unread["gateways"][0]["last_success"], nothing["gateways"][0]["last_success"]);
    gateway.publish(&table(None, &[orphan("a")]));
    gateway.on_reap("a", Answer::Says(500, "no".into()));
    assert_eq!(place.once(["--dry-run"]).code, Some(0));
    assert_eq!(last_run()["dry_run"], true);
    assert_eq!(place.once([]).code, Some(1));
    assert_eq!((&last_run()["result"], &last_run()["gateways"][0]["failed"]), (&json!("failed"), &json!(1)));
    assert_eq!(last_run()["counters"]["runs"], json!({ "ok": 2, "distrust": 1, "failed": 1 }));
}

#[test]
fn status_counts_down_by_the_memory_of_the_run_that_looked_last() {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("a")]));
    let place = Place::with(&format!("[policy]\ngrace = \"1h\"\n{}", gateway.section("desk")));
    let remaining = || place.status(["--json"]).subject("a")["remaining_s"].as_f64().unwrap();
    assert!(remaining() > 3599.0, "without a memory nothing has passed");
    let watch = place.reaper(["watch", "--interval", "100ms"]).start();
    watch.eventually("time passes in status, too", || remaining() < 3599.0);
    watch.signal(rustix::process::Signal::TERM);
    assert_eq!(watch.end().code, Some(0));
    let before = remaining();
    assert_eq!(place.once([]).code, Some(0));
    assert!(remaining() < before);
}

#[test]
fn changes_of_verdict_are_written_once_and_never_more_than_two_files_of_them() {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[with(orphan("a"), "transport", json!("attached"))]));
    let place = Place::with(&config(&gateway));
    assert_eq!(place.once([]).code, Some(0));
    gateway.publish(&table(None, &[with(orphan("a"), "holds", json!(["x"]))]));
    for _ in 0..3 {
        assert_eq!(place.once([]).code, Some(0));
    }
    let events = place.read("state/events.jsonl");
    let of_it = events.lines().filter(|line| line.contains("session a"));
    assert_eq!(of_it.count(), 1, "{events}");
    let line = events.lines().find(|line| line.contains("session a")).unwrap();
    let other = line.replace("session a", "session long-ago") + "\n";
    place.write("state/events.jsonl", other.repeat((4 << 20) / other.len() + 1));
    place.write("state/events.1.jsonl", line.replace("session a", "session too-long-ago") + "\n");
    gateway.publish(&table(None, &[with(orphan("a"), "turn", json!("running"))]));
    assert_eq!(place.once([]).code, Some(0));
    let files = fs::read_dir(place.path("state")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("events")).collect();
    names.sort();
    assert_eq!(names, ["events.1.jsonl", "events.jsonl"]);
    assert!(place.read("state/events.jsonl").len() < 4096);
    assert_eq!(ask(&place, ["explain", "too-long-ago"]).code, Some(2));
    for id in ["a", "long-ago"] {
        assert_eq!(ask(&place, ["explain", id]).code, Some(0), "{id}");
    }
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

/// As a load balancer does that has several processes behind it.
#[test]
fn doctor_says_that_several_runs_of_a_gateway_answer_in_turn() {
    let gateway = Gateway::start();
    let place = Place::with(&config(&gateway));
    let of = |instance: &str| {
        let mut table = table(None, &[]);
        table["gateway"]["instance"] = json!(instance);
        Answer::json(&table)
    };
    gateway.answer(of("run-1"));
    assert!(!ask(&place, ["doctor"]).out.contains("instance"));
    gateway.answer(Answer::in_turn([of("run-1"), of("run-2")]));
    let ran = ask(&place, ["doctor"]);
    assert!(ran.out.contains("! instance    desk: 4 answers came from 2 runs of it"), "{ran:#?}");
    assert!(
        ran.out.contains("Fix: have all processes that serve the same sessions tell one instance"),
        "{ran:#?}"
    );
}

#[test]
fn what_is_held_or_paused_by_hand_is_kept_and_every_report_says_so_until_it_is_released() {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("abc-1"), orphan("abd-2")]));
    gateway.when_reaping(|_| Answer::reaped());
    let place = Place::with(&config(&gateway));
    let held = ask(&place, ["hold", "abc", "--for", "2d", "--why", "a demo"]);
    assert!(held.out.starts_with("session abc-1 of desk is held for 2d, until 20"), "{held:?}");
    assert_eq!(ask(&place, ["hold", "ab", "--for", "1h"]).code, Some(2), "which of the two?");
    assert_eq!(ask(&place, ["pause", "1h"]).code, Some(0));
    let list = ask(&place, ["hold"]).out;
    for expected in
        ["held    abc-1 of desk  for ", " more, until 20", "Z: a demo\n", "paused  everything  for "]
    {
        assert!(list.contains(expected), "{expected:?} in {list}");
    }
    assert_eq!(ask(&place, ["hold", "--json"]).json()["holds"][0]["name"], "abc-1");
    for nothing in [&["hold", "abc", "--for", "0s"][..], &["pause", "0s"]] {
        let ran = place.reaper(nothing.iter().copied()).run();
        assert!(ran.code == Some(2) && ran.err.contains("`release` ends a hold"), "{ran:?}");
    }
    let how_long = ask(&place, ["hold", "abc"]);
    assert!(how_long.code == Some(2) && how_long.err.contains("--for <DURATION>"), "{how_long:?}");
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
    assert_eq!(ask(&place, ["hold", "abd", "--for", "1m"]).code, Some(0));
    let several = ask(&place, ["release", "ab"]);
    assert!(several.code == Some(2) && several.err.contains("abc-1, abd-2"), "{several:?}");
    let unknown = ask(&place, ["release", "xyz"]);
    assert!(unknown.code == Some(2) && unknown.err.ends_with("held: abc-1, abd-2\n"), "{unknown:?}");
    for held in ["abc", "abd-2"] {
        assert_eq!(ask(&place, ["release", held]).code, Some(0));
    }
    place.write("state/holds.json", "{\"version\":1,");
    assert!(place.once([]).out.contains("can't be understood"), "what can't be read forbids everything");
    // A line of cron says so, too.
    let quiet = ask(&place, ["-q", "once"]);
    assert!(
        quiet.err.contains("nothing is reaped as long as") && quiet.err.contains("holds.json"),
        "{quiet:?}"
    );
    assert_eq!(gateway.reaps(), ["abd-2"]);
    fs::remove_file(place.path("state/holds.json")).unwrap();
    place.once([]);
    assert!(gateway.reaps().contains(&"abc-1".to_owned()), "{:?}", gateway.reaps());
}

#[test]
fn doctor_says_who_listens_at_a_gateways_address_and_whether_that_is_the_gateway() {
    let gateway = Gateway::start();
    let place = Place::with(&gateway.section("desk"));
    let told = || {
        let checks = ask(&place, ["--json", "doctor"]).json()["checks"].as_array().unwrap().clone();
        let found = checks.iter().find(|found| found["check"] == "listener").expect("a check").clone();
        (found["state"].as_str().unwrap().to_owned(), found["detail"].as_str().unwrap().to_owned())
    };
    // This process listens.
    let (own, at) = (std::process::id(), format!("listens at 127.0.0.1:{}", gateway.port()));
    let (state, detail) = told();
    assert_eq!(state, "ok", "{detail}");
    assert!(detail.starts_with(&format!("desk: process {own} (")) && detail.ends_with(&at), "{detail}");
    gateway.publish(&table(Some(own), &[]));
    let (state, detail) = told();
    assert_eq!(state, "ok", "{detail}");
    assert!(
        detail.contains(" of user ") && detail.ends_with(&format!("{at}, which is the gateway")),
        "{detail}"
    );
    let family = gateway_of([worker("k1")]).start(&["gateway", "k1"]);
    let other = pid(&family, "gateway");
    gateway.publish(&table(Some(other), &[]));
    let (state, detail) = told();
    assert_eq!(state, "warning", "{detail}");
    assert!(
        detail.ends_with(&format!("{at}, and not process {other}, which is taken for the gateway")),
        "{detail}"
    );
}

#[test]
fn what_is_held_by_its_conversation_key_is_released_by_it() {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[with(orphan("abc-1"), "key", json!("talk-1"))]));
    let place = Place::with(&config(&gateway));
    assert_eq!(ask(&place, ["hold", "talk", "--for", "1h"]).code, Some(0));
    assert!(ask(&place, ["hold"]).out.starts_with("held    abc-1 (talk-1) of desk  for "));
    let released = ask(&place, ["release", "talk"]);
    assert!(
        released.out.starts_with("abc-1 is held no more; the next run decides as before\n"),
        "{released:?}"
    );
    assert_eq!(ask(&place, ["hold"]).out, "nothing is held, paused or kept by hand\n");
}

#[test]
fn explain_knows_what_was_seen_before_a_table_could_not_be_read_and_names_a_gateway() {
    let family = gateway_of([]).start(&["gateway"]);
    let gateway = Gateway::start();
    let row = with(with(orphan("abc-1"), "key", json!("talk-1")), "transport", json!("attached"));
    gateway.publish(&table(Some(pid(&family, "gateway")), &[row]));
    let place = Place::with(&config(&gateway));
    assert_eq!(place.once([]).code, Some(0));
    let process = pid(&family, "gateway").to_string();
    let named = ask(&place, ["explain", &process]);
    assert!(
        named.code == Some(2) && named.err.contains(&format!("process {process} is the gateway desk")),
        "{named:?}"
    );
    gateway.go_down();
    assert_eq!(place.once([]).code, Some(3));
    for named in ["abc", "talk-1"] {
        let ran = ask(&place, ["explain", named]);
        let expected = "now: not known: its gateway's table can't be read; before: keep attached, a client is attached; since ";
        assert!(ran.code == Some(0) && ran.out.contains(expected), "{ran:?}");
    }
    // A report that has it says it once, and stderr not again.
    for command in ["status", "doctor"] {
        let ran = ask(&place, [command]);
        assert_eq!((ran.out.matches("nothing listens at").count(), ran.err.as_str()), (1, ""), "{ran:?}");
    }
}

#[test]
fn why_one_is_still_there_is_told_with_its_clients_its_last_activity_and_when_it_would_be_due() {
    let gateway = Gateway::start();
    let active = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 3 * 3600 - 60;
    let attached = with(orphan("talk-1"), "transport", json!("attached"));
    let told = with(with(attached.clone(), "clients", json!(2)), "last_active", json!(active));
    let held = with(with(orphan("held-1"), "holds", json!(["delegation"])), "clients", json!(0));
    // What isn't said, or makes no sense, is not told.
    let odd = with(with(attached, "clients", json!("many")), "last_active", json!(-1));
    let odd = with(with(odd, "id", json!("odd-1")), "key", json!("odd-1"));
    gateway.publish(&table(None, &[told, held, odd]));
    let place = Place::with(&format!("[policy]\ngrace = \"20s\"\n{}", gateway.section("desk")));
    assert_eq!(place.once([]).code, Some(0));
    let explained = |id: &str| ask(&place, ["explain", id]).out;
    let talk = explained("talk-1");
    assert!(talk.contains("now: kept: 2 clients are attached; since "), "{talk}");
    assert!(talk.contains("; last active 3h 1m ago; due 20s after that ends"), "{talk}");
    let held = explained("held-1");
    assert!(
        held.contains("held by its gateway: delegation; since ")
            && held.contains("; no client is attached; "),
        "{held}"
    );
    let odd = explained("odd-1");
    assert!(odd.contains("now: kept: a client is attached; since ") && !odd.contains("last active"), "{odd}");
    let status = place.status([]).out;
    assert!(status.contains("  2 clients are attached; last active 3h 1m ago\n"), "{status}");
    let told = place.status(["--json"]).subject("talk-1").clone();
    assert_eq!(told["clients"], 2, "{told}");
    assert!(told["last_active_ago_s"].as_f64().unwrap() > 10_000.0 && told["since"].is_string(), "{told}");
}

#[test]
fn a_pause_is_said_also_where_nothing_is_there_or_all_of_it_is_held() {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[]));
    let place = Place::with(&config(&gateway));
    assert_eq!(ask(&place, ["pause", "1h"]).code, Some(0));
    let says_so = |ran: Ran| assert!(ran.out.contains("nothing is reaped: paused until 20"), "{ran:?}");
    [place.status([]), place.once([])].into_iter().for_each(says_so);
    gateway.publish(&table(None, &[orphan("abc-1")]));
    assert_eq!(ask(&place, ["hold", "abc", "--for", "1h"]).code, Some(0));
    [place.status([]), place.once([])].into_iter().for_each(says_so);
    gateway.go_down();
    [place.status([]), place.once([])].into_iter().for_each(says_so);
    assert!(
        ask(&place, ["--json", "status"]).json()["paused"].as_str().unwrap().starts_with("paused until 20")
    );
    let checks = ask(&place, ["doctor"]).out;
    assert!(checks.contains("paused until 20"), "{checks}");
}

#[test]
fn doctor_takes_what_listens_for_the_gateway_of_a_table_that_names_no_process() {
    // This process listens, and the worker is its child.
    let family = worker("k1").start(&["k1"]);
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[]));
    let place = Place::with(&config(&gateway));
    let ran = ask(&place, ["doctor"]);
    assert!(ran.out.contains("worker.match fits 1 process of it"), "{ran:?}");
    assert!(!ran.out.contains("which is no [[gateway]]"), "{ran:?}");
    // Of another gateway's workers it is said once.
    let another = gateway_of([worker("k2")]).start(&["gateway", "k2"]);
    let ran = ask(&place, ["doctor"]);
    let says = format!(", belong to process {}, which is no [[gateway]]", pid(&another, "gateway"));
    assert!(ran.out.contains("! workers     1 of these, ") && ran.out.contains(&says), "{ran:?}");
    drop(family);
}

#[test]
fn doctor_says_that_worker_match_takes_the_gateway_itself() {
    let gateway = Gateway::start();
    let itself = worker("k1").start(&["k1"]);
    gateway.publish(&table(Some(pid(&itself, "k1")), &[]));
    const SAYS: &str = "worker.match fits the gateway's own process";
    let place = Place::with(&config(&gateway));
    let ran = ask(&place, ["doctor"]);
    assert!(ran.out.contains(SAYS) && ran.out.contains("under [gateway.process]"), "{ran:?}");
    let described = format!("{}[gateway.process]\nmatch = 'something else'\n", config(&gateway));
    let ran = ask(&Place::with(&described), ["doctor"]);
    assert!(!ran.out.contains(SAYS), "{ran:?}");
}

/// What the program says of a state directory that its user can't read.
#[test]
fn what_can_t_be_read_for_lack_of_permission_is_said_as_that_with_its_remedy() {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("abc-1")]));
    gateway.on_reap("abc-1", Answer::reaped());
    let place = Place::with(&config(&gateway));
    assert_eq!(place.once([]).code, Some(0));
    gateway.publish(&table(None, &[orphan("abc-2")]));
    let set = |mode| fs::set_permissions(place.path("state"), Permissions::from_mode(mode)).unwrap();
    set(0o000);
    let ask = |args: &[&str]| powerless(&place, args.iter().copied()).run();
    let (status, doctor, history) = (ask(&["status"]), ask(&["doctor"]), ask(&["history"]));
    let json = ask(&["--json", "history"]);
    let pause = ask(&["pause", "1h"]);
    set(0o700);
    assert!(pause.code != Some(0) && !pause.err.contains("no run was ever made"), "{pause:?}");
    let holds = place.state("holds.json");
    let says = format!("{} can't be read (Permission denied (os error 13))", holds.display());
    let remedy = "ask as the user whose runs these are";
    for ran in [&status, &doctor] {
        assert!(ran.out.contains(&says) && ran.out.contains(remedy), "{says}: {ran:?}");
        assert!(!ran.out.contains("understood") && !ran.out.contains("paused by hand"), "{ran:?}");
    }
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(
        doctor.out.contains("when the last run was can't be read") && doctor.code == Some(1),
        "{doctor:?}"
    );
    for ran in [&history, &json] {
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.err.contains("the audit log can't be read: Permission denied"), "{ran:?}");
    }
    // What of it can be read is told.
    place.write("state/audit.1.jsonl", "");
    fs::set_permissions(place.path("state/audit.1.jsonl"), Permissions::from_mode(0o000)).unwrap();
    let ran = ask(&["history"]);
    assert!(ran.code == Some(1) && ran.out.ends_with("1 reaped\n"), "{ran:?}");
}

#[test]
fn a_session_that_no_table_lists_just_now_is_held_by_its_whole_name() {
    let gateway = Gateway::start();
    let place =
        Place::with(&config(&gateway).replace("[policy]\ngrace = \"0s\"", "[policy]\ngrace = \"1h\""));
    for id in ["1", "12"] {
        gateway.publish(&table(None, &[with(orphan(id), "key", json!(format!("talk-{id}")))]));
        place.once([]);
    }
    // Its name is the beginning of another one that is listed.
    let gone = ask(&place, ["hold", "1", "--for", "1h"]);
    assert!(gone.code == Some(0) && gone.out.starts_with("session 1 of desk is held"), "{gone:?}");
    assert!(gone.out.contains("no table lists it now"), "{gone:?}");
    gateway.answer(Answer::Says(503, "{}".into()));
    let held = ask(&place, ["hold", "talk-12", "--for", "1h"]);
    assert!(held.code == Some(0) && held.out.starts_with("session 12 of desk is held"), "{held:?}");
    let unknown = ask(&place, ["hold", "123", "--for", "1h"]);
    assert!(unknown.code == Some(2) && unknown.err.contains("nothing is known of \"123\""), "{unknown:?}");
    gateway.publish(&table(None, &[with(orphan("12"), "key", json!("talk-12"))]));
    let listed = place.once(["--json"]);
    assert!(listed.subject("12")["detail"].as_str().unwrap().starts_with("by hand: "), "{listed:?}");
}

#[test]
fn of_two_gateways_with_one_session_id_the_one_that_is_meant_is_named_by_its_gateway() {
    let gateways = [Gateway::start(), Gateway::start()];
    for gateway in &gateways {
        gateway.publish(&table(None, &[orphan("s1")]));
        gateway.on_reap("s1", Answer::reaped());
    }
    let sections = gateways.iter().zip(["desk", "pane"]).map(|(gateway, name)| gateway.section(name));
    let place = Place::with(&format!("[policy]\ngrace = \"0s\"\n{}", sections.collect::<String>()));
    let which = ask(&place, ["hold", "s1", "--for", "1h"]);
    let says = "session s1 of desk, session s1 of pane; write more of the one that is meant, or name its gateway: --gateway NAME";
    assert!(which.code == Some(2) && which.err.contains(says), "{which:?}");
    let none = ask(&place, ["hold", "s1", "--for", "1h", "--gateway", "table"]);
    assert!(none.code == Some(2) && none.err.contains("there is no gateway \"table\""), "{none:?}");
    let held = ask(&place, ["hold", "s1", "--for", "1h", "--gateway", "pane"]);
    assert!(held.code == Some(0) && held.out.starts_with("session s1 of pane is held"), "{held:?}");
    let told = ask(&place, ["explain", "s", "--gateway", "pane"]);
    assert!(told.code == Some(0) && told.out.starts_with("session s1 of pane"), "{told:?}");
    assert_eq!(place.once([]).code, Some(0));
    assert_eq!([&gateways[0], &gateways[1]].map(|gateway| gateway.reaps().len()), [1, 0]);
    let elsewhere = ask(&place, ["release", "s1", "--gateway", "desk"]);
    assert!(elsewhere.code == Some(2) && elsewhere.err.contains("held: s1"), "{elsewhere:?}");
    assert_eq!(ask(&place, ["release", "s1", "--gateway", "pane"]).code, Some(0));
}

#[test]
fn a_worker_that_is_judged_with_a_session_is_explained_with_it_and_can_be_held() {
    let nested = gateway_of([worker("k1").child(worker("k2"))]).start(&["gateway", "k1", "k2"]);
    let gateway = Gateway::start();
    let row = |transport| {
        let row = with(orphan_with("s1", pid(&nested, "k1")), "key", json!("k1"));
        table(Some(pid(&nested, "gateway")), &[with(row, "transport", json!(transport))])
    };
    gateway.publish(&row("attached"));
    gateway.on_reap("s1", Answer::reaped());
    let place = Place::with(&config(&gateway));
    assert_eq!(place.once(["--json"]).subjects(), 1);
    let process = pid(&nested, "k2");
    for named in ["k2", &process.to_string()] {
        let told = ask(&place, ["explain", named]);
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(told.out.starts_with("session s1 of desk, key k1, worker "), "{told:?}");
        let says =
            format!("\n  process {process}, key k2, is judged with it\n  now: kept: a client is attached");
        assert!(told.out.contains(&says), "{told:?}");
        let json = ask(&place, ["--json", "explain", named]).json();
        assert_eq!(json["subjects"][0]["asked_for_by"], json!({ "worker_pid": process, "key": "k2" }));
        let held = ask(&place, ["hold", named, "--for", "1h"]);
        let says = "; it is judged with session s1, which is kept with it";
        assert!(held.code == Some(0) && held.out.starts_with("worker k2 of desk is held for 1h"), "{held:?}");
        assert!(held.out.contains(says), "{held:?}");
        gateway.publish(&row("detached"));
        let kept = place.once(["--json"]);
        assert_eq!((&kept.subject("s1")["verdict"], gateway.reaps().len()), (&json!("keep"), 0), "{kept:?}");
        gateway.publish(&row("attached"));
        assert_eq!(ask(&place, ["release", named]).code, Some(0));
        assert_eq!(place.once(["--json"]).subjects(), 1);
    }
    gateway.publish(&row("detached"));
    assert_eq!(place.once(["--json"]).subject("s1")["outcome"], "reaped");
}

/// A tree without an owner is judged with its root.
#[test]
fn a_worker_that_is_judged_with_the_worker_above_it_is_explained_with_that() {
    let nested = gateway_of([worker("k1").child(worker("k2"))]).start(&["gateway", "k1", "k2"]);
    let gateway = Gateway::start();
    gateway.publish(&table(Some(pid(&nested, "gateway")), &[]));
    let place = Place::with(&config(&gateway).replace("worker_grace = \"0s\"", "worker_grace = \"1h\""));
    assert_eq!(place.once(["--json"]).subjects(), 1);
    let told = ask(&place, ["explain", "k2"]);
    assert!(told.code == Some(0) && told.out.starts_with("worker k1 of desk"), "{told:?}");
    assert!(told.out.contains(", key k2, is judged with it"), "{told:?}");
}
