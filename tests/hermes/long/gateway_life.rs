//! A gateway that is killed, started again, and upgraded, the reaper watching all the while.

use rustix::process::Signal;

use crate::gateway::Gateway;
use crate::reaper::Reaper;
use crate::releases::{Release, on_each_release};
use crate::until;

on_each_release!(
    #[ignore = "long: starts the gateway twice"]
    a_killed_gateway_leaves_no_worker_and_its_next_run_starts_every_grace_again,
    killed
);

async fn killed(release: Release) {
    let Some(mut gateway) = Gateway::start(release).await else { return };
    let reaper = Reaper::of_workers(&gateway, "");
    let mut watching = reaper.watch();
    let mut client = gateway.client().await;
    let session = client.create().await;
    let worker = gateway.worker(&session).await;
    // A worker ends itself when its gateway goes, unless it hangs. This one hangs.
    worker.signal(Signal::STOP).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    gateway.kill();
    drop(client);
    until("the worker that its gateway left behind is gone", async || (!worker.alive()).then_some(())).await;
    assert!(watching.is_alive());

    gateway.run(release).await;
    let mut client = gateway.client().await;
    let (stays, leaks) = (client.create().await, {
        let mut other = gateway.client().await;
        let leaks = other.create().await;
        gateway.built(&leaks).await;
        leaks
    });
    gateway.built(&stays).await;
    until("the leaked session is gone", async || gateway.row(&leaks).await.is_none().then_some(())).await;
    assert!(gateway.row(&stays).await.is_some() && gateway.is_alive() && watching.is_alive());
    assert!(client.is_connected());
}

#[tokio::test]
#[ignore = "long: starts two releases"]
async fn an_upgrade_from_0_13_0_to_0_19_0_on_the_same_home_goes_unnoticed() {
    let Some(mut gateway) = Gateway::start(Release::V0_13_0).await else { return };
    let _needed = Release::V0_19_0.venv();
    let reaper = Reaper::of_workers(&gateway, "");
    let mut watching = reaper.watch();
    leak_is_reaped(&gateway).await;
    gateway.stop();
    gateway.run(Release::V0_19_0).await;
    let status = reaper.status().await;
    assert_eq!(status.exit, 0, "the plugin was enabled for the release that asks for it: {}", status.stderr);
    leak_is_reaped(&gateway).await;
    assert!(watching.is_alive() && gateway.is_alive());
}

async fn leak_is_reaped(gateway: &Gateway) {
    let mut client = gateway.client().await;
    let session = client.create().await;
    let worker = gateway.worker(&session).await;
    drop(client);
    until("the leaked session is gone", async || gateway.row(&session).await.is_none().then_some(())).await;
    until("its worker is gone", async || (!worker.alive()).then_some(())).await;
}
