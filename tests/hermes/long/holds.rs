//! What holds a session though nobody is attached, on the real releases, and that it goes once nothing holds it any more.

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::reaper::{GRACE, Reaper};
use crate::releases::{Release, on_each_release};
use crate::rpc::Client;
use crate::until;

on_each_release!(
    #[ignore = "long: waits for graces"]
    a_prompt_that_waits_for_a_person_holds_its_session,
    waiting
);
on_each_release!(
    #[ignore = "long: waits for graces"]
    a_background_process_holds_its_session,
    background
);
on_each_release!(
    #[ignore = "long: waits for graces"]
    a_delegation_holds_its_session,
    delegation
);
on_each_release!(
    #[ignore = "long: waits for graces"]
    a_job_in_the_background_of_a_worker_holds_its_session,
    job
);
on_each_release!(
    #[ignore = "long: waits for graces"]
    a_session_of_a_messaging_platform_is_never_ended,
    platform
);

pub(super) fn tool(name: &str, arguments: Value) -> String {
    format!("TOOL:{}", json!({ "name": name, "arguments": arguments }))
}

/// A session whose client has asked for something and is gone.
pub(super) async fn left_with(
    gateway: &Gateway,
    prompt: &str,
    until_then: impl AsyncFnOnce(&mut Client, &str),
) -> String {
    let mut client = gateway.client().await;
    let session = client.create().await;
    gateway.built(&session).await;
    client.prompt(&session, prompt).await.unwrap();
    until_then(&mut client, &session).await;
    drop(client);
    gateway.row_where(&session, "the client is gone", |row| row["transport"] == "detached").await;
    session
}

/// Kept for longer than its grace, with this reason.
pub(super) async fn stays(reaper: &Reaper, session: &str, reason: &str) {
    for _ in 0..2 {
        let said = reaper.once().await;
        assert_eq!(said.of(session), ("keep", reason), "{}", said.report);
        tokio::time::sleep(GRACE).await;
    }
}

pub(super) async fn goes(gateway: &Gateway, reaper: &Reaper, session: &str) {
    // What held it may still bring a last turn; from then on it is a full grace.
    gateway.settled(session).await;
    until("it is reaped", async || {
        let seen = reaper.once().await;
        let (verdict, _) = seen.of(session);
        assert!(matches!(verdict, "keep" | "wait"), "not before a full grace: {}", seen.report);
        match reaper.once_and_wait().await.of(session) {
            ("reap", "reaped") => Some(()),
            ("keep" | "wait", _) => None,
            other => panic!("{other:?}"),
        }
    })
    .await;
}

async fn waiting(release: Release) {
    let Some(gateway) = Gateway::start(release).await else { return };
    let reaper = Reaper::of(&gateway);
    let approval = tool("terminal", json!({ "command": "rm -rf /tmp/nonexistent-of-a-test" }));
    let asked = async |event: &str, client: &mut Client, session: &str| {
        until(event, async || (client.count(event, session) > 0).then_some(())).await;
    };
    let mut question = None;
    let approval = left_with(&gateway, &approval, async |client, session| {
        asked("approval.request", client, session).await;
        question = client.question("approval.request", session);
    })
    .await;
    let clarify = tool(
        "clarify",
        json!({ "question": "which?", "choices": ["a", "b"],
        // As the newer code has it.
        "questions": [{ "question": "which?", "choices": ["a", "b"] }] }),
    );
    let clarify = left_with(&gateway, &clarify, async |client, session| {
        asked("clarify.request", client, session).await
    })
    .await;
    let said = reaper.once().await;
    assert_eq!(said.of(&approval), ("keep", "waiting"), "{}", said.report);
    stays(&reaper, &clarify, "waiting").await;
    // A client that comes back and answers finds everything as it was.
    let mut returns = gateway.client().await;
    match question {
        Some(question) => returns.answer(&question, json!({ "choice": "deny" })).await,
        None => {
            let answer = json!({ "session_id": approval, "choice": "deny" });
            returns.ask("approval.respond", answer).await.unwrap();
        }
    }
    gateway.row_where(&approval, "the turn goes on", |row| row["turn"] == "idle").await;
    drop(returns);
    goes(&gateway, &reaper, &approval).await;
    assert_eq!(reaper.once().await.of(&clarify), ("keep", "waiting"));
}

async fn background(release: Release) {
    let Some(gateway) = Gateway::start(release).await else { return };
    let reaper = Reaper::of(&gateway);
    let prompt =
        tool("terminal", json!({ "command": "sleep 12", "background": true, "notify_on_complete": true }));
    let session = left_with(&gateway, &prompt, async |_, session| {
        let holds = |row: &Value| row["turn"] == "idle" && row["holds"] == json!(["background-process"]);
        gateway.row_where(session, "the process runs in the background", holds).await;
    })
    .await;
    stays(&reaper, &session, "held").await;
    goes(&gateway, &reaper, &session).await;
}

async fn delegation(release: Release) {
    let Some(gateway) = Gateway::start(release).await else { return };
    let reaper = Reaper::of(&gateway);
    let mut client = gateway.client().await;
    let other = client.create().await;
    gateway.settled(&other).await;
    let prompt = tool("delegate_task", json!({ "goal": "HOLD:child and then say so" }));
    let session = left_with(&gateway, &prompt, async |_, session| {
        gateway
            .row_where(session, "the delegation is under way", |row| {
                row["holds"].as_array().is_some_and(|holds| holds.contains(&json!("delegation")))
            })
            .await;
    })
    .await;
    // It is no other session's.
    drop(client);
    gateway.row_where(&other, "the client is gone", |row| row["transport"] == "detached").await;
    goes(&gateway, &reaper, &other).await;
    // Before 0.18 a delegation is part of its turn.
    if release >= Release::V0_18_2 {
        gateway.row_where(&session, "the parent rests", |row| row["turn"] == "idle").await;
        stays(&reaper, &session, "held").await;
    } else {
        stays(&reaper, &session, "mid-turn").await;
    }
    gateway.model.release("child");
    goes(&gateway, &reaper, &session).await;
}

/// `/background PROMPT` runs in the worker, and the gateway knows nothing of it.
async fn job(release: Release) {
    let Some(gateway) = Gateway::start(release).await else { return };
    let reaper = Reaper::of(&gateway);
    let mut client = gateway.client().await;
    let session = client.create().await;
    let worker = gateway.worker(&session).await;
    client.turn(&session, "hello").await;
    gateway.settled(&session).await;
    let job = json!({ "session_id": session, "command": "/background HOLD:job and then say so" });
    let said = client.ask("slash.exec", job).await.unwrap();
    println!("Hermes {release}: {said}");
    if said["output"].as_str().is_some_and(|output| output.contains("Unknown command")) {
        // There it is the gateway's own, and in its hands.
        assert_eq!(release, Release::V0_21_0);
        return;
    }
    until("the job is with the model", async || gateway.model.holds("job").then_some(())).await;
    drop(client);
    gateway.row_where(&session, "the client is gone", |row| row["transport"] == "detached").await;
    gateway.settled(&session).await;
    stays(&reaper, &session, "held").await;
    let said = reaper.once_and_wait().await;
    assert_eq!(said.of(&session), ("keep", "held"), "{}", said.report);
    assert!(said.report.to_string().contains("worker-busy") && worker.alive(), "{}", said.report);
    gateway.model.release("job");
    // The newer releases keep the job's threads, which rest by themselves after half an hour.
    if release <= Release::V0_19_0 {
        goes(&gateway, &reaper, &session).await;
        assert!(!worker.alive());
    }
}

async fn platform(release: Release) {
    let Some(gateway) = Gateway::start(release).await else { return };
    let reaper = Reaper::of(&gateway);
    let session = left_with(&gateway, "hello", async |client, session| {
        until("the turn ends", async || (client.count("message.complete", session) > 0).then_some(())).await;
    })
    .await;
    let key = gateway.settled(&session).await["key"].as_str().unwrap().to_owned();
    gateway.sql(
        release,
        &format!(
            "UPDATE sessions SET source = 'telegram', ended_at = NULL, end_reason = NULL WHERE id = '{key}'"
        ),
    );
    stays(&reaper, &session, "held").await;
    let ended = gateway.sql(release, &format!("SELECT ended_at FROM sessions WHERE id = '{key}'"));
    assert_eq!(ended, "[(None,)]");
}
