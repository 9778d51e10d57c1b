//! Other network namespaces: clients that come from one, and dashboards that are in one.

use serde_json::json;

use crate::scene::{ADDRESS, Client, ONE, Scene, is_possible};
use crate::stage::PORT;

/// This end of the cable.
pub(crate) const HERE: &str = "10.213.0.1";
const THERE: &str = "10.213.0.2";

const APART: [&str; 2] = ["unshare", "--net"];

/// A client in a network namespace of its own, with a cable to the scene's.
pub(crate) fn visitor(scene: &Scene) -> Client<'_> {
    scene.role("visitor", &["client"], &APART);
    let process = scene.stage.pid("visitor").to_string();
    scene.runs(
        "looker",
        &["ip", "link", "add", "cable", "type", "veth", "peer", "name", "end", "netns", &process],
    );
    scene.runs("looker", &["ip", "address", "add", &format!("{HERE}/24"), "dev", "cable"]);
    scene.runs("looker", &["ip", "link", "set", "cable", "up"]);
    scene.runs("visitor", &["ip", "address", "add", &format!("{THERE}/24"), "dev", "end"]);
    scene.runs("visitor", &["ip", "link", "set", "end", "up"]);
    Client { scene, name: "visitor".to_owned() }
}

#[test]
fn a_client_in_another_network_namespace_is_one_also_while_its_cable_is_cut() {
    const TEST: &str = "a_client_in_another_network_namespace_is_one_also_while_its_cable_is_cut";
    if !is_possible(TEST, &["ip"]) {
        return;
    }
    let scene = Scene::at("0.0.0.0");
    let client = visitor(&scene);
    client.connects(HERE, PORT);
    client.commands();
    let worker = scene.worker();
    let watch = scene.watch();
    watch.spares(&[worker], ONE);
    // It ends, and no word of that arrives: the connection stays until the dashboard gives it up.
    scene.runs("looker", &["ip", "link", "set", "cable", "down"]);
    client.leaves();
    watch.spares(&[worker], ONE);
    scene.stage.tell("dashboard", &json!(["hang up"]));
    watch.ends(&[worker]);
}

/// A dashboard in a network namespace of its own, and its PID in a file.
fn apart() -> Scene {
    let mut scene = Scene::empty();
    scene.dashboard = scene.dashboard("dashboard", ADDRESS, &APART);
    scene.runs("dashboard", &["ip", "link", "set", "lo", "up"]);
    let pid = scene.stage.place().write("dashboard.pid", scene.dashboard.to_string());
    scene.configure(PORT + 50, &format!("[gateway.process]\npid_file = \"{}\"", pid.display()));
    scene
}

/// A client in the namespace of the dashboard.
fn inside<'scene>(scene: &'scene Scene, name: &str) -> Client<'scene> {
    let target = scene.dashboard.to_string();
    scene.role(name, &["client"], &["nsenter", "--net", "--target", &target]);
    let client = Client { scene, name: name.to_owned() };
    client.connects(ADDRESS, PORT);
    client.commands();
    client
}

#[test]
fn a_dashboard_in_another_network_namespace_is_known_by_its_own_table() {
    const TEST: &str = "a_dashboard_in_another_network_namespace_is_known_by_its_own_table";
    if !is_possible(TEST, &["ip", "nsenter"]) {
        return;
    }
    let scene = apart();
    let dashboard = scene.dashboard.to_string();
    scene.role("forwarder", &["forwarder", &(PORT + 50).to_string(), &dashboard, &PORT.to_string()], &[]);
    let client = inside(&scene, "inside");
    let worker = scene.worker();
    let watch = scene.watch();
    let said = scene.listener();
    let not = format!(", and not process {}, which is taken for the gateway", scene.dashboard);
    assert!(
        said.contains(&format!("process {} ", scene.stage.pid("forwarder"))) && said.ends_with(&not),
        "{said}"
    );
    // The client, and what the forwarder has open for reapers.
    watch.spares(&[worker], "clients are connected");
    client.leaves();
    // The forwarder gives up the reaper's own connections a moment late, so that one or the other look sees one.
    watch.ends(&[worker]);
}

#[test]
fn where_the_listener_is_not_in_the_table_that_was_read_nothing_is_known() {
    const TEST: &str = "where_the_listener_is_not_in_the_table_that_was_read_nothing_is_known";
    if !is_possible(TEST, &["ip", "nsenter"]) {
        return;
    }
    // It listens at a socket of this namespace and went into another one, as a service with a socket unit and a network of its own does.
    let scene = Scene::new();
    let client = scene.client_at("client", ADDRESS, PORT);
    let worker = scene.worker();
    let pid = scene.stage.place().write("dashboard.pid", scene.dashboard.to_string());
    scene.configure(PORT, &format!("[gateway.process]\npid_file = \"{}\"", pid.display()));
    scene.stage.tell("dashboard", &json!(["leave the network"]));
    let watch = scene.watch();
    watch.spares(&[worker], "nothing listens at its port in this network namespace");
    let said = scene.listener();
    assert!(said.contains("taken for the gateway, in another network namespace"), "{said}");
    client.leaves();
    watch.spares(&[worker], "nothing listens at its port in this network namespace");
}
