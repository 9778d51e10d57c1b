//! From an address to a stream whose other end is one that may listen there.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpStream, UnixStream};

use super::error::HttpProblem;
use super::listener::Listeners;
use super::resolve::resolve;
use super::stream::Stream;
use crate::config::address::{Address, Host, Place};
use crate::domain::table::Listener;
use crate::sources::sockets::own;

/// Connects to the first place that takes it and where one of these listens. Else says which user is there instead, or what the first
/// place said.
pub(super) async fn connect(
    address: &Address,
    listeners: &Listeners,
) -> Result<(Stream, Listener), HttpProblem> {
    match address.place() {
        Place::Unix(socket) => {
            let stream = UnixStream::connect(socket).await.map_err(HttpProblem::Connect)?;
            checked(Stream::Unix(stream), listeners)
        }
        Place::Tcp { host, port } => tcp(host, *port, listeners).await,
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
            Ok(stream) => {
                if let Ok(end) = stream.local_addr() {
                    own::note(end, address);
                }
                match checked(Stream::Tcp(stream), listeners) {
                    Ok(stream) => return Ok(stream),
                    Err(problem) => _ = unwelcome.get_or_insert(problem),
                }
            }
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
