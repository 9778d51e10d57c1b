//! A client that comes back and prompts at the very moment of the reap: its turn is never lost, and the gateway never answers with a
//! session that it just closed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::releases::{Release, on_each_kind_of_release};
use crate::until;

const ROUNDS: usize = 25;
const AT_ONCE: usize = 8;

on_each_kind_of_release!(
    #[ignore = "long: many rounds"]
    a_client_that_returns_at_the_moment_of_the_reap_loses_nothing,
    races
);

async fn races(release: Release) {
    let Some(mut gateway) = Gateway::start(release).await else { return };
    let (mut won, mut late_by, mut step, mut last) = (0, 0, 16_i64, None);
    for round in 0..ROUNDS {
        let numbers = round * AT_ONCE..(round + 1) * AT_ONCE;
        let all = numbers.map(|number| race(&gateway, number, late_by));
        let of_clients = futures_util::future::join_all(all).await.into_iter().filter(|won| *won).count();
        println!("Hermes {release}, round {round}: {late_by} ms later {of_clients} of {AT_ONCE} clients win");
        won += of_clients;
        // The side that won more is given a little less the next time.
        let clients_win = of_clients * 2 > AT_ONCE;
        step = if last.is_none_or(|last| last == clients_win) { step * 2 } else { (step / 4).max(2) };
        last = Some(clients_win);
        late_by += if clients_win { step } else { -step };
    }
    println!("Hermes {release}: of {} races the client won {won}", ROUNDS * AT_ONCE);
    assert!(gateway.is_alive());
    assert!((1..ROUNDS * AT_ONCE).contains(&won), "both have to win some");
}

/// Whether the client won, which comes so much later than the reap.
async fn race(gateway: &Gateway, number: usize, late_by: i64) -> bool {
    let mut client = gateway.client().await;
    let session = client.create().await;
    gateway.built(&session).await;
    drop(client);
    gateway.row_where(&session, "the client is gone", |row| row["transport"] == "detached").await;
    let row = gateway.settled(&session).await;
    let instance = gateway.table().await["gateway"]["instance"].clone();
    let mut returns = gateway.client().await;

    let millis = |ms: i64| Duration::from_millis(ms.try_into().unwrap_or(0));
    let around = late_by + i64::try_from(number % AT_ONCE).unwrap() - 4;
    let reap = async {
        tokio::time::sleep(millis(-around)).await;
        let body = json!({ "instance": instance, "reason": "orphaned", "activity": row["activity"] });
        gateway.post(&format!("/api/plugins/gateway-reaper/sessions/{session}/reap"), body).await
    };
    let prompt = async {
        tokio::time::sleep(millis(around)).await;
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
