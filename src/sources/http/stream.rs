//! A connected stream, whatever it runs over.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::error::HttpProblem;
use crate::config::address::{Address, Host, Place};

/// A connected stream.
#[derive(Debug)]
pub enum Stream {
    /// To a port.
    Tcp(TcpStream),
    /// To a socket in the file system.
    Unix(UnixStream),
}

impl Stream {
    /// Connects to the first place that takes it; else says what the first one said.
    pub(super) async fn open(address: &Address) -> Result<Self, HttpProblem> {
        match address.place() {
            Place::Unix(socket) => {
                UnixStream::connect(socket).await.map(Self::Unix).map_err(HttpProblem::Connect)
            }
            Place::Tcp { host, port } => tcp(host, *port).await.map(Self::Tcp),
        }
    }
}

async fn tcp(host: &Host, port: u16) -> Result<TcpStream, HttpProblem> {
    let addresses: Vec<SocketAddr> = match host {
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
