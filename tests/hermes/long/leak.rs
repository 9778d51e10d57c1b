//! The leak of the README: a dashboard with its own timer, as it comes, and a client that leaves in the middle of a turn which takes longer
//! than that timer.

use std::time::Duration;

use crate::gateway::{Gateway, Launch};
use crate::reaper::Reaper;
use crate::releases::{Release, on_each_kind_of_release};
use crate::until;

on_each_kind_of_release!(
    #[ignore = "long: waits for the dashboard's own timer"]
    a_turn_that_outlives_the_dashboards_own_timer_leaks_its_session,
    leak
);

/// What holds without the variable, in those releases that have the timer.
const TIMER: Duration = Duration::from_secs(20);

async fn leak(release: Release) {
    let Some(mut gateway) = Gateway::home(release) else { return };
    crate::install::install(gateway.path());
    let seconds = TIMER.as_secs().to_string();
    let environment = [("HERMES_TUI_WS_ORPHAN_REAP_GRACE_S", seconds.as_str())];
    gateway.run_with(release, Launch { environment: &environment, ..Launch::default() }).await;
    let reaper = Reaper::of(&gateway);
    let mut client = gateway.client().await;
    let (plain, slow) = (client.create().await, client.create().await);
    for session in [&plain, &slow] {
        gateway.built(session).await;
    }
    client.prompt(&slow, "HOLD:slow").await.unwrap();
    until("the turn is with the model", async || gateway.model.holds("slow").then_some(())).await;
    drop(client);
    tokio::time::sleep(TIMER + Duration::from_secs(10)).await;
    gateway.model.release("slow");
    gateway.settled(&slow).await;
    // So long that any timer of its would have fired once more.
    tokio::time::sleep(TIMER + Duration::from_secs(10)).await;
    let plain = gateway.row(&plain).await.is_some();
    let leaked = gateway.row(&slow).await.is_some();
    println!("Hermes {release}: of the plain session {plain}, of the one that was mid-turn {leaked} is left");
    if release == Release::V0_19_0 {
        assert!(!plain && leaked, "the README says so");
    }
    if leaked {
        let said = reaper.once_and_wait().await;
        assert_eq!(said.of(&slow), ("reap", "reaped"), "{}", said.report);
    }
}
