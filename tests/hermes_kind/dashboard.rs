//! An HTTP server on loopback with an answer for each path.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The server; its threads end with the connections.
#[derive(Debug)]
pub(crate) struct Dashboard {
    port: u16,
    script: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    answers: HashMap<String, (Option<String>, u16, String)>,
    asked: Vec<String>,
}

impl Dashboard {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let script = Arc::clone(&shared);
                thread::spawn(move || while answer(&stream, &script).is_some() {});
            }
        });
        Self { port, script }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn says(&self, path: &str, status: u16, body: &str) {
        self.script.lock().unwrap().answers.insert(path.to_owned(), (None, status, body.to_owned()));
    }

    /// And 401 to a request with another token.
    pub(crate) fn says_with_token(&self, path: &str, token: &str, status: u16, body: &str) {
        let answer = (Some(format!("Bearer {token}")), status, body.to_owned());
        self.script.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    pub(crate) fn asked(&self, path: &str) -> usize {
        self.script.lock().unwrap().asked.iter().filter(|asked| *asked == path).count()
    }
}

fn answer(mut stream: &TcpStream, script: &Mutex<Script>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let mut bearer = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("authorization: ") {
            bearer = Some(value.trim().to_owned());
        }
    }
    let path = first.split(' ').nth(1)?.to_owned();
    let mut script = script.lock().unwrap();
    let (status, body) = match script.answers.get(&path) {
        Some((token, _, _)) if token.is_some() && *token != bearer => (401, "{}".to_owned()),
        Some((_, status, body)) => (*status, body.clone()),
        None => (404, "{}".to_owned()),
    };
    script.asked.push(path);
    drop(script);
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()
}
