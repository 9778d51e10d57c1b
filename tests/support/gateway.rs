//! A demo gateway for tests: started, spoken to, and ended with everything that it started.
#![allow(dead_code, reason = "every test binary uses its own part of this")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use gateway_reaper::demo::client::Client;
use gateway_reaper::demo::gateway::Options;
use gateway_reaper::demo::launch::{GatewayProcess, spawn_gateway};
use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::demo::protocol::{AdminRequest, Created, NewSession, WorkerReady, WorkerSpec};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// The program under test.
pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_gateway-reaper");

/// Longer than anything here takes on a busy machine; only a failing test waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A gateway of a test. Dropping it ends it with all its workers and their families, also when the test fails.
pub(crate) struct TestGateway {
    pub(crate) process: GatewayProcess,
}

/// An answer to a plain HTTP request.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn is(&self, status: u16, body: Value) -> bool {
        self.status == status && self.body == body
    }
}

impl TestGateway {
    /// A gateway with these options that listens to the admin; what it leaves behind anyway is short-lived.
    pub(crate) fn start(options: Options) -> Self {
        Self::start_in(options, &[])
    }

    /// The same, with an environment.
    pub(crate) fn start_in(options: Options, environment: &[(&str, &str)]) -> Self {
        let max_lifetime = options.max_lifetime.min(Duration::from_secs(30));
        let options = Options { admin: true, max_lifetime, ..options };
        Self { process: spawn_gateway(Path::new(EXE), &options, environment).unwrap() }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.process.address()).await.unwrap()
    }

    /// A session whose client is connected.
    pub(crate) async fn attached(&self, new: NewSession) -> (Client, Family) {
        let mut client = self.client().await;
        let family = Family::pin(client.create(new).await.unwrap());
        (client, family)
    }

    /// A session whose client has gone; the gateway knows it already.
    pub(crate) async fn detached(&self, new: NewSession) -> Family {
        let (client, family) = self.attached(new).await;
        drop(client);
        self.row_where(family.id(), |row| row["transport"] == "detached").await;
        family
    }

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: String,
    ) -> Result<Answer, hyper::Error> {
        request(self.process.address(), method, path, token, body).await
    }

    pub(crate) async fn table(&self) -> Value {
        let answer = self.request(Method::GET, "/sessions", None, String::new()).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        answer.body
    }

    /// The session's row as it is now.
    pub(crate) async fn row(&self, id: &str) -> Option<Value> {
        let table = self.table().await;
        table["sessions"].as_array().unwrap().iter().find(|row| row["id"] == id).cloned()
    }

    /// The session's row, as soon as it is as wanted.
    pub(crate) async fn row_where(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        timeout(PATIENCE, async {
            loop {
                match self.row(id).await {
                    Some(row) if wanted(&row) => return row,
                    _ => sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await
        .expect("the row never became as wanted")
    }

    /// The conditional reap, by a reaper that has just read the table.
    pub(crate) async fn reap(&self, id: &str) -> Answer {
        let instance = self.process.ready().instance.to_string();
        self.reap_as(id, &instance).await.unwrap()
    }

    pub(crate) async fn reap_as(&self, id: &str, instance: &str) -> Result<Answer, hyper::Error> {
        let body = json!({ "instance": instance, "reason": "orphaned" }).to_string();
        self.request(Method::POST, &format!("/sessions/{id}/reap"), None, body).await
    }

    /// Has the gateway misbehave.
    pub(crate) async fn admin(&self, order: AdminRequest) -> Value {
        let body = serde_json::to_string(&order).unwrap();
        let answer = self.request(Method::POST, "/admin", None, body).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body
    }
}

/// A plain HTTP request on a connection of its own.
pub(crate) async fn request(
    gateway: SocketAddr,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: String,
) -> Result<Answer, hyper::Error> {
    let stream = TcpStream::connect(gateway).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut request = Request::builder().method(method).uri(path).header("host", gateway.to_string());
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    };
    tokio::select! {
        answer = exchange => answer,
        // The connection's own end carries no more than the exchange does; give the exchange the word.
        () = async { let _ = connection.await; std::future::pending::<()>().await } => unreachable!(),
    }
}

/// A session's processes, held from their start.
pub(crate) struct Family {
    pub(crate) created: Created,
    pub(crate) worker: Pinned,
    pub(crate) descendants: Vec<Pinned>,
}

impl Family {
    pub(crate) fn pin(created: Created) -> Self {
        let (worker, descendants) = pin(&created.worker);
        Self { created, worker, descendants }
    }

    pub(crate) fn id(&self) -> &str {
        self.created.session.as_str()
    }

    pub(crate) fn processes(&self) -> impl Iterator<Item = &Pinned> {
        std::iter::once(&self.worker).chain(&self.descendants)
    }
}

/// Takes hold of a worker and of its descendants.
pub(crate) fn pin(ready: &WorkerReady) -> (Pinned, Vec<Pinned>) {
    let descendants = ready.family.iter().map(|pid| Pinned::new(*pid).unwrap()).collect();
    (Pinned::new(ready.pid).unwrap(), descendants)
}

/// A session with such a worker.
pub(crate) fn session_with(worker: WorkerSpec) -> NewSession {
    NewSession { worker, ..NewSession::default() }
}

/// Waits until a process is gone.
pub(crate) async fn gone(process: &Pinned) {
    let started = Instant::now();
    while process.alive() {
        assert!(started.elapsed() < PATIENCE, "process {process} is still there");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Fields of `/proc/PID/stat` by their numbers in proc(5), from 3 (the state) on.
pub(crate) fn stat(pid: u32, field: usize) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    rest.split_ascii_whitespace().nth(field - 3).unwrap().to_owned()
}

/// The descendants of a process now.
pub(crate) fn descendants(of: u32) -> Vec<Pinned> {
    let children = std::fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flat_map(|task| {
        let children = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        children.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>()
    });
    let found: Vec<u32> = children.collect();
    found.into_iter().flat_map(|pid| Pinned::new(pid).into_iter().chain(descendants(pid))).collect()
}
