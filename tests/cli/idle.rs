//! `idle_worker` for a gateway of which only processor time tells whether a worker is at work: the worker is ended, and its session stays.

use crate::cast::{gateway_of, pid, worker, worker_match};
use crate::gateway::{Gateway, orphan_with, table, with};
use crate::place::Place;
use crate::support::family::{Family, Part, Step, eventually, part};
use rustix::process::Signal;
use serde_json::json;
use std::time::Duration;

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

/// One that has just started may still run at the first look, which tells no more than that.
fn comes_to_rest(family: &Family, tag: &str) {
    let tasks = format!("/proc/{}/task", pid(family, tag));
    eventually("it rests", || {
        std::fs::read_dir(&tasks).unwrap().all(|task| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, fields)| fields.starts_with('S'))
        })
    });
}

/// A worker that rests starts a child that computes while it waits for the end of its grace of 3 s.
fn stays_with_a_child_that_begins_to_compute(place: &Place, family: &mut Family, worker: &str) {
    comes_to_rest(family, worker);
    let running = place.reaper(["watch", "--interval", "200ms"]).start();
    running.eventually("it waits", || running.out().contains("inside the grace"));
    family.signal(worker, Signal::USR1);
    family.await_all(&["child"]);
    std::thread::sleep(Duration::from_millis(4500));
    assert!(!family.has_ended("child") && !family.has_ended(worker), "{}", running.out());
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn an_idle_worker_is_not_ended_with_a_child_that_began_to_compute_since() {
    let child = part("child").then(Step::Compute);
    let starts = worker("idle").then(Step::StartWhenTold(child));
    let mut family = gateway_of([starts]).start(&["gateway", "idle"]);
    let gateway = Gateway::start();
    let row = with(orphan_with("idle", pid(&family, "idle")), "transport", json!("attached"));
    gateway.publish(&table(Some(pid(&family, "gateway")), &[row]));
    let place = Place::with(&format!(
        "[policy]\nidle_worker = \"3s\"\nbusy_cpu = \"1%\"\nterm_timeout = \"1s\"\n{}{}",
        gateway.section("desk"),
        worker_match()
    ));
    stays_with_a_child_that_begins_to_compute(&place, &mut family, "idle");
}

#[test]
fn an_idle_worker_is_not_ended_while_something_works_that_it_started_and_that_is_adopted() {
    let helper = part("helper").then(Step::ComputeWhenTold);
    let family: Part = gateway_of([worker("idle").child(part("between").child(helper))]);
    let family = family.start(&["gateway", "idle", "between", "helper"]);
    let gateway = Gateway::start();
    let row = with(orphan_with("idle", pid(&family, "idle")), "transport", json!("attached"));
    gateway.publish(&table(Some(pid(&family, "gateway")), &[row]));
    let config = |policy: &str| format!("{policy}{}{}", gateway.section("desk"), worker_match());
    let place = Place::with(&config(""));
    // It is seen below its worker.
    assert_eq!(place.once([]).code, Some(0));
    family.kill("between");
    family.signal("helper", Signal::USR1);
    std::thread::sleep(Duration::from_millis(50));
    place.write(
        "reaper.toml",
        config("[policy]\nidle_worker = \"300ms\"\nbusy_cpu = \"5%\"\nterm_timeout = \"1s\"\n"),
    );
    for _ in 0..4 {
        let ran = place.once(["--json"]);
        assert!(!ran.out.contains("idle-worker"), "{}", ran.out);
        std::thread::sleep(Duration::from_millis(150));
    }
    assert!(!family.has_ended("idle") && !family.has_ended("helper"));
}

/// A kernel of a Jupyter server that is gone.
#[test]
fn what_a_server_left_is_not_ended_with_a_child_that_began_to_compute_since() {
    let gone =
        std::process::Command::new("true").spawn().and_then(|mut it| it.wait().map(|_| it.id())).unwrap();
    let file = format!("/run/kernel-{}-0000-4000-8000-{:012x}.json", "abcdef01", std::process::id());
    let kernel = part("kernel")
        .argv(["python3", "-m", "ipykernel_launcher", "-f", &file])
        .variable("JPY_PARENT_PID", &gone.to_string())
        .then(Step::NewSession)
        .then(Step::StartWhenTold(part("child").then(Step::Compute)));
    let mut family = part("server").child(kernel).then(Step::Exit).start(&["kernel"]);
    let place = Place::with(
        "[policy]\nworker_grace = \"3s\"\nbusy_cpu = \"1%\"\nterm_timeout = \"1s\"\n\
         [[gateway]]\nname = \"lab\"\nkind = \"jupyter\"\nurl = \"http://127.0.0.1:9\"\n\
         [gateway.worker]\nmatch = '.*ipykernel_launcher -f .*/kernel-(?P<session>\\S+)[.]json'\n",
    );
    stays_with_a_child_that_begins_to_compute(&place, &mut family, "kernel");
}
