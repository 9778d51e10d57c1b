//! The TCP sockets that are connected, read once for all processes of one network namespace.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{connected_inodes, connected_inodes_of, namespace_apart};
use crate::domain::ids::Pid;

/// By their inodes.
type Inodes = Arc<HashSet<u64>>;

/// What one look knows of connections.
#[derive(Debug, Default)]
pub(crate) struct Connected {
    networks: HashMap<Network, Option<Inodes>>,
    /// Earlier ones, those of now, and whether one of these is new.
    compared: Vec<(Inodes, Inodes, bool)>,
}

/// A network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    /// The reaper's.
    Own,
    /// Another one, by its inode.
    Apart(u64),
}

impl Network {
    /// That of this process, which keeps it for as long as its main thread doesn't run.
    pub(crate) fn of(process: Pid) -> Self {
        namespace_apart(process).map_or(Self::Own, Self::Apart)
    }
}

impl Connected {
    /// Those of the network that this process is in. `None`: they can't be known.
    pub(crate) fn seen_by(&mut self, process: Pid, network: Network) -> Option<Inodes> {
        let read = |network: &Network| match network {
            Network::Own => connected_inodes().ok(),
            Network::Apart(_) => connected_inodes_of(process).ok(),
        };
        self.networks.entry(network).or_insert_with_key(|network| read(network).map(Arc::new)).clone()
    }

    /// Whether one of these wasn't among the earlier ones.
    pub(crate) fn has_new(&mut self, now: &Inodes, earlier: &Inodes) -> bool {
        let is_known =
            |(then, seen, _): &&(Inodes, Inodes, bool)| Arc::ptr_eq(then, earlier) && Arc::ptr_eq(seen, now);
        if let Some((_, _, has_new)) = self.compared.iter().find(is_known) {
            return *has_new;
        }
        let has_new = !now.is_subset(earlier);
        self.compared.push((Arc::clone(earlier), Arc::clone(now), has_new));
        has_new
    }
}
