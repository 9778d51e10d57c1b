//! A session whose agent is being built is in nobody's hands yet, and is never taken: neither before its worker is there nor after.

use std::fs;

use serde_json::json;

use crate::gateway::Gateway;
use crate::reaper::{GRACE, Reaper};
use crate::releases::{Release, on_each_kind_of_release};
use crate::until;

/// An agent plugin as a user may have one; here it takes its time with every new session, in the middle of the build.
const PLUGIN: &str = "import os, time

def slow(**_):
    while os.path.exists(os.path.join(os.environ['HERMES_HOME'], 'slow')):
        time.sleep(0.05)

def register(ctx):
    ctx.register_hook('on_session_reset', slow)
";

on_each_kind_of_release!(
    #[ignore = "long: waits for graces"]
    a_session_whose_agent_is_being_built_is_never_taken,
    building
);

async fn building(release: Release) {
    let Some(mut gateway) = Gateway::home(release) else { return };
    let (home, slow) = (gateway.path().to_owned(), gateway.path().join("slow"));
    let plugin = home.join("plugins/slow-sessions");
    fs::create_dir_all(&plugin).unwrap();
    fs::write(plugin.join("plugin.yaml"), "name: slow-sessions\nversion: 1.0.0\n").unwrap();
    fs::write(plugin.join("__init__.py"), PLUGIN).unwrap();
    let config = fs::read_to_string(home.join("config.yaml")).unwrap();
    fs::write(home.join("config.yaml"), config + "plugins:\n  enabled:\n  - slow-sessions\n").unwrap();
    crate::install::install(&home);
    fs::write(&slow, "").unwrap();
    gateway.run(release).await;
    let reaper = Reaper::of(&gateway);

    // Its model is slow to say what it is, and the client doesn't wait.
    gateway.model.delay_its_list(true);
    let mut client = gateway.client().await;
    let session = client.create().await;
    drop(client);
    let row = gateway.row_where(&session, "the client is gone", |row| row["transport"] == "detached").await;
    assert_eq!(row["turn"], "starting", "{row}");
    is_kept(&gateway, &reaper, &session).await;

    // Now there is a worker, and the agent isn't ready.
    gateway.model.delay_its_list(false);
    let row = gateway.row_where(&session, "its worker is there", |row| row["worker"]["pid"].is_u64()).await;
    assert_eq!(row["turn"], "starting", "{row}");
    for _ in 0..3 {
        is_kept(&gateway, &reaper, &session).await;
        tokio::time::sleep(GRACE).await;
    }

    // Once it is built it is an orphan as any other, and not before a full grace.
    fs::remove_file(&slow).unwrap();
    let worker = gateway.worker(&session).await;
    gateway.settled(&session).await;
    let said = reaper.once().await;
    assert_eq!(said.of(&session), ("wait", "orphaned"), "{}", said.report);
    let said = reaper.once_and_wait().await;
    assert_eq!(said.of(&session), ("reap", "reaped"), "{}", said.report);
    until("its worker is gone", async || (!worker.alive()).then_some(())).await;
}

/// By the reaper, and by its gateway at any request.
async fn is_kept(gateway: &Gateway, reaper: &Reaper, session: &str) {
    let said = reaper.once().await;
    assert_eq!(said.of(session), ("keep", "starting"), "{}", said.report);
    let instance = gateway.table().await["gateway"]["instance"].clone();
    let body = json!({ "instance": instance, "reason": "orphaned" });
    let (status, answer) =
        gateway.post(&format!("/api/plugins/gateway-reaper/sessions/{session}/reap"), body).await;
    assert_eq!((status, answer.contains("starting")), (409, true), "{answer}");
}
