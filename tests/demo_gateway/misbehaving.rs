//! A gateway that misbehaves, as ordered.

use gateway_reaper::demo::gateway::Options;
use gateway_reaper::demo::protocol::{AdminRequest, NewSession, ReapFault, Request, WorkerReady, WorkerSpec};
use hyper::Method;
use serde_json::json;
use tokio::time::timeout;

use crate::SHORTLY;
use crate::support::{EXE, PATIENCE, TestGateway, gone, pin};

#[tokio::test]
async fn faults_in_the_answer_do_what_they_say() {
    let gateway = TestGateway::start(Options::default());
    let family = gateway.detached(NewSession::default()).await;
    let instance = gateway.process.ready().instance.to_string();
    let order = |fault| gateway.admin(AdminRequest::ReapFault { fault });

    order(ReapFault::NoAnswer).await;
    assert!(gateway.reap_as(family.id(), &instance).await.is_err());
    order(ReapFault::Status500).await;
    assert_eq!(gateway.reap(family.id()).await.status, 500);
    order(ReapFault::Hang).await;
    assert!(timeout(SHORTLY, gateway.reap(family.id())).await.is_err());
    order(ReapFault::AnswersWithoutClosing).await;
    assert_eq!(gateway.reap(family.id()).await.status, 200);
    assert!(gateway.row(family.id()).await.is_some(), "nothing was closed so far");
    assert!(family.worker.alive());
    order(ReapFault::ClosesWithoutAnswering).await;
    assert!(gateway.reap_as(family.id(), &instance).await.is_err());
    assert_eq!(gateway.row(family.id()).await, None);
    gone(&family.worker).await;
}

#[tokio::test]
async fn an_orphaned_and_a_superseded_worker_run_on() {
    let gateway = TestGateway::start(Options::default());
    let (_client, orphan) = gateway.attached(NewSession::default()).await;
    gateway.admin(AdminRequest::Orphan { session: orphan.created.session.clone() }).await;
    assert_eq!(gateway.row(orphan.id()).await, None);

    let (_client, old) = gateway.attached(NewSession::default()).await;
    let supersede =
        AdminRequest::Supersede { session: old.created.session.clone(), worker: WorkerSpec::default() };
    let ready: WorkerReady = serde_json::from_value(gateway.admin(supersede).await).unwrap();
    let (new, _) = pin(&ready);
    assert_eq!(gateway.row(old.id()).await.unwrap()["worker"], json!({ "pid": new.pid() }));
    assert!(orphan.worker.alive() && old.worker.alive() && new.alive());
}

#[tokio::test]
async fn a_frozen_gateway_answers_nobody_until_it_thaws() {
    let gateway = TestGateway::start(Options::default());
    let mut client = gateway.client().await;
    gateway.admin(AdminRequest::Freeze).await;
    assert!(timeout(SHORTLY, gateway.table()).await.is_err());
    assert!(timeout(SHORTLY, client.tell(Request::Ping)).await.is_err());
    gateway.admin(AdminRequest::Thaw).await;
    timeout(PATIENCE, gateway.table()).await.unwrap();
}

#[tokio::test]
async fn without_admin_there_is_no_admin() {
    let process =
        gateway_reaper::demo::launch::spawn_gateway(EXE.as_ref(), &Options::default(), &[]).unwrap();
    let gateway = TestGateway { process };
    let body = json!({ "do": "freeze" }).to_string();
    let answer = gateway.request(Method::POST, "/admin", None, body).await.unwrap();
    assert_eq!(answer.status, 404);
}
