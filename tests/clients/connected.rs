//! Clients that speak to the dashboard themselves, in every state that a connection can have.

use serde_json::json;

use crate::scene::{ADDRESS, ONE, Scene, is_possible};
use crate::stage::PORT;

#[test]
fn a_worker_is_ended_once_its_client_is_gone_and_not_before() {
    if !is_possible("a_worker_is_ended_once_its_client_is_gone_and_not_before", &[]) {
        return;
    }
    let scene = Scene::new();
    let client = scene.client_at("client", ADDRESS, PORT);
    let worker = scene.worker();
    let watch = scene.watch();
    watch.spares(&[worker], ONE);
    client.leaves();
    watch.ends(&[worker]);
}

#[test]
fn a_client_over_ipv6_and_one_over_mapped_ipv4_are_clients() {
    if !is_possible("a_client_over_ipv6_and_one_over_mapped_ipv4_are_clients", &[]) {
        return;
    }
    let scene = Scene::at("::");
    let sixth = scene.client_at("sixth", "::1", PORT);
    let fourth = scene.client_at("fourth", ADDRESS, PORT);
    let workers = scene.workers();
    let watch = scene.watch();
    watch.spares(&workers, "2 clients are connected");
    fourth.leaves();
    watch.spares(&workers, ONE);
    // The other family alone.
    fourth.connects("::ffff:127.0.0.1", PORT);
    sixth.leaves();
    watch.spares(&workers, ONE);
    fourth.leaves();
    watch.ends(&workers);
}

#[test]
fn clients_that_are_never_accepted_are_clients() {
    if !is_possible("clients_that_are_never_accepted_are_clients", &[]) {
        return;
    }
    let scene = Scene::new();
    let client = scene.client_at("client", ADDRESS, PORT);
    let worker = scene.worker();
    // The same port at another address of the dashboard: it never accepts there. Two fit into the backlog, the rest stays half open.
    let other = "127.0.0.2";
    scene.stage.tell("dashboard", &json!(["listen without accepting", other, PORT, 1]));
    client.does(&json!(["knock", other, PORT, 6]));
    client.leaves();
    let watch = scene.watch();
    watch.spares(&[worker], "clients are connected, to which sessions isn't known");
    // To the dashboard these are there until it looks at them.
    client.does(&json!(["walk away"]));
    watch.spares(&[worker], " connected, to which session");
    scene.stage.tell("dashboard", &json!(["walk away"]));
    watch.ends(&[worker]);
}

#[test]
fn a_client_that_has_closed_its_half_and_still_reads_is_one() {
    if !is_possible("a_client_that_has_closed_its_half_and_still_reads_is_one", &[]) {
        return;
    }
    let scene = Scene::new();
    let client = scene.client_at("client", ADDRESS, PORT);
    let worker = scene.worker();
    client.does(&json!(["begin", "hold"]));
    client.does(&json!(["half close"]));
    let watch = scene.watch();
    watch.spares(&[worker], ONE);
    scene.stage.tell("dashboard", &json!(["let go"]));
    assert_eq!(client.does(&json!(["end"])), "let go");
    client.leaves();
    watch.ends(&[worker]);
}

#[test]
fn a_terminal_tab_of_the_dashboards_own_is_a_client() {
    if !is_possible("a_terminal_tab_of_the_dashboards_own_is_a_client", &[]) {
        return;
    }
    let scene = Scene::new();
    let client = scene.client_at("client", ADDRESS, PORT);
    let worker = scene.worker();
    scene.stage.tell("dashboard", &json!(["child", "tab"]));
    scene.stage.enters("tab");
    assert_eq!(scene.stage.tell("tab", &json!(["connect", ADDRESS, PORT])), "101");
    client.leaves();
    let watch = scene.watch();
    watch.spares(&[worker], ONE);
    scene.stage.tell("tab", &json!(["close"]));
    watch.ends(&[worker]);
}

#[test]
fn a_client_at_a_second_port_of_the_dashboard_is_one() {
    if !is_possible("a_client_at_a_second_port_of_the_dashboard_is_one", &[]) {
        return;
    }
    let mut scene = Scene::empty();
    let second = PORT + 7;
    scene.role("dashboard", &["dashboard", ADDRESS, &PORT.to_string(), &second.to_string()], &[]);
    scene.dashboard = scene.stage.pid("dashboard");
    let client = scene.client_at("client", ADDRESS, second);
    let worker = scene.worker();
    let watch = scene.watch();
    watch.spares(&[worker], ONE);
    client.leaves();
    watch.ends(&[worker]);
}
