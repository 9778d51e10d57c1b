//! From an address to a stream whose other end is one that may listen there.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;

use super::error::HttpProblem;
use super::listener::{Listeners, Unwelcome};
use super::resolve::resolve;
use super::stream::Stream;
use crate::config::address::{Address, Host, Place};
use crate::domain::table::Listener;
use crate::sources::sockets::own;

/// After so long a connection that was not taken is made again. A busy gateway accepts what waits within some milliseconds; all of them
/// together are well below the time that it has to answer.
const AGAIN_AFTER_MS: [u64; 4] = [10, 50, 200, 800];

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
        match patiently(|| to(address, listeners)).await {
            Ok(stream) => return Ok(stream),
            Err(problem @ HttpProblem::Connect(_)) => _ = unconnected.get_or_insert(problem),
            Err(problem) => _ = unwelcome.get_or_insert(problem),
        }
    }
    Err(unwelcome.or(unconnected).unwrap_or_else(|| HttpProblem::Unresolved(io::ErrorKind::NotFound.into())))
}

async fn to(address: SocketAddr, listeners: &Listeners) -> Result<(Stream, Listener), HttpProblem> {
    let stream = TcpStream::connect(address).await.map_err(HttpProblem::Connect)?;
    if let Ok(end) = stream.local_addr() {
        own::note(end, address);
    }
    checked(Stream::Tcp(stream), listeners)
}

/// Makes a connection again that was not taken: the old one has no other end, and nothing may be sent over it that would give it one.
async fn patiently<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, HttpProblem>
where
    F: Future<Output = Result<T, HttpProblem>>,
{
    for pause in AGAIN_AFTER_MS {
        match attempt().await {
            Err(HttpProblem::Unwelcome(Unwelcome::Untaken)) => sleep(Duration::from_millis(pause)).await,
            done => return done,
        }
    }
    attempt().await
}

fn checked(stream: Stream, listeners: &Listeners) -> Result<(Stream, Listener), HttpProblem> {
    let listener = listeners.check(&stream).map_err(HttpProblem::Unwelcome)?;
    Ok((stream, listener))
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_not_taken_is_made_again_and_one_whose_other_end_is_not_seen_is_not() {
        let attempts = |untaken: usize, then: fn() -> Result<(), HttpProblem>| async move {
            let (began, mut made) = (Instant::now(), 0);
            let done = patiently(|| {
                made += 1;
                let untaken = made <= untaken;
                async move { if untaken { Err(HttpProblem::Unwelcome(Unwelcome::Untaken)) } else { then() } }
            });
            let done = done.await.is_ok();
            (done, made, began.elapsed() < Duration::from_secs(2))
        };
        assert_eq!(attempts(3, || Ok(())).await, (true, 4, true));
        assert_eq!(attempts(usize::MAX, || Ok(())).await, (false, AGAIN_AFTER_MS.len() + 1, true));
        assert_eq!(attempts(1, || Err(HttpProblem::Unwelcome(Unwelcome::Unseen))).await, (false, 2, true));
        assert_eq!(attempts(0, || Err(HttpProblem::Unwelcome(Unwelcome::Unseen))).await, (false, 1, true));
    }
}
