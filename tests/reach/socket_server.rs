//! An HTTP server at a socket in the file system, or at a port of IPv6, that answers each path as it is told.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// What it was asked: method, path, the token if one was sent, and the body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) what: String,
    pub(crate) bearer: Option<String>,
    pub(crate) body: String,
}

/// The server. Its threads end with the test.
#[derive(Debug, Clone, Default)]
pub(crate) struct Server(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    answers: HashMap<String, (u16, String)>,
    asked: Vec<Asked>,
}

impl Server {
    pub(crate) fn at_socket(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let server = Self::default();
        let own = server.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| own.take(stream)));
        server
    }

    pub(crate) fn at_ipv6_loopback() -> (Self, u16) {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self::default();
        let own = server.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| own.take(stream)));
        (server, port)
    }

    /// `what` is method and path.
    pub(crate) fn says(&self, what: &str, status: u16, body: impl Into<String>) {
        self.0.lock().unwrap().answers.insert(what.to_owned(), (status, body.into()));
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap().asked.clone()
    }

    fn take(&self, stream: impl Read + Write + Send + 'static) {
        let own = self.clone();
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            while own.answer(&mut stream).is_some() {}
        });
    }

    fn answer(&self, stream: &mut BufReader<impl Read + Write>) -> Option<()> {
        let mut first = String::new();
        stream.read_line(&mut first).ok().filter(|read| *read > 0)?;
        let (mut bearer, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok()?;
            match line.trim().split_once(": ") {
                None => break,
                Some(("authorization", value)) => bearer = value.strip_prefix("Bearer ").map(Into::into),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        let what = first.rsplit_once(' ')?.0.to_owned();
        let mut script = self.0.lock().unwrap();
        let (status, text) = script.answers.get(&what).cloned().unwrap_or((404, "{}".into()));
        script.asked.push(Asked { what, bearer, body: String::from_utf8(body).unwrap() });
        drop(script);
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", text.len());
        stream.get_mut().write_all(format!("{head}{text}").as_bytes()).ok()
    }
}
