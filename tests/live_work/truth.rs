//! What the report says came back did come back, and a gateway that only says so is found out.

use serde_json::{Value, json};

use crate::reapers::{BEYOND_THE_GRACE, By, POLICY, Told, at_once, row};
use crate::stage::{Fork, SOMEBODY, Stage, is_possible};

const MIB: u64 = 1 << 20;

#[test]
fn a_pool_of_forked_workers_gives_back_what_it_had_and_not_that_many_times_over() {
    if !is_possible("a_pool_of_forked_workers_gives_back_what_it_had_and_not_that_many_times_over") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "worker", "k");
    stage.tell("worker", &json!(["fill", 64 * MIB]));
    let copies: Vec<String> = (0..6).map(|number| format!("copy-{number}")).collect();
    for copy in &copies {
        stage.copy("worker", copy, Fork::Child);
    }
    stage.publish("gateway", &[]);
    stage.once("state");
    let names: Vec<&str> = copies.iter().map(String::as_str).chain(["worker"]).collect();
    let shares = names.iter().map(|name| {
        let smaps = stage.tell("init", &json!(["smaps", stage.pid(name)]));
        (smaps["Pss"].as_u64().unwrap(), smaps["Rss"].as_u64().unwrap())
    });
    let (pss, rss) = shares.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(rss > 4 * pss, "they share their memory: {pss} {rss}");
    let ran = stage.once_until_ended("state", &names);
    let told = Told(ran.json());
    let back: u64 = told.subjects().filter_map(|subject| subject["reclaimed_bytes"].as_u64()).sum();
    assert!(back > pss / 2 && back < pss * 2, "{back} of {pss}: {told:#?}");
}

/// A shell that runs one short command after the other: dozens of processes are seen below it, two are there at a time.
#[test]
fn a_loop_of_short_commands_gives_back_what_was_there_at_once_and_not_all_that_ever_was() {
    if !is_possible("a_loop_of_short_commands_gives_back_what_was_there_at_once_and_not_all_that_ever_was") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.publish("gateway", &[]);
    // Started under a worker's name, and deaf to SIGTERM, so that it goes on until it is killed.
    let endless = "trap \"\" TERM; while :; do sleep 0.02; done";
    let named = "exec -a 'python -ISB actor.py live-work-worker --session-key k' bash -c";
    let command = json!(["bash", "-c", format!("{named} '{endless}'")]);
    let shell = stage.tell("gateway", &json!(["spawn", "loop", command, {}])).as_u64().unwrap();
    stage.eventually("it loops", || stage.tell("init", &json!(["below", shell])) != json!([]));
    let rss = stage.tell("init", &json!(["smaps", shell]))["Rss"].as_u64().unwrap();
    let mut last = None;
    stage.eventually("it was reaped", || {
        last = Some(stage.once("state"));
        std::thread::sleep(BEYOND_THE_GRACE / 3);
        !stage.runs(shell)
    });
    let told = Told(last.unwrap().json());
    let subject = told.worker(shell);
    assert_eq!(subject["steps"], json!(["SIGTERM", "SIGKILL"]), "{told:#?}");
    let back = subject["reclaimed_bytes"].as_u64().unwrap();
    assert!(back > 0 && back < 2 * rss, "{back} bytes of a shell of {rss} and one short command: {told:#?}");
}

#[test]
fn a_worker_that_cannot_be_signalled_gives_nothing_back() {
    if !is_possible("a_worker_that_cannot_be_signalled_gives_nothing_back") {
        return;
    }
    let stage = Stage::start();
    stage.configure_with(POLICY, "", &format!("user = \"{SOMEBODY}\"\n"));
    stage.gateway("gateway");
    stage.worker_with("gateway", "worker", "k", &json!({ "user": SOMEBODY }));
    stage.publish("gateway", &[]);
    let powerless = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"];
    let run = || stage.reaper_under(&powerless, "state", &["--json", "once"]).end();
    let first = run();
    assert_eq!(first.json()["totals"]["reap"], 0, "{first:#?}");
    std::thread::sleep(BEYOND_THE_GRACE);
    let ran = run();
    let told = Told(ran.json());
    let subject = told.worker(stage.pid("worker"));
    assert_eq!((ran.code, &subject["outcome"]), (Some(1), &json!("failed")), "{ran:#?}");
    assert_eq!(subject["reclaimed_bytes"].as_u64().unwrap_or(0), 0, "{ran:#?}");
    assert_eq!(ran.json()["totals"]["reclaimed_rss_bytes"], 0, "{ran:#?}");
    let human = stage.reaper_under(&powerless, "state", &["once"]).end();
    assert!(!human.out.contains("came back"), "{human:#?}");
}

#[test]
fn a_gateway_that_says_reaped_and_keeps_the_row_is_believed_once() {
    if !is_possible("a_gateway_that_says_reaped_and_keeps_the_row_is_believed_once") {
        return;
    }
    at_once([true, false].map(|has_worker| {
        move || {
            let stage = Stage::start();
            stage.configure(POLICY);
            stage.gateway("gateway");
            let row = if has_worker {
                stage.worker("gateway", "worker", "k");
                By::Pid.row(&stage, "k", "worker", &json!({}))
            } else {
                row("k", &json!({ "worker": null }))
            };
            stage.publish("gateway", &[row]);
            stage.when_reaping("gateway", "k", &json!({ "outcome": "reaped" }), &[]);
            let mut codes = Vec::new();
            let mut last = Value::Null;
            stage.eventually("it was closed three times", || {
                let before = stage.asked("gateway").len();
                let ran = stage.once("state");
                if stage.asked("gateway").len() > before {
                    codes.push(ran.code);
                    last = Told(ran.json()).session("k").clone();
                    if before == 0 {
                        stage.publish("gateway", &[crate::reapers::row("k", &json!({ "worker": null }))]);
                    }
                }
                codes.len() == 3
            });
            assert_eq!(codes, [Some(0), Some(1), Some(1)], "{last:#?}");
            assert!(last["closes_without_effect"].as_u64().is_some_and(|times| times >= 2), "{last:#?}");
            let history = stage.reaper("state", &["--json", "history"]).end().json();
            assert_eq!(
                (&history["totals"]["reaped"], &history["totals"]["failed"]),
                (&json!(1), &json!(2)),
                "{history:#?}"
            );
        }
    }));
}
