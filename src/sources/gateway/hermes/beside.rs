//! A dashboard as it is, without the plugin: which process listens there, and since when no client is connected to it.

use super::clients;
use crate::config::address::Address;
use crate::domain::ids::Pid;
use crate::domain::outside::{Absence, Clients, Outside};
use crate::domain::time::Awake;
use crate::sources::clock;
use crate::sources::sockets::holder;

/// A listener whose process wasn't found is searched for again after so long: that looks at every process.
const SEARCH_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// What is remembered of it from look to look.
#[derive(Debug, Default)]
pub(super) struct Beside {
    absence: Absence,
    found: Option<Pid>,
    searched: Option<Awake>,
}

impl Beside {
    /// Looks. `process`: the gateway's, as far as it is known.
    pub(super) fn look(&mut self, address: &Address, process: Option<Pid>) -> Outside {
        let mut shown = clients::look(address, process);
        let now = clock::awake_now();
        let known = self.found.or(process);
        let has_it = |pid: &Pid| shown.listening.iter().any(|inode| holder::has(*pid, *inode));
        self.found = known.filter(has_it);
        let is_time = self.searched.is_none_or(|at| now.since(at) >= SEARCH_EVERY);
        if self.found.is_none() && is_time {
            self.searched = Some(now);
            let holders: Vec<Pid> =
                shown.listening.iter().flat_map(|inode| holder::holders(*inode)).collect();
            // Several may share one, and then nothing tells which of them it is.
            self.found = holders.first().copied().filter(|first| holders.iter().all(|pid| pid == first));
        }
        // What is connected to it at another port is its client, too.
        if let (Clients::Nobody, Some(gateway)) = (&shown.clients, self.found) {
            shown.clients = clients::at_other_ports(gateway, address);
        }
        let nobody_since = self.absence.look(&shown.clients, now);
        Outside { gateway: self.found, clients: shown.clients, nobody_since }
    }
}
