//! Time that nobody observed is no grace: not that of a stopped reaper, and not that of a gateway whose clock leaps.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::reapers::{at_once, row};
use crate::stage::{Stage, is_possible};

/// What passes before the freeze and after the thaw, and one reading of the table, has to be less than the grace, on a busy machine too.
const POLICY: &str =
    "grace = \"8s\"\nworker_grace = \"8s\"\nclose_timeout = \"300ms\"\nterm_timeout = \"1s\"\n";

/// Who is frozen, and whether the gateway tells its own clock.
fn thaw(who: &[&str], clock: bool) {
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "worker", "k");
    stage.worker("gateway", "lost", "lost");
    let mut away = row("k", &json!({ "worker": { "pid": stage.pid("worker") } }));
    if clock {
        away["detached_for_s"] = json!("@clock");
        away["idle_for_s"] = json!("@clock");
    }
    stage.publish("gateway", &[away]);
    let watching = stage.reaper("watching", &["watch", "--interval", "200ms"]);
    stage.eventually("it has looked", || stage.looks("gateway") > 2);
    // Once it is stopped it can't be asked.
    let gateway = stage.pid("gateway");
    let freeze = |signal: Signal| {
        for name in who {
            let pid = if *name == "reaper" { watching.pid } else { gateway };
            stage.signal_pid(pid, signal);
        }
    };
    freeze(Signal::STOP);
    // Longer than the grace.
    std::thread::sleep(Duration::from_secs(10));
    freeze(Signal::CONT);
    // The clients need a moment to come back.
    std::thread::sleep(Duration::from_millis(700));
    let acts = watching.acts();
    assert!(stage.lives("worker") && stage.lives("lost"), "{who:?}, {clock}: {acts:#?}");
    assert_eq!(stage.asked("gateway"), Vec::<String>::new(), "{who:?}, {clock}");
    assert_eq!(acts, Vec::<Value>::new(), "{who:?}, {clock}");
    assert_eq!(watching.stop().code, Some(0));
}

#[test]
fn nothing_is_reaped_at_the_thaw_of_gateway_and_reaper() {
    if !is_possible("nothing_is_reaped_at_the_thaw_of_gateway_and_reaper") {
        return;
    }
    at_once(
        [(true, true), (true, false), (false, true), (false, false)].map(|(both, clock)| {
            move || thaw(if both { &["gateway", "reaper"] } else { &["reaper"] }, clock)
        }),
    );
}

/// A client was there while no `watch` was: its table, without clocks of its own, doesn't tell.
#[test]
fn the_time_between_two_watches_is_no_grace() {
    if !is_possible("the_time_between_two_watches_is_no_grace") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "worker", "k");
    stage.publish("gateway", &[row("k", &json!({ "worker": { "pid": stage.pid("worker") } }))]);
    let watch = || {
        let watching = stage.reaper("watching", &["watch", "--interval", "200ms"]);
        let before = stage.looks("gateway");
        stage.eventually("it has looked", || stage.looks("gateway") > before + 2);
        watching
    };
    assert_eq!(watch().stop().code, Some(0));
    // Longer than the grace.
    std::thread::sleep(Duration::from_secs(10));
    let again = watch();
    assert_eq!(stage.asked("gateway"), Vec::<String>::new());
    assert!(stage.lives("worker"), "{:#?}", again.acts());
    assert_eq!(again.stop().code, Some(0));
}

#[test]
fn a_gateways_clock_that_leaps_is_not_believed() {
    if !is_possible("a_gateways_clock_that_leaps_is_not_believed") {
        return;
    }
    at_once([true, false].map(|watch| {
        move || {
            let stage = Stage::start();
            stage.configure(&POLICY.replace("\"8s\"", "\"20s\""));
            stage.gateway("gateway");
            stage.worker("gateway", "worker", "k");
            let told = |seconds: f64| {
                let worker = json!({ "pid": stage.pid("worker") });
                row("k", &json!({ "worker": worker, "detached_for_s": seconds, "idle_for_s": seconds }))
            };
            stage.publish("gateway", &[told(3.0)]);
            let watching = watch.then(|| stage.reaper("state", &["watch", "--interval", "200ms"]));
            if watch {
                stage.eventually("it has looked", || stage.looks("gateway") > 2);
            } else {
                stage.once("state");
                std::thread::sleep(Duration::from_millis(1200));
            }
            stage.publish("gateway", &[told(28803.0)]);
            if let Some(watching) = watching {
                std::thread::sleep(Duration::from_millis(1200));
                assert_eq!(watching.stop().code, Some(0));
            } else {
                let ran = stage.once("state");
                assert_eq!(ran.json()["totals"]["wait"], 1, "{ran:#?}");
            }
            assert!(stage.lives("worker"));
            assert_eq!(stage.asked("gateway"), Vec::<String>::new(), "in a loop: {watch}");
        }
    }));
}

#[test]
fn a_clock_that_leaps_reaches_back_to_no_look_at_a_session_in_use_or_without_it() {
    if !is_possible("a_clock_that_leaps_reaches_back_to_no_look_at_a_session_in_use_or_without_it") {
        return;
    }
    let used = [
        Some(json!({ "transport": "attached" })),
        Some(json!({ "turn": "running" })),
        Some(json!({ "turn": "waiting" })),
        None,
    ];
    at_once(used.map(|used| {
        move || {
            let stage = Stage::start();
            stage.configure(POLICY);
            stage.gateway("gateway");
            let starts = || stage.worker("gateway", "worker", "k");
            used.iter().for_each(|_| starts());
            let told = |seconds: f64, more: &Value| {
                let mut changes = json!({ "detached_for_s": seconds, "idle_for_s": seconds });
                changes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                row("k", &changes)
            };
            stage.publish("gateway", &used.iter().map(|used| told(3.0, used)).collect::<Vec<_>>());
            // For longer than the grace.
            for _ in 0..18 {
                stage.once("state");
                std::thread::sleep(Duration::from_millis(500));
            }
            stage.once("state");
            if used.is_none() {
                starts();
            }
            stage.publish("gateway", &[told(28803.0, &json!({}))]);
            let ran = stage.once("state");
            assert_eq!(ran.json()["totals"]["wait"], 1, "{used:?}: {ran:#?}");
            assert!(stage.lives("worker") && stage.asked("gateway").is_empty(), "{used:?}");
        }
    }));
}
