//! A connected stream, whatever it runs over.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::sockopt::socket_peercred;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::error::HttpProblem;
use super::listener::Listeners;
use super::resolve::resolve;
use crate::config::address::{Address, Host, Place};
use crate::domain::ids::Pid;
use crate::domain::table::Listener;

/// A connected stream.
#[derive(Debug)]
pub enum Stream {
    /// To a port.
    Tcp(TcpStream),
    /// To a socket in the file system.
    Unix(UnixStream),
}

/// What tells which process is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The two ends of a connection: ours, theirs.
    Ends(SocketAddr, SocketAddr),
    /// The process that listens at a socket in the file system, as this PID namespace knows it.
    Process(Pid),
    /// Nothing.
    Unknown,
}

impl Stream {
    /// What tells which process is at the other end.
    pub(super) fn peer(&self) -> Peer {
        match self {
            Self::Tcp(stream) => match (stream.local_addr(), stream.peer_addr()) {
                (Ok(ours), Ok(theirs)) => Peer::Ends(ours, theirs),
                _ => Peer::Unknown,
            },
            Self::Unix(stream) => {
                let pid = socket_peercred(stream)
                    .ok()
                    .and_then(|known| Pid::new(u64::try_from(known.pid.as_raw_nonzero().get()).ok()?));
                pid.map_or(Peer::Unknown, Peer::Process)
            }
        }
    }

    /// Connects to the first place that takes it and where one of these listens. Else says which user is there instead, or what the first
    /// place said.
    pub(super) async fn open(
        address: &Address,
        listeners: &Listeners,
    ) -> Result<(Self, Listener), HttpProblem> {
        match address.place() {
            Place::Unix(socket) => {
                let stream = UnixStream::connect(socket).await.map_err(HttpProblem::Connect)?;
                checked(Self::Unix(stream), listeners)
            }
            Place::Tcp { host, port } => tcp(host, *port, listeners).await,
        }
    }
}

async fn tcp(host: &Host, port: u16, listeners: &Listeners) -> Result<(Stream, Listener), HttpProblem> {
    let addresses: Vec<SocketAddr> = match host {
        Host::Addresses(addresses) => addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect(),
        Host::Name(name) => resolve(name, port).await?,
    };
    let (mut unwelcome, mut unconnected) = (None, None);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => match checked(Stream::Tcp(stream), listeners) {
                Ok(stream) => return Ok(stream),
                Err(problem) => _ = unwelcome.get_or_insert(problem),
            },
            Err(error) => _ = unconnected.get_or_insert(error),
        }
    }
    Err(unwelcome
        .or(unconnected.map(HttpProblem::Connect))
        .unwrap_or_else(|| HttpProblem::Unresolved(io::ErrorKind::NotFound.into())))
}

fn checked(stream: Stream, listeners: &Listeners) -> Result<(Stream, Listener), HttpProblem> {
    let listener = listeners.check(&stream).map_err(HttpProblem::Unwelcome)?;
    Ok((stream, listener))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
