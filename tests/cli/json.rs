//! The JSON report, to the letter of INTERFACE §5: every key, its type, and where it is null.

use serde_json::{Value, json};

use crate::cast::{gateway_of, pid, worker, worker_match};
use crate::gateway::{Answer, Gateway, orphan, orphan_with, table, with};
use crate::place::Place;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn sorted<const N: usize>(mut keys: [&'static str; N]) -> [&'static str; N] {
    keys.sort_unstable();
    keys
}

/// Every subject has all keys, and each is null exactly where it has nothing to say.
fn assert_shape(subject: &Value) {
    let expected = [
        "kind",
        "id",
        "worker_pid",
        "verdict",
        "reason",
        "detail",
        "orphan_kind",
        "waited_s",
        "remaining_s",
        "outcome",
        "steps",
        "rss_bytes",
        "reclaimed_bytes",
        "survivors",
        "key",
    ];
    assert_eq!(keys(subject), sorted(expected), "{subject}");
    let verdict = subject["verdict"].as_str().unwrap();
    let reason = subject["reason"].as_str().unwrap();
    let keeps = [
        "attached",
        "mid-turn",
        "waiting",
        "starting",
        "held",
        "unknown-state",
        "protected",
        "table-not-trusted",
    ];
    assert!(["session", "worker"].contains(&subject["kind"].as_str().unwrap()));
    assert!(subject["id"].is_string());
    assert!(subject["worker_pid"].is_u64() || subject["worker_pid"].is_null());
    assert!(subject["rss_bytes"].is_u64() || subject["rss_bytes"].is_null());
    let steps: Vec<&str> =
        subject["steps"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect();
    let in_order: Vec<&str> =
        ["close", "SIGTERM", "SIGKILL"].into_iter().filter(|step| steps.contains(step)).collect();
    assert_eq!(steps, in_order);
    let orphan_kinds = ["detached-session", "ownerless-worker", "superseded-worker", "parentless-worker"];
    if verdict == "keep" {
        assert!(keeps.contains(&reason), "{subject}");
        assert!(subject["orphan_kind"].is_null() && subject["waited_s"].is_null() && steps.is_empty());
    } else {
        assert!(["wait", "reap", "deferred"].contains(&verdict));
        assert_eq!(reason, "orphaned");
        assert!(orphan_kinds.contains(&subject["orphan_kind"].as_str().unwrap()));
        assert!(subject["waited_s"].as_f64().unwrap() >= 0.0);
    }
    assert_eq!(subject["remaining_s"].is_f64(), verdict == "wait", "{subject}");
    assert_eq!(subject["remaining_s"].is_null(), verdict != "wait", "{subject}");
    if verdict == "reap" {
        let outcomes = ["reaped", "gone", "kept", "failed", "would-reap"];
        assert!(
            subject["outcome"].is_null() || outcomes.contains(&subject["outcome"].as_str().unwrap()),
            "{subject}"
        );
    } else {
        assert!(subject["outcome"].is_null(), "{subject}");
    }
}

fn assert_document(report: &Value) {
    assert_eq!(
        keys(report),
        sorted([
            "version",
            "run",
            "dry_run",
            "started_at",
            "took_s",
            "config",
            "state_dir",
            "gateways",
            "totals"
        ])
    );
    assert_eq!(report["version"], 1);
    assert!(report["run"].as_str().is_some_and(|run| !run.is_empty()));
    let started_at = report["started_at"].as_str().unwrap();
    assert!(started_at.len() == 20 && started_at.ends_with('Z'), "{started_at}");
    assert!(report["took_s"].as_f64().unwrap() >= 0.0);
    let totals = &report["totals"];
    let numbers = [
        "sessions",
        "workers",
        "keep",
        "wait",
        "reap",
        "reaped",
        "gone",
        "kept",
        "failed",
        "deferred",
        "reclaimed_rss_bytes",
        "reclaimed_bytes",
    ];
    assert_eq!(keys(totals), sorted(numbers));
    assert!(totals.as_object().unwrap().values().all(Value::is_u64), "{totals}");
    let mut counted = json!({ "keep": 0, "wait": 0, "reap": 0, "deferred": 0, "reaped": 0, "gone": 0, "kept": 0, "failed": 0 });
    for gateway in report["gateways"].as_array().unwrap() {
        assert_eq!(keys(gateway), sorted(["name", "table", "error", "pid", "subjects"]));
        assert!(["ok", "unreachable", "refused"].contains(&gateway["table"].as_str().unwrap()));
        assert_eq!(gateway["error"].is_null(), gateway["table"] == "ok");
        for subject in gateway["subjects"].as_array().unwrap() {
            assert_shape(subject);
            for word in ["verdict", "outcome"] {
                if let Some(count) = subject[word].as_str().and_then(|word| counted.get_mut(word)) {
                    *count = json!(count.as_u64().unwrap() + 1);
                }
            }
        }
    }
    for (word, count) in counted.as_object().unwrap() {
        assert_eq!(totals[word], *count, "{word} in {report:#}");
    }
}

#[test]
fn the_report_has_the_shape_of_the_interface_in_every_verdict_and_outcome() {
    let family = gateway_of([worker("k1"), worker("lost")]).start(&["gateway", "k1", "lost"]);
    let gateway = Gateway::start();
    let due = |id: &str| with(orphan(id), "close_on_disconnect", json!(true));
    let rows = [
        with(
            with(orphan_with("s1", pid(&family, "k1")), "key", json!("k1")),
            "close_on_disconnect",
            json!(true),
        ),
        with(due("attached"), "transport", json!("attached")),
        with(due("mid-turn"), "turn", json!("running")),
        with(due("waiting"), "turn", json!("waiting")),
        with(due("starting"), "turn", json!("starting")),
        with(due("held"), "holds", json!(["x"])),
        with(due("unknown-state"), "turn", json!("x")),
        with(due("protected"), "worker", json!({ "pid": 1 })),
        orphan("wait"),
        due("gone"),
        due("kept"),
        due("failed"),
        due("zz-deferred"),
    ];
    gateway.publish(&table(Some(pid(&family, "gateway")), &rows));
    gateway.on_reap("s1", Answer::reaped());
    gateway.on_reap("kept", Answer::kept("attached"));
    gateway.on_reap("failed", Answer::Says(500, String::new()));
    let place = Place::with(&format!(
        "[policy]\ngrace = \"1h\"\nmax_reaps = 4\nworker_grace = \"1h\"\nclose_timeout = \"0s\"\n{}{}",
        gateway.section("desk"),
        worker_match()
    ));
    for command in [&["status", "--json"][..], &["once", "--json", "--dry-run"], &["once", "--json"]] {
        let ran = place.reaper(command.iter().copied()).run();
        let report = ran.json();
        assert!(ran.out.ends_with("}\n") && ran.out.lines().count() == 1, "one document");
        assert_document(&report);
        for reason in ["attached", "mid-turn", "waiting", "starting", "held", "unknown-state", "protected"] {
            assert_eq!(ran.subject(reason)["reason"], reason);
        }
        assert_eq!(ran.subject("wait")["verdict"], "wait");
        assert_eq!(ran.subject("lost")["kind"], "worker");
        assert_eq!(ran.subjects(), rows.len() + 1, "a worker of a session isn't listed again");
        assert_eq!(report["totals"]["sessions"], rows.len());
        assert_eq!(report["gateways"][0]["pid"], pid(&family, "gateway"));
        if command.contains(&"--dry-run") {
            assert_eq!(report["dry_run"], true);
            assert_eq!(ran.code, Some(0));
            assert_eq!(ran.subject("s1")["outcome"], "would-reap");
            assert_eq!(gateway.reaps().len(), 0);
        }
        if command == ["once", "--json"] {
            assert_eq!(report["dry_run"], false);
            for outcome in ["gone", "kept", "failed"] {
                assert_eq!(ran.subject(outcome)["outcome"], outcome);
            }
            let reaped = ran.subject("s1");
            assert_eq!(reaped["outcome"], "reaped");
            assert_eq!(reaped["steps"], json!(["close", "SIGTERM"]));
            assert!(reaped["rss_bytes"].as_u64().unwrap() > 0);
            assert_eq!(report["totals"]["reclaimed_rss_bytes"], reaped["reclaimed_bytes"]);
            assert!(reaped["reclaimed_bytes"].as_u64().unwrap() > 0);
            assert_eq!(ran.code, Some(1));
            assert!(family.has_ended("k1"));
        }
    }
}

#[test]
fn a_table_that_is_not_ok_has_its_error_in_the_report() {
    let (down, liar) = (Gateway::start(), Gateway::start());
    down.go_down();
    liar.answer(Answer::Says(200, "[]".into()));
    let place = Place::with(&(down.section("down") + &liar.section("liar")));
    let ran = place.once(["--json"]);
    let report = ran.json();
    assert_document(&report);
    assert_eq!(report["gateways"][0]["table"], "unreachable");
    assert_eq!(report["gateways"][1]["table"], "refused");
    assert_eq!(report["gateways"][0]["pid"], Value::Null);
    assert_eq!(ran.code, Some(3));
}
