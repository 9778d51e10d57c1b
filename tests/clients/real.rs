//! The same in front of a real Hermes: what stays open between it, its clients and their proxies.

use serde_json::json;

use crate::namespaces::{HERE, visitor};
use crate::proxies::{PROXY, TUNNEL, nginx, ssh};
use crate::releases::Release;
use crate::scene::{ADDRESS, Client, ONE, Scene, Watch, is_possible};
use crate::stage::PORT;

/// A dashboard of this release without the plugin. `None`: the developer goes without Hermes.
fn hermes(release: Release) -> Option<Scene> {
    let venv = release.venv()?;
    let mut scene = Scene::empty();
    let home = scene.stage.place().path("hermes");
    std::fs::create_dir(&home).unwrap();
    let program = venv.join("bin/hermes");
    let port = PORT.to_string();
    let command = [program.to_str().unwrap(), "dashboard", "--no-open", "--skip-build", "--port", &port];
    let options = json!({
        "directory": &home,
        "log": home.join("log"),
        "environment": {
            "HOME": &home, "HERMES_HOME": &home, "HERMES_DASHBOARD_SESSION_TOKEN": "a-token",
            "HERMES_TUI_WS_ORPHAN_REAP_GRACE_S": "0",
        },
    });
    let pid = scene.stage.tell("init", &json!(["spawn", "hermes", command, options]));
    scene.dashboard = pid.as_u64().unwrap();
    scene.role("reader", &["client"], &[]);
    scene.eventually("the dashboard is ready", || {
        assert!(
            scene.stage.runs(scene.dashboard),
            "it ended: {}",
            scene.stage.place().read("hermes/log.err")
        );
        scene.stage.tell("reader", &json!(["is open", ADDRESS, PORT])) == true
            && scene.stage.tell("reader", &json!(["page", ADDRESS, PORT])) == "200"
    });
    Some(scene)
}

/// A client there keeps its worker for as long as it is there.
fn comes_and_goes(scene: &Scene, watch: &Watch<'_>, client: &Client<'_>, host: &str, port: u16) {
    client.connects(host, port);
    client.commands();
    let workers = scene.workers();
    assert!(!workers.is_empty());
    watch.spares_others(&workers, ONE);
    client.leaves();
    scene.eventually(&format!("the workers behind {host}:{port} are ended"), || scene.workers().is_empty());
    assert!(scene.stage.runs(scene.dashboard), "the dashboard was ended");
}

#[test]
#[ignore = "long: a real Hermes, and the minute after which nginx gives up a client that is gone without a word"]
fn a_real_dashboards_clients_are_seen_through_proxies_tunnels_and_cables() {
    const TEST: &str = "a_real_dashboards_clients_are_seen_through_proxies_tunnels_and_cables";
    if !is_possible(TEST, &["nginx", "sshd", "ssh", "ssh-keygen", "ip"]) {
        return;
    }
    let Some(scene) = hermes(Release::V0_19_0) else { return };
    nginx(&scene);
    ssh(&scene);
    let client = scene.client("client");
    let watch = scene.watch();
    for port in [PORT, PROXY, TUNNEL] {
        comes_and_goes(&scene, &watch, &client, ADDRESS, port);
    }
    let far = visitor(&scene);
    comes_and_goes(&scene, &watch, &far, HERE, PROXY);
    // And once more without a word that it is gone. A dashboard on loopback doesn't ping its clients; nginx gives up one that says nothing
    // for a minute.
    far.connects(HERE, PROXY);
    far.commands();
    let workers = scene.workers();
    scene.runs("looker", &["ip", "link", "set", "cable", "down"]);
    far.leaves();
    watch.spares_others(&workers, ONE);
    scene.eventually("it is given up", || scene.workers().is_empty());
    assert!(scene.stage.runs(scene.dashboard), "the dashboard was ended");
}
