//! `idle_worker` for a gateway of which only processor time tells whether a worker is at work: the worker is ended, and its session stays.

use crate::cast::{gateway_of, pid, worker, worker_match};
use crate::gateway::{Gateway, orphan_with, table, with};
use crate::place::Place;
use serde_json::json;

#[test]
fn an_idle_worker_is_ended_and_its_session_stays() {
    let family = gateway_of([worker("idle"), worker("used")]).start(&["gateway", "idle", "used"]);
    let gateway = Gateway::start();
    let attached = |id: &str| with(orphan_with(id, pid(&family, id)), "transport", json!("attached"));
    let rows = [attached("idle"), with(attached("used"), "turn", json!("running"))];
    gateway.publish(&table(Some(pid(&family, "gateway")), &rows));
    let place = Place::with(&format!(
        "[policy]\nidle_worker = \"700ms\"\nbusy_cpu = \"5%\"\nterm_timeout = \"1s\"\n{}{}",
        gateway.section("desk"),
        worker_match()
    ));
    let idle_one = |ran: &crate::place::Ran| {
        let report = ran.json();
        let subjects = report["gateways"][0]["subjects"].as_array().cloned().unwrap_or_default();
        subjects.into_iter().find(|subject| subject["orphan_kind"] == "idle-worker")
    };
    let first = place.once(["--json"]);
    let waits = idle_one(&first).unwrap_or_else(|| panic!("{}", first.out));
    assert_eq!((&waits["verdict"], &waits["kind"]), (&json!("wait"), &json!("worker")), "{}", first.out);
    assert_eq!(first.json()["totals"]["workers"], 2, "{}", first.out);
    let ran = place.once_until("it was ended", |ran| {
        idle_one(ran).is_some_and(|subject| subject["outcome"] == "reaped")
    });
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    let ended = idle_one(&ran).unwrap();
    assert_eq!(ended["worker_pid"], pid(&family, "idle"), "{}", ran.out);
    assert_eq!(ended["steps"], json!(["SIGTERM"]), "{}", ran.out);
    assert!(gateway.reaps().is_empty(), "no session is closed");
    assert!(!family.has_ended("used") && !family.has_ended("gateway"));
}
