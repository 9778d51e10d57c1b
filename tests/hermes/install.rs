//! `hermes install` and `hermes uninstall` as a user runs them, and what each state of a gateway is called.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use gateway_reaper::hermes::plugin::VERSION;

use super::gateway::Gateway;
use super::reaper::{EXE, GRACE, Reaper};
use super::releases::{Release, on_each_kind_of_release};

pub(crate) fn run(command: &str, home: &Path) -> Output {
    Command::new(EXE).args(["hermes", command, "--home"]).arg(home).output().unwrap()
}

pub(crate) fn install(home: &Path) -> String {
    let output = run("install", home);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

on_each_kind_of_release!(
    #[ignore = "long: starts the gateway three times"]
    from_nothing_to_a_table_and_back,
    there_and_back
);

async fn there_and_back(release: Release) {
    let Some(mut gateway) = Gateway::home(release) else { return };
    let before = fs::read(gateway.path().join("config.yaml")).unwrap();
    gateway.run(release).await;
    let reaper = Reaper::of(&gateway);

    let without = reaper.status().await;
    assert_eq!((without.exit, without.gateway()["table"].as_str()), (3, Some("refused")));
    assert!(without.error().contains("run `gateway-reaper hermes install`"), "{}", without.error());
    assert!(install(gateway.path()).contains("now restart the gateway"));
    let not_restarted = reaper.status().await;
    if release < Release::V0_22_2 {
        assert_eq!(not_restarted.exit, 3, "{}", not_restarted.stderr);
        assert!(not_restarted.error().contains("restart the dashboard"), "{}", not_restarted.error());
    } else {
        assert_eq!(
            not_restarted.exit, 0,
            "it loads a plugin that is new as it runs: {}",
            not_restarted.stderr
        );
    }

    gateway.stop();
    gateway.run(release).await;
    let with = reaper.status().await;
    assert_eq!((with.exit, with.gateway()["table"].as_str()), (0, Some("ok")), "{}", with.stderr);
    assert_eq!(with.gateway()["pid"], gateway.pid());
    assert!(install(gateway.path()).contains("already installed, up to date"));

    // A variable that all have, and that is no dashboard's token.
    let wrong = Reaper::with(&gateway, "token_env = \"PATH\"").status().await;
    assert_eq!(wrong.exit, 3);
    assert!(wrong.error().contains("did not accept the token"), "{}", wrong.error());

    let output = run("uninstall", gateway.path());
    assert!(output.status.success());
    assert_eq!(
        fs::read(gateway.path().join("config.yaml")).unwrap(),
        before,
        "config.yaml is as it was, to the byte"
    );
    assert!(!gateway.path().join("plugins/gateway-reaper").exists());
    gateway.stop();
    gateway.run(release).await;
    assert_eq!(reaper.status().await.exit, 3);
}

on_each_kind_of_release!(
    #[ignore = "long: starts the gateway twice"]
    an_older_plugin_is_named_and_upgraded_and_then_works,
    upgraded
);

/// A gateway that runs the plugin of an older gateway-reaper, installed as that one did.
async fn upgraded(release: Release) {
    let Some(mut gateway) = Gateway::home(release) else { return };
    install(gateway.path());
    make_older(gateway.path());
    gateway.run(release).await;
    let reaper = Reaper::of(&gateway);
    let mut client = gateway.client().await;
    let session = client.create().await;
    let worker = gateway.worker(&session).await;
    drop(client);
    gateway.row_where(&session, "the client is gone", |row| row["transport"] == "detached").await;

    let remedy = format!(
        "its plugin is 0.9.0, and this gateway-reaper needs {VERSION}: run `gateway-reaper hermes install`, then \
         restart the dashboard"
    );
    for said in [reaper.status().await, reaper.once().await, reaper.once_and_wait().await] {
        assert_eq!((said.exit, said.gateway()["table"].as_str()), (3, Some("refused")), "{}", said.stderr);
        assert!(said.error().contains(&remedy), "{}", said.error());
        // Before 0.16.0 there is no other list.
        let listed = if release.has_a_list() { ("keep", "unknown-state") } else { ("", "") };
        assert_eq!(said.of(&session), listed, "{}", said.report);
        tokio::time::sleep(GRACE).await;
    }
    assert!(worker.alive() && gateway.row(&session).await.is_some());

    let told = install(gateway.path());
    assert!(!told.contains("is kept"), "nobody had changed it: {told}");
    assert!(
        told.contains(&format!("plugin 0.9.0 upgraded to {VERSION}"))
            && told.contains("now restart the gateway"),
        "{told}"
    );
    assert_eq!(reaper.status().await.exit, 3, "the gateway has the old one in memory");
    gateway.stop();
    gateway.run(release).await;
    let said = reaper.status().await;
    assert_eq!((said.exit, said.gateway()["table"].as_str()), (0, Some("ok")), "{}", said.stderr);
    let mut client = gateway.client().await;
    let session = client.create().await;
    gateway.built(&session).await;
    drop(client);
    gateway.row_where(&session, "the client is gone", |row| row["transport"] == "detached").await;
    gateway.settled(&session).await;
    let said = reaper.once_and_wait().await;
    assert_eq!(said.of(&session), ("reap", "reaped"), "{}", said.report);
}

/// Makes an installation what gateway-reaper 0.9.0 would have left: its files, and its record of them.
fn make_older(home: &Path) {
    let plugin = home.join("plugins/gateway-reaper");
    let mut record: serde_json::Value =
        serde_json::from_slice(&fs::read(plugin.join("installed.json")).unwrap()).unwrap();
    for file in ["manifest.json", "plugin_api.py"] {
        let path = plugin.join("dashboard").join(file);
        let older = fs::read_to_string(&path).unwrap().replace(&format!("\"{VERSION}\""), "\"0.9.0\"");
        assert!(older.contains("0.9.0"), "{file}");
        record["files"][file] = fingerprint(older.as_bytes()).into();
        fs::write(&path, older).unwrap();
    }
    record["version"] = "0.9.0".into();
    fs::write(plugin.join("installed.json"), record.to_string()).unwrap();
}

/// As a record has it: FNV-1a, and the length.
fn fingerprint(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}-{}", bytes.len())
}
