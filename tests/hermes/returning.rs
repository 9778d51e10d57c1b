//! A client that comes back while the reaper is at work, in front of the whole of `once`: its turn is never lost, and its gateway never
//! answers with a session that it just closed.
//!
//! There is no grace here, so that the first look already reaps. Each race is aimed by the one before it: the one that won is given a little
//! less time in the next one, which leads to the very moment of the reap and keeps the races there.

use std::time::Duration;

use serde_json::{Value, json};

use super::gateway::Gateway;
use super::reaper::{Reaper, Said};
use super::releases::{Release, on_each_release};
use super::rpc::Client;
use super::until;

on_each_release!(a_client_that_returns_during_a_run_loses_nothing, a_few_times);
on_each_release!(
    #[ignore = "long: many rounds"]
    a_client_that_returns_during_a_run_loses_nothing_many_times,
    many_times
);

async fn a_few_times(release: Release) {
    races(release, 4).await;
}

async fn many_times(release: Release) {
    let Some(lead) = races(release, 30).await else { return };
    assert!(lead.iter().all(|lead| lead.client > 0 && lead.reaper > 0), "both have to win some: {lead:?}");
}

/// How much later than the reaper the client starts, in milliseconds, and who won so far.
#[derive(Debug)]
struct Lead {
    late_by: i64,
    step: i64,
    last: Option<Winner>,
    client: u32,
    reaper: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Winner {
    Client,
    Reaper,
}

impl Lead {
    fn new(late_by: Duration) -> Self {
        Self { late_by: late_by.as_millis().try_into().unwrap(), step: 20, last: None, client: 0, reaper: 0 }
    }

    fn won_by(&mut self, winner: Winner) {
        self.step = match self.last.replace(winner) {
            None => self.step,
            Some(last) if last == winner => self.step * 2,
            Some(_) => (self.step / 4).max(2),
        };
        match winner {
            Winner::Client => (self.client, self.late_by) = (self.client + 1, self.late_by + self.step),
            Winner::Reaper => (self.reaper, self.late_by) = (self.reaper + 1, self.late_by - self.step),
        }
    }

    /// How long each of them waits first.
    fn waits(&self) -> (Duration, Duration) {
        let millis = |ms: i64| Duration::from_millis(ms.try_into().unwrap_or(0));
        (millis(-self.late_by), millis(self.late_by))
    }
}

async fn races(release: Release, rounds: u32) -> Option<[Lead; 2]> {
    let mut gateway = Gateway::start(release).await?;
    let reaper = Reaper::with(&gateway, "grace = \"0s\"");
    // The time that a run takes to its reap, more or less.
    let started = std::time::Instant::now();
    assert_eq!(reaper.once().await.exit, 0);
    let mut prompts = Lead::new(started.elapsed());
    let mut resumes = Lead::new(started.elapsed());
    for round in 0..rounds {
        let mut client = gateway.client().await;
        let session = client.create().await;
        // Written down, so that it can be resumed after it was closed.
        client.turn(&session, "hello").await;
        gateway.built(&session).await;
        drop(client);
        gateway.row_where(&session, "the client is gone", |row| row["transport"] == "detached").await;
        let row = gateway.settled(&session).await;
        let client = gateway.client().await;
        let (what, lead) = match round % 2 {
            0 => ("prompts", &mut prompts),
            _ => ("resumes", &mut resumes),
        };
        let winner = match what {
            "prompts" => prompt(&gateway, &reaper, client, &row, lead.waits()).await,
            _ => resume(release, &gateway, &reaper, client, &row, lead.waits()).await,
        };
        println!(
            "Hermes {release}, round {round}: {what} {} ms later, and the {winner:?} wins",
            lead.late_by
        );
        lead.won_by(winner);
    }
    assert!(gateway.is_alive());
    Some([prompts, resumes])
}

async fn after<T>(wait: Duration, then: impl Future<Output = T>) -> T {
    tokio::time::sleep(wait).await;
    then.await
}

fn was_reaped(said: &Said, session: &str) -> bool {
    match said.of(session) {
        ("reap", "reaped") => true,
        ("reap", "kept") | ("keep", _) => false,
        other => panic!("{other:?}: {}", said.report),
    }
}

/// The client goes on with the session that it had.
async fn prompt(
    gateway: &Gateway,
    reaper: &Reaper,
    mut client: Client,
    row: &Value,
    waits: (Duration, Duration),
) -> Winner {
    let session = row["id"].as_str().unwrap();
    let (said, answer) =
        tokio::join!(after(waits.0, reaper.once()), after(waits.1, client.prompt(session, "again")));
    assert_eq!(said.exit, 0, "{}", said.report);
    match (was_reaped(&said, session), answer) {
        (true, Err(refusal)) => {
            assert!([4001, 4009, -32603].contains(&refusal.code), "{refusal:?}");
            assert_eq!(gateway.row(session).await, None);
            Winner::Reaper
        }
        (false, Ok(_)) => {
            // An accepted turn runs to its end, in a session that is still there.
            until("the accepted turn has run", async || {
                let now =
                    gateway.row(session).await.expect("a session with an accepted turn is never closed");
                (now["turn"] == "idle" && now["activity"] != row["activity"]).then_some(())
            })
            .await;
            Winner::Client
        }
        (reaped, answer) => panic!("reaped: {reaped}, and the prompt was told {answer:?}: {}", said.report),
    }
}

/// The client asks for its conversation, takes the session that it is given, and goes on with that.
async fn resume(
    release: Release,
    gateway: &Gateway,
    reaper: &Reaper,
    mut client: Client,
    row: &Value,
    waits: (Duration, Duration),
) -> Winner {
    let session = row["id"].as_str().unwrap();
    let (said, given) = tokio::join!(after(waits.0, reaper.once()), async {
        tokio::time::sleep(waits.1).await;
        let resumed = client.ask("session.resume", json!({ "session_id": row["key"], "cols": 80 })).await;
        let given = resumed.expect("a conversation can always be resumed");
        let given = given["session_id"].as_str().expect("a session").to_owned();
        // In whichever session it is, closed or not: this turn is accepted, runs, and its answer arrives.
        client.turn(&given, "again").await;
        given
    });
    assert_eq!(said.exit, 0, "{}", said.report);
    let reaped = was_reaped(&said, session);
    assert!(gateway.row(&given).await.is_some_and(|row| row["transport"] == "attached"), "{}", said.report);
    assert_eq!(gateway.row(session).await.is_none(), reaped);
    // 0.13.0 makes a second session of a conversation, whether the first is there or not.
    assert_eq!(given != session, reaped || !release.rebinds());
    if reaped { Winner::Reaper } else { Winner::Client }
}
