//! A client that comes back and prompts at the very moment of the reap: its turn is never lost, and the gateway never answers with a
//! session that it just closed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::releases::{Release, on_each_kind_of_release};
use crate::until;

const ROUNDS: u64 = 25;
const AT_ONCE: u64 = 8;

on_each_kind_of_release!(
    #[ignore = "long: many rounds"]
    a_client_that_returns_at_the_moment_of_the_reap_loses_nothing,
    races
);

async fn races(release: Release) {
    let Some(mut gateway) = Gateway::start(release).await else { return };
    let mut won = 0;
    for round in 0..ROUNDS {
        let numbers = round * AT_ONCE..(round + 1) * AT_ONCE;
        let client_won = futures_util::future::join_all(numbers.map(|number| race(&gateway, number))).await;
        won += client_won.iter().filter(|won| **won).count();
        println!("Hermes {release}, round {round}: {client_won:?}");
    }
    println!("Hermes {release}: of {} races the client won {won}", ROUNDS * AT_ONCE);
    assert!(gateway.is_alive());
}

/// Whether the client won.
async fn race(gateway: &Gateway, number: u64) -> bool {
    let mut client = gateway.client().await;
    let session = client.create().await;
    gateway.built(&session).await;
    drop(client);
    gateway.row_where(&session, "the client is gone", |row| row["transport"] == "detached").await;
    let row = gateway.settled(&session).await;
    let instance = gateway.table().await["gateway"]["instance"].clone();
    let mut returns = gateway.client().await;

    // The reap comes a little before, with, or a little after the prompt.
    let reap = async {
        tokio::time::sleep(Duration::from_millis(number % 6)).await;
        let body = json!({ "instance": instance, "reason": "orphaned", "activity": row["activity"] });
        gateway.post(&format!("/api/plugins/gateway-reaper/sessions/{session}/reap"), body).await
    };
    let prompt = async {
        tokio::time::sleep(Duration::from_millis(number / 6 % 6)).await;
        returns.prompt(&session, "hello").await
    };
    let ((status, said), answer) = tokio::join!(reap, prompt);
    let said: Value = serde_json::from_str(&said).unwrap_or_default();
    match (status, &answer) {
        (200, Err(refusal)) => {
            assert!([4001, 4009, -32603].contains(&refusal.code), "race {number}: {refusal:?}");
            assert!(gateway.row(&session).await.is_none());
            false
        }
        (409, Ok(_)) => {
            // The turn that was accepted runs to its end, in a session that is still there.
            let before = &row["activity"];
            until("the accepted turn has run", async || {
                let now =
                    gateway.row(&session).await.expect("a session with an accepted turn is never closed");
                (now["turn"] == "idle" && now["activity"] != *before).then_some(())
            })
            .await;
            returns.ask("session.close", json!({ "session_id": session })).await.unwrap();
            true
        }
        other => panic!("race {number}: the reap said {status} {said}, and the prompt {other:?}"),
    }
}
