//! A TCP server on loopback that follows a script, connection by connection.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

/// What the server does on a connection. After the last step it closes it.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Reads one request and remembers it.
    Read,
    /// Writes this.
    Say(String),
    /// Writes this byte by byte, one every 20 ms.
    Drip(String),
    /// Writes this again and again until nobody takes it.
    Endless(String),
    /// Waits until the other side is gone.
    Silence,
}

/// The server; gone when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// One script for each connection that is expected; one more is closed at once.
    pub(crate) async fn start<const N: usize>(scripts: [Vec<Step>; N]) -> Self {
        let mut scripts = scripts.into_iter();
        Self::start_with(move || scripts.next().unwrap_or_default()).await
    }

    /// One connection, one answer.
    pub(crate) async fn saying(answer: impl Into<String>) -> Self {
        Self::start([vec![Step::Read, Step::Say(answer.into())]]).await
    }

    /// A script for every connection.
    pub(crate) async fn start_with(script: impl FnMut() -> Vec<Step> + Send + 'static) -> Self {
        Self::bound_to((Ipv4Addr::LOCALHOST, 0).into(), script).await
    }

    /// At this very address.
    pub(crate) async fn at<const N: usize>(address: SocketAddr, scripts: [Vec<Step>; N]) -> Self {
        let mut scripts = scripts.into_iter();
        Self::bound_to(address, move || scripts.next().unwrap_or_default()).await
    }

    async fn bound_to(address: SocketAddr, mut script: impl FnMut() -> Vec<Step> + Send + 'static) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(0));
        let (seen, counted) = (Arc::clone(&requests), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *counted.lock().unwrap() += 1;
                open.spawn(follow(script(), stream, Arc::clone(&seen)));
            }
        });
        Self { port, requests, connections, accepting }
    }

    /// The same at a socket in the file system.
    pub(crate) fn at_socket<const N: usize>(socket: &Path, scripts: [Vec<Step>; N]) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let accepting = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            let mut scripts = scripts.into_iter();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(follow(scripts.next().unwrap_or_default(), stream, Arc::clone(&seen)));
            }
        });
        Self { port: 0, requests, connections: Arc::default(), accepting }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// As messages name it.
    pub(crate) fn host_and_port(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn follow<S: AsyncRead + AsyncWrite + Unpin>(
    script: Vec<Step>,
    mut stream: S,
    requests: Arc<Mutex<Vec<String>>>,
) {
    for step in script {
        // A client that has hung up ends the script.
        let going_on = match step {
            Step::Read => match read_request(&mut stream).await {
                Some(request) => {
                    requests.lock().unwrap().push(request);
                    true
                }
                None => false,
            },
            Step::Say(text) => stream.write_all(text.as_bytes()).await.is_ok(),
            Step::Drip(text) => drip(&mut stream, &text).await,
            Step::Endless(text) => {
                while stream.write_all(text.as_bytes()).await.is_ok() {}
                false
            }
            Step::Silence => {
                while stream.read(&mut [0; 256]).await.is_ok_and(|read| read > 0) {}
                false
            }
        };
        if !going_on {
            return;
        }
    }
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin), text: &str) -> bool {
    for byte in text.bytes() {
        if stream.write_all(&[byte]).await.is_err() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text.into_owned());
            }
        }
        let mut more = [0; 4096];
        let read = stream.read(&mut more).await.ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&more[..read]);
    }
}
