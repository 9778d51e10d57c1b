//! What came with the newer code: schedules, several windows of one session, windows that only watch, plugins in a process of their own.

use std::fs;

use serde_json::json;

use super::holds::{goes, stays};
use crate::gateway::{Gateway, Launch};
use crate::reaper::Reaper;
use crate::releases::{Release, on_each_newer_release};
use crate::until;

on_each_newer_release!(
    #[ignore = "long: waits for graces"]
    an_active_loop_or_heartbeat_holds_its_session,
    schedules
);
on_each_newer_release!(
    #[ignore = "long: waits for graces"]
    a_session_with_several_windows_is_detached_when_the_last_one_goes,
    windows
);
on_each_newer_release!(
    #[ignore = "long: waits for graces"]
    a_window_that_only_watched_is_reaped_like_any_other,
    watcher
);

async fn schedules(release: Release) {
    let Some(gateway) = Gateway::start(release).await else { return };
    let reaper = Reaper::of(&gateway);
    let mut client = gateway.client().await;
    let mut sessions = Vec::new();
    for (command, arguments) in [("loop", "2h say so"), ("heartbeat", "2h say so")] {
        let session = client.create().await;
        client.turn(&session, "hello").await;
        gateway.settled(&session).await;
        let schedule = json!({ "session_id": session, "name": command, "arg": arguments });
        match client.ask("command.dispatch", schedule).await {
            Ok(_) => sessions.push((session, command)),
            // There a heartbeat is set by the session's worker.
            Err(_) if command == "heartbeat" => {
                let typed = json!({ "session_id": session, "command": format!("/heartbeat {arguments}") });
                client.ask("slash.exec", typed).await.unwrap();
                sessions.push((session, command));
            }
            Err(refusal) => panic!("{refusal:?}"),
        }
    }
    drop(client);
    for (session, command) in &sessions {
        let row =
            gateway.row_where(session, "the client is gone", |row| row["transport"] == "detached").await;
        assert_eq!(row["holds"], json!(["wakeup-schedule"]), "{command}: {row}");
        stays(&reaper, session, "held").await;
    }
    let mut returns = gateway.client().await;
    let (session, command) = &sessions[0];
    returns
        .ask("command.dispatch", json!({ "session_id": session, "name": command, "arg": "stop" }))
        .await
        .unwrap();
    drop(returns);
    goes(&gateway, &reaper, session).await;
    let said = reaper.once().await;
    assert_eq!(said.of(&sessions[1].0), ("keep", "held"), "{}", said.report);
}

async fn windows(release: Release) {
    let Some(gateway) = Gateway::start(release).await else { return };
    let reaper = Reaper::of(&gateway);
    let mut first = gateway.client().await;
    let session = first.create().await;
    first.turn(&session, "hello").await;
    let key = gateway.settled(&session).await["key"].clone();
    let mut second = gateway.client().await;
    let again = second.ask("session.resume", json!({ "session_id": key, "cols": 80 })).await.unwrap();
    assert_eq!(again["session_id"], session.as_str());
    assert_eq!(reaper.once().await.of(&session), ("keep", "attached"));
    drop(first);
    stays(&reaper, &session, "attached").await;
    second.turn(&session, "still there?").await;
    drop(second);
    gateway.row_where(&session, "both are gone", |row| row["transport"] == "detached").await;
    goes(&gateway, &reaper, &session).await;
}

async fn watcher(release: Release) {
    let Some(gateway) = Gateway::start(release).await else { return };
    let reaper = Reaper::of(&gateway);
    let mut client = gateway.client().await;
    let session = client.create().await;
    client.turn(&session, "hello").await;
    let key = gateway.settled(&session).await["key"].clone();
    client.ask("session.close", json!({ "session_id": session })).await.unwrap();
    let lazy = json!({ "session_id": key, "cols": 80, "lazy": true });
    let watching = client.ask("session.resume", lazy).await.unwrap();
    let watching = watching["session_id"].as_str().unwrap().to_owned();
    drop(client);
    gateway.row_where(&watching, "the client is gone", |row| row["transport"] == "detached").await;
    goes(&gateway, &reaper, &watching).await;
}

/// As the desktop starts it: at any port that is free, which only Hermes' own records tell.
#[tokio::test]
#[ignore = "long: starts a gateway"]
async fn a_backend_at_any_port_is_found_by_its_home() {
    for release in [Release::V0_21_0, Release::V0_22_2] {
        let Some(mut gateway) = Gateway::home(release) else { return };
        crate::install::install(gateway.path());
        let file = gateway.path().join("token");
        fs::write(&file, "a-token-of-its-own").unwrap();
        let with_token = format!("token_file = \"{}\"", file.display());
        let reaper = Reaper::of_home(&gateway, &with_token);
        let said = reaper.status().await;
        assert_eq!(said.exit, 3, "{}", said.stderr);
        assert!(said.error().contains("name its address by url"), "before its first start: {}", said.error());

        let token = ("HERMES_DASHBOARD_SESSION_TOKEN", "a-token-of-its-own");
        let any_port = Launch {
            command: "serve",
            arguments: &["--port", "0"],
            environment: &[token],
            ..Launch::default()
        };
        let mut backend = gateway.launch(release, any_port);
        until("it is found and has its table", async || {
            assert!(backend.try_wait().unwrap().is_none(), "{}", gateway.log());
            (reaper.status().await.exit == 0).then_some(())
        })
        .await;
        let said = reaper.status().await;
        assert_eq!(said.gateway()["pid"], backend.id(), "{}", said.report);
        let output = crate::install::run("status", gateway.path());
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{told}");
        assert!(told.contains(&format!("serve {} at http://127.0.0.1:", backend.id())), "{told}");

        // Installed once more, after it started: that it hasn't loaded.
        fs::write(gateway.path().join("plugins/gateway-reaper/dashboard/index.js"), "changed").unwrap();
        crate::install::install(gateway.path());
        let told = String::from_utf8(crate::install::run("status", gateway.path()).stdout).unwrap();
        assert!(told.contains("since before the plugin was installed: restart it"), "{told}");

        backend.kill().unwrap();
        backend.wait().unwrap();
        let said = reaper.status().await;
        assert_eq!(
            (said.exit, said.gateway()["table"].as_str()),
            (3, Some("unreachable")),
            "{}",
            said.report
        );
    }
}

/// A user's plugins run in a process of their own there, and from there no session is to be seen.
#[tokio::test]
#[ignore = "long: starts a gateway"]
async fn in_the_plugin_host_there_is_no_table_and_the_remedy_is_told() {
    let release = Release::V0_22_2;
    let Some(mut gateway) = Gateway::home(release) else { return };
    let config = gateway.path().join("config.yaml");
    let with_host = fs::read_to_string(&config).unwrap() + "plugins:\n  isolation: host\n";
    fs::write(&config, with_host).unwrap();
    crate::install::install(gateway.path());
    gateway.run(release).await;
    let mut client = gateway.client().await;
    let _session = client.create_without_worker().await;
    drop(client);
    let reaper = Reaper::of(&gateway);
    for said in [reaper.status().await, reaper.once().await] {
        assert_eq!((said.exit, said.gateway()["table"].as_str()), (3, Some("refused")), "{}", said.report);
        assert!(said.error().contains("plugins.isolation"), "{}", said.error());
    }
}
