//! A client of the gateway: JSON-RPC over its WebSocket, as a browser or a desktop application speaks it.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};

use super::{PATIENCE, until};

type Socket = WebSocketStream<TcpStream>;

/// A connected client. Dropping it drops the connection without a goodbye.
#[derive(Debug)]
pub(crate) struct Client {
    sink: SplitSink<Socket, Message>,
    inbox: Arc<Mutex<Inbox>>,
    reader: JoinHandle<()>,
    next_id: u64,
    /// The workers of its gateway start with the first slash command.
    lazy_workers: bool,
}

#[derive(Debug, Default)]
struct Inbox {
    waiting: HashMap<u64, oneshot::Sender<Value>>,
    events: Vec<Value>,
    closed: bool,
}

/// What the gateway says when it refuses.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: i64,
    pub(crate) message: String,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddrV4, credential: &str, lazy_workers: bool) -> Self {
        let url = format!("ws://{address}/api/ws?{credential}");
        // The first client has the gateway load its sessions' code. On a busy machine that takes longer than it waits for a handshake.
        let (socket, _) = until("a WebSocket is open", async || {
            let stream = TcpStream::connect(address).await.unwrap();
            match tokio_tungstenite::client_async(&url, stream).await {
                Err(Error::Protocol(ProtocolError::HandshakeIncomplete)) => None,
                opened => Some(opened.unwrap()),
            }
        })
        .await;
        let (sink, stream) = socket.split();
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let reader = tokio::spawn(read(stream, Arc::clone(&inbox)));
        Self { sink, inbox, reader, next_id: 1, lazy_workers }
    }

    /// Asks and waits for the answer.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> Result<Value, Refusal> {
        let answer = self.send(method, params).await;
        let answer =
            tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| panic!("no answer to {method}"));
        let answer = answer.unwrap_or_else(|_| panic!("the gateway hung up on {method}"));
        match answer.get("error") {
            None => Ok(answer["result"].clone()),
            Some(error) => Err(Refusal {
                code: error["code"].as_i64().unwrap_or_default(),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            }),
        }
    }

    /// Asks; the answer comes when it comes.
    pub(crate) async fn send(&mut self, method: &str, params: Value) -> oneshot::Receiver<Value> {
        let id = self.next_id;
        self.next_id += 1;
        let (sender, receiver) = oneshot::channel();
        self.inbox.lock().unwrap().waiting.insert(id, sender);
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let _ = self.sink.send(Message::text(request.to_string())).await;
        receiver
    }

    /// A new session that has a worker, or will have one once it is built.
    pub(crate) async fn create(&mut self) -> String {
        let session = self.create_without_worker().await;
        if self.lazy_workers {
            let _unheard =
                self.send("slash.exec", json!({ "session_id": session, "command": "/help" })).await;
        }
        session
    }

    pub(crate) async fn create_without_worker(&mut self) -> String {
        let session = self.ask("session.create", json!({ "cols": 80 })).await.unwrap();
        session["session_id"].as_str().unwrap().to_owned()
    }

    /// Begins a turn.
    pub(crate) async fn prompt(&mut self, session: &str, text: &str) -> Result<Value, Refusal> {
        self.ask("prompt.submit", json!({ "session_id": session, "text": text })).await
    }

    /// Begins a turn and waits for its end. On a busy machine Hermes gives up a turn whose session isn't built within 30 s, and builds it on:
    /// then it is asked again.
    pub(crate) async fn turn(&mut self, session: &str, text: &str) {
        let seen = self.count("message.complete", session);
        loop {
            let failed = self.count("error", session);
            self.prompt(session, text).await.unwrap();
            let is_complete = until("a turn ends", async || {
                let is_complete = self.count("message.complete", session) > seen;
                (is_complete || self.count("error", session) > failed).then_some(is_complete)
            });
            if is_complete.await {
                return;
            }
            let error = self.last("error", session);
            assert!(error.contains("initialization timed out"), "the turn failed: {error}");
            // It says so right before the session takes another turn.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// How long the gateway takes for something small.
    pub(crate) async fn round_trip(&mut self) -> Duration {
        let started = Instant::now();
        self.ask("session.list", json!({})).await.unwrap();
        started.elapsed()
    }

    pub(crate) fn count(&self, event: &str, session: &str) -> usize {
        let inbox = self.inbox.lock().unwrap();
        inbox.events.iter().filter(|message| is(message, event, session)).count()
    }

    fn last(&self, event: &str, session: &str) -> String {
        let inbox = self.inbox.lock().unwrap();
        inbox
            .events
            .iter()
            .rfind(|message| is(message, event, session))
            .map(Value::to_string)
            .unwrap_or_default()
    }

    /// Says that it answers the gateway's own questions; since 0.21.3 those come as requests, and only to a client that says so.
    pub(crate) async fn will_answer(&mut self) {
        self.ask("client.capabilities", json!({ "server_requests": true })).await.unwrap();
    }

    /// The id of the gateway's own question, where it is a request.
    pub(crate) fn question(&self, event: &str, session: &str) -> Option<Value> {
        let inbox = self.inbox.lock().unwrap();
        inbox.events.iter().find(|message| is(message, event, session))?.get("id").cloned()
    }

    /// Answers such a question.
    pub(crate) async fn answer(&mut self, question: &Value, answer: Value) {
        let response = json!({ "jsonrpc": "2.0", "id": question, "result": answer });
        let _ = self.sink.send(Message::text(response.to_string())).await;
    }

    pub(crate) fn is_connected(&self) -> bool {
        !self.inbox.lock().unwrap().closed
    }
}

/// An event, or a request of the same name without its ending.
fn is(message: &Value, event: &str, session: &str) -> bool {
    let named = message["params"]["type"] == event
        || message["method"].as_str().is_some_and(|method| Some(method) == event.strip_suffix(".request"));
    named && message["params"]["session_id"] == session
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(mut stream: SplitStream<Socket>, inbox: Arc<Mutex<Inbox>>) {
    while let Some(Ok(message)) = stream.next().await {
        let Message::Text(text) = message else { continue };
        let Ok(message) = serde_json::from_str::<Value>(text.as_str()) else { continue };
        let mut inbox = inbox.lock().unwrap();
        match message.get("id").and_then(Value::as_u64).and_then(|id| inbox.waiting.remove(&id)) {
            Some(waiting) => _ = waiting.send(message),
            None => inbox.events.push(message),
        }
    }
    let mut inbox = inbox.lock().unwrap();
    inbox.closed = true;
    inbox.waiting.clear();
}
