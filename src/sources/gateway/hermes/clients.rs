//! Whether any client at all is connected to a gateway on this machine: what can be known of one that publishes nothing.
//!
//! None means that every WebSocket session of a Hermes dashboard is detached, on every release; any means nothing for a single session.
//! Every error is on the safe side: a client that is gone without a word, or that is behind a proxy, looks connected. Rows are matched by
//! the port: a connection that nobody has accepted yet is of no process, and one of a PTY tab is of the gateway's descendants.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io;

use crate::config::address::{Address, Place};
use crate::sources::sockets::{Filter, Socket, Sockets, State};

/// What is known of a gateway's clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Clients {
    /// Nobody but this reaper.
    Nobody,
    /// So many connections.
    Connected(usize),
    /// Why it can't be told.
    Unknown(Box<str>),
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("no client is connected, so every session of its is detached"),
            Self::Connected(1) => f.write_str("1 client is connected, to which session isn't known"),
            Self::Connected(many) => write!(f, "{many} clients are connected, to which sessions isn't known"),
            Self::Unknown(why) => write!(f, "whether a client is connected isn't known: {why}"),
        }
    }
}

/// Counts the connections at this address, less the reaper's own.
pub(super) fn count(address: &Address) -> Clients {
    let Place::Tcp { port, .. } = *address.place() else {
        return Clients::Unknown("it listens at a socket in the file system".into());
    };
    if !address.is_local() {
        return Clients::Unknown("it isn't on this machine's loopback".into());
    }
    count_at(port).unwrap_or_else(|error| Clients::Unknown(error.to_string().into()))
}

fn count_at(port: u16) -> io::Result<Clients> {
    let mut sockets = Sockets::open();
    let own = own_inodes()?;
    let is_own = |socket: &&Socket| socket.inode != 0 && own.contains(&u64::from(socket.inode));
    // Both ends of our own connections are on this machine; its end is told from the others' by ours.
    let to_it = sockets.list(Filter { local_port: None, remote_port: Some(port) })?;
    let ours: HashSet<_> = to_it
        .iter()
        .filter(is_own)
        .map(|socket| (socket.local.port(), socket.local.ip().to_canonical()))
        .collect();
    let there = sockets.list(Filter::local_port(port))?;
    if !there.iter().any(|socket| socket.state == State::Listen) {
        return Ok(Clients::Unknown("nothing listens at its port in this network namespace".into()));
    }
    let clients = there.iter().filter(|socket| {
        let may_be_somebody = socket.inode != 0
            || matches!(socket.state, State::Established | State::CloseWait | State::HalfOpen);
        let is_ours = ours.contains(&(socket.remote.port(), socket.remote.ip().to_canonical()));
        socket.state != State::Listen && may_be_somebody && !is_ours
    });
    Ok(match clients.count() {
        0 => Clients::Nobody,
        many => Clients::Connected(many),
    })
}

fn own_inodes() -> io::Result<HashSet<u64>> {
    let mut inodes = HashSet::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        // The directory's own descriptor is gone when it is looked at.
        let Ok(link) = fs::read_link(entry?.path()) else { continue };
        let inode = link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']'));
        inodes.extend(inode.and_then(|inode| inode.parse::<u64>().ok()));
    }
    Ok(inodes)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::process::{Command, Stdio};

    use super::*;

    /// Another process that connects and says so, and that ends with its stdin.
    const CLIENT: &str = "import socket, sys\n\
                          it = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n\
                          print('x', end='', flush=True)\n\
                          sys.stdin.read()";

    fn address(port: u16) -> Address {
        format!("http://127.0.0.1:{port}").parse().unwrap()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test starts a client of its own")]
    fn others_are_counted_and_the_reaper_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(count(&address(port)), Clients::Nobody);
        let own = TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert_eq!(count(&address(port)), Clients::Nobody, "our own, not accepted");
        let _accepted = listener.accept().unwrap();
        assert_eq!(count(&address(port)), Clients::Nobody, "our own, accepted");

        let mut client = Command::new("python3")
            .args(["-c", CLIENT, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        client.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        assert_eq!(count(&address(port)), Clients::Connected(1), "another's, not accepted");
        let theirs = listener.accept().unwrap();
        assert_eq!(count(&address(port)), Clients::Connected(1));
        drop(client.stdin.take());
        client.wait().unwrap();
        assert_eq!(count(&address(port)), Clients::Connected(1), "gone, and the gateway doesn't know it yet");
        drop(theirs);
        assert_eq!(count(&address(port)), Clients::Nobody);
        drop(own);
    }

    #[test]
    fn what_cannot_be_known_is_not_nobody() {
        for url in ["http://192.0.2.1:9119", "http://gateway.invalid:9119", "unix:///run/gateway.sock:/x"] {
            let clients = count(&url.parse().unwrap());
            assert!(matches!(clients, Clients::Unknown(_)), "{url}: {clients:?}");
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let clients = count(&address(port));
        assert!(clients.to_string().contains("nothing listens"), "{clients}");
    }
}
