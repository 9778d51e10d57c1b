//! A gateway that publishes whatever a test wants, answers reaps however a test wants, and remembers what it was asked and when.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::port::Port;

/// What it does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A status and a body.
    Says(u16, String),
    /// These bytes, and then the connection ends.
    Raw(Vec<u8>),
    /// The connection ends.
    Nothing,
    /// Never answers and keeps the connection open.
    Hangs,
    /// The same answer after a while.
    After(Duration, Box<Answer>),
    /// One after the other, and again from the first.
    InTurn(Arc<Mutex<VecDeque<Answer>>>),
}

impl Answer {
    pub(crate) fn json(value: &Value) -> Self {
        Self::Says(200, value.to_string())
    }

    pub(crate) fn reaped() -> Self {
        Self::json(&json!({ "outcome": "reaped" }))
    }

    pub(crate) fn in_turn(answers: impl IntoIterator<Item = Self>) -> Self {
        Self::InTurn(Arc::new(Mutex::new(answers.into_iter().collect())))
    }

    pub(crate) fn kept(reason: &str) -> Self {
        Self::Says(409, json!({ "outcome": "kept", "reason": reason }).to_string())
    }
}

/// A request it got.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

type OnReap = Arc<dyn Fn(&str) -> Answer + Send + Sync>;

pub(crate) struct Script {
    table: Answer,
    reaps: HashMap<String, Answer>,
    on_reap: Option<OnReap>,
    token: Option<String>,
    asked: Vec<Asked>,
}

/// The gateway, without a process of its own; nothing answers once it is dropped.
pub(crate) struct Gateway {
    /// Keeps the address while nothing listens there: other tests, of other programs too, look for one at the same time.
    port: Port,
    script: Arc<Mutex<Script>>,
    listener: Arc<Mutex<Option<TcpListener>>>,
    /// Has a copy of the listener in hand, and so keeps the address open until it ends.
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Gateway {
    /// With an empty table.
    pub(crate) fn start() -> Self {
        let port = Port::reserve();
        let listener = port.listen().unwrap();
        let script = Arc::new(Mutex::new(Script {
            table: Answer::json(&table(None, &[])),
            reaps: HashMap::new(),
            on_reap: None,
            token: None,
            asked: Vec::new(),
        }));
        let listening = Arc::new(Mutex::new(Some(listener.try_clone().unwrap())));
        let accepting = Mutex::new(Some(serve(listener, &script, &listening)));
        Self { port, script, listener: listening, accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/sessions", self.port())
    }

    /// A `[[gateway]]` of this name, to which a test may add.
    pub(crate) fn section(&self, name: &str) -> String {
        format!(
            "[[gateway]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{}\"\ntimeout = \"2s\"\n",
            self.url()
        )
    }

    pub(crate) fn publish(&self, table: &Value) {
        self.answer(Answer::json(table));
    }

    /// For the gateway's own side of a reap, which changes the table.
    pub(crate) fn hand(&self) -> Hand {
        Hand(Arc::downgrade(&self.script))
    }

    pub(crate) fn answer(&self, table: Answer) {
        self.script.lock().unwrap().table = table;
    }

    pub(crate) fn on_reap(&self, id: &str, answer: Answer) {
        self.script.lock().unwrap().reaps.insert(id.to_owned(), answer);
    }

    /// Answers again as it does for others.
    pub(crate) fn forget_answer(&self, id: &str) {
        self.script.lock().unwrap().reaps.remove(id);
    }

    pub(crate) fn when_reaping(&self, act: impl Fn(&str) -> Answer + Send + Sync + 'static) {
        self.script.lock().unwrap().on_reap = Some(Arc::new(act));
    }

    pub(crate) fn ask_for(&self, token: &str) {
        self.script.lock().unwrap().token = Some(token.to_owned());
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.lock().unwrap().asked.clone()
    }

    /// How often the table was asked for.
    pub(crate) fn looks(&self) -> usize {
        self.asked().iter().filter(|asked| asked.method == "GET").count()
    }

    /// The sessions that it was asked to reap, in order.
    pub(crate) fn reaps(&self) -> Vec<String> {
        let asked = self.asked();
        let reaps = asked.iter().filter(|asked| asked.method == "POST");
        reaps
            .filter_map(|asked| {
                Some(asked.path.strip_prefix("/sessions/")?.strip_suffix("/reap")?.to_owned())
            })
            .collect()
    }

    /// Nothing listens any more.
    pub(crate) fn go_down(&self) {
        let listener = self.listener.lock().unwrap().take();
        drop(listener);
        // The thread in `accept` notices by this.
        let is_accepted = || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port())).is_ok();
        is_accepted();
        // Until it has ended, the kernel accepts connections that nobody will answer.
        let accepting = self.accepting.lock().unwrap().take();
        accepting.into_iter().for_each(|thread| thread.join().unwrap());
        // A process that another test is just starting has the listener, too, until it calls exec.
        while is_accepted() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Listens again at the same address.
    pub(crate) fn come_back(&self) {
        let socket = std::iter::repeat_with(|| self.port.listen()).take(500);
        let listener = socket
            .filter_map(|bound| bound.map_err(|_| std::thread::sleep(Duration::from_millis(5))).ok())
            .next()
            .expect("the address is free again");
        *self.listener.lock().unwrap() = Some(listener.try_clone().unwrap());
        *self.accepting.lock().unwrap() = Some(serve(listener, &self.script, &self.listener));
    }
}

/// Changes the table for as long as the gateway is there.
pub(crate) struct Hand(Weak<Mutex<Script>>);

impl Hand {
    pub(crate) fn publish(&self, table: &Value) {
        if let Some(script) = self.0.upgrade() {
            script.lock().unwrap().table = Answer::json(table);
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.go_down();
    }
}

fn serve(
    listener: TcpListener,
    script: &Arc<Mutex<Script>>,
    listening: &Arc<Mutex<Option<TcpListener>>>,
) -> JoinHandle<()> {
    let (script, listening) = (Arc::clone(script), Arc::clone(listening));
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            if listening.lock().unwrap().is_none() {
                return;
            }
            let script = Arc::clone(&script);
            std::thread::spawn(move || exchange(stream, &script));
        }
    })
}

fn exchange(mut stream: TcpStream, script: &Mutex<Script>) {
    let Some(asked) = read(&mut stream) else { return };
    let answer = {
        let mut script = script.lock().unwrap();
        script.asked.push(asked.clone());
        let bearer =
            script.token.as_ref().map(|token| format!("authorization: bearer {}", token.to_lowercase()));
        let id = asked.path.strip_prefix("/sessions/").and_then(|rest| rest.strip_suffix("/reap"));
        match (bearer, id) {
            (Some(bearer), _) if !asked.head.to_lowercase().contains(&bearer) => {
                Answer::Says(401, "{}".into())
            }
            (_, None) => script.table.clone(),
            (_, Some(id)) => match (script.reaps.get(id), script.on_reap.clone()) {
                (Some(answer), _) => answer.clone(),
                (None, Some(act)) => {
                    drop(script);
                    act(id)
                }
                (None, None) => Answer::Says(404, r#"{"outcome":"gone"}"#.into()),
            },
        }
    };
    give(&mut stream, answer);
}

fn give(stream: &mut TcpStream, answer: Answer) {
    match answer {
        Answer::Says(status, body) => {
            let head = format!(
                "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _heard = stream.write_all((head + &body).as_bytes());
        }
        Answer::Raw(bytes) => {
            let _heard = stream.write_all(&bytes);
        }
        Answer::Nothing => {}
        Answer::Hangs => while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {},
        Answer::After(span, answer) => {
            std::thread::sleep(span);
            give(stream, *answer);
        }
        Answer::InTurn(answers) => {
            let mut answers = answers.lock().unwrap();
            answers.rotate_left(1);
            let answer = answers.back().cloned();
            drop(answers);
            give(stream, answer.unwrap());
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                let mut words = head.split(' ');
                let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
                return Some(Asked { method, path, head: head.to_owned(), body: body.to_owned() });
            }
        }
        let mut more = [0; 4096];
        let read = stream.read(&mut more).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&more[..read]);
    }
}

/// A table with these rows.
pub(crate) fn table(pid: Option<u32>, rows: &[Value]) -> Value {
    let mut gateway = json!({ "instance": "run-1" });
    if let Some(pid) = pid {
        gateway["pid"] = json!(pid);
    }
    json!({ "version": 1, "gateway": gateway, "sessions": rows })
}

/// A session that is detached and idle, and nothing else.
pub(crate) fn orphan(id: &str) -> Value {
    json!({ "id": id, "transport": "detached", "turn": "idle" })
}

/// The same row, with no worker now.
pub(crate) fn without_worker(mut row: Value) -> Value {
    row["worker"] = Value::Null;
    row
}

/// The same with a worker.
pub(crate) fn orphan_with(id: &str, worker: u32) -> Value {
    with(orphan(id), "worker", json!({ "pid": worker }))
}

/// A row with another field.
pub(crate) fn with(mut row: Value, field: &str, value: Value) -> Value {
    row[field] = value;
    row
}
