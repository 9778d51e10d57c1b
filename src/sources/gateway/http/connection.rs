//! One TCP connection that speaks HTTP/1.1.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::error::HttpProblem;
use super::target::{Host, Target};

/// Also the most that the head of an answer may have.
const BUFFER_BYTES: usize = 64 * 1024;

/// A connection, closed when dropped.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Connection {
    pub(super) async fn open(target: &Target) -> Result<Self, HttpProblem> {
        Self::over(connect(target).await?).await
    }

    /// Over a stream that is there already.
    pub(super) async fn over<S>(stream: S) -> Result<Self, HttpProblem>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let handshake = Builder::new().max_buf_size(BUFFER_BYTES).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| problem(&error))?;
        let driver = tokio::spawn(async {
            // What goes wrong here is told to the request under way.
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, HttpProblem> {
        self.sender.ready().await.map_err(|error| problem(&error))?;
        self.sender.send_request(request).await.map_err(|error| problem(&error))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The first address that takes it; else what the first one said.
pub(super) async fn connect(target: &Target) -> Result<TcpStream, HttpProblem> {
    let port = target.port();
    let addresses: Vec<SocketAddr> = match target.host() {
        Host::Addresses(addresses) => addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect(),
        Host::Name(name) => {
            tokio::net::lookup_host((&**name, port)).await.map_err(HttpProblem::Unresolved)?.collect()
        }
    };
    let mut first_error = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => _ = first_error.get_or_insert(error),
        }
    }
    Err(first_error
        .map_or_else(|| HttpProblem::Unresolved(io::ErrorKind::NotFound.into()), HttpProblem::Connect))
}

/// Before the head of an answer was whole.
fn problem(error: &hyper::Error) -> HttpProblem {
    if error.is_parse() {
        // Its own words name the part that is wrong and quote nothing.
        let what = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        return HttpProblem::Malformed(what.into());
    }
    HttpProblem::Closed
}
