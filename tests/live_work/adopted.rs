//! The gateway is restarted, and takes back the workers that it had: they are under init now.

use serde_json::{Value, json};

use crate::place::Ran;
use crate::reapers::{BEYOND_THE_GRACE, By, POLICY, Told, by_pid_and_by_key};
use crate::stage::Stage;

/// A worker whose gateway was killed while a reaper remembered both.
fn bereft(stage: &Stage, by: By) {
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "worker", "k");
    let busy = json!({ "transport": "attached", "turn": "running" });
    stage.publish("gateway", &[by.row(stage, "k", "worker", &busy)]);
    assert_eq!(stage.once("seen").code, Some(0));
    stage.kill("gateway");
}

/// The same; the gateway's successor is called `again`.
fn restarted(stage: &Stage, by: By) {
    bereft(stage, by);
    stage.gateway("again");
}

/// No process is both kept and reaped in one report.
fn is_of_one_mind(ran: &Ran) {
    let told = Told(ran.json());
    for subject in told.subjects().filter(|subject| subject["worker_pid"].is_u64()) {
        let pid = &subject["worker_pid"];
        let verdicts: Vec<&Value> = told
            .subjects()
            .filter(|other| &other["worker_pid"] == pid)
            .map(|other| &other["verdict"])
            .collect();
        assert!(verdicts.iter().all(|verdict| verdict == &verdicts[0]), "{pid}: {told:#?}");
    }
}

#[test]
fn a_worker_that_a_restarted_gateway_took_back_is_kept() {
    by_pid_and_by_key("a_worker_that_a_restarted_gateway_took_back_is_kept", |stage, by| {
        restarted(stage, by);
        let busy = json!({ "transport": "attached", "turn": "running" });
        stage.publish("again", &[by.row(stage, "k", "worker", &busy)]);
        let first = stage.once("seen");
        let told = stage.is_spared(&["worker"], 0);
        assert_eq!(told.session("k")["reason"], "attached");
        let last = stage.once("seen");
        for ran in [&first, &last] {
            is_of_one_mind(ran);
            assert_eq!(ran.json()["totals"]["reap"], 0, "{ran:#?}");
        }
        assert!(stage.lives("worker"));
    });
}

#[test]
fn a_gateway_that_is_back_after_the_grace_has_its_time_to_take_a_worker_back() {
    let test = "a_gateway_that_is_back_after_the_grace_has_its_time_to_take_a_worker_back";
    by_pid_and_by_key(test, |stage, by| {
        bereft(stage, by);
        let gone = stage.once("seen");
        assert_eq!(gone.json()["totals"]["reap"], 0, "its grace begins: {gone:#?}");
        std::thread::sleep(BEYOND_THE_GRACE);
        stage.gateway("again");
        stage.publish("again", &[]);
        let back = stage.once("seen");
        assert_eq!(back.json()["totals"]["reap"], 0, "it lists nothing yet: {back:#?}");
        let busy = json!({ "transport": "attached", "turn": "running" });
        stage.publish("again", &[by.row(stage, "k", "worker", &busy)]);
        assert_eq!(stage.once("seen").code, Some(0));
        assert!(stage.lives("worker"));
    });
}

#[test]
fn a_worker_that_was_taken_back_goes_with_its_session() {
    by_pid_and_by_key("a_worker_that_was_taken_back_goes_with_its_session", |stage, by| {
        restarted(stage, by);
        stage.publish("again", &[by.row(stage, "k", "worker", &json!({}))]);
        stage.when_reaping("again", "k", &json!({ "outcome": "reaped" }), &[]);
        let ran = stage.once_until_ended("seen", &["worker"]);
        is_of_one_mind(&ran);
        assert_eq!(stage.asked("again"), ["k"], "its gateway was asked first: {ran:#?}");
    });
}

#[test]
fn a_worker_that_a_restarted_gateway_does_not_list_is_reaped() {
    by_pid_and_by_key("a_worker_that_a_restarted_gateway_does_not_list_is_reaped", |stage, by| {
        restarted(stage, by);
        stage.worker("again", "fresh", "f");
        let busy = json!({ "transport": "attached", "turn": "running" });
        stage.publish("again", &[by.row(stage, "f", "fresh", &busy)]);
        let first = stage.once("seen");
        assert_eq!(first.json()["totals"]["reap"], 0, "not before its grace: {first:#?}");
        std::thread::sleep(BEYOND_THE_GRACE);
        let ran = stage.once_until_ended("seen", &["worker"]);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert!(stage.lives("fresh"));
    });
}
