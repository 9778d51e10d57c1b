//! A hand of the test's in the gateway's own process: a dashboard plugin that turns what the gateway keeps a record of into the states that it
//! has for moments only.

use std::fs;

use serde_json::{Value, json};

use super::gateway::Gateway;
use super::releases::Release;

const NAME: &str = "hand-of-a-test";

/// Its first route gives every delegation that is under way this state, and returns the states that they had; a stalling one is given up two
/// minutes later. The second tells when each session was last active, and which time the gateway took over from those that were closed.
const API: &str = r#"
import sys, time
from fastapi import APIRouter
router = APIRouter()
LIVE = ("running", "stalling", "finalizing")

@router.post("/delegations/{state}")
def delegations(state: str):
    of = sys.modules["tools.async_delegation"]
    with of._records_lock:
        live = [each for each in of._records.values() if each["status"] in LIVE]
        before = [each["status"] for each in live]
        for each in live:
            each.update(status=state, _interrupted_at=time.time())
    return before

@router.get("/activity")
def activity():
    server, lifecycle = (sys.modules.get("tui_gateway." + name) for name in ("server", "session_lifecycle"))
    closed = getattr(lifecycle, "_closed_session_activity", {})
    return {"open": {sid: each.get("last_active") for sid, each in list(server._sessions.items())}, "closed": list(closed.values())}
"#;

/// A gateway with the plugin and with this hand.
pub(crate) async fn start(release: Release) -> Option<Gateway> {
    let mut gateway = Gateway::home(release)?;
    let config = gateway.path().join("config.yaml");
    let enabled = fs::read_to_string(&config).unwrap() + &format!("plugins:\n  enabled:\n  - {NAME}\n");
    fs::write(&config, enabled).unwrap();
    let folder = gateway.path().join("plugins").join(NAME).join("dashboard");
    fs::create_dir_all(&folder).unwrap();
    let manifest = json!({
        "name": NAME, "label": NAME, "description": "a test's", "version": "1", "icon": "Puzzle",
        "tab": { "path": format!("/{NAME}"), "hidden": true }, "entry": "index.js", "api": "plugin_api.py",
    });
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    fs::write(folder.join("index.js"), "").unwrap();
    fs::write(folder.join("plugin_api.py"), API).unwrap();
    super::install::install(gateway.path());
    gateway.run(release).await;
    Some(gateway)
}

/// Gives every delegation that is under way this state; which ones they had.
pub(crate) async fn delegations(gateway: &Gateway, state: &str) -> Value {
    let (status, body) = gateway.post(&format!("/api/plugins/{NAME}/delegations/{state}"), json!({})).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// When each session was last active, and which time was taken over from those that were closed.
pub(crate) async fn activity(gateway: &Gateway) -> Value {
    let (status, body) = gateway.get(&format!("/api/plugins/{NAME}/activity")).await.expect("an answer");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}
