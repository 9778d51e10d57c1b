//! What listens at a gateway's address is a gateway's, and is never ended: the gateway itself, whose process neither its table nor
//! `[gateway.process]` names, and that may have come from a tree that is due (started in a terminal of an agent, say); and of one whose process
//! is known what it forked to serve, and looks like a worker.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;

use super::watched::Watched;
use crate::config::address::{Address, Host, Place};
use crate::domain::ids::Pid;
use crate::domain::observation::GatewayObservation;
use crate::domain::process::ProcessView;
use crate::domain::warrant::Warrant;
use crate::sources::sockets::{Sockets, holder, unix};

/// Adds to a view what listens at the address of a gateway whose process isn't known, wherever it is; and of the others what is due without a
/// session. The worker of a session may have inherited the socket, and is that session's.
pub(super) fn look(
    view: &mut ProcessView,
    gateways: &[GatewayObservation],
    watched: &[Watched],
    due: &[&Warrant],
) {
    let without_session = due.iter().filter(|warrant| warrant.session().is_none());
    let workers: Vec<Pid> = without_session.filter_map(|warrant| Some(warrant.worker()?.pid)).collect();
    for (gateway, watched) in gateways.iter().zip(watched) {
        let Some(address) = watched.address.as_ref() else { continue };
        if gateway.process.is_none() {
            view.serving.extend(listening(address).into_iter().flat_map(holder::holders));
        } else if !workers.is_empty() {
            let sockets = listening(address);
            let serves = |pid: &&Pid| sockets.iter().any(|inode| holder::has(**pid, *inode));
            view.serving.extend(workers.iter().filter(serves));
        }
    }
}

/// The sockets of this machine that listen at an address.
fn listening(address: &Address) -> Vec<u32> {
    let (host, port) = match address.place() {
        Place::Tcp { host, port } => (host, *port),
        Place::Unix(path) => {
            // The kernel ends it with a NUL.
            let name = |socket: &unix::UnixSocket| {
                let name = socket.name.as_deref()?;
                Some(name.strip_suffix(b"\0").unwrap_or(name).to_vec())
            };
            let is_it = |socket: &unix::UnixSocket| {
                socket.waiting.is_some() && name(socket).as_deref() == Some(path.as_os_str().as_bytes())
            };
            let sockets = unix::all().unwrap_or_default();
            return sockets.iter().filter(|socket| is_it(socket)).map(|socket| socket.inode).collect();
        }
    };
    let addresses = match host {
        Host::Addresses(addresses) => addresses.to_vec(),
        Host::Name(_) => vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
    };
    Sockets::open().listening(addresses, port).map(|(_, socket)| socket.inode).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn inode(listener: &impl AsRawFd) -> u32 {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        link.to_str().unwrap().strip_prefix("socket:[").unwrap().strip_suffix(']').unwrap().parse().unwrap()
    }

    #[test]
    fn what_listens_is_found_at_a_port_and_at_a_path() {
        let (tcp, dir) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
        let path = dir.path().join("socket");
        let unix = UnixListener::bind(&path).unwrap();
        let port = tcp.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost"] {
            let address: Address = format!("http://{host}:{port}/sessions").parse().unwrap();
            assert_eq!(listening(&address), [inode(&tcp)], "{host}");
        }
        let address: Address = format!("unix://{}:/sessions", path.display()).parse().unwrap();
        assert_eq!(listening(&address), [inode(&unix)]);
    }
}
