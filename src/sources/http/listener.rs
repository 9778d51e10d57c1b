//! Which user is at the other end of a connection, checked on the connection itself before a byte is sent. Any user of this machine can
//! listen at a port that is free, and would receive the token of a gateway that is down.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

use rustix::net::sockopt::socket_peercred;
use thiserror::Error;

use super::stream::Stream;
use crate::domain::table::Listener;
use crate::sources::sockets::Sockets;
use crate::users::Shown;

/// The users that a gateway on this machine may run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listeners {
    /// Any: nothing is asked.
    Any,
    /// These, by number.
    Users(BTreeSet<u32>),
}

impl Listeners {
    /// The reaper's own user, root, and these.
    pub fn own_and(others: impl IntoIterator<Item = u32>) -> Self {
        let own = rustix::process::geteuid().as_raw();
        Self::Users([0, own].into_iter().chain(others).collect())
    }

    /// Looks at the other end of a connection that has just been made.
    pub(super) fn check(&self, stream: &Stream) -> Result<Listener, Unwelcome> {
        let Self::Users(allowed) = self else { return Ok(Listener::Unverified) };
        let uid = match stream {
            Stream::Unix(stream) => {
                let credentials =
                    socket_peercred(stream).map_err(|error| Unwelcome::Unknown(error.into()))?;
                Some(credentials.uid.as_raw())
            }
            Stream::Tcp(stream) => {
                let ends = stream.local_addr().and_then(|local| Ok((local, stream.peer_addr()?)));
                let (local, remote) = ends.map_err(Unwelcome::Unknown)?;
                owner(&mut Sockets::open(), local, remote)?
            }
        };
        match uid {
            None => Ok(Listener::Unverified),
            Some(uid) if allowed.contains(&uid) => Ok(Listener::Verified),
            Some(uid) => Err(Unwelcome::Stranger { uid }),
        }
    }
}

/// The user of the other end; `None`: it is on another machine, where that can't be known.
fn owner(sockets: &mut Sockets, ours: SocketAddr, theirs: SocketAddr) -> Result<Option<u32>, Unwelcome> {
    let peer = sockets.connected(theirs, ours);
    let is_here = theirs.ip().to_canonical().is_loopback() || theirs.ip() == ours.ip();
    let peer = match peer {
        Ok(Some(peer)) => peer,
        Ok(None) if is_here => return Err(unseen(sockets, ours, theirs)),
        Err(error) if is_here => return Err(Unwelcome::Unknown(error)),
        Ok(None) | Err(_) => return Ok(None),
    };
    if peer.inode != 0 {
        return Ok(Some(peer.uid));
    }
    // The kernel has taken the connection, and no process has it yet: what counts is who listens. The kernel calls such a one root's.
    match sockets.listener(theirs, ours.ip()) {
        Ok(Some(listener)) if listener.inode != 0 => Ok(Some(listener.uid)),
        Ok(_) => settled(sockets, ours, theirs),
        Err(error) => Err(Unwelcome::Unknown(error)),
    }
}

/// Why there is no other end. While too many connections wait to be accepted, the kernel drops what makes one of them complete: this side calls
/// it connected, and at the other one there is nothing yet. A port forward looks the same, so who listens here doesn't say whose it is.
fn unseen(sockets: &mut Sockets, ours: SocketAddr, theirs: SocketAddr) -> Unwelcome {
    match sockets.listener(theirs, ours.ip()) {
        Ok(Some(listener)) if listener.inode != 0 => Unwelcome::Untaken,
        Ok(_) | Err(_) => Unwelcome::Unseen,
    }
}

/// Accepted, and its listener closed, between the two questions: then it has an owner by now.
fn settled(sockets: &mut Sockets, ours: SocketAddr, theirs: SocketAddr) -> Result<Option<u32>, Unwelcome> {
    match sockets.connected(theirs, ours) {
        Ok(Some(peer)) if peer.inode != 0 => Ok(Some(peer.uid)),
        Ok(_) => Err(Unwelcome::Unseen),
        Err(error) => Err(Unwelcome::Unknown(error)),
    }
}

/// Why nothing is sent over a connection.
#[derive(Debug, Error)]
pub enum Unwelcome {
    /// Another user's process is at the other end.
    #[error(
        "a process of {} listens there, which is neither the reaper's user nor root nor gateway.worker.user: nothing was sent. If the gateway runs as \
         that user, set listener_user = \"{uid}\" under [[gateway]]; if not, find out what that process is (ss -ltnp)",
        Shown(*.uid)
    )]
    Stranger {
        /// Its number.
        uid: u32,
    },
    /// The connection is on this machine, and its other end can't be seen.
    #[error(
        "the other end of that connection can't be seen from here (another network namespace, a port forward), so whose it is can't be \
         known: nothing was sent. Set listener_user = \"any\" under [[gateway]] if whatever listens there is to be trusted"
    )]
    Unseen,
    /// The connection is on this machine, where something listens, and has no other end there.
    #[error(
        "what listens there did not take the connection (too many at once, or a port forward took it), so whose it is can't be known: \
         nothing was sent. Lower closes_at_once, or let the gateway accept more at once; for a port forward set listener_user = \"any\" \
         under [[gateway]]"
    )]
    Untaken,
    /// The kernel doesn't say.
    #[error(
        "whose process listens there can't be found out, neither by sock_diag nor in /proc/net: nothing was sent. Set listener_user = \
         \"any\" under [[gateway]] if whatever listens there is to be trusted"
    )]
    Unknown(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(ours: &str, theirs: &str) -> Result<Option<u32>, Unwelcome> {
        owner(&mut Sockets::open(), ours.parse().unwrap(), theirs.parse().unwrap())
    }

    #[test]
    fn a_connection_on_this_machine_whose_other_end_is_not_seen_is_unwelcome() {
        for (ours, theirs) in [
            ("127.0.0.1:2", "127.0.0.1:1"),
            ("[::1]:2", "[::1]:1"),
            ("[::ffff:127.0.0.1]:2", "[::ffff:127.0.0.1]:1"),
            ("192.0.2.1:2", "192.0.2.1:1"),
        ] {
            assert!(matches!(whose(ours, theirs), Err(Unwelcome::Unseen)), "{theirs}");
        }
    }

    #[test]
    fn a_connection_that_what_listens_here_did_not_take_is_unwelcome_and_told_apart() {
        for bound in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            let listener = std::net::TcpListener::bind(bound).unwrap();
            let port = listener.local_addr().unwrap().port();
            let host = if bound.starts_with('[') { "[::1]" } else { "127.0.0.1" };
            let answer = whose(&format!("{host}:2"), &format!("{host}:{port}"));
            assert!(matches!(answer, Err(Unwelcome::Untaken)), "{bound}: {answer:?}");
        }
    }

    #[test]
    fn of_another_machine_nothing_can_be_known_whatever_listens_here() {
        // A socket at any address would take a connection to that one as well, were it here.
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(matches!(whose("192.0.2.1:2", &format!("192.0.2.9:{port}")), Ok(None)));
    }
}
