//! A gateway without the plugin: listed and kept, and what needs no table is still done.

use rustix::process::Signal;

use crate::gateway::Gateway;
use crate::reaper::Reaper;
use crate::releases::{Release, on_each_release};
use crate::until;

on_each_release!(
    #[ignore = "long: starts the gateway twice"]
    without_the_plugin_sessions_are_listed_and_kept_and_parentless_workers_reaped,
    without_plugin
);

async fn without_plugin(release: Release) {
    let Some(mut gateway) = Gateway::home(release) else { return };
    gateway.run(release).await;
    let reaper = Reaper::of(&gateway);
    let mut client = gateway.client().await;
    let session = client.create().await;
    let worker = until("there is a worker", async || gateway.workers().pop()).await;
    drop(client);
    for said in [reaper.status().await, reaper.once().await] {
        assert_eq!((said.exit, said.gateway()["table"].as_str()), (3, Some("refused")), "{}", said.stderr);
        assert!(said.error().contains("gateway-reaper hermes install"), "{}", said.error());
        // 0.13.0 has no list.
        let expected = if release == Release::V0_13_0 { ("", "") } else { ("keep", "unknown-state") };
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

#[tokio::test]
#[ignore = "long: starts a gateway"]
async fn a_dashboard_without_its_chat_is_told_so() {
    let release = Release::V0_13_0;
    let Some(mut gateway) = Gateway::home(release) else { return };
    crate::install::install(gateway.path());
    gateway.run_with(release, &["without --tui"]).await;
    let said = Reaper::of(&gateway).status().await;
    assert_eq!(said.exit, 3);
    assert!(said.error().contains("--tui"), "{}", said.error());
}
