//! Not knowing is no reason to end anything; a gateway that is gone for certain is.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::reapers::{BEYOND_THE_GRACE, By, OTHER_PORT, POLICY, Reaper, at_once, by_pid_and_by_key, row};
use crate::stage::{Fork, Stage, is_possible};

/// A gateway with a live worker below it, and one that made itself a daemon.
fn live(stage: &Stage, by: By) {
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "worker", "k");
    stage.worker("gateway", "parent", "d");
    stage.copy("parent", "daemon", Fork::Daemon);
    stage.kill("parent");
    let running = json!({ "transport": "attached", "turn": "running" });
    let rows = [by.row(stage, "k", "worker", &running), by.row(stage, "d", "daemon", &running)];
    stage.publish("gateway", &rows);
}

#[test]
fn the_live_workers_of_a_gateway_whose_table_cannot_be_read_are_kept_without_a_memory() {
    let test = "the_live_workers_of_a_gateway_whose_table_cannot_be_read_are_kept_without_a_memory";
    if !is_possible(test) {
        return;
    }
    at_once(["refuses", "hangs", "shows a page"].map(|manner| {
        move || {
            let stage = Stage::start();
            live(&stage, By::Key);
            stage.manner("gateway", manner);
            let told = stage.is_spared(&["worker", "daemon"], 3);
            assert_eq!(told.worker(stage.pid("daemon"))["reason"], "table-not-trusted", "{manner}");
        }
    }));
}

#[test]
fn the_live_workers_of_a_gateway_that_stops_answering_are_kept_with_a_memory() {
    by_pid_and_by_key(
        "the_live_workers_of_a_gateway_that_stops_answering_are_kept_with_a_memory",
        |stage, by| {
            live(stage, by);
            let watching = stage.reaper("watching", &["watch", "--interval", "150ms"]);
            stage.eventually("it has looked", || !watching.out().is_empty());
            stage.signal("gateway", Signal::STOP);
            std::thread::sleep(std::time::Duration::from_secs(2));
            assert!(stage.lives("worker") && stage.lives("daemon"), "{:#?}", watching.acts());
            assert_eq!(watching.stop().code, Some(0));
            assert_eq!(watching.acts(), Vec::<Value>::new());
        },
    );
}

/// Its workers are forks of it, so `worker.match` takes it, too; and the configuration has a wrong port, or it takes long to start.
#[test]
fn a_gateway_that_looks_like_a_worker_and_is_not_at_its_address_is_kept_with_its_forks() {
    let test = "a_gateway_that_looks_like_a_worker_and_is_not_at_its_address_is_kept_with_its_forks";
    if !is_possible(test) {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.worker_without_key("init", "gateway");
    stage.tell("gateway", &json!(["serve", OTHER_PORT]));
    stage.copy("gateway", "one", Fork::Child);
    stage.copy("gateway", "other", Fork::Child);
    let told = stage.is_spared(&["gateway", "one", "other"], 3);
    let detail = told.worker(stage.pid("gateway"))["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("it may be gateway desk itself, starting or at another address"), "{detail}");
    // Its forks are workers that have lost their gateway.
    stage.kill("gateway");
    stage.once_until_ended("state", &["one", "other"]);
}

/// `sh -c 'nohup worker &'`, and a worker that becomes a daemon: the gateway knows the PID of what it started, and that is gone.
#[test]
fn a_worker_that_outlived_what_its_row_names_before_any_look_is_kept_and_the_row_is_named() {
    let test = "a_worker_that_outlived_what_its_row_names_before_any_look_is_kept_and_the_row_is_named";
    if !is_possible(test) {
        return;
    }
    at_once(["another", ""].map(|key| {
        move || {
            let stage = Stage::start();
            stage.configure(POLICY);
            stage.gateway("gateway");
            stage.helper("gateway", "starter", &json!({ "session": true }));
            match key {
                "" => stage.worker_without_key("starter", "worker"),
                key => stage.worker("starter", "worker", key),
            }
            let starter = stage.pid("starter");
            stage.kill("starter");
            let running = json!({ "transport": "attached", "turn": "running", "worker": { "pid": starter } });
            stage.publish("gateway", &[row("a", &running)]);
            let told = stage.is_spared(&["worker"], 0);
            let why = told.worker(stage.pid("worker"))["detail"].to_string();
            assert!(why.contains(&format!("process {starter}, which is gone")), "{told:#?}");

            stage.publish("gateway", &[]);
            stage.once_until_ended("state", &["worker"]);
        }
    }));
}

/// Two sessions had one key when their workers were started, each by a launcher that exits; then one got another.
#[test]
fn a_launched_worker_is_not_ended_with_the_session_whose_key_it_still_carries() {
    let test = "a_launched_worker_is_not_ended_with_the_session_whose_key_it_still_carries";
    if !is_possible(test) {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    let launched = |worker: &str, id: &str, changes: &Value| {
        let launcher = format!("{worker}-launcher");
        stage.helper("gateway", &launcher, &json!({ "session": true }));
        stage.worker(&launcher, worker, "one");
        let mut row = row(id, changes);
        row["worker"] = json!({ "pid": stage.pid(&launcher) });
        stage.kill(&launcher);
        row
    };
    let left = launched("left", "one", &json!({}));
    let live = launched("live", "other", &json!({ "transport": "attached", "turn": "running" }));
    stage.when_reaping("gateway", "one", &json!({ "outcome": "reaped" }), &[]);
    stage.publish("gateway", &[left, live]);
    stage.once("state");
    std::thread::sleep(BEYOND_THE_GRACE);
    let told = stage.once("state");
    assert_eq!(stage.asked("gateway"), ["one"], "{told:#?}");
    for _ in 0..2 {
        std::thread::sleep(BEYOND_THE_GRACE);
        stage.once("state");
    }
    assert!(stage.lives("live"), "{:#?}", stage.acts("state"));
    // Which of the two is whose nobody can tell as long as that session is there.
    assert!(stage.lives("left"));
    stage.publish("gateway", &[]);
    stage.once_until_ended("state", &["left", "live"]);
}

#[test]
fn workers_whose_keys_are_not_what_their_argv_carries_are_kept_and_the_row_is_named() {
    let test = "workers_whose_keys_are_not_what_their_argv_carries_are_kept_and_the_row_is_named";
    if !is_possible(test) {
        return;
    }
    // Rotated keys, and rows that have none.
    at_once([true, false].map(|keys| {
        move || {
            let stage = Stage::start();
            stage.configure(POLICY);
            stage.gateway("gateway");
            let rows: Vec<Value> = ["one", "two", "three"]
                .iter()
                .map(|name| {
                    stage.worker("gateway", name, name);
                    let mut row = json!({ "id": format!("id-of-{name}"), "transport": "attached" });
                    if keys {
                        row["key"] = json!(format!("rotated-{name}"));
                    }
                    row
                })
                .collect();
            stage.publish("gateway", &rows);
            let told = stage.is_spared(&["one", "two", "three"], 0);
            for name in ["one", "two", "three"] {
                assert_eq!(told.worker(stage.pid(name))["reason"], "unknown-state", "{told:#?}");
            }
            let human = stage.reaper("human", &["status"]).end();
            let pid = stage.pid("one").to_string();
            let line =
                human.out.lines().find(|line| line.split_whitespace().any(|word| word == pid)).unwrap();
            assert!(line.contains("id-of-"), "it names a row that it may be of: {line}");
        }
    }));
}

#[test]
fn rows_that_say_they_have_no_worker_leave_no_doubt() {
    if !is_possible("rows_that_say_they_have_no_worker_leave_no_doubt") {
        return;
    }
    let stage = Stage::start();
    stage.configure(POLICY);
    stage.gateway("gateway");
    stage.worker("gateway", "worker", "lost");
    let mut lazy = row("lazy", &json!({ "transport": "attached" }));
    stage.publish("gateway", &[lazy.clone()]);
    let told = stage.is_spared(&["worker"], 0);
    assert_eq!(told.worker(stage.pid("worker"))["reason"], "unknown-state", "{told:#?}");
    lazy["worker"] = Value::Null;
    stage.publish("gateway", &[lazy]);
    let ran = stage.once_until_ended("twice", &["worker"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
}

#[test]
fn a_worker_under_init_is_kept_by_a_table_that_names_no_gateway_process() {
    if !is_possible("a_worker_under_init_is_kept_by_a_table_that_names_no_gateway_process") {
        return;
    }
    at_once([json!({ "instance": "i" }), json!({ "instance": "i", "pid": 4_000_000 })].map(|itself| {
        move || {
            let stage = Stage::start();
            live(&stage, By::Key);
            // The daemon's row doesn't lead to it.
            let rows = [row("k", &json!({ "transport": "attached" })), json!({ "id": "of-the-daemon" })];
            stage.publish_as("gateway", &itself, &rows);
            stage.is_spared_whatever_the_code(&["worker", "daemon"]);
        }
    }));
}

#[test]
fn the_workers_of_a_gateway_that_is_gone_for_certain_are_reaped_after_their_grace() {
    by_pid_and_by_key(
        "the_workers_of_a_gateway_that_is_gone_for_certain_are_reaped_after_their_grace",
        |stage, by| {
            live(stage, by);
            assert_eq!(stage.once("warm").code, Some(0));
            stage.kill("gateway");
            let ran = stage.once("warm");
            assert_eq!((ran.code, &ran.json()["totals"]["reap"]), (Some(3), &json!(0)), "{ran:#?}");
            // Without a memory it is as certain: nothing listens.
            let memory = if matches!(by, By::Key) { "fresh" } else { "warm" };
            let ran = stage.once_until_ended(memory, &["worker", "daemon"]);
            assert_eq!(ran.code, Some(3), "its table can't be read: {ran:#?}");
        },
    );
}

#[test]
fn a_gateway_that_comes_back_within_the_grace_finds_its_workers() {
    by_pid_and_by_key("a_gateway_that_comes_back_within_the_grace_finds_its_workers", |stage, by| {
        live(stage, by);
        stage.configure(&POLICY.replace("worker_grace = \"500ms\"", "worker_grace = \"5s\""));
        let watching: Reaper<'_> = stage.reaper("watching", &["watch", "--interval", "150ms"]);
        stage.eventually("it has looked", || !watching.out().is_empty());
        stage.kill("gateway");
        std::thread::sleep(std::time::Duration::from_millis(600));
        stage.gateway("again");
        let running = json!({ "transport": "attached", "turn": "running" });
        let rows = [by.row(stage, "k", "worker", &running), by.row(stage, "d", "daemon", &running)];
        stage.publish("again", &rows);
        stage.configure(POLICY);
        watching.signal(Signal::HUP);
        std::thread::sleep(std::time::Duration::from_millis(1500));
        assert!(stage.lives("worker") && stage.lives("daemon"), "{:#?}", watching.acts());
        assert_eq!(watching.stop().code, Some(0));
    });
}

/// Tables of two tenants, say: the process of the second is the first one's, which nothing says as long as its table can't be read.
#[test]
fn the_live_workers_of_a_second_table_of_one_process_are_kept_while_that_cannot_be_read() {
    let test = "the_live_workers_of_a_second_table_of_one_process_are_kept_while_that_cannot_be_read";
    if !is_possible(test) {
        return;
    }
    at_once(["refuses", "hangs"].map(|manner| {
        move || {
            let stage = Stage::start();
            stage.configure_two(POLICY);
            stage.gateway("gateway");
            stage.worker("gateway", "of-the-first", "a");
            stage.worker("gateway", "of-the-second", "b");
            let running = json!({ "transport": "attached", "turn": "running" });
            stage.publish("gateway", &[row("a", &running)]);
            stage.tell("gateway", &json!(["serve", OTHER_PORT]));
            stage.manner("gateway", manner);
            let told = stage.is_spared(&["of-the-first", "of-the-second"], 3);
            assert_eq!(told.worker(stage.pid("of-the-second"))["reason"], "table-not-trusted", "{manner}");
        }
    }));
}
