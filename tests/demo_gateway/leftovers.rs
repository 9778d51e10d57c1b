//! However a gateway ends, nothing of it is left once its launcher has let go.

use std::time::Duration;

use gateway_reaper::demo::client::Client;
use gateway_reaper::demo::flavour::Flavour;
use gateway_reaper::demo::gateway::{AtEnd, Lifeline, Options};
use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::demo::protocol::{AdminRequest, AtEndOfInput, NewSession, WorkerSpec};
use hyper::Method;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::support::{Family, TestGateway, gone, session_with, stat};
use crate::{SHORTLY, of};

/// The same worker, living on at the end of its input.
fn lives_on(flavour: Flavour) -> NewSession {
    session_with(WorkerSpec { flavour, at_end_of_input: AtEndOfInput::LiveOn, ..WorkerSpec::default() })
}

const EVERY_FLAVOUR: [Flavour; 9] = [
    Flavour::Plain,
    Flavour::Parent,
    Flavour::Family,
    Flavour::Stubborn,
    Flavour::StubbornFamily,
    Flavour::Stopped,
    Flavour::ForksWhileDying,
    Flavour::DoubleForks,
    Flavour::Daemonizes,
];

async fn one_of_each(gateway: &TestGateway) -> (Client, Vec<Family>) {
    let mut client = gateway.client().await;
    let mut families = Vec::new();
    for flavour in EVERY_FLAVOUR {
        families.push(Family::pin(client.create(lives_on(flavour)).await.unwrap()));
    }
    (client, families)
}

#[tokio::test]
async fn when_its_launcher_lets_go_the_gateway_takes_everything_along() {
    let gateway = TestGateway::start(Options::default());
    let (client, families) = one_of_each(&gateway).await;
    gateway.admin(AdminRequest::Orphan { session: families[0].created.session.clone() }).await;
    let itself = Pinned::new(gateway.process.pid()).unwrap();
    drop(gateway);
    assert!(!itself.alive());
    for process in families.iter().flat_map(Family::processes) {
        gone(process).await;
    }
    drop(client);
}

#[tokio::test]
async fn sigterm_ends_the_gateway_with_its_workers() {
    let mut gateway = TestGateway::start(Options::default());
    let (_client, families) = one_of_each(&gateway).await;
    let itself = Pinned::new(gateway.process.pid()).unwrap();
    itself.signal(Signal::TERM).unwrap();
    gone(&itself).await;
    for process in families.iter().flat_map(Family::processes) {
        gone(process).await;
    }
    assert!(gateway.process.ended().unwrap());
}

#[tokio::test]
async fn a_gateway_can_leave_its_workers_behind_and_the_lifeline_still_ends_them() {
    let gateway = TestGateway::start(Options { at_end: AtEnd::LeaveWorkers, ..Options::default() });
    let (_plain_client, obedient) = gateway.attached(of(Flavour::Plain)).await;
    let (_client, left) = gateway.attached(lives_on(Flavour::Family)).await;
    let itself = Pinned::new(gateway.process.pid()).unwrap();
    itself.signal(Signal::TERM).unwrap();
    gone(&itself).await;
    gone(&obedient.worker).await;
    sleep(SHORTLY).await;
    assert!(left.processes().all(Pinned::alive));
    assert_ne!(stat(left.worker.pid(), 4), itself.pid().to_string());
    drop(gateway);
    for process in left.processes() {
        gone(process).await;
    }
}

#[tokio::test]
async fn after_a_crash_the_parentless_live_until_the_lifeline_ends() {
    let gateway = TestGateway::start(Options::default());
    let (_client, families) = one_of_each(&gateway).await;
    let itself = Pinned::new(gateway.process.pid()).unwrap();
    let crash = serde_json::to_string(&AdminRequest::Crash).unwrap();
    assert!(gateway.request(Method::POST, "/admin", None, crash).await.is_err());
    gone(&itself).await;
    sleep(SHORTLY).await;
    assert!(families.iter().flat_map(Family::processes).all(Pinned::alive));
    drop(gateway);
    for process in families.iter().flat_map(Family::processes) {
        gone(process).await;
    }
}

#[tokio::test]
async fn without_a_lifeline_parentless_workers_end_at_their_greatest_age_and_no_others_do() {
    let max_lifetime = Duration::from_millis(300);
    let options = Options { lifeline: Lifeline::None, max_lifetime, ..Options::default() };
    let gateway = TestGateway::start(options);
    let (_client, family) = gateway.attached(lives_on(Flavour::StubbornFamily)).await;
    sleep(max_lifetime * 2).await;
    assert!(family.processes().all(Pinned::alive), "their gateway is there");
    Pinned::new(gateway.process.pid()).unwrap().signal(Signal::KILL).unwrap();
    for process in family.processes() {
        gone(process).await;
    }
}

#[tokio::test]
async fn a_stopped_gateway_is_ended_too() {
    let gateway = TestGateway::start(Options::default());
    let (_client, family) = gateway.attached(lives_on(Flavour::StubbornFamily)).await;
    let itself = Pinned::new(gateway.process.pid()).unwrap();
    itself.signal(Signal::STOP).unwrap();
    drop(gateway);
    assert!(!itself.alive());
    for process in family.processes() {
        gone(process).await;
    }
}
