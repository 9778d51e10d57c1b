//! One connection that speaks HTTP/1.1.

use std::error::Error as _;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use super::connect::connect;
use super::error::HttpProblem;
use super::listener::Listeners;
use super::stream::Peer;
use crate::config::address::Address;
use crate::domain::table::Listener;

/// Also the most that the head of an answer may have.
const BUFFER_BYTES: usize = 64 * 1024;

/// A connection, closed when dropped.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    listener: Listener,
    peer: Peer,
    _driver: Driver,
}

/// What moves the bytes; ends with the connection.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Connection {
    pub(super) async fn open(address: &Address, listeners: &Listeners) -> Result<Self, HttpProblem> {
        let (stream, listener) = connect(address, listeners).await?;
        let peer = stream.peer();
        Ok(Self { listener, peer, ..Self::over(stream).await? })
    }

    /// What is known of its other end.
    pub(super) fn listener(&self) -> Listener {
        self.listener
    }

    /// What tells which process that is.
    pub(super) fn peer(&self) -> Peer {
        self.peer
    }

    /// Over a stream that is there already.
    ///
    /// # Errors
    /// It can't carry a request.
    pub async fn over<S>(stream: S) -> Result<Self, HttpProblem>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let handshake = Builder::new().max_buf_size(BUFFER_BYTES).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| problem(&error))?;
        let driver = tokio::spawn(async {
            // What goes wrong here is told to the request under way.
            let _ = connection.await;
        });
        Ok(Self { sender, listener: Listener::Unverified, peer: Peer::Unknown, _driver: Driver(driver) })
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, HttpProblem> {
        self.sender.ready().await.map_err(|error| problem(&error))?;
        self.sender.send_request(request).await.map_err(|error| problem(&error))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
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
