//! What the contract says of a world, worked out the slow way: for each subject one truth table, read from the top, in which every
//! condition searches the whole world anew. Written from the contract; shares nothing with the decision but the signs of adoption.

mod owners;
mod sessions;
mod workers;

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_reaper::domain::ids::{GatewayName, Pid};
use gateway_reaper::domain::ledger::{GatewayMemory, WorkerMemory};
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::process::{PidNamespace, Process, ProcessIdentity};
use gateway_reaper::domain::table::{Session, SessionTable};
use gateway_reaper::domain::time::Awake;

use self::owners::Owner;
use crate::random::{Pattern, Random};
use crate::world::*;

/// What is to be said of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Keep(&'static str),
    Orphan { kind: OrphanKind, waited: Duration, is_due: bool, goes: Vec<Pid> },
}

/// A row: which gateway's, and which of its table.
type RowId = (usize, usize);

/// Every subject, by gateway and name.
pub(crate) type Fates = BTreeMap<(usize, String), Fate>;

/// The first row of a truth table whose condition holds.
fn first<T: Clone>(rows: &[(bool, T)]) -> Option<T> {
    rows.iter().find(|(holds, _)| *holds).map(|(_, result)| result.clone())
}

pub(crate) fn fates(random: &Random) -> Fates {
    let oracle = Oracle(random);
    let mut fates = Fates::new();
    for gateway in 0..random.patterns.len() {
        for (row, session) in oracle.rows(gateway).iter().enumerate() {
            fates.insert((gateway, format!("session {}", session.id)), oracle.session((gateway, row)));
        }
        let listed = random.world.seen.gateways[gateway].table.missing().map(|missing| &missing.listed[..]);
        for session in listed.unwrap_or_default() {
            fates.insert((gateway, format!("session {session}")), Fate::Keep("unknown-state"));
        }
    }
    for process in random.world.seen.processes.processes.values() {
        if let Some((gateway, fate)) = oracle.worker(process) {
            fates.insert((gateway, format!("worker {}", process.identity.pid)), fate);
        }
    }
    fates
}

struct Oracle<'a>(&'a Random);

impl<'a> Oracle<'a> {
    // What there is.

    fn count(&self) -> std::ops::Range<usize> {
        0..self.0.patterns.len()
    }

    fn find(&self, pid: Pid) -> Option<&'a Process> {
        self.0.world.seen.processes.get(pid).filter(|process| !process.zombie)
    }

    fn table(&self, gateway: usize) -> Option<&'a SessionTable> {
        self.0.world.seen.gateways[gateway].table.current()
    }

    fn rows(&self, gateway: usize) -> &'a [Session] {
        self.table(gateway).map_or(&[], |table| &table.sessions)
    }

    /// The gateway's process, unless what was found can't be one.
    fn gateway(&self, gateway: usize) -> Option<ProcessIdentity> {
        let view = &self.0.world.seen.processes;
        let found = self.0.world.seen.gateways[gateway].process?;
        let process = self.find(found.pid).filter(|process| process.identity == found)?;
        let is_init = found.pid.get() == 1 && view.init_is_init;
        (!is_init && found.pid.get() != 90 && !process.kernel).then_some(found)
    }

    fn memory(&self, gateway: usize) -> Option<&'a GatewayMemory> {
        let World { ledger, seen, .. } = &self.0.world;
        let name = &seen.gateways[gateway].name;
        ledger.gateways.get(name).filter(|_| ledger.boot.as_ref() == Some(&seen.boot))
    }

    fn remembered(&self, process: &Process) -> Option<(usize, &'a WorkerMemory)> {
        self.count().chain([self.count().end]).find_map(|gateway| {
            let memory = match gateway < self.count().end {
                true => self.memory(gateway)?,
                // A gateway that isn't configured any more.
                false => self.forgotten_gateway()?,
            };
            let worker = memory.workers.iter().find(|worker| worker.identity == process.identity)?;
            Some((gateway, worker))
        })
    }

    fn forgotten_gateway(&self) -> Option<&'a GatewayMemory> {
        let World { ledger, seen, .. } = &self.0.world;
        let is_seen = |name: &GatewayName| seen.gateways.iter().any(|gateway| gateway.name == *name);
        let (_, memory) = ledger.gateways.iter().find(|(name, _)| !is_seen(name))?;
        Some(memory).filter(|_| ledger.boot.as_ref() == Some(&seen.boot))
    }

    /// What argv says to this gateway, without a regular expression.
    fn key(&self, gateway: usize, process: &'a Process) -> Option<Option<&'a str>> {
        let rest = process.argv.as_deref()?.strip_prefix("python3 -m worker")?;
        match self.0.patterns[gateway] {
            Pattern::None => None,
            Pattern::Keyless => Some(None),
            Pattern::Keyed => Some(rest.strip_prefix(" --session-key ")),
        }
    }

    /// The PID namespace that a gateway's workers are in, where it is known.
    fn namespace(&self, gateway: usize) -> Option<PidNamespace> {
        let view = &self.0.world.seen.processes;
        let process = self.gateway(gateway).and_then(|process| view.get(process.pid));
        process.and_then(|process| process.namespace).or(view.own_namespace)
    }

    /// The gateway is known to run in another PID namespace than the reaper.
    fn is_elsewhere(&self, gateway: usize) -> bool {
        self.namespace(gateway) != self.0.world.seen.processes.own_namespace
    }

    /// Whether the gateway takes this process for a worker of its own.
    fn is_worker(&self, gateway: usize, process: &'a Process) -> bool {
        let is_elsewhere = process.namespace.is_some() && process.namespace != self.namespace(gateway);
        !process.zombie && !is_elsewhere && self.key(gateway, process).is_some()
    }

    /// Awake time since then in which there were looks.
    fn observed_since(&self, since: Awake) -> Duration {
        let World { seen, now, .. } = &self.0.world;
        now.since(since).saturating_sub(seen.unobserved)
    }

    fn line(&self, process: &Process) -> Vec<Pid> {
        let mut line: Vec<Pid> = Vec::new();
        let mut at = process.parent;
        while let Some(pid) = at.filter(|pid| !line.contains(pid)) {
            line.push(pid);
            at = self.0.world.seen.processes.get(pid).and_then(|process| process.parent);
        }
        line
    }

    fn is_under(&self, process: &Process, gateway: usize) -> bool {
        self.gateway(gateway).is_some_and(|gateway| self.line(process).contains(&gateway.pid))
    }

    // Never signalled, whatever a table says.

    fn is_protected_pid(&self, pid: Pid) -> bool {
        let world = &self.0.world;
        let is_gateway = |gateway: usize| {
            let said = self.table(gateway).and_then(|table| table.gateway_pid);
            world.seen.gateways[gateway].process.is_some_and(|process| process.pid == pid)
                || said == Some(pid)
        };
        // One that was found again may be another process by now; what it was before may go on with its sessions.
        let is_former = |gateway: usize| self.formers(gateway).iter().any(|former| former.pid == pid);
        let lost = self.count().filter(|gateway| self.gateway(*gateway).is_none());
        let memories = lost.filter_map(|gateway| self.memory(gateway));
        let was_gateway = memories.filter_map(|memory| memory.process).any(|process| {
            process.pid == pid && self.find(pid).is_some_and(|found| found.identity == process)
        });
        [1, 80, 90].contains(&pid.get())
            || self.count().any(is_gateway)
            || self.count().any(is_former)
            || was_gateway
    }

    fn is_protected(&self, gateway: usize, process: &Process) -> bool {
        let allowed = self.0.world.rules[gateway].worker_uid;
        self.is_protected_pid(process.identity.pid) || process.kernel || process.uid != allowed
    }

    /// A gateway or a worker of other sessions than these is below it, or may be.
    fn is_above_anothers(&self, process: &'a Process, own: &[RowId]) -> bool {
        let is_in_doubt = matches!(self.owner(process), Some(Owner::Doubt(_)));
        let mut below = self.all_below(process.identity.pid);
        below.any(|below| {
            let owners = self.rows_of_its_own(below);
            let may_be_anothers = || !is_in_doubt && matches!(self.owner(below), Some(Owner::Doubt(_)));
            let is_gateway = !self.gateways_at(below.identity.pid).is_empty();
            // What was a worker and doesn't look like one any more.
            let was_anothers = match self.session_of_a_former_worker(below) {
                Some(None) => !is_in_doubt,
                Some(Some(row)) => own != [row],
                None => false,
            };
            is_gateway || (!owners.is_empty() && owners != own) || may_be_anothers() || was_anothers
        })
    }

    fn all_below(&self, pid: Pid) -> impl Iterator<Item = &'a Process> {
        let processes = self.0.world.seen.processes.processes.values();
        processes.filter(move |below| !below.zombie && self.line(below).contains(&pid))
    }
}
