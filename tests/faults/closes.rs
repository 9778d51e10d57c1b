//! Gateways that close one session after the other, and queue few connections: no close fails because of the others.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::reaper::run;

/// A gateway with one thread, which answers one connection after the other.
pub(crate) struct Serial {
    port: u16,
    sessions: Arc<Mutex<BTreeSet<usize>>>,
}

/// The worker of all sessions there are.
pub(crate) type Worker = Option<u32>;

impl Serial {
    /// With so many detached sessions, a queue for so many connections, and so much time for each close.
    fn start(sessions: usize, queue: u32, a_close: Duration) -> Self {
        Self::start_with(None, sessions, queue, a_close)
    }

    /// The same, with a worker that this process, the gateway, has started.
    pub(crate) fn start_with(worker: Worker, sessions: usize, queue: u32, a_close: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.listen(queue).unwrap().into_std().unwrap()
        });
        listener.set_nonblocking(false).unwrap();
        let port = listener.local_addr().unwrap().port();
        let sessions = Arc::new(Mutex::new((0..sessions).collect::<BTreeSet<_>>()));
        let shared = Arc::clone(&sessions);
        std::thread::spawn(move || serve(&listener, worker, &shared, a_close));
        Self { port, sessions }
    }

    /// Reaps all, with this policy. Returns the totals.
    fn reaped_with(&self, policy: &str) -> Value {
        self.reaped_by(&[], policy, "")
    }

    /// The same with this before the program on the command line, and more of the gateway's configuration.
    pub(crate) fn reaped_by(&self, before: &[&str], policy: &str, more: &str) -> Value {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("reaper.toml");
        let text = format!(
            "[policy]\ngrace = \"0s\"\n{policy}\n[state]\ndir = {:?}\n[[gateway]]\nname = \"serial\"\nkind = \"http\"\n\
             url = \"http://127.0.0.1:{}/sessions\"\ntimeout = \"2s\"\n{more}",
            folder.path().join("state"),
            self.port
        );
        std::fs::write(&config, text).unwrap();
        let ended = run(before, &config, &["--json", "once"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        report["totals"].clone()
    }
}

fn serve(listener: &TcpListener, worker: Worker, sessions: &Mutex<BTreeSet<usize>>, a_close: Duration) {
    for stream in listener.incoming().flatten() {
        // Whatever the reaper does, the next connection is served.
        let _ = answer(stream, worker, sessions, a_close);
    }
}

fn answer(
    stream: TcpStream,
    worker: Worker,
    sessions: &Mutex<BTreeSet<usize>>,
    a_close: Duration,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let body = match first.split_whitespace().nth(1).and_then(|path| path.strip_suffix("/reap")) {
        Some(path) => {
            std::thread::sleep(a_close);
            let id = path.rsplit('/').next().and_then(|id| id.parse().ok());
            let was_there = id.is_some_and(|id: usize| sessions.lock().unwrap().remove(&id));
            json!({ "outcome": if was_there { "reaped" } else { "gone" } })
        }
        None => table(worker, &sessions.lock().unwrap()),
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

fn table(worker: Worker, sessions: &BTreeSet<usize>) -> Value {
    let named = worker.map(|pid| json!({ "pid": pid }));
    let row = |id: &usize| json!({ "id": id.to_string(), "transport": "detached", "turn": "idle", "holds": [], "worker": named });
    let sessions: Vec<Value> = sessions.iter().map(row).collect();
    let mut gateway = json!({ "instance": "1" });
    if worker.is_some() {
        gateway["pid"] = json!(std::process::id());
    }
    json!({ "version": 1, "gateway": gateway, "sessions": sessions })
}

fn done(totals: &Value) -> u64 {
    totals["reaped"].as_u64().unwrap() + totals["gone"].as_u64().unwrap()
}

#[test]
fn sixty_closes_at_once_on_a_gateway_that_queues_five_connections_all_succeed() {
    let gateway = Serial::start(60, 5, Duration::from_millis(20));
    let totals = gateway.reaped_with("");
    assert_eq!((done(&totals), &totals["failed"]), (60, &json!(0)), "{totals}");
    assert!(gateway.sessions.lock().unwrap().is_empty());
}

#[test]
fn a_gateway_that_closes_one_session_after_the_other_has_its_whole_time_for_each() {
    let gateway = Serial::start(24, 128, Duration::from_millis(250));
    let totals = gateway.reaped_with("close_timeout = \"2s\"");
    assert_eq!((done(&totals), &totals["failed"]), (24, &json!(0)), "{totals}");
}

#[test]
fn a_close_without_an_answer_in_time_is_no_failure_if_the_next_table_has_no_such_row() {
    let gateway = Serial::start(3, 128, Duration::from_millis(2_500));
    let totals = gateway.reaped_with("close_timeout = \"1s\"\ncloses_at_once = 1");
    assert_eq!((done(&totals), &totals["failed"]), (3, &json!(0)), "{totals}");
}

/// The children of a process.
fn children_of(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn a_tree_that_is_larger_than_the_limit_of_descriptors_is_ended_and_its_session_closed() {
    let mark = format!("tree-of-{}", std::process::id());
    // Deaf to SIGTERM, all of it; and it ends with its input, so with this test.
    let script = "trap '' TERM; for i in $(seq 80); do (while read line; do :; done) <&0 & done; wait";
    #[expect(clippy::disallowed_methods, reason = "a tree to be reaped")]
    let mut worker = Command::new("bash").args(["-c", script, &mark]).stdin(Stdio::piped()).spawn().unwrap();
    while children_of(worker.id()).len() < 80 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let tree = children_of(worker.id());
    let gateway = Serial::start_with(Some(worker.id()), 1, 5, Duration::ZERO);
    let more = format!("[gateway.worker]\nmatch = 'bash -c .* {mark}'\n");
    let limited = ["bash", "-c", "ulimit -n 48 && exec \"$0\" \"$@\""];
    let totals = gateway.reaped_by(&limited, "close_timeout = \"0s\"\nterm_timeout = \"100ms\"", &more);
    let is_there = |pid: &&u32| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        comm.is_ok_and(|comm| comm.trim() == "bash") && !state.contains(") Z")
    };
    let left = tree.iter().filter(is_there).count();
    drop(worker.stdin.take());
    worker.wait().unwrap();
    assert_eq!((left, &totals["reaped"], &totals["failed"]), (0, &json!(1), &json!(0)), "{totals}");
    assert!(gateway.sessions.lock().unwrap().is_empty(), "its session was not closed");
}
