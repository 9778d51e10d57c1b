//! Tables that can't be read or trusted, one by one: exit code 3, the reason, and nothing that depends on them is touched.

use std::sync::Arc;

use serde_json::json;

use crate::cast::{gateway_of, pid, worker, worker_match};
use crate::gateway::{Answer, Gateway, orphan, orphan_with, table, with};
use crate::place::Place;
use crate::told::Names;

fn http(head: &str, body: &str) -> Answer {
    Answer::Raw(format!("{head}\r\nconnection: close\r\n\r\n{body}").into_bytes())
}

#[test]
fn every_table_that_is_refused_or_unreachable_says_why_and_touches_nothing() {
    let gateway = Gateway::start();
    let good = table(None, &[orphan("a")]);
    let place = Place::with(
        &format!("[policy]\ngrace = \"0s\"\n{}max_table_bytes = 2000\n", gateway.section("desk"))
            .replace("\"2s\"", "\"4s\""),
    );
    let names = Names::of(&place).call(format!(":{}", gateway.port()), ":port");
    let body = |value: serde_json::Value| Answer::json(&value);
    let cases = [
        ("not JSON", Answer::Says(200, "<html>".into())),
        ("empty", Answer::Says(200, String::new())),
        ("truncated", Answer::Says(200, good.to_string()[..40].into())),
        ("an array", Answer::Says(200, "[]".into())),
        ("another version", body(with(good.clone(), "version", json!(2)))),
        ("a version as text", body(with(good.clone(), "version", json!("1")))),
        ("no version", body(json!({ "gateway": {}, "sessions": [] }))),
        ("no sessions", body(json!({ "version": 1, "gateway": {} }))),
        ("null sessions", body(json!({ "version": 1, "gateway": {}, "sessions": null }))),
        ("a row without id", body(table(None, &[json!({ "transport": "detached", "turn": "idle" })]))),
        ("a duplicate id", body(table(None, &[orphan("a"), orphan("a")]))),
        ("a gateway's pid as text", body(with(good.clone(), "gateway", json!({ "pid": "7" })))),
        ("a negative pid", body(with(good.clone(), "gateway", json!({ "pid": -7 })))),
        ("pid 0", body(with(good.clone(), "gateway", json!({ "pid": 0 })))),
        ("two documents", Answer::Says(200, format!("{good}{good}"))),
        ("too large", Answer::Says(200, format!("{good}{}", " ".repeat(3000)))),
        ("404", Answer::Says(404, "not here".into())),
        ("401", Answer::Says(401, "{}".into())),
        ("500", Answer::Says(500, "\u{1b}[31mboom\u{1b}[0m".into())),
        ("204", Answer::Raw(b"HTTP/1.1 204 -\r\nconnection: close\r\n\r\n".to_vec())),
        ("redirected", http("HTTP/1.1 302 -\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0", "")),
        ("cut short", http("HTTP/1.1 200 -\r\ncontent-length: 900", "{\"version\"")),
        ("not HTTP", Answer::Raw(b"SSH-2.0-x\r\n".to_vec())),
        ("closed", Answer::Nothing),
        ("hanging", Answer::Hangs),
    ];
    let mut said = String::new();
    for (what, answer) in cases {
        gateway.answer(answer);
        let ran = place.once([]);
        assert_eq!(ran.code, Some(3), "{what}: {ran:?}");
        assert_eq!(gateway.reaps().len(), 0, "{what}");
        assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{what}: {ran:?}");
        said += &format!("# {what}\n{}", names.plain(&ran.out));
    }
    gateway.go_down();
    said += &format!("# down\n{}", names.all(&place.once([])));
    insta::assert_snapshot!(said);
    gateway.come_back();
    gateway.publish(&good);
    gateway.on_reap("a", Answer::reaped());
    assert_eq!(place.once([]).code, Some(0));
}

#[test]
fn a_quiet_run_says_at_the_third_time_in_a_row_and_once_that_a_gateway_is_down_and_at_once_what_else_is_wrong()
 {
    let gateway = Gateway::start();
    gateway.go_down();
    let place = Place::with(&gateway.section("desk"));
    let quiet = || {
        let ran = place.once(["-q"]);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        ran.out + &ran.err
    };
    assert_eq!((quiet(), quiet()), (String::new(), String::new()));
    let third = quiet();
    assert!(third.contains("nothing listens at"), "{third}");
    assert_eq!((quiet(), quiet()), (String::new(), String::new()));
    gateway.come_back();
    assert_eq!(place.once(["-q"]).code, Some(0));
    gateway.answer(Answer::Says(401, "{}".into()));
    let refused = quiet();
    assert!(refused.contains("401"), "{refused}");
    gateway.go_down();
    assert!(place.once([]).err.contains("nothing listens at"), "who isn't quiet says it every time");
}

#[test]
fn the_other_gateways_are_served_and_the_largest_of_1_and_3_wins() {
    let (bad, good) = (Gateway::start(), Gateway::start());
    bad.answer(Answer::Says(500, String::new()));
    good.publish(&table(None, &[orphan("a"), orphan("b")]));
    good.on_reap("a", Answer::reaped());
    good.on_reap("b", Answer::Says(500, String::new()));
    let place =
        Place::with(&format!("[policy]\ngrace = \"0s\"\n{}{}", bad.section("bad"), good.section("good")));
    let ran = place.once(["--json"]);
    assert_eq!(ran.subject("a")["outcome"], "reaped");
    assert_eq!(ran.subject("b")["outcome"], "failed");
    assert_eq!(ran.code, Some(3));
    bad.publish(&table(None, &[]));
    good.publish(&table(None, &[orphan("b")]));
    assert_eq!(place.once([]).code, Some(1));
    good.on_reap("b", Answer::reaped());
    assert_eq!(place.once([]).code, Some(0));
}

#[test]
fn a_table_that_can_t_be_read_again_before_a_signal_is_one_that_can_t_be_read() {
    let family = gateway_of([worker("w")]).start(&["gateway", "w"]);
    let gateway = Arc::new(Gateway::start());
    gateway.publish(&table(Some(pid(&family, "gateway")), &[orphan_with("w", pid(&family, "w"))]));
    let closing = Arc::downgrade(&gateway);
    gateway.when_reaping(move |_| {
        if let Some(gateway) = closing.upgrade() {
            gateway.answer(Answer::Says(401, "{}".into()));
        }
        Answer::reaped()
    });
    // Longer than a table is good for.
    let policy = "[policy]\ngrace = \"0s\"\nclose_timeout = \"2200ms\"\n";
    let place = Place::with(&format!("{policy}{}{}", gateway.section("desk"), worker_match()));
    let ran = place.once(["--json"]);
    assert_eq!(ran.subject("w")["outcome"], "failed", "{ran:?}");
    assert_eq!(ran.code, Some(3), "the larger of 1 and 3: {ran:?}");
    let desk = &ran.json()["gateways"][0];
    assert_eq!(desk["table"], "refused", "{desk}");
    assert!(desk["error"].as_str().unwrap().contains("wants a token (401"), "{desk}");
    let last_run: serde_json::Value = serde_json::from_str(&place.read("state/last_run.json")).unwrap();
    assert_eq!(last_run["result"], "distrust", "{last_run}");
    assert!(!family.has_ended("w"));
}

#[test]
fn a_stopped_or_hanging_gateway_is_not_a_dead_one() {
    let family = gateway_of([worker("w")]).start(&["gateway", "w"]);
    let gateway = Gateway::start();
    gateway.publish(&table(Some(pid(&family, "gateway")), &[with(orphan("a"), "key", json!("w"))]));
    let config = format!(
        "[policy]\ngrace = \"1h\"\nworker_grace = \"0s\"\n{}{}",
        gateway.section("desk"),
        worker_match()
    );
    let place = Place::with(&config);
    assert_eq!(place.once([]).code, Some(0));
    place.write("reaper.toml", config.replace("\"2s\"", "\"200ms\""));
    gateway.answer(Answer::Hangs);
    for signal in [None, Some(rustix::process::Signal::STOP)] {
        signal.into_iter().for_each(|signal| family.signal("gateway", signal));
        for _ in 0..2 {
            let ran = place.once(["--json"]);
            assert_eq!(ran.code, Some(3));
            assert_eq!(ran.subject("w")["reason"], "table-not-trusted", "{}", ran.out);
        }
    }
    assert!(!family.has_ended("w") && !family.has_ended("gateway"));
}

#[test]
fn the_token_is_sent_and_shown_nowhere() {
    let gateway = Gateway::start();
    gateway.ask_for("s3cr3t-t0ken");
    gateway.publish(&table(None, &[orphan("a"), orphan("b"), orphan("c")]));
    gateway.on_reap("a", Answer::reaped());
    gateway.on_reap("b", Answer::Says(500, "you said s3cr3t-t0ken".into()));
    gateway.on_reap(
        "c",
        Answer::After(std::time::Duration::from_millis(500), Box::new(Answer::kept("s3cr3t-t0ken"))),
    );
    let place = Place::with(&format!(
        "[policy]\ngrace = \"0s\"\n{}token_env = \"DESK_TOKEN\"\n",
        gateway.section("desk")
    ));
    let running = place.reaper(["once", "-vv"]).env("DESK_TOKEN", "s3cr3t-t0ken").start();
    running.eventually("the reaps are under way", || gateway.reaps().len() == 3);
    let argv = std::fs::read(format!("/proc/{}/cmdline", running.pid())).unwrap();
    assert!(!String::from_utf8_lossy(&argv).contains("s3cr3t"));
    let mut told = vec![running.end()];
    assert_eq!(told[0].code, Some(1), "{told:?}");
    told.push(place.reaper(["once", "--json", "-vv"]).env("DESK_TOKEN", "s3cr3t-t0ken").run());
    told.push(place.reaper(["once", "-vv"]).env("DESK_TOKEN", "wrong-t0ken").run());
    assert_eq!(told[2].code, Some(3));
    for ran in &told {
        assert!(!ran.out.contains("t0ken") && !ran.err.contains("t0ken"), "{ran:?}");
    }
    for file in std::fs::read_dir(place.path("state")).unwrap() {
        let path = file.unwrap().path();
        assert!(!std::fs::read_to_string(&path).unwrap().contains("t0ken"), "{}", path.display());
    }
}

#[test]
fn a_quiet_run_tells_one_failure_once_until_it_changes_and_only_of_the_gateways_that_it_is_about() {
    let (desk, calm) = (Gateway::start(), Gateway::start());
    desk.publish(&table(None, &[orphan("a")]));
    desk.on_reap("a", Answer::Says(500, "no".into()));
    let place =
        Place::with(&format!("[policy]\ngrace = \"0s\"\n{}{}", desk.section("desk"), calm.section("calm")));
    let quiet = || {
        let ran = place.once(["-q"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        ran.out + &ran.err
    };
    let first = quiet();
    assert!(first.contains("FAILED   session a") && !first.contains("calm"), "{first}");
    assert_eq!((quiet(), quiet()), (String::new(), String::new()));
    assert!(place.once([]).out.contains("FAILED   session a"), "who isn't quiet is told every time");
    assert_eq!(place.once(["-q", "--json"]).subject("a")["outcome"], "failed", "a program gets all of it");
    desk.on_reap("a", Answer::Says(503, "no".into()));
    assert!(quiet().contains("503"), "it changed");
    assert_eq!(quiet(), "");
    desk.publish(&table(None, &[orphan("a"), orphan("b")]));
    let beside = quiet();
    assert!(beside.contains("gone     session b") && !beside.contains("session a"), "{beside}");
}

/// Its workers are below a process that nothing names.
#[test]
fn the_first_run_lists_the_workers_of_a_gateway_whose_process_nothing_names() {
    let family = gateway_of([worker("w")]).start(&["gateway", "w"]);
    let gateway = Gateway::start();
    let place = Place::with(&format!("{}{}", gateway.section("desk"), worker_match()));
    gateway.answer(Answer::Says(401, "{}".into()));
    for _ in 0..2 {
        let ran = place.once(["--json"]);
        assert_eq!(
            (ran.code, &ran.subject("w")["reason"]),
            (Some(3), &json!("table-not-trusted")),
            "{ran:?}"
        );
    }
    gateway.publish(&table(None, &[]));
    for _ in 0..2 {
        let ran = place.once(["--json"]);
        assert_eq!((ran.code, &ran.subject("w")["reason"]), (Some(0), &json!("unknown-state")), "{ran:?}");
    }
    place.forget();
    let watch = place.reaper(["watch", "--interval", "100ms"]).start();
    watch.eventually("it is listed", || watch.out().contains("worker  w "));
    watch.signal(rustix::process::Signal::TERM);
    assert_eq!(watch.end().code, Some(0));
    assert!(!family.has_ended("w"));
}
