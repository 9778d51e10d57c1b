//! The audit log: a line before each act, one for its outcome, and no act without its line.

use std::fs;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::cast::{gateway_of, pid, worker, worker_match};
use crate::gateway::{Answer, Gateway, orphan, orphan_with, table, with, without_worker};
use crate::place::Place;
use crate::privileges::powerless;
use crate::support::family::Step;

fn config(gateway: &Gateway) -> String {
    format!(
        "[policy]\ngrace = \"0s\"\nworker_grace = \"0s\"\nclose_timeout = \"0s\"\nterm_timeout = \"300ms\"\n{}{}",
        gateway.section("desk"),
        worker_match()
    )
}

#[test]
fn the_line_of_an_act_is_there_before_the_act() {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("a"), orphan("b")]));
    let place = Arc::new(Place::with(&config(&gateway)));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (there, write) = (Arc::clone(&place), Arc::clone(&seen));
    gateway.when_reaping(move |id| {
        let lines = there.audit();
        let of_it = |line: &&Value| line["subject"]["id"] == id;
        write.lock().unwrap().push(lines.iter().filter(of_it).cloned().collect::<Vec<_>>());
        Answer::reaped()
    });
    assert_eq!(place.once([]).code, Some(0));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    for lines in seen.iter() {
        assert_eq!(lines.len(), 1, "announced, and no outcome yet: {lines:?}");
        assert_eq!(lines[0]["step"], "close");
        assert_eq!(lines[0]["outcome"], Value::Null);
    }
    let outcomes: Vec<Value> = place.audit().into_iter().filter(|line| line["outcome"] == "reaped").collect();
    assert_eq!(outcomes.len(), 2);
    assert!(gateway.asked().iter().filter(|asked| asked.method == "POST").all(|asked| {
        serde_json::from_str::<Value>(&asked.body).unwrap()
            == json!({ "instance": "run-1", "reason": "orphaned" })
    }));
}

#[test]
fn every_line_has_its_time_run_gateway_subject_process_evidence_and_step_or_outcome() {
    let family =
        gateway_of([worker("k1").then(Step::Deaf), worker("lost")]).start(&["gateway", "k1", "lost"]);
    let gateway = Gateway::start();
    let row = with(orphan_with("s1", pid(&family, "k1")), "key", json!("k1"));
    gateway.publish(&table(Some(pid(&family, "gateway")), &[row]));
    gateway.on_reap("s1", Answer::reaped());
    let place = Place::with(&config(&gateway));
    let ran = place.once(["--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let run = ran.json()["run"].clone();
    let lines = place.audit();
    for line in &lines {
        assert_eq!(line["run"], run);
        assert_eq!(line["gateway"], "desk");
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
        assert!(line["evidence"]["waited_s"].is_f64());
        assert!(
            line["subject"]["worker"]["pid"].is_u64() && line["subject"]["worker"]["start_ticks"].is_u64()
        );
        assert!(line["step"].is_string() != line["outcome"].is_string(), "{line}");
        assert!(line["step"] != "SIGTERM" || line["process"]["start_ticks"].is_u64(), "{line}");
    }
    let of = |kind: &str| {
        let told = |line: &Value| line["step"].as_str().or(line["outcome"].as_str()).unwrap().to_owned();
        let mut steps: Vec<String> =
            lines.iter().filter(|line| line["subject"]["kind"] == kind).map(told).collect();
        steps.dedup();
        steps
    };
    assert_eq!(of("session"), ["close", "SIGTERM", "SIGKILL", "reaped"]);
    assert_eq!(of("worker"), ["SIGTERM", "reaped"]);
    assert_eq!(ran.subject("s1")["steps"], json!(["close", "SIGTERM", "SIGKILL"]));
}

#[test]
fn without_the_log_nothing_is_done_and_the_exit_code_is_1() {
    let family = gateway_of([worker("lost")]).start(&["gateway", "lost"]);
    let gateway = Gateway::start();
    gateway.publish(&table(Some(pid(&family, "gateway")), &[without_worker(orphan("a"))]));
    let place = Place::with(&config(&gateway));
    place.once(["--dry-run"]);
    let log = place.write("state/audit.jsonl", "");
    let mut read_only = fs::metadata(&log).unwrap().permissions();
    read_only.set_readonly(true);
    fs::set_permissions(&log, read_only).unwrap();
    let in_the_way = |place: &Place| powerless(place, ["once", "--json"]).run();
    for attempt in 0..2 {
        let ran = in_the_way(&place);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        for subject in ["a", "lost"] {
            assert_eq!(ran.subject(subject)["outcome"], "failed", "{ran:?}");
            assert_eq!(ran.subject(subject)["steps"], json!([]), "{ran:?}");
            assert!(ran.subject(subject)["detail"].as_str().unwrap().contains("audit log"), "{ran:?}");
        }
        assert!(gateway.reaps().is_empty() && !family.has_ended("lost"));
        if attempt == 0 {
            // A directory in its place is as good.
            fs::remove_file(&log).unwrap();
            fs::create_dir(&log).unwrap();
        }
    }
    fs::remove_dir(&log).unwrap();
    assert_eq!(place.once([]).code, Some(0));
    assert!(family.has_ended("lost") && gateway.reaps() == ["a"]);
}

#[test]
fn the_evidence_says_at_how_many_looks_with_how_much_memory_and_what_came_back() {
    let family = gateway_of([worker("k1"), worker("lost")]).start(&["gateway", "k1", "lost"]);
    let gateway = Gateway::start();
    let row = with(orphan_with("s1", pid(&family, "k1")), "key", json!("k1"));
    gateway.publish(&table(Some(pid(&family, "gateway")), &[row]));
    gateway.on_reap("s1", Answer::reaped());
    let place = Place::with(&config(&gateway).replace("grace = \"0s\"", "grace = \"1h\""));
    for _ in 0..3 {
        assert_eq!(place.once([]).code, Some(0));
    }
    assert!(place.audit().is_empty());
    place.write("reaper.toml", config(&gateway));
    assert_eq!(place.once([]).code, Some(0));
    let lines = place.audit();
    for line in &lines {
        assert_eq!(line["evidence"]["looks"], 4, "{line}");
        assert!(line["memory_bytes"].as_u64().unwrap() > 0, "{line}");
    }
    let of = |kind: &str| lines.iter().filter(|line| line["subject"]["kind"] == kind).collect::<Vec<_>>();
    assert!(of("session").iter().all(|line| line["subject"]["key"] == "k1" && line["subject"]["id"] == "s1"));
    assert!(of("worker").iter().all(|line| line["subject"]["key"] == "lost"));
    for kind in ["session", "worker"] {
        assert!(of(kind).last().unwrap()["reclaimed_bytes"].as_u64().unwrap() > 0, "{lines:#?}");
    }
}

#[test]
fn the_last_run_is_written_down_whether_there_was_something_to_do_or_not() {
    let gateway = Gateway::start();
    let place = Place::with(&config(&gateway));
    let last = || serde_json::from_str::<Value>(&place.read("state/last_run.json")).unwrap();
    assert_eq!(place.once([]).code, Some(0));
    assert_eq!((&last()["result"], &last()["gateways"][0]["sessions"]), (&json!("ok"), &json!(0)));
    let succeeded = last()["gateways"][0]["last_success"].clone();
    assert!(succeeded.is_string());
    gateway.go_down();
    for failing in 1..=2 {
        assert_eq!(place.once([]).code, Some(3));
        let last = last();
        assert_eq!(
            (&last["result"], &last["gateways"][0]["table"]),
            (&json!("distrust"), &json!("unreachable"))
        );
        assert_eq!(last["gateways"][0]["failing_runs"], failing);
        assert_eq!(last["gateways"][0]["last_success"], succeeded);
    }
    gateway.come_back();
    gateway.publish(&table(None, &[orphan("a")]));
    gateway.on_reap("a", Answer::Says(500, String::new()));
    assert_eq!(place.once([]).code, Some(1));
    assert_eq!(
        (&last()["result"], &last()["counters"]["runs"]),
        (&json!("failed"), &json!({ "ok": 1, "distrust": 2, "failed": 1 }))
    );
}

#[test]
fn changes_of_verdict_are_written_down_and_nothing_else() {
    let gateway = Gateway::start();
    let place = Place::with(&config(&gateway).replace("grace = \"0s\"", "grace = \"1h\""));
    let publish =
        |transport: &str| gateway.publish(&table(None, &[with(orphan("a"), "transport", json!(transport))]));
    for transport in ["attached", "attached", "detached", "detached", "attached"] {
        publish(transport);
        assert_eq!(place.once([]).code, Some(0));
    }
    let text = place.read("state/events.jsonl");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let changes: Vec<_> =
        events.iter().map(|event| (&event["from"]["verdict"], &event["to"]["verdict"])).collect();
    assert_eq!(changes, [(&json!("keep"), &json!("wait")), (&json!("wait"), &json!("keep"))]);
}

#[test]
fn a_named_process_that_is_left_to_its_gateway_is_named_in_the_report_and_in_the_log() {
    let family = gateway_of([worker("other")]).start(&["gateway", "other"]);
    let gateway = Gateway::start();
    gateway.on_reap("s1", Answer::reaped());
    let place =
        Place::with(&format!("[policy]\ngrace = \"0s\"\n{}{}", gateway.section("desk"), worker_match()));
    let named = pid(&family, "other");
    let row = with(orphan_with("s1", named), "key", json!("s1"));
    for (process, why) in [
        (None, "its gateway's process isn't known"),
        (Some(pid(&family, "gateway")), "it carries another key than the row says"),
    ] {
        gateway.publish(&table(process, std::slice::from_ref(&row)));
        let ran = place.once(["--json"]);
        let says =
            format!("process {named}, which its row names as its worker, is left to its gateway: {why}");
        let subject = ran.subject("s1");
        assert_eq!((&subject["outcome"], &subject["detail"]), (&json!("reaped"), &json!(says)), "{ran:?}");
        assert_eq!((&subject["steps"], &subject["survivors"]), (&json!(["close"]), &json!([])), "{ran:?}");
        assert_eq!(place.audit().last().unwrap()["note"], says, "{:?}", place.audit());
        let told = place.reaper(["explain", "s1"]).run();
        assert!(told.out.contains(&says), "{told:?}");
        // Another session of that id.
        place.forget();
    }
    assert!(!family.has_ended("other"));
}
