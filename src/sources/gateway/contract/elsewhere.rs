//! A gateway in a container, and the reaper outside: the PIDs of its table mean other processes here. It is found out by the process that
//! has the other end of the connection.

use std::sync::{Mutex, PoisonError};

use crate::domain::ids::Pid;
use crate::domain::table::SessionTable;
use crate::sources::http::Peer;
use crate::sources::sockets::{Sockets, holder};

/// Remembers what was found out of a connection, so that it costs nothing at every read.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    known: Mutex<Option<Known>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    peer: Peer,
    said: Pid,
    is: Option<Pid>,
}

impl Elsewhere {
    /// The table with the PID that its gateway has here, where it runs in a PID namespace of its own.
    pub(super) fn translate(&self, table: SessionTable, peer: Peer) -> SessionTable {
        let Some(said) = table.gateway_pid else { return table };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is = match *known {
            Some(known) if known.peer == peer && known.said == said => known.is,
            _ => look_up(peer, said),
        };
        *known = Some(Known { peer, said, is });
        SessionTable { gateway_pid: is.or(Some(said)), ..table }
    }
}

fn look_up(peer: Peer, said: Pid) -> Option<Pid> {
    match peer {
        Peer::Unknown => None,
        Peer::Process(pid) => Some(pid).filter(|pid| holder::is_known_below_as(*pid) == Some(said)),
        Peer::Ends(ours, theirs) => {
            let mut sockets = Sockets::open();
            // What listens stays; what was connected may be closed by now.
            let socket = sockets.listener(theirs, ours.ip()).ok()??;
            holder::held_below(said, socket.inode)
        }
    }
}
