//! Clients that the server knows nothing of: `jupyter console --existing` talks to a kernel's own ports. One that is connected there holds
//! the kernel.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;

use super::kernels::{Kernel, Kernels};
use crate::domain::ids::Pid;
use crate::domain::process::ProcessIdentity;
use crate::domain::table::{Session, Told};
use crate::sources::processes::gateway_named_by;
use crate::sources::sockets::{Filter, Socket, Sockets, State, holder};

/// A process is connected to a port of the kernel that is neither its server nor of its tree.
pub(super) const CONNECTED: &str = "zmq-client";
/// Whether there is one can't be told.
pub(super) const UNKNOWN: &str = "unknown-zmq-client";

/// What was found out of connections.
#[derive(Debug, Default)]
pub(super) struct Clients {
    ports: HashMap<(Pid, u64), Option<Vec<u16>>>,
    /// Connections, by both ends and the inode of the far one, that were seen to be of the server or of the kernel's own tree.
    innocent: HashSet<(SocketAddr, SocketAddr, u32)>,
}

#[derive(Deserialize)]
struct ConnectionFile {
    transport: Option<String>,
    shell_port: u16,
    iopub_port: u16,
    stdin_port: u16,
    control_port: u16,
    hb_port: u16,
}

impl Clients {
    /// Adds a hold to each of these sessions to which a client is connected. Those without a process here are left as they are.
    pub(super) fn hold(
        &mut self,
        sessions: &mut [Session],
        candidates: &[usize],
        server: Option<ProcessIdentity>,
        kernels: &mut Kernels,
    ) {
        let found: Vec<(usize, Kernel)> = candidates
            .iter()
            .filter_map(|at| Some((*at, kernels.get(&sessions.get(*at)?.id)?.clone())))
            .collect();
        if found.is_empty() {
            self.ports.clear();
            self.innocent.clear();
            return;
        }
        let asked: HashSet<_> = found.iter().map(|(_, kernel)| (kernel.pid, kernel.start_ticks)).collect();
        self.ports.retain(|known, _| asked.contains(known));
        let connected = connections();
        let mut of_server = None;
        for (at, kernel) in found {
            let hold = match &connected {
                Some(connected) => self.look(&kernel, connected, server, &mut of_server, kernels, &[]),
                None => Some(UNKNOWN),
            };
            if let (Some(hold), Some(session)) = (hold, sessions.get_mut(at)) {
                session.holds = Told::Known(vec![hold.into()]);
            }
        }
        if let Some(connected) = connected {
            let there: HashSet<_> = connected.iter().map(key).collect();
            self.innocent.retain(|known| there.contains(known));
        }
    }

    /// Whether a client is connected to this kernel now, also to what else it serves: a debugger, a dashboard that a cell has started.
    pub(super) fn holds_now(
        &mut self,
        kernel: &Kernel,
        server: Option<ProcessIdentity>,
        kernels: &mut Kernels,
    ) -> Option<&'static str> {
        let (Some(all), Some(tree)) = (all_sockets(), kernels.tree(kernel)) else { return Some(UNKNOWN) };
        let own: HashSet<u32> = tree.into_iter().filter_map(holder::sockets_of).flatten().collect();
        // Of a debugger the adapter is a daemon outside of the tree, which only its connection ties to the kernel.
        let beside: HashSet<u32> = daemons(&all, &own, server).into_iter().flatten().collect();
        let is_served = |socket: &&Socket| {
            socket.state == State::Listen && (own.contains(&socket.inode) || beside.contains(&socket.inode))
        };
        let served: Vec<u16> = all.iter().filter(is_served).map(|socket| socket.local.port()).collect();
        let connected: Vec<Socket> = all.into_iter().filter(is_connected).collect();
        self.look(kernel, &connected, server, &mut None, kernels, &served)
    }

    /// `of_server`: the server's own sockets, once they were read; they serve all kernels of one look. `served`: more ports of the kernel's.
    fn look(
        &mut self,
        kernel: &Kernel,
        connected: &[Socket],
        server: Option<ProcessIdentity>,
        of_server: &mut Option<HashSet<u32>>,
        kernels: &mut Kernels,
        served: &[u16],
    ) -> Option<&'static str> {
        let known = self.ports.entry((kernel.pid, kernel.start_ticks));
        let Some(mut ports) = known.or_insert_with(|| ports(&kernel.connection_file)).clone() else {
            return Some(UNKNOWN);
        };
        ports.extend(served);
        // Seen from the far end, whose process it is that matters; one of another machine has no far end here.
        let to_it = connected.iter().filter(|socket| ports.contains(&socket.remote.port()));
        let far: Vec<&Socket> = to_it.filter(|socket| !self.innocent.contains(&key(socket))).collect();
        if !far.is_empty() {
            let of_server = of_server.get_or_insert_with(|| {
                server
                    .and_then(|server| holder::sockets_of(server.pid))
                    .unwrap_or_default()
                    .into_iter()
                    .collect()
            });
            let of_others = far.iter().any(|socket| !of_server.contains(&socket.inode));
            let mut own: HashSet<u32> = HashSet::new();
            if of_others {
                let Some(tree) = kernels.tree(kernel) else { return Some(UNKNOWN) };
                own.extend(tree.into_iter().filter_map(holder::sockets_of).flatten());
            }
            for socket in far {
                if !of_server.contains(&socket.inode) && !own.contains(&socket.inode) {
                    return Some(CONNECTED);
                }
                self.innocent.insert(key(socket));
            }
        }
        let near =
            connected.iter().filter(|socket| ports.contains(&socket.local.port()) && is_connected(socket));
        let has_far_end = |near: &Socket| {
            connected
                .iter()
                .any(|far| far.remote.port() == near.local.port() && far.local.port() == near.remote.port())
        };
        near.into_iter().any(|near| !has_far_end(near)).then_some(CONNECTED)
    }
}

/// The sockets of those processes that are connected to one of these, and whose environment names this server as what started them.
fn daemons(all: &[Socket], own: &HashSet<u32>, server: Option<ProcessIdentity>) -> Vec<Vec<u32>> {
    let Some(server) = server else { return Vec::new() };
    let near = all.iter().filter(|socket| is_connected(socket) && own.contains(&socket.inode));
    let far = near.filter_map(|near| {
        all.iter().find(|far| {
            far.local.port() == near.remote.port()
                && far.remote.port() == near.local.port()
                && is_connected(far)
        })
    });
    let inodes: HashSet<u32> = far.map(|far| far.inode).filter(|inode| !own.contains(inode)).collect();
    let holders: HashSet<Pid> =
        inodes.into_iter().flat_map(holder::holders).filter(|pid| *pid != server.pid).collect();
    let ours = holders.into_iter().filter(|pid| gateway_named_by(*pid) == Some(server.pid));
    ours.filter_map(holder::sockets_of).collect()
}

fn is_connected(socket: &Socket) -> bool {
    matches!(socket.state, State::Established | State::HalfOpen)
}

fn key(socket: &Socket) -> (SocketAddr, SocketAddr, u32) {
    (socket.local, socket.remote, socket.inode)
}

fn all_sockets() -> Option<Vec<Socket>> {
    Sockets::open().list(Filter::ALL).ok()
}

fn connections() -> Option<Vec<Socket>> {
    Some(all_sockets()?.into_iter().filter(is_connected).collect())
}

/// The ports of a kernel. `None`: they aren't known, or it has none (a kernel may talk over sockets in the file system).
fn ports(connection_file: &Path) -> Option<Vec<u16>> {
    let file: ConnectionFile = serde_json::from_slice(&fs::read(connection_file).ok()?).ok()?;
    let is_tcp = file.transport.as_deref().is_none_or(|transport| transport == "tcp");
    is_tcp.then(|| vec![file.shell_port, file.iopub_port, file.stdin_port, file.control_port, file.hb_port])
}
