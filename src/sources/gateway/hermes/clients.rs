//! Whether any client at all is connected to a gateway on this machine: what can be known of one that publishes nothing.
//!
//! None means that every WebSocket session of a Hermes dashboard is detached, on every release; any means nothing for a single session.
//! Every error is on the safe side: a client that is gone without closing its connection, or that is behind a proxy, looks connected. Rows
//! are matched by the port: a connection that isn't accepted yet is of no process, and one of a PTY tab is of the gateway's descendants.

use std::collections::HashSet;
use std::fs;
use std::io;

use crate::config::address::{Address, Place};
use crate::domain::ids::Pid;
use crate::domain::outside::Clients;
use crate::sources::sockets::own::{self, Ends};
use crate::sources::sockets::{self, Filter, Socket, Sockets, State, canonical, holder};

/// What the connection table shows of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) clients: Clients,
    /// The sockets at which it listens, by inode.
    pub(super) listening: Vec<u32>,
}

/// Looks at the connections at this address, less the reaper's own. `process`: the gateway's, where it is known: in another network
/// namespace than the reaper's, its own table is read.
pub(super) fn look(address: &Address, process: Option<Pid>) -> Shown {
    let unknown = |why: String| Shown { clients: Clients::Unknown(why.into()), listening: Vec::new() };
    let Place::Tcp { port, .. } = *address.place() else {
        return unknown("it listens at a socket in the file system".into());
    };
    if !address.is_local() {
        return unknown("it isn't on this machine's loopback".into());
    }
    let apart = process.filter(|process| sockets::namespace_apart(*process).is_some());
    let shown = match apart {
        Some(process) => look_in(process),
        None => look_here(port),
    };
    shown.unwrap_or_else(|error| unknown(error.to_string()))
}

fn look_here(port: u16) -> io::Result<Shown> {
    let mut sockets = Sockets::open();
    let own = own_inodes()?;
    let there = at_port(&mut sockets, &own, port)?;
    Ok(shown(&there))
}

/// The clients at the other ports at which this process listens, of this network namespace.
pub(super) fn at_other_ports(process: Pid, address: &Address) -> Clients {
    let Place::Tcp { port, .. } = *address.place() else { return Clients::Nobody };
    count_elsewhere(process, port).unwrap_or_else(|error| Clients::Unknown(error.to_string().into()))
}

fn count_elsewhere(process: Pid, port: u16) -> io::Result<Clients> {
    let mut sockets = Sockets::open();
    let listening = sockets.list(Filter::LISTENING)?;
    let others = listening.iter().filter(|socket| socket.local.port() != port);
    let its = holder::sockets_of(process)
        .ok_or_else(|| io::Error::other("the sockets of its process can't be seen"))?;
    let ports: HashSet<u16> =
        others.filter(|socket| its.contains(&socket.inode)).map(|socket| socket.local.port()).collect();
    let mut all = Clients::Nobody;
    for port in ports {
        match shown(&at_port(&mut sockets, &own_inodes()?, port)?).clients {
            Clients::Nobody => {}
            there => all = there,
        }
    }
    Ok(all)
}

/// What is at a port, less the reaper's own.
fn at_port(sockets: &mut Sockets, own: &HashSet<u64>, port: u16) -> io::Result<Vec<Socket>> {
    let is_own = |socket: &&Socket| socket.inode != 0 && own.contains(&u64::from(socket.inode));
    // Both ends of our own connections are on this machine; its end is told from the others' by ours.
    let to_it = sockets.list(Filter { remote_port: Some(port), ..Filter::ALL })?;
    let seen_from_here = |socket: &Socket| (canonical(socket.local), canonical(socket.remote));
    let seen_from_there = |socket: &Socket| (canonical(socket.remote), canonical(socket.local));
    let ours: HashSet<Ends> = to_it.iter().filter(is_own).map(seen_from_here).collect();
    let mut there = sockets.list(Filter::local_port(port))?;
    let closed = own::latest(port, |ends| there.iter().any(|socket| seen_from_there(socket) == *ends));
    there.retain(|socket| {
        let ends = seen_from_there(socket);
        let is_closed = !matches!(socket.state, State::Established | State::HalfOpen | State::Listen);
        !(ours.contains(&ends) || is_closed && closed.contains(&ends))
    });
    Ok(there)
}

/// By the gateway's own table: the ports at which it listens itself, whatever was mapped to them.
fn look_in(process: Pid) -> io::Result<Shown> {
    let all = sockets::list_of(process, Filter::ALL)?;
    let listens = |socket: &&Socket| socket.state == State::Listen && holder::has(process, socket.inode);
    let ports: HashSet<u16> = all.iter().filter(listens).map(|socket| socket.local.port()).collect();
    let at_them: Vec<Socket> =
        all.into_iter().filter(|socket| ports.contains(&socket.local.port())).collect();
    Ok(shown(&at_them))
}

fn shown(at_its_port: &[Socket]) -> Shown {
    let (listening, others): (Vec<&Socket>, Vec<&Socket>) =
        at_its_port.iter().partition(|socket| socket.state == State::Listen);
    let may_be_a_client = |socket: &&&Socket| {
        socket.inode != 0 || matches!(socket.state, State::Established | State::CloseWait | State::HalfOpen)
    };
    let clients = match others.iter().filter(may_be_a_client).count() {
        _ if listening.is_empty() => {
            Clients::Unknown("nothing listens at its port in this network namespace".into())
        }
        0 => Clients::Nobody,
        many => Clients::Connected(many),
    };
    Shown { clients, listening: listening.iter().map(|socket| socket.inode).collect() }
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
    use crate::patience::eventually;

    /// Another process that connects and says so, and that ends with its stdin.
    const CLIENT: &str = "import socket, sys\n\
                          it = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n\
                          print('x', end='', flush=True)\n\
                          sys.stdin.read()";

    fn address(port: u16) -> Address {
        format!("http://127.0.0.1:{port}").parse().unwrap()
    }

    fn count(address: &Address) -> Clients {
        look(address, None).clients
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test starts a client of its own")]
    fn others_are_counted_and_the_reaper_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(count(&address(port)), Clients::Nobody);
        let own = TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert_eq!(count(&address(port)), Clients::Nobody, "our own, not accepted");
        let accepted = listener.accept().unwrap();
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
        eventually("no client is left", || count(&address(port)) == Clients::Nobody);
        let end = own.local_addr().unwrap();
        drop(own);
        assert_eq!(
            count(&address(port)),
            Clients::Connected(1),
            "closed, and the gateway doesn't know it yet"
        );
        own::note(end, ([127, 0, 0, 1], port).into());
        eventually("it is known as our own", || count(&address(port)) == Clients::Nobody);
        // A client may have that port of ours next, once nothing is left of our connection.
        drop(accepted);
        eventually("it is forgotten", || {
            count(&address(port)) == Clients::Nobody && own::latest(port, |_| true).is_empty()
        });
    }

    #[test]
    fn what_cannot_be_known_is_not_nobody() {
        for url in ["http://192.0.2.1:9119", "http://gateway.invalid:9119", "unix:///run/gateway.sock:/x"] {
            let clients = count(&url.parse().unwrap());
            assert!(matches!(clients, Clients::Unknown(_)), "{url}: {clients:?}");
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        eventually("nothing listens", || count(&address(port)).to_string().contains("nothing listens"));
    }
}
