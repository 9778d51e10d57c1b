//! What the looks at a dashboard's clients cost: system calls by the port, not by the connection.

use serde_json::json;

use crate::scene::{ADDRESS, Scene, is_possible};
use crate::stage::PORT;

/// The system calls of a single run that remembers an earlier one: it knows which process listens.
fn calls(scene: &Scene, name: &str) -> usize {
    let trace = scene.stage.place().path(&format!("trace-{name}"));
    let under = ["strace", "-f", "-qq", "-o", trace.to_str().unwrap()];
    let ran = scene.stage.reaper_under(&under, "traced", &["--json", "once"]).end();
    let said = ran.json()["gateways"][0]["beside"].as_str().unwrap_or_default().to_owned();
    let calls = scene.stage.place().read(&format!("trace-{name}"));
    let calls = calls.lines().filter(|line| !line.contains("fcntl(") && !line.contains("futex("));
    let count = calls.clone().count();
    let netlink = calls.filter(|line| line.contains("AF_NETLINK")).count();
    println!("{name}: {count} calls, {netlink} of them for sockets; {said}");
    count
}

#[test]
fn a_look_at_five_hundred_clients_takes_as_many_system_calls_as_one_at_ten() {
    const TEST: &str = "a_look_at_five_hundred_clients_takes_as_many_system_calls_as_one_at_ten";
    if !is_possible(TEST, &["strace"]) {
        return;
    }
    let scene = Scene::new();
    let client = scene.client_at("client", ADDRESS, PORT);
    scene.worker();
    // At another address of the dashboard, and accepted without a thread for each.
    let other = "127.0.0.2";
    scene.stage.tell("dashboard", &json!(["listen without accepting", other, PORT, 600]));
    let knock = |many: u32| {
        client.does(&json!(["knock", other, PORT, many]));
        scene.stage.tell("dashboard", &json!(["accept", many]));
    };
    knock(10);
    scene.stage.once("traced");
    let few = calls(&scene, "few");
    knock(490);
    let many = calls(&scene, "many");
    client.does(&json!(["walk away"]));
    client.leaves();
    scene.stage.tell("dashboard", &json!(["walk away"]));
    let none = calls(&scene, "none");
    // A dump comes in pieces of some three hundred sockets, and there are five of them.
    assert!(many <= few + 20, "{few} calls with ten clients, {many} with five hundred");
    // Where none is connected, it is asked at which other ports the dashboard listens, and the memory is written.
    assert!(none <= few + 60, "{few} calls with ten clients, {none} with none");
}
