//! The TCP sockets of this machine and their users: from the kernel by `sock_diag`, and where that can't be asked (a sandbox without
//! `AF_NETLINK`, a kernel without the module) from `/proc/net/tcp` and `tcp6`. Nothing here waits.

pub(crate) mod connected;
mod diag;
pub mod holder;
mod netlink;
pub mod own;
mod proc_net;
pub mod unix;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;

pub use self::diag::Filter;
use self::netlink::Netlink;
use crate::domain::ids::Pid;

/// The states of a TCP socket that are told apart here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Connected.
    Established,
    /// Waits for connections.
    Listen,
    /// The other side has closed.
    CloseWait,
    /// About to be connected.
    HalfOpen,
    /// Any other: about to end.
    Other,
}

impl State {
    fn from_kernel(state: u8) -> Self {
        match state {
            1 => Self::Established,
            2 | 3 | 12 => Self::HalfOpen,
            8 => Self::CloseWait,
            10 => Self::Listen,
            _ => Self::Other,
        }
    }
}

/// A TCP socket of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Its own end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Its state.
    pub state: State,
    /// The user who made it, or who accepted it. Without an inode it means nothing.
    pub uid: u32,
    /// Its inode, as `/proc/PID/fd` shows it. Zero: no process has it (yet).
    pub inode: u32,
}

/// Asks the kernel for sockets.
#[derive(Debug)]
pub enum Sockets {
    /// By `sock_diag`.
    Diag(Netlink),
    /// By reading the tables of `/proc/net`.
    Proc,
}

/// The inodes of all TCP sockets of this network namespace that are connected or about to be. One whose other side has closed isn't: a
/// pool of an HTTP client keeps such a one for ever.
///
/// # Errors
/// They can't be known.
pub fn connected_inodes() -> io::Result<HashSet<u64>> {
    let sockets = Sockets::open().list(Filter::ALL)?;
    Ok(connected(&sockets))
}

/// The same in the network namespace of this process.
///
/// # Errors
/// They can't be known.
pub fn connected_inodes_of(pid: Pid) -> io::Result<HashSet<u64>> {
    Ok(connected(&list_of(pid, Filter::ALL)?))
}

fn connected(sockets: &[Socket]) -> HashSet<u64> {
    let is_over = |state| matches!(state, State::Listen | State::CloseWait);
    let connected = sockets.iter().filter(|socket| !is_over(socket.state) && socket.inode != 0);
    connected.map(|socket| socket.inode.into()).collect()
}

/// The sockets of the network namespace of this process that the filter lets through.
///
/// # Errors
/// They can't be known.
pub fn list_of(pid: Pid, filter: Filter) -> io::Result<Vec<Socket>> {
    proc_net::list_of(&pid.to_string(), filter)
}

/// The network namespace of this process, where it is known to be another than the reaper's.
pub fn namespace_apart(pid: Pid) -> Option<u64> {
    let namespace = |pid: &str| std::fs::metadata(format!("/proc/{pid}/ns/net")).ok().map(|it| it.ino());
    let other = namespace(&pid.to_string())?;
    (namespace("self") != Some(other)).then_some(other)
}

impl Sockets {
    /// By `sock_diag` where that can be asked, else from `/proc/net`.
    pub fn open() -> Self {
        match Netlink::open() {
            Ok(netlink) => Self::Diag(netlink),
            Err(error) => {
                tracing::debug!(%error, "no sock_diag here; sockets are looked up in /proc/net");
                Self::Proc
            }
        }
    }

    /// The connected socket of these two ends, seen from `local`; `None`: this machine (this network namespace) has none.
    ///
    /// # Errors
    /// It can't be known.
    pub fn connected(&mut self, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Socket>> {
        let found = self.look_up(local, remote)?;
        // Where no such connection is, the kernel answers with what listens there.
        Ok(found.filter(|socket| {
            socket.state != State::Listen && same(socket.local, local) && same(socket.remote, remote)
        }))
    }

    /// What takes connections at a port of these addresses of this machine, as far as it can be known, each with the address.
    pub fn listening<'s>(
        &'s mut self,
        addresses: impl IntoIterator<Item = IpAddr> + 's,
        port: u16,
    ) -> impl Iterator<Item = (SocketAddr, Socket)> + 's {
        let found = addresses.into_iter().map(move |ip| SocketAddr::new(ip, port));
        found.filter_map(|at| Some((at, self.listener(at, at.ip()).ok().flatten()?)))
    }

    /// The socket that takes connections from `remote` to `local`.
    ///
    /// # Errors
    /// It can't be known.
    pub fn listener(&mut self, local: SocketAddr, remote: IpAddr) -> io::Result<Option<Socket>> {
        // No connection has port 0, so that only what listens is found.
        let found = self.look_up(local, SocketAddr::new(remote, 0))?;
        Ok(found.filter(|socket| socket.state == State::Listen))
    }

    /// All sockets that the filter lets through.
    ///
    /// # Errors
    /// They can't be known.
    pub fn list(&mut self, filter: Filter) -> io::Result<Vec<Socket>> {
        if let Self::Diag(netlink) = self {
            match diag::list(netlink, filter) {
                Err(error) if is_not_served(&error) => *self = Self::Proc,
                answer => return answer,
            }
        }
        proc_net::list(filter)
    }

    fn look_up(&mut self, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Socket>> {
        if let Self::Diag(netlink) = self {
            match diag::look_up(netlink, local, remote) {
                Err(error) if is_not_served(&error) => *self = Self::Proc,
                answer => return answer,
            }
        }
        proc_net::look_up(local, remote)
    }
}

/// The kernel has no `sock_diag` for TCP, or doesn't let us have it.
fn is_not_served(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error())
}

/// The same end, whether it is written as IPv4 or as IPv4 in IPv6.
fn same(one: SocketAddr, other: SocketAddr) -> bool {
    canonical(one) == canonical(other)
}

/// As IPv4 where it is that.
pub fn canonical(end: SocketAddr) -> SocketAddr {
    SocketAddr::new(end.ip().to_canonical(), end.port())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, TcpListener, TcpStream};

    use super::*;
    use crate::patience::eventually;

    fn both() -> [Sockets; 2] {
        let diag = Sockets::open();
        assert!(matches!(diag, Sockets::Diag(_)), "no sock_diag on this machine");
        [diag, Sockets::Proc]
    }

    fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    /// A listener at the address, a connection to it, and the other end once that is accepted.
    fn check(bound: SocketAddr, asked: IpAddr) {
        let listener = TcpListener::bind(bound).unwrap();
        let at = SocketAddr::new(asked, listener.local_addr().unwrap().port());
        let client = TcpStream::connect(at).unwrap();
        let ours = client.local_addr().unwrap();
        for mut sockets in both() {
            let waiting = sockets.connected(at, ours).unwrap().expect("it is connected");
            assert_eq!((waiting.inode, waiting.state), (0, State::Established), "nobody has accepted it");
            let listening = sockets.listener(at, ours.ip()).unwrap().expect("it listens");
            assert_eq!((listening.uid, listening.state), (own_uid(), State::Listen));
            assert_ne!(listening.inode, 0);
        }
        let (server, _) = listener.accept().unwrap();
        for mut sockets in both() {
            let accepted = sockets.connected(at, ours).unwrap().expect("it is connected");
            assert_eq!(accepted.uid, own_uid());
            assert_ne!(accepted.inode, 0);
            assert!(same(accepted.remote, ours) && same(accepted.local, at));
            let filter = Filter::local_port(at.port());
            let listed = sockets.list(filter).unwrap();
            assert_eq!(listed.iter().filter(|socket| socket.state == State::Listen).count(), 1, "{listed:?}");
            assert!(listed.contains(&accepted), "{listed:?}");
        }
        drop((client, server, listener));
        for mut sockets in both() {
            eventually("nothing listens any more", || sockets.listener(at, ours.ip()).unwrap().is_none());
        }
    }

    #[test]
    fn the_other_end_of_a_connection_is_found_in_both_families() {
        check(([127, 0, 0, 1], 0).into(), [127, 0, 0, 1].into());
        check(([0, 0, 0, 0], 0).into(), [127, 0, 0, 9].into());
        check((Ipv6Addr::LOCALHOST, 0).into(), Ipv6Addr::LOCALHOST.into());
    }

    #[test]
    fn a_listener_of_both_families_is_found_from_ipv4() {
        check((Ipv6Addr::UNSPECIFIED, 0).into(), [127, 0, 0, 1].into());
        check((Ipv6Addr::UNSPECIFIED, 0).into(), Ipv6Addr::LOCALHOST.into());
    }

    #[test]
    fn what_listens_is_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        for mut sockets in both() {
            assert_eq!(sockets.connected(at, ([127, 0, 0, 1], 1).into()).unwrap(), None);
            assert_eq!(sockets.connected(at, ([10, 9, 8, 7], 1).into()).unwrap(), None);
        }
    }

    #[test]
    fn a_full_backlog_is_no_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let at = listener.local_addr().unwrap();
        let _first = TcpStream::connect(at).unwrap();
        // The kernel calls this one connected; at the other end it is half open and of no process.
        let second = TcpStream::connect_timeout(&at, std::time::Duration::from_millis(200));
        let Ok(second) = second else { return };
        let ours = second.local_addr().unwrap();
        for mut sockets in both() {
            let half_open = sockets.connected(at, ours).unwrap();
            assert!(half_open.is_none_or(|socket| socket.inode == 0), "{half_open:?}");
            assert_eq!(sockets.listener(at, ours.ip()).unwrap().unwrap().uid, own_uid());
        }
    }
}
