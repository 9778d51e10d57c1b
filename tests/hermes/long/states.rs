//! A gateway without the plugin: listed and kept, and what needs no table is still done.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::beside::beside;
use crate::gateway::{Gateway, Launch};
use crate::reaper::Reaper;
use crate::releases::{Release, on_each_kind_of_release};
use crate::until;

on_each_kind_of_release!(
    #[ignore = "long: starts the gateway twice"]
    without_the_plugin_sessions_are_listed_and_kept_and_parentless_workers_reaped,
    without_plugin
);

async fn without_plugin(release: Release) {
    let Some(mut gateway) = Gateway::home(release) else { return };
    gateway.run(release).await;
    let reaper = Reaper::of_workers(&gateway, "");
    let mut client = gateway.client().await;
    let session = client.create().await;
    let worker = until("there is a worker", async || gateway.workers().pop()).await;
    let said = reaper.status().await;
    assert!(beside(&said).contains("1 client is connected"), "{}", said.report);
    drop(client);
    until("the connection is gone", async || {
        beside(&reaper.status().await).contains("no client is connected").then_some(())
    })
    .await;
    for said in [reaper.status().await, reaper.once().await] {
        assert_eq!((said.exit, said.gateway()["table"].as_str()), (3, Some("refused")), "{}", said.stderr);
        assert!(said.error().contains("gateway-reaper hermes install"), "{}", said.error());
        // Before 0.16.0 there is no list.
        let expected = if release.has_a_list() { ("keep", "unknown-state") } else { ("", "") };
        assert_eq!(said.of(&session), expected, "{}", said.report);
    }
    assert!(worker.alive());

    worker.signal(Signal::STOP).unwrap();
    gateway.kill();
    until("the worker without a gateway is gone", async || {
        reaper.once_and_wait().await;
        (!worker.alive()).then_some(())
    })
    .await;
}

/// 0.19.0 alone knows of sessions that end with their connection, and closes them itself, unless the client was gone before it was bound.
#[tokio::test]
#[ignore = "long: tries until one leaks"]
async fn a_leaked_session_that_asked_to_end_with_its_connection_goes_at_first_sight() {
    let Some(gateway) = Gateway::start(Release::V0_19_0).await else { return };
    let reaper = Reaper::of(&gateway);
    let mut client = gateway.client().await;
    let session = client.create().await;
    gateway.built(&session).await;
    client.turn(&session, "hello").await;
    let key = gateway.settled(&session).await["key"].clone();
    client.ask("session.close", json!({ "session_id": session })).await.unwrap();
    drop(client);

    let mut attempt = 0;
    let (short_lived, normal) = until("such a session leaks", async || {
        attempt += 1;
        let mut sidebar = gateway.client().await;
        let normal = sidebar.create().await;
        let short =
            json!({ "session_id": key, "cols": 80, "close_on_disconnect": true, "eager_build": false });
        let _unheard = sidebar.send("session.resume", short).await;
        tokio::time::sleep(Duration::from_millis(attempt % 10)).await;
        drop(sidebar);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let table = gateway.table().await;
        let mut rows = table["sessions"].as_array().unwrap().iter();
        let leaked = rows.find(|row| row["close_on_disconnect"] == true && row["transport"] == "detached")?;
        Some((leaked["id"].as_str().unwrap().to_owned(), normal))
    })
    .await;
    // A worker that is still starting is at work.
    gateway.settled(&short_lived).await;
    let first = reaper.once().await;
    assert_eq!(first.of(&short_lived), ("reap", "reaped"), "{}", first.report);
    let (verdict, why) = first.of(&normal);
    assert!(
        matches!((verdict, why), ("wait", "orphaned") | ("keep", "starting" | "held")),
        "{}",
        first.report
    );
    println!("Hermes 0.19.0: a session that asked to end with its connection leaked at attempt {attempt}");
}

#[tokio::test]
#[ignore = "long: starts a gateway"]
async fn a_dashboard_without_its_chat_is_told_so() {
    let release = Release::V0_13_0;
    let Some(mut gateway) = Gateway::home(release) else { return };
    crate::install::install(gateway.path());
    gateway.run_with(release, Launch { with_chat: false, ..Launch::default() }).await;
    let said = Reaper::of(&gateway).status().await;
    assert_eq!(said.exit, 3);
    assert!(said.error().contains("--tui"), "{}", said.error());
}

/// 0.19.0 has `hermes serve`, too: sessions, and no page that a token could be on.
#[tokio::test]
#[ignore = "long: starts a gateway"]
async fn a_headless_backend_wants_its_token_named() {
    let release = Release::V0_19_0;
    let Some(mut gateway) = Gateway::home(release) else { return };
    crate::install::install(gateway.path());
    let token = ("HERMES_DASHBOARD_SESSION_TOKEN", "a-token-of-its-own");
    gateway.run_with(release, Launch { command: "serve", environment: &[token], ..Launch::default() }).await;
    let said = Reaper::of(&gateway).status().await;
    assert_eq!(said.exit, 3, "{}", said.report);
    assert!(said.error().contains("HERMES_DASHBOARD_SESSION_TOKEN"), "{}", said.error());
    let file = gateway.path().join("token");
    std::fs::write(&file, token.1).unwrap();
    let said = Reaper::with(&gateway, &format!("token_file = \"{}\"", file.display())).status().await;
    assert_eq!((said.exit, said.gateway()["table"].as_str()), (0, Some("ok")), "{}", said.stderr);
}
