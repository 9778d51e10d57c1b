//! What the demo gateway publishes, and to whom.

use gateway_reaper::demo::gateway::Options;
use gateway_reaper::demo::protocol::{AdminRequest, NewSession};
use hyper::Method;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

use crate::SHORTLY;
use crate::support::{Family, TestGateway};

#[tokio::test]
async fn an_attached_idle_session_is_published_with_every_field_that_applies() {
    let gateway = TestGateway::start(Options::default());
    let new = NewSession { key: Some("k-1".into()), close_on_disconnect: true, ..NewSession::default() };
    let (_client, family) = gateway.attached(new).await;
    let mut table = gateway.table().await;
    let row = &mut table["sessions"][0];
    assert!(row["idle_for_s"].take().as_f64().unwrap() < 10.0);
    assert!(row["activity"].take().is_string());
    assert_eq!(
        table,
        json!({
            "version": 1,
            "gateway": { "pid": gateway.process.pid(), "instance": gateway.process.ready().instance },
            "sessions": [{
                "id": family.id(), "key": "k-1", "transport": "attached", "turn": "idle", "idle_for_s": null,
                "activity": null, "close_on_disconnect": true, "holds": [],
                "worker": { "pid": family.worker.pid() },
            }],
        })
    );
}

#[tokio::test]
async fn a_dropped_socket_detaches_its_sessions_and_no_others_and_ends_no_worker() {
    let gateway = TestGateway::start(Options::default());
    let mut leaving = gateway.client().await;
    let a = Family::pin(leaving.create(NewSession::default()).await.unwrap());
    let b = Family::pin(leaving.create(NewSession::default()).await.unwrap());
    let (_staying, c) = gateway.attached(NewSession::default()).await;
    drop(leaving);
    for family in [&a, &b] {
        let row = gateway.row_where(family.id(), |row| row["transport"] == "detached").await;
        assert!(row["detached_for_s"].is_number());
    }
    assert_eq!(gateway.row(c.id()).await.unwrap()["transport"], "attached");
    sleep(SHORTLY).await;
    assert!(a.worker.alive() && b.worker.alive() && c.worker.alive());
}

#[tokio::test]
async fn a_client_that_comes_back_attaches_its_session_again() {
    let gateway = TestGateway::start(Options::default());
    let family = gateway.detached(NewSession::default()).await;
    let before = gateway.row(family.id()).await.unwrap();
    let mut back = gateway.client().await;
    back.resume(&family.created.session).await.unwrap();
    let row = gateway.row(family.id()).await.unwrap();
    assert_eq!(row["transport"], "attached");
    assert_eq!(row.get("detached_for_s"), None);
    assert_ne!(row["activity"], before["activity"]);
}

#[tokio::test]
async fn a_turn_runs_on_without_its_client_and_is_over_when_its_time_is() {
    let gateway = TestGateway::start(Options::default());
    let (mut client, family) = gateway.attached(NewSession::default()).await;
    client.prompt(&family.created.session, Some(Duration::from_millis(200))).await.unwrap();
    drop(client);
    let running = gateway.row_where(family.id(), |row| row["transport"] == "detached").await;
    assert_eq!(running["turn"], "running");
    assert_eq!(running.get("idle_for_s"), None);
    let idle = gateway.row_where(family.id(), |row| row["turn"] == "idle").await;
    assert_ne!(idle["activity"], running["activity"]);
}

#[tokio::test]
async fn fields_can_be_left_out() {
    let without = ["worker", "detached_for_s", "key", "gateway.pid"].map(String::from).to_vec();
    let gateway = TestGateway::start(Options { without, ..Options::default() });
    let family = gateway.detached(NewSession::default()).await;
    let row = gateway.row(family.id()).await.unwrap();
    let mut fields: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["activity", "close_on_disconnect", "holds", "id", "idle_for_s", "transport", "turn"]);
    let instance = &gateway.process.ready().instance;
    assert_eq!(gateway.table().await["gateway"], json!({ "instance": instance }));
}

#[tokio::test]
async fn the_table_can_be_made_to_lie() {
    let gateway = TestGateway::start(Options::default());
    let family = gateway.detached(NewSession::default()).await;
    let session = Some(family.created.session.clone());
    let lie = json!({ "pid": 1 });
    gateway.admin(AdminRequest::Publish { session, field: "worker".into(), value: lie.clone() }).await;
    gateway.admin(AdminRequest::Publish { session: None, field: "gateway".into(), value: lie.clone() }).await;
    assert_eq!(gateway.row(family.id()).await.unwrap()["worker"], lie);
    assert_eq!(gateway.table().await["gateway"], lie);
}

#[tokio::test]
async fn with_a_token_nobody_reads_the_table_or_reaps_without_it() {
    let options = Options { token_env: Some("DEMO_TEST_TOKEN".into()), ..Options::default() };
    let gateway = TestGateway::start_in(options, &[("DEMO_TEST_TOKEN", "s3cret")]);
    let (_client, family) = gateway.attached(NewSession::default()).await;
    let reap = format!("/sessions/{}/reap", family.id());
    for (method, path, body) in [(Method::GET, "/sessions", ""), (Method::POST, reap.as_str(), "{}")] {
        for wrong in [None, Some("wrong"), Some("")] {
            let answer = gateway.request(method.clone(), path, wrong, body.into()).await.unwrap();
            assert_eq!(answer.status, 401);
        }
        let answer = gateway.request(method, path, Some("s3cret"), body.into()).await.unwrap();
        assert_ne!(answer.status, 401);
    }
    for pid in [gateway.process.pid(), family.worker.pid()] {
        let argv = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&argv).contains("s3cret"));
    }
    let environment = std::fs::read(format!("/proc/{}/environ", family.worker.pid())).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("s3cret"), "workers have no business with it");
}
