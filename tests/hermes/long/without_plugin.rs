//! What is under way in a gateway without the plugin, where nothing tells of it: a question to a person, a delegation. While its client is
//! there nothing is ended; once no client is, its resting worker is, and what is under way goes on, for the client that comes back.

use std::fs;

use serde_json::json;

use super::holds::tool;
use crate::beside::{WORKERS, as_it_is, ended, failures_until_one_works, with_worker};
use crate::gateway::Gateway;
use crate::reaper::Reaper;
use crate::releases::{Release, on_each_kind_of_release};
use crate::rpc::Client;
use crate::until;

on_each_kind_of_release!(
    #[ignore = "long: waits for graces"]
    an_approval_outlives_its_resting_worker_without_the_plugin,
    approval
);
on_each_kind_of_release!(
    #[ignore = "long: waits for graces"]
    a_delegation_outlives_its_resting_worker_without_the_plugin,
    delegation
);

/// For several times as long as the grace nothing is due.
async fn nothing_is_ended(reaper: &Reaper, gateway: &Gateway) {
    let workers = gateway.workers();
    for _ in 0..3 {
        let said = reaper.run(&["once", "--wait", "3s"]).await;
        assert!(!said.subjects().iter().any(|subject| subject["verdict"] == "reap"), "{}", said.report);
    }
    assert!(!workers.is_empty() && workers.iter().all(gateway_reaper::demo::pinned::Pinned::alive));
}

/// Its session takes the next prompt only when the turn is over.
async fn turn_ends(client: &mut Client, session: &str) {
    until("the turn is over", async || client.prompt(session, "and now?").await.ok()).await;
}

async fn approval(release: Release) {
    let Some(mut gateway) = as_it_is(release).await else { return };
    let reaper = Reaper::of_workers(&gateway, WORKERS);
    let mut client = gateway.client().await;
    let (session, worker) = with_worker(&gateway, &mut client).await;
    let file = gateway.path().join("approved");
    fs::create_dir(&file).unwrap();
    let dangerous = tool("terminal", json!({ "command": format!("rm -rf {}", file.display()) }));
    client.prompt(&session, &dangerous).await.unwrap();
    until("it asks", async || (client.count("approval.request", &session) > 0).then_some(())).await;
    let question = client.question("approval.request", &session);
    nothing_is_ended(&reaper, &gateway).await;
    drop(client);
    ended(&reaper, &worker, "unattended-worker").await;
    assert!(gateway.is_alive() && file.exists(), "it waits for an answer still");
    let mut returns = gateway.client().await;
    match question {
        Some(question) => returns.answer(&question, json!({ "choice": "once" })).await,
        None => {
            let answer = json!({ "session_id": session, "choice": "once" });
            returns.ask("approval.respond", answer).await.unwrap();
        }
    }
    until("what was approved is done", async || (!file.exists()).then_some(())).await;
    turn_ends(&mut returns, &session).await;
    failures_until_one_works(&mut returns, &session).await;
}

async fn delegation(release: Release) {
    let Some(mut gateway) = as_it_is(release).await else { return };
    let reaper = Reaper::of_workers(&gateway, WORKERS);
    let mut client = gateway.client().await;
    let (session, worker) = with_worker(&gateway, &mut client).await;
    let file = gateway.path().join("delegated");
    // The subagent's own turn: it waits for the model, and then it does something that is to be seen.
    let goal = format!(
        "HOLD:child and then {}",
        tool("terminal", json!({ "command": format!("touch {}", file.display()) }))
    );
    let delegation = tool("delegate_task", json!({ "goal": goal }));
    client.prompt(&session, &delegation).await.unwrap();
    until("the delegation is with the model", async || gateway.model.holds("child").then_some(())).await;
    nothing_is_ended(&reaper, &gateway).await;
    drop(client);
    ended(&reaper, &worker, "unattended-worker").await;
    assert!(gateway.is_alive() && !file.exists());
    gateway.model.release("child");
    until("the subagent goes on", async || file.exists().then_some(())).await;
    let mut returns = gateway.client().await;
    turn_ends(&mut returns, &session).await;
    failures_until_one_works(&mut returns, &session).await;
}
