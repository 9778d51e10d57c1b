//! Ending many stubborn trees in one run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

#[path = "../support/scene.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod scene;
#[path = "../support/strace.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod strace;

use std::process::Stdio;
use std::time::Duration;

use gateway_reaper::demo::flavour::Flavour;
use gateway_reaper::demo::pinned::Pinned;
use scene::Scene;
use serde_json::{Value, json};
use strace::Trace;

const TREES: usize = 10;
/// For a tree of three processes with three threads each, from the first look to the last.
const MOST_CALLS: usize = 2_500;

fn stubborn(trees: usize) -> (Scene, Vec<Pinned>) {
    Scene::stubborn(trees, Flavour::StubbornFamily, Duration::from_secs(1))
}

#[test]
fn a_close_timeout_of_zero_gives_the_worker_no_time_to_exit_and_the_gateway_its_time_to_answer() {
    let (scene, all) = stubborn(TREES);
    let output = scene.reaper(&["--json", "once"]).stdout(Stdio::piped()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["totals"]["reaped"], json!(TREES), "{report:#}");
    // The other test's workers are listed, too.
    let subjects = report["gateways"][0]["subjects"].as_array().unwrap();
    for subject in subjects.iter().filter(|subject| subject["kind"] == "session") {
        assert_eq!(subject["steps"], json!(["close", "SIGTERM", "SIGKILL"]), "{report:#}");
    }
    assert!(all.iter().all(|process| !process.alive()), "somebody was left behind");
}

#[test]
fn a_stubborn_tree_takes_so_many_system_calls_and_no_more() {
    if let Err(why) = strace::check() {
        return eprintln!("NOT RUN: {why}");
    }
    let calls = |trees| {
        let (scene, _all) = stubborn(trees);
        Trace::of(&scene, &["once"]).calls()
    };
    let each = (calls(12) - calls(2)) / 10;
    println!("{each} calls for each tree of three processes");
    assert!(each <= MOST_CALLS, "{each} calls for each tree");
}
