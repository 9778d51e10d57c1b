//! A client that comes back and prompts at the very moment of the reap: its turn is never lost, and the gateway never answers with a
//! session that it just closed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::releases::{Release, on_each_kind_of_release};
use crate::until;

const ROUNDS: u64 = 24;

on_each_kind_of_release!(
    #[ignore = "long: many rounds"]
    a_client_that_returns_at_the_moment_of_the_reap_loses_nothing,
    races
);

async fn races(release: Release) {
    let Some(mut gateway) = Gateway::start(release).await else { return };
    let (mut won, mut lost) = (0, 0);
    for round in 0..ROUNDS {
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
            tokio::time::sleep(Duration::from_millis(round % 6)).await;
            let body = json!({ "instance": instance, "reason": "orphaned", "activity": row["activity"] });
            gateway.post(&format!("/api/plugins/gateway-reaper/sessions/{session}/reap"), body).await
        };
        let prompt = async {
            tokio::time::sleep(Duration::from_millis(round / 6)).await;
            returns.prompt(&session, "hello").await
        };
        let ((status, said), answer) = tokio::join!(reap, prompt);
        let said: Value = serde_json::from_str(&said).unwrap_or_default();
        match (status, &answer) {
            (200, Err(refusal)) => {
                lost += 1;
                assert!([4001, 4009, -32603].contains(&refusal.code), "round {round}: {refusal:?}");
                assert!(gateway.row(&session).await.is_none());
            }
            (409, Ok(_)) => {
                won += 1;
                // The turn that was accepted runs to its end, in a session that is still there.
                let before = &row["activity"];
                until("the accepted turn has run", async || {
                    let now =
                        gateway.row(&session).await.expect("a session with an accepted turn is never closed");
                    (now["turn"] == "idle" && now["activity"] != *before).then_some(())
                })
                .await;
            }
            other => panic!("round {round}: the reap said {status} {said}, and the prompt {other:?}"),
        }
    }
    println!("Hermes {release}: of {ROUNDS} races the client won {won} and the reap {lost}");
    assert!(gateway.is_alive());
}
