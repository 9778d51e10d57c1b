//! Workers that are at work while no client is connected, and clients that come and go between two looks.

use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::scene::{ADDRESS, Client, Scene, is_possible};
use crate::stage::PORT;

const NOBODY: &str = "no client is connected, so every session of its is detached";

/// Another command of the same session; whatever else the dashboard's clients do, this one is gone afterwards.
fn commands(client: &Client<'_>, command: &str) {
    client.connects(ADDRESS, PORT);
    client.does(&json!(["command", command]));
    client.leaves();
}

#[test]
fn a_worker_at_work_is_kept_though_no_client_is_connected_and_one_at_rest_is_ended() {
    const TEST: &str = "a_worker_at_work_is_kept_though_no_client_is_connected_and_one_at_rest_is_ended";
    if !is_possible(TEST, &[]) {
        return;
    }
    let scene = Scene::new();
    // Something to connect to that isn't the dashboard.
    scene.role("model", &["dashboard", ADDRESS, &(PORT + 1).to_string()], &[]);
    let mut workers = Vec::new();
    let clients = ["rests", "connects", "thinks", "runs", "serves"].map(|name| {
        let client = scene.client_at(name, ADDRESS, PORT);
        workers.extend(
            scene.workers().into_iter().filter(|worker| !workers.contains(worker)).collect::<Vec<_>>(),
        );
        client
    });
    let [rests, connects, thinks, runs, serves] = clients;
    // Before any look.
    connects.does(&json!(["command", format!("/connect {ADDRESS} {}", PORT + 1)]));
    runs.does(&json!(["command", "/run"]));
    serves.does(&json!(["command", "/serve"]));
    let watch = scene.watch();
    watch.spares(&workers, "5 clients are connected");
    // A thread more than it had at rest.
    thinks.does(&json!(["command", "/think"]));
    for client in [&rests, &connects, &thinks, &runs, &serves] {
        client.leaves();
    }
    let (at_rest, at_work) = (vec![workers[0], workers[4]], vec![workers[1], workers[2], workers[3]]);
    watch.ends(&at_rest);
    watch.spares_others(&at_work, NOBODY);
    for client in [&connects, &thinks, &runs] {
        commands(client, "/stop");
    }
    watch.ends(&workers);
}

#[test]
fn an_idle_worker_of_a_connected_client_is_ended_where_that_is_asked_for_and_one_in_use_is_not() {
    const TEST: &str =
        "an_idle_worker_of_a_connected_client_is_ended_where_that_is_asked_for_and_one_in_use_is_not";
    if !is_possible(TEST, &[]) {
        return;
    }
    let scene = Scene::new();
    scene.configure_policy("idle_worker = \"500ms\"");
    let idle = scene.client_at("idle", ADDRESS, PORT);
    let worker = scene.worker();
    let runs = scene.client_at("runs", ADDRESS, PORT);
    runs.does(&json!(["command", "/run"]));
    let in_use: Vec<u64> = scene.workers().into_iter().filter(|it| *it != worker).collect();
    let watch = scene.watch();
    watch.ends_as("idle-worker", &[worker]);
    watch.spares_others(&in_use, "2 clients are connected");
    // Its session is there, and its next command starts another worker.
    idle.commands();
    runs.commands();
}

#[test]
fn a_client_that_comes_and_goes_between_two_looks_starts_the_grace_again_if_it_used_its_worker() {
    const TEST: &str =
        "a_client_that_comes_and_goes_between_two_looks_starts_the_grace_again_if_it_used_its_worker";
    if !is_possible(TEST, &[]) {
        return;
    }
    let scene = Scene::new();
    let client = scene.client_at("client", ADDRESS, PORT);
    let worker = scene.worker();
    let watch = scene.watch();
    watch.spares(&[worker], "1 client is connected");
    // Until just before it is due: nobody looks while the client comes, uses its worker, and goes.
    watch.signal(Signal::STOP);
    client.leaves();
    let mut used = SystemTime::now();
    for _ in 0..3 {
        watch.signal(Signal::CONT);
        std::thread::sleep(Duration::from_millis(300));
        watch.signal(Signal::STOP);
        if !scene.stage.runs(worker) {
            break;
        }
        used = SystemTime::now();
        commands(&client, "/help");
    }
    watch.signal(Signal::CONT);
    watch.ends(&[worker]);
    let ended = watch.acts();
    let at = ended.iter().find(|act| act["step"] == "SIGTERM").map(time_of).unwrap();
    let after = at.duration_since(used).unwrap();
    assert!(after >= Duration::from_millis(500), "{after:?} after it was used: {ended:#?}");
}

fn time_of(act: &Value) -> SystemTime {
    humantime::parse_rfc3339(act["time"].as_str().unwrap()).unwrap()
}
