//! What is remembered from one run to the next. Losing any of it only ever lengthens a grace.

mod configurations;
mod worker;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::{BootId, GatewayName, Instance, Pid, SessionId};
use super::orphan::OrphanKind;
use super::process::ProcessIdentity;
use super::spent::Spent;
use super::time::Awake;

pub use worker::{Bond, FamilyMemory, SessionOf, WorkerClock, WorkerMemory};

/// The memory of all gateways. An entry is there only while its subject looked like an orphan at *every* look since.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// The boot it belongs to; awake time and process identities mean nothing in another.
    pub boot: Option<BootId>,
    /// When the last look ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<Awake>,
    /// Each look at a session in use is written down. Else a later one may not be: they come often, and the process that takes them goes on.
    /// Of looks at none in use only those are that are more than a minute after the last one that was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_each_look: bool,
    /// When every process of the machine was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_look: Option<Awake>,
    /// The children of process 1 that were looked at and are no workers, so that the next run needn't look at them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<Pid>,
    /// What the trees of workers had used of a processor when they were looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spent: Vec<(ProcessIdentity, Spent)>,
    /// By gateway.
    pub gateways: BTreeMap<GatewayName, GatewayMemory>,
    /// The gateways of the configuration that it is of.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub of: BTreeSet<GatewayName>,
    /// The memory of runs with other configurations, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Self>,
    /// Teardowns that an earlier run began and could not finish; kept in a journal of their own.
    #[serde(skip)]
    pub unfinished: Vec<Unfinished>,
}

/// What is remembered of one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GatewayMemory {
    /// Its process.
    pub process: Option<ProcessIdentity>,
    /// Processes that it had before and that may still be there: each goes on with the sessions that it has, or answers in turn with others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<ProcessIdentity>,
    /// The run of the gateway in which the sessions were seen: its instance, else its process identity.
    pub run: Option<GatewayRun>,
    /// Grace clocks of detached sessions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sessions: BTreeMap<SessionId, SessionClock>,
    /// Sessions without a grace clock whose grace starts again when next they look like orphans, whatever the gateway's own clocks say: they
    /// were held, or refused, or of another run of the gateway, and those clocks don't know.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub restart: BTreeSet<SessionId>,
    /// Sessions that were attached or mid-turn at the last look: the gateway's own clocks can't reach back before that.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub in_use: BTreeSet<SessionId>,
    /// Of sessions that have no clock of the reaper's, kept for another reason or without a current table since: the latest instants at
    /// which the gateway's own clocks started.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub started: BTreeMap<SessionId, Awake>,
    /// The `activity` of those sessions then, where they have one: any change starts the grace again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub activity: BTreeMap<SessionId, Box<str>>,
    /// Sessions that it said are closed or gone and lists all the same, with how often it said so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub closes: BTreeMap<SessionId, u32>,
    /// At the last look nothing listened at its address, and no process of its was known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// When its table was last asked for and was current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<Awake>,
    /// Its workers, orphans or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<WorkerMemory>,
    /// What was seen below its workers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub families: Vec<FamilyMemory>,
}

impl GatewayMemory {
    fn is_told_by(&self, other: &Self, has_each_look: bool) -> bool {
        let apart = if has_each_look && !self.in_use.is_empty() {
            self.looked != other.looked
        } else {
            are_apart(self.looked, other.looked)
        };
        !apart
            && (&self.process, &self.former) == (&other.process, &other.former)
            && (&self.run, &self.sessions, self.gone) == (&other.run, &other.sessions, other.gone)
            && (&self.restart, &self.in_use) == (&other.restart, &other.in_use)
            && self.workers.len() == other.workers.len()
            && self.workers.iter().zip(&other.workers).all(|(now, before)| now.is_told_by(before))
            && (&self.started, &self.activity) == (&other.started, &other.activity)
            && (&self.closes, &self.families) == (&other.closes, &other.families)
    }

    /// Whether a grace runs.
    fn has_clocks(&self) -> bool {
        !self.sessions.is_empty() || self.worker_clocks().next().is_some()
    }

    /// The grace clocks of its workers, and of what was left of others.
    fn worker_clocks(&self) -> impl Iterator<Item = &WorkerClock> {
        let workers = self.workers.iter().filter_map(|worker| worker.clock.as_ref());
        workers.chain(self.families.iter().filter_map(|family| family.clock.as_ref()))
    }

    /// The same, to be changed, each with its worker.
    fn worker_clocks_mut(&mut self) -> impl Iterator<Item = (ProcessIdentity, &mut Option<WorkerClock>)> {
        let workers = self.workers.iter_mut().map(|worker| (worker.identity, &mut worker.clock));
        workers.chain(self.families.iter_mut().map(|family| (family.worker, &mut family.clock)))
    }
}

/// One run of a gateway. When another one answers, every grace of its sessions starts again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum GatewayRun {
    /// As its table says.
    Instance(Instance),
    /// Its table doesn't say: its process.
    Process(ProcessIdentity),
}

/// The grace clock of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClock {
    /// Seen as an orphan from here on.
    pub since: Awake,
    /// The gateway's `activity` then; any change starts the clock again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Box<str>>,
    /// The gateway's own clock can't reach back before this: a refused reap, new activity or a new run of the gateway is fresher evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims_after: Option<Awake>,
    /// The latest instant at which the gateway's own clocks started, of all that its tables showed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Awake>,
    /// The process that its row named when that was last there. Another one with its PID starts the clock again: the row wasn't renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<ProcessIdentity>,
    /// How often it could not be reaped since.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
}

/// A teardown that was begun and not finished: the reaper was killed in the middle of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// Whose orphan.
    pub gateway: GatewayName,
    /// Which kind.
    pub orphan: OrphanKind,
    /// The session that its gateway was asked to close, as long as the answer is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<SessionId>,
    /// The worker at the root of the tree.
    pub worker: ProcessIdentity,
    /// All that was seen under it before the first signal.
    pub members: Vec<ProcessIdentity>,
    /// Its members are being stopped, to be killed: an interrupted run may have left them stopped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopping: bool,
    /// The gateways that may have started the worker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_be_of: Vec<GatewayName>,
}

impl Unfinished {
    /// Whether the worker may have been this gateway's. An earlier version didn't write down whose it may be: only that of a session is known.
    pub fn may_be_of(&self, gateway: &GatewayName) -> bool {
        let is_known = || !self.may_be_of.is_empty() || self.orphan == OrphanKind::DetachedSession;
        self.gateway == *gateway || self.may_be_of.contains(gateway) || !is_known()
    }
}

/// So many children of process 1 are looked at again rather than that the memory is written for them.
const NEW_CHILDREN: usize = 16;
/// A look so much later is no reason to write the memory again.
const LOOKS_APART: Duration = Duration::from_secs(60);

fn are_apart(now: Option<Awake>, then: Option<Awake>) -> bool {
    match (now, then) {
        (Some(now), Some(then)) => now.since(then) > LOOKS_APART,
        (now, then) => now.is_some() != then.is_some(),
    }
}

impl Ledger {
    /// Whether a run that finds the other memory loses little by not finding this one: they are the same, but for when a session in use was
    /// last seen. Unfinished teardowns are written elsewhere.
    pub fn is_told_by(&self, other: &Self) -> bool {
        let is_new = |pid: &&Pid| other.passed_over.binary_search(pid).is_err();
        let few = self.passed_over.iter().filter(is_new).take(NEW_CHILDREN).count() < NEW_CHILDREN;
        let same = few
            && (&self.boot, self.whole_look, &self.spent) == (&other.boot, other.whole_look, &other.spent)
            && (&self.of, &self.others) == (&other.of, &other.others);
        let apart = are_apart(self.looked, other.looked);
        let has_clocks = self.gateways.values().any(GatewayMemory::has_clocks);
        let gateways = self.gateways.iter().zip(&other.gateways);
        same && !(apart && has_clocks)
            && self.gateways.len() == other.gateways.len()
            && gateways.into_iter().all(|((name, now), (before, then))| {
                name == before && now.is_told_by(then, self.has_each_look)
            })
    }

    /// The same memory as it is read from a file: a session in use may have been seen so after that was written, and its gateway's clocks reach
    /// back to no look before the last.
    #[must_use]
    pub fn as_read(mut self, now: Awake) -> Self {
        let has_each_look = |gateway: &GatewayMemory| self.has_each_look && !gateway.in_use.is_empty();
        for gateway in self.gateways.values_mut().filter(|gateway| !has_each_look(gateway)) {
            gateway.looked = gateway.looked.map(|at| (at + LOOKS_APART).min(at.max(now)));
        }
        self
    }

    /// The same memory, with every clock put forward by time in which nothing was observed, so that it doesn't count.
    #[must_use]
    pub fn without(&self, unobserved: Duration, now: Awake) -> Cow<'_, Self> {
        if unobserved.is_zero() {
            return Cow::Borrowed(self);
        }
        // What is dated in the future stays so: it is no memory.
        let later = |at: Awake| (at + unobserved).min(at.max(now));
        let mut shifted = self.clone();
        for gateway in shifted.gateways.values_mut() {
            gateway.looked = gateway.looked.map(later);
            for started in gateway.started.values_mut() {
                *started = later(*started);
            }
            for clock in gateway.sessions.values_mut() {
                clock.since = later(clock.since);
                clock.claims_after = clock.claims_after.map(later);
                clock.started = clock.started.map(later);
            }
            for clock in gateway.worker_clocks_mut().filter_map(|(_, clock)| clock.as_mut()) {
                clock.since = later(clock.since);
            }
        }
        Cow::Owned(shifted)
    }

    /// The same memory, but every grace starts again: something was seen since that is not known.
    #[must_use]
    pub fn with_graces_to_start_again(mut self) -> Self {
        for memory in self.gateways.values_mut() {
            memory.restart.extend(std::mem::take(&mut memory.sessions).into_keys());
            memory.worker_clocks_mut().for_each(|(_, clock)| *clock = None);
        }
        self
    }

    /// Whether this memory can be of use now; if not, why.
    ///
    /// # Errors
    /// It is of another boot, or from the future.
    pub fn check(&self, boot: &BootId, now: Awake) -> Result<(), &'static str> {
        if self.boot.as_ref() != Some(boot) {
            return Err("it is from before the machine was started");
        }
        let late = |at: Awake| at > now;
        let future = self.gateways.values().any(|gateway| {
            gateway.sessions.values().any(|clock| late(clock.since) || clock.claims_after.is_some_and(late))
                || gateway.worker_clocks().any(|clock| late(clock.since))
        });
        if future || self.whole_look.is_some_and(late) { Err("it is dated in the future") } else { Ok(()) }
    }

    /// The gateway said that it closed a session, or that it is gone. Whether that had an effect is for its next tables to show.
    pub fn closed(&mut self, gateway: &GatewayName, session: &SessionId) {
        if let Some(memory) = self.gateways.get_mut(gateway) {
            let times = memory.closes.entry(session.clone()).or_default();
            *times = times.saturating_add(1);
        }
    }

    /// How often the gateway said that this session is closed or gone, which it went on to list.
    pub fn closes_without_effect(&self, gateway: &GatewayName, session: &SessionId) -> u32 {
        let memory = self.gateways.get(gateway);
        memory.and_then(|memory| memory.closes.get(session)).copied().unwrap_or_default()
    }

    /// The gateway refused to close a session: it is no orphan, so its grace starts again when next it looks like one, and not before.
    pub fn refused(&mut self, gateway: &GatewayName, session: &SessionId) {
        if let Some(memory) = self.gateways.get_mut(gateway) {
            memory.sessions.remove(session);
            memory.restart.insert(session.clone());
        }
    }

    /// An orphan could not be reaped. It keeps its clock, and queues behind those that failed less often: else the same few would use up
    /// every run's quota.
    pub fn failed(
        &mut self,
        gateway: &GatewayName,
        session: Option<&SessionId>,
        worker: Option<ProcessIdentity>,
    ) {
        let Some(memory) = self.gateways.get_mut(gateway) else { return };
        if let Some(clock) = session.and_then(|session| memory.sessions.get_mut(session)) {
            clock.failures = clock.failures.saturating_add(1);
        }
        let known = memory.worker_clocks_mut().filter(|(known, _)| Some(*known) == worker);
        for clock in known.filter_map(|(_, clock)| clock.as_mut()) {
            clock.failures = clock.failures.saturating_add(1);
        }
    }

    /// Another run of the gateway answered than the one that was seen: every grace starts again.
    pub fn run_changed(&mut self, gateway: &GatewayName) {
        if let Some(memory) = self.gateways.get_mut(gateway) {
            memory.restart.extend(std::mem::take(&mut memory.sessions).into_keys());
            for (_, clock) in memory.worker_clocks_mut() {
                *clock = clock.filter(|clock| !clock.kind.depends_on_table());
            }
        }
    }

    /// A session is gone for good.
    pub fn forget_session(&mut self, gateway: &GatewayName, session: &SessionId) {
        if let Some(memory) = self.gateways.get_mut(gateway) {
            memory.sessions.remove(session);
            memory.restart.remove(session);
        }
    }

    /// A worker is gone for good.
    pub fn forget_worker(&mut self, worker: &ProcessIdentity) {
        for memory in self.gateways.values_mut() {
            memory.workers.retain(|known| known.identity != *worker);
        }
    }

    /// A worker was found to be no orphan: its grace starts again when next it looks like one.
    pub fn restart_worker(&mut self, worker: &ProcessIdentity) {
        let known = self.gateways.values_mut().flat_map(GatewayMemory::worker_clocks_mut);
        for (_, clock) in known.filter(|(known, _)| known == worker) {
            *clock = None;
        }
    }

    /// All remembered workers by identity.
    pub fn workers(&self) -> HashMap<ProcessIdentity, (&GatewayName, &WorkerMemory)> {
        self.gateways
            .iter()
            .flat_map(|(name, memory)| {
                memory.workers.iter().map(move |worker| (worker.identity, (name, worker)))
            })
            .collect()
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests;
