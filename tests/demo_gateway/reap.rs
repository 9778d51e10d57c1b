//! The conditional reap: looked at and done in one step.

use gateway_reaper::demo::client::ClientError;
use gateway_reaper::demo::gateway::Options;
use gateway_reaper::demo::protocol::{AdminRequest, CloseManner, NewSession, Request};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

use crate::support::{TestGateway, gone};
use crate::{SHORTLY, kept};

#[tokio::test]
async fn an_orphan_is_reaped_once_with_its_worker_and_then_gone() {
    let gateway = TestGateway::start(Options::default());
    let family = gateway.detached(NewSession::default()).await;
    assert!(gateway.reap(family.id()).await.is(200, json!({ "outcome": "reaped" })));
    assert_eq!(gateway.row(family.id()).await, None);
    assert!(gateway.reap(family.id()).await.is(404, json!({ "outcome": "gone" })));
    gone(&family.worker).await;
}

#[tokio::test]
async fn an_attached_session_is_kept() {
    let gateway = TestGateway::start(Options::default());
    let (_client, family) = gateway.attached(NewSession::default()).await;
    assert!(gateway.reap(family.id()).await.is(409, kept("attached")));
    assert!(family.worker.alive());
}

#[tokio::test]
async fn a_session_in_a_turn_or_waiting_or_held_is_kept_until_it_is_not() {
    let gateway = TestGateway::start(Options::default());
    let (mut client, family) = gateway.attached(NewSession::default()).await;
    let session = || family.created.session.clone();
    let steps = [
        (Request::Prompt { session: session(), for_ms: None }, "mid-turn"),
        (Request::Ask { session: session() }, "waiting"),
        (Request::Finish { session: session() }, "attached"),
        (Request::Hold { session: session(), name: "approval".into() }, "held"),
    ];
    for (request, reason) in steps {
        client.tell(request).await.unwrap();
        if reason == "attached" {
            assert!(gateway.reap(family.id()).await.is(409, kept(reason)));
            continue;
        }
        drop(client);
        gateway.row_where(family.id(), |row| row["transport"] == "detached").await;
        assert!(gateway.reap(family.id()).await.is(409, kept(reason)), "{reason}");
        client = gateway.client().await;
        client.resume(&session()).await.unwrap();
    }
    assert_eq!(gateway.row(family.id()).await.unwrap()["holds"], json!(["approval"]));
    client.tell(Request::Unhold { session: session(), name: "approval".into() }).await.unwrap();
    drop(client);
    gateway.row_where(family.id(), |row| row["transport"] == "detached").await;
    assert!(gateway.reap(family.id()).await.is(200, json!({ "outcome": "reaped" })));
}

#[tokio::test]
async fn a_reap_meant_for_another_run_of_the_gateway_is_refused() {
    let gateway = TestGateway::start(Options::default());
    let family = gateway.detached(NewSession::default()).await;
    assert!(gateway.reap_as(family.id(), "another").await.unwrap().is(412, kept("instance")));
    let before = gateway.process.ready().instance.to_string();
    gateway.admin(AdminRequest::ChangeInstance).await;
    assert_ne!(gateway.table().await["gateway"]["instance"], json!(before));
    assert!(gateway.reap_as(family.id(), &before).await.unwrap().is(412, kept("instance")));
    assert!(family.worker.alive());
}

#[tokio::test]
async fn of_a_client_coming_back_and_a_reap_exactly_one_wins() {
    let gateway = TestGateway::start(Options::default());
    let (mut reaps_won, mut clients_won) = (0, 0);
    for round in 0..20_u64 {
        let family = gateway.detached(NewSession::default()).await;
        let mut back = gateway.client().await;
        let resume = async {
            // From a head start for the client to one for the reap, so that both are seen to win on any machine.
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            if round >= 15 {
                sleep(Duration::from_millis(5)).await;
            }
            back.resume(&family.created.session).await
        };
        let (resumed, answer) = tokio::join!(resume, gateway.reap(family.id()));
        match resumed {
            Ok(()) => {
                assert!(answer.is(409, kept("attached")), "{answer:?}");
                assert!(family.worker.alive());
                clients_won += 1;
            }
            Err(ClientError::Refused(_)) => {
                assert!(answer.is(200, json!({ "outcome": "reaped" })), "{answer:?}");
                gone(&family.worker).await;
                reaps_won += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(reaps_won + clients_won, 20);
    assert!(reaps_won > 0 && clients_won > 0, "{reaps_won} reaps, {clients_won} clients");
}

#[tokio::test]
async fn of_many_reaps_at_once_exactly_one_closes() {
    let gateway = TestGateway::start(Options::default());
    let family = gateway.detached(NewSession::default()).await;
    let answers = futures_util::future::join_all((0..8).map(|_| gateway.reap(family.id()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 404).count(), 7);
}

#[tokio::test]
async fn a_lazy_close_leaves_the_worker_running() {
    let gateway = TestGateway::start(Options { close: CloseManner::Lazy, ..Options::default() });
    let family = gateway.detached(NewSession::default()).await;
    assert!(gateway.reap(family.id()).await.is(200, json!({ "outcome": "reaped" })));
    sleep(SHORTLY).await;
    assert!(family.worker.alive());
}

#[tokio::test]
async fn a_slow_close_ends_the_worker_later() {
    let close_takes = Duration::from_millis(300);
    let gateway = TestGateway::start(Options { close_takes, ..Options::default() });
    let family = gateway.detached(NewSession::default()).await;
    assert_eq!(gateway.reap(family.id()).await.status, 200);
    sleep(SHORTLY).await;
    assert!(family.worker.alive());
    gone(&family.worker).await;
}
