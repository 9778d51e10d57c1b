//! `hermes install` and `hermes uninstall` as a user runs them, and what each state of a gateway is called.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::gateway::Gateway;
use super::reaper::{EXE, Reaper};
use super::releases::{Release, on_each_release};

pub(crate) fn run(command: &str, home: &Path) -> Output {
    Command::new(EXE).args(["hermes", command, "--home"]).arg(home).output().unwrap()
}

pub(crate) fn install(home: &Path) -> String {
    let output = run("install", home);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

on_each_release!(
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
    assert_eq!(not_restarted.exit, 3, "{}", not_restarted.stderr);
    assert!(not_restarted.error().contains("restart the dashboard"), "{}", not_restarted.error());

    gateway.stop();
    gateway.run(release).await;
    let with = reaper.status().await;
    assert_eq!((with.exit, with.gateway()["table"].as_str()), (0, Some("ok")), "{}", with.stderr);
    assert_eq!(with.gateway()["pid"], gateway.pid());
    assert!(install(gateway.path()).contains("already installed, up to date"));

    // A variable that everybody has, and that is no dashboard's token.
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
