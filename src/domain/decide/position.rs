//! Where a worker stands: below which gateway, or that it has lost the one it had.
//!
//! PPID 1 proves nothing for anything but a worker (hermes-agent #92008, #84855), and in a container process 1 may be the gateway itself.

use super::world::World;
use crate::domain::adoption::{self, AdoptionSign};
use crate::domain::ids::Pid;
use crate::domain::ledger::Bond;
use crate::domain::process::{Process, ProcessIdentity};

/// Where a worker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Position {
    /// A child of this gateway, or of a shell that was started for it alone and is.
    Child(usize),
    /// Below this gateway, with another process between them.
    Below(usize),
    /// Below the process that this gateway had, which is there; in this run nothing says that it is still the gateway's.
    BelowFormer(ProcessIdentity),
    /// It has lost the gateway that it was seen below, or shows that its parent adopted it.
    Lost,
    /// Nothing says that it has lost its gateway; the sentence says why.
    Unclear(String),
}

impl Position {
    /// The gateway that it is below.
    pub(super) fn gateway(&self) -> Option<usize> {
        match self {
            Self::Child(gateway) | Self::Below(gateway) => Some(*gateway),
            Self::BelowFormer(_) | Self::Lost | Self::Unclear(_) => None,
        }
    }
}

impl World<'_> {
    /// Where this worker stands.
    pub(super) fn position(&self, worker: &Process) -> Position {
        let (mut wraps, mut launches) = (true, true);
        let mut head = worker;
        for ancestor in self.ancestors(worker) {
            if let Some(gateway) = self.gateway_of(ancestor.identity.pid, worker) {
                return if wraps { Position::Child(gateway) } else { Position::Below(gateway) };
            }
            wraps = wraps && ancestor.is_wrapper_of(worker);
            launches = launches && wraps && ancestor.is_launcher();
            if launches {
                head = ancestor;
            }
        }
        if let Some(former) = self.former_gateway_above(worker) {
            return Position::BelowFormer(former);
        }
        if self.has_lost_its_gateway(worker) {
            return Position::Lost;
        }
        self.adoption(head)
    }

    /// The gateway whose process this is, preferably one that takes this worker for its own.
    fn gateway_of(&self, pid: Pid, worker: &Process) -> Option<usize> {
        let gateways = self.gateways_at(pid);
        let takes = |gateway: &&usize| self.gateways[**gateway].takes(worker.identity.pid);
        gateways.iter().find(takes).or_else(|| gateways.first()).copied()
    }

    /// What a gateway's process was, where it is above this worker and not known in this run.
    fn former_gateway_above(&self, worker: &Process) -> Option<ProcessIdentity> {
        let seen_below = self.seen_below(worker);
        let lost = self.gateways.iter().filter_map(|gateway| gateway.lost);
        let former: Vec<ProcessIdentity> = seen_below.into_iter().chain(lost).collect();
        // The kernel gives a process another parent only when its parent is gone.
        if let Some(parent) = seen_below.filter(|gateway| worker.parent == Some(gateway.pid)) {
            return Some(parent);
        }
        self.ancestors(worker).map(|ancestor| ancestor.identity).find(|ancestor| former.contains(ancestor))
    }

    /// The gateway process that this worker was seen below.
    pub(super) fn seen_below(&self, worker: &Process) -> Option<ProcessIdentity> {
        match self.known.get(&worker.identity)?.1.bond {
            Bond::Child(gateway) => Some(gateway),
            Bond::None => None,
        }
    }

    /// The gateway process that this worker, which stands there, is below, or was when that was last to be seen.
    pub(super) fn below(&self, worker: &Process, position: &Position) -> Option<ProcessIdentity> {
        let seen_below = self.seen_below(worker);
        let is_known = |below: &ProcessIdentity| self.gateways.iter().any(|it| it.process == Some(*below));
        let now = match position {
            Position::Child(gateway) | Position::Below(gateway) => self.gateways[*gateway].process,
            // What adopted it has not started it.
            Position::BelowFormer(former) => seen_below.filter(is_known).or(Some(*former)),
            Position::Lost | Position::Unclear(_) => None,
        };
        now.or(seen_below)
    }

    /// The process that this worker was seen below, where it is there and is that of no gateway which is known: one that was forgotten may
    /// still want it.
    pub(super) fn forgotten_gateway_of(&self, worker: &Process) -> Option<ProcessIdentity> {
        let former = self.seen_below(worker).filter(|former| self.view().alive(former).is_some())?;
        let is_known = self.gateways.iter().any(|it| [it.process, it.lost].contains(&Some(former)));
        (!is_known).then_some(former)
    }

    /// It was seen below a gateway, and is not below that one any more: somewhere between them a process ended.
    fn has_lost_its_gateway(&self, worker: &Process) -> bool {
        let top = self.ancestors(worker).last().unwrap_or(worker);
        let all_in_view = top.parent.is_none() || top.identity.pid == Pid::INIT;
        // With its parent hidden nothing is known of what is above.
        self.seen_below(worker).is_some() && (all_in_view || worker.parent == Some(Pid::INIT))
    }

    fn adoption(&self, head: &Process) -> Position {
        let parent = head.parent.and_then(|pid| self.view().get(pid));
        let name = parent.map_or("unknown", |parent| &parent.comm);
        let pid = head.parent.map_or(0, Pid::get);
        match adoption::sign(head, self.view()) {
            Some(AdoptionSign::UnderInit | AdoptionSign::UnderKnownSubreaper) => Position::Lost,
            // The parent may be anything; but not one of the gateways, if each of those is known to be another.
            Some(AdoptionSign::UnderFirst | AdoptionSign::LeaderlessSession) if self.all_gateways_known() => {
                Position::Lost
            }
            _ if !self.all_gateways_known() => Position::Unclear(format!(
                "its parent {pid} ({name}) may be a gateway: one of the configured gateways has no known process"
            )),
            _ => Position::Unclear(format!(
                "its parent {pid} ({name}) is there and may be its gateway; it is no [[gateway]] of the configuration"
            )),
        }
    }
}
