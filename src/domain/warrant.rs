//! The permission to end a session and its worker. Only the decision can make one, and the act takes nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::ids::{GatewayName, Instance, Pid, SessionId};
use super::orphan::OrphanKind;
use super::policy::WorkerMatch;
use super::process::{Process, ProcessIdentity, Said};
use super::protection::Protection;
use super::time::Awake;
use super::verdict::Keep;

/// How long a warrant is good for, counted from when the table that it rests on was asked for: what is signalled later than that is judged
/// again first.
pub const GOOD_FOR: Duration = Duration::from_secs(2);

/// Permission to end one orphan: its session, its worker, and what is left of a worker's tree. Readable by all, made by the decision alone.
#[derive(Debug, Clone)]
pub struct Warrant {
    pub(super) gateway: GatewayName,
    pub(super) orphan: OrphanKind,
    pub(super) session: Option<CloseOrder>,
    pub(super) worker: Option<ProcessIdentity>,
    pub(super) remnants: Vec<ProcessIdentity>,
    pub(super) remnants_of: Option<ProcessIdentity>,
    /// They are judged by themselves: no run had begun with their worker.
    pub(super) by_themselves: bool,
    pub(super) limits: Limits,
    pub(super) valid_until: Awake,
    pub(super) close_timeout: Duration,
    pub(super) term_timeout: Duration,
    /// How often it failed before. `None`: an earlier run condemned it, so that neither grace nor quota applies.
    pub(super) failures: Option<u32>,
    /// So often its gateway said before that it closed the session, and went on to list it.
    pub(super) closes_without_effect: u32,
    /// Nothing is done by it: the operator wants to be told only, or its gateway can't be asked.
    pub(super) is_told: bool,
    /// The gateways that may have started its worker.
    pub(super) may_be_of: Vec<GatewayName>,
    /// The sessions that its gateway listed and of which no worker was known.
    pub(super) without_worker: Arc<BTreeSet<SessionId>>,
    /// That the process which its row names isn't ended with it, and why.
    pub(super) left_to_gateway: Option<Box<str>>,
}

/// The session that the gateway is asked to close, if it is still an orphan at that instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseOrder {
    /// The session.
    pub id: SessionId,
    /// The run of the gateway it was seen in.
    pub instance: Option<Instance>,
    /// The `activity` that was judged: a gateway that knows better keeps a session that did anything since.
    pub activity: Option<Box<str>>,
}

/// Whom a teardown must not touch, checked again on each process after it is held.
#[derive(Debug, Clone)]
pub struct Limits {
    pub(super) worker_match: Option<WorkerMatch>,
    /// What looks like a worker to any gateway of the configuration.
    pub(super) workers: Arc<[WorkerMatch]>,
    /// The argv of the worker when it was judged.
    pub(super) argv: Option<Arc<str>>,
    pub(super) uid: u32,
    pub(super) own_line: Arc<BTreeSet<Pid>>,
    pub(super) gateways: Arc<BTreeSet<Pid>>,
    /// As of the decision, and of each look after it.
    pub(super) claimed: Vec<Arc<Claimed>>,
    /// What was seen below the workers of sessions, wherever it is now.
    pub(super) below_workers: Arc<Claimed>,
    /// The session that the warrant is for, or those whose idle worker it is for.
    pub(super) own: Vec<(GatewayName, SessionId)>,
    /// The sessions whose worker its worker was when that was last to be told.
    pub(super) was_of: Vec<(GatewayName, SessionId)>,
}

/// Of all workers, of what rows name, and of gateways, by PID: whose they are by the word of a row.
pub type Claimed = BTreeMap<Pid, Claim>;

/// Of one such process.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// When it started, where it is in view: a number may be used again.
    pub started: Option<u64>,
    /// Whose it is.
    pub owners: Vec<(GatewayName, SessionId)>,
    /// Whose key it carries, where it isn't known whose it is.
    pub may_own: Vec<(GatewayName, SessionId)>,
    /// It is the process of a gateway.
    pub is_gateway: bool,
    /// Why it isn't known whose it is, where that isn't because of what it is below.
    pub doubt: Option<Keep>,
}

impl Claim {
    /// Whose it is, or where nothing says so, may be.
    fn told(&self) -> &[(GatewayName, SessionId)] {
        if self.owners.is_empty() { &self.may_own } else { &self.owners }
    }

    /// Whether it is the process that a row or the process table told of when this was found.
    fn is_of(&self, process: ProcessIdentity) -> bool {
        self.started.is_none_or(|started| started == process.start_ticks)
    }

    /// Whose it is or may be.
    pub fn all(&self) -> impl Iterator<Item = &(GatewayName, SessionId)> {
        self.owners.iter().chain(&self.may_own)
    }
}

impl Limits {
    /// Whether this process is said to be of others than these sessions alone.
    fn is_of_others(
        claimed: &Claimed,
        process: ProcessIdentity,
        own: &[&Vec<(GatewayName, SessionId)>],
    ) -> bool {
        claimed.get(&process.pid).is_some_and(|claim| {
            claim.is_of(process)
                && !claim.told().is_empty()
                && !claim.told().iter().any(|owner| own.iter().any(|own| own.contains(owner)))
        })
    }

    /// Whether rows of other sessions alone say that this process is their own.
    fn is_of_another(&self, process: ProcessIdentity) -> bool {
        self.claimed.iter().any(|claimed| Self::is_of_others(claimed, process, &[&self.own]))
    }

    /// Whether rows of other sessions alone say that this process is their own, or it was seen below the worker of one.
    pub fn is_of_another_session(&self, process: ProcessIdentity) -> bool {
        self.is_of_another(process)
            || Self::is_of_others(&self.below_workers, process, &[&self.own, &self.was_of])
    }

    /// Whether what has this argv is a worker, and neither what the warrant is for nor a copy of that: it is judged by itself.
    pub fn is_another_worker(&self, argv: &str) -> bool {
        // What has the same argv is a copy, where that says whose it is.
        let is_copy = || self.key().is_some() && self.argv.as_deref() == Some(argv);
        self.workers.iter().any(|pattern| pattern.matches(argv).is_some()) && !is_copy()
    }

    /// Whether this argv says whose it is.
    pub fn has_key(&self, argv: &str) -> bool {
        self.workers.iter().any(|pattern| pattern.matches(argv).is_some_and(|matched| matched.key.is_some()))
    }

    /// Whether this argv has the key that the worker's has: it is a copy of that.
    pub fn is_copy(&self, argv: &str) -> bool {
        let key = self.worker_match.as_ref().and_then(|pattern| pattern.matches(argv)?.key);
        key.is_some() && key == self.key()
    }

    /// Whether this is the process of a gateway.
    pub fn is_gateway(&self, pid: Pid) -> bool {
        let is_one = |claimed: &Arc<Claimed>| claimed.get(&pid).is_some_and(|claim| claim.is_gateway);
        self.gateways.contains(&pid) || self.claimed.iter().any(is_one)
    }

    /// Whether this is a session that the warrant is for.
    pub fn is_of_its_own(&self, owner: &(GatewayName, SessionId)) -> bool {
        self.own.contains(owner)
    }

    /// Whether this worker was there when the warrant was made.
    pub fn knew(&self, process: ProcessIdentity) -> bool {
        let first = self.claimed.first().and_then(|claimed| claimed.get(&process.pid));
        first.is_some_and(|claim| claim.is_of(process))
    }

    /// Why the process that has this PID is never signalled.
    pub fn protects_pid(&self, pid: Pid) -> Option<Protection> {
        if self.is_gateway(pid) {
            Some(Protection::Gateway(pid))
        } else if pid == Pid::INIT {
            Some(Protection::Init)
        } else if self.own_line.contains(&pid) {
            Some(Protection::OwnLine(pid))
        } else {
            None
        }
    }

    /// Why this process is never signalled.
    pub fn protects(&self, process: &Process) -> Option<Protection> {
        let pid = process.identity.pid;
        let own = || match process {
            Process { kernel: true, .. } => Some(Protection::KernelThread(pid)),
            Process { uid, .. } if *uid != self.uid => {
                Some(Protection::OtherUser { pid, uid: *uid, allowed: self.uid })
            }
            _ if self.is_of_another(process.identity) => Some(Protection::OfAnother(pid)),
            _ => None,
        };
        self.protects_pid(pid).or_else(own)
    }

    /// The key that the worker's argv said when it was judged.
    fn key(&self) -> Option<&str> {
        self.worker_match.as_ref()?.matches(self.argv.as_deref()?)?.key
    }

    /// The same for a process that is to be signalled as a worker: it has to look like one, too, and to say what it said when it was judged.
    pub fn protects_worker(&self, process: &Process) -> Option<Protection> {
        let pid = process.identity.pid;
        let matched = self.worker_match.as_ref().zip(process.argv.as_deref());
        let matched = matched.and_then(|(pattern, argv)| pattern.matches(argv));
        let became_anothers = || match matched {
            None => Some(Protection::NotAWorker(pid)),
            Some(now) if self.argv.is_some() && now.key != self.key() => Some(Protection::OtherKey(pid)),
            Some(_) => None,
        };
        self.protects(process).or_else(became_anothers)
    }

    /// Why a process is not sent its first signal that said this when it was judged, and says this now: it became a worker since, or was one
    /// and is another's by now. A helper may execute whatever it likes. Where a worker's argv has no key, the whole of it says whose it is.
    /// `is_judged`: it isn't in the tree only because of what it is below; that may have had its parent's argv until its own `exec`.
    pub fn has_changed(&self, pid: Pid, before: &Said, now: &Said, is_judged: bool) -> Option<Protection> {
        let key = |said: &Said, pattern: &WorkerMatch| -> Option<Option<Box<str>>> {
            Some(pattern.matches(said.argv.as_deref()?)?.key.map(Into::into))
        };
        let mut is_worker = false;
        for pattern in self.workers.iter() {
            let keys = (key(before, pattern), key(now, pattern));
            is_worker |= keys.0.is_some();
            match keys {
                (None, None) => {}
                (Some(Some(before)), Some(Some(now))) if before == now => {}
                (Some(Some(_)), Some(Some(_))) => return Some(Protection::OtherKey(pid)),
                (Some(_), None) if !is_judged => {}
                _ if before.argv == now.argv => {}
                _ => return Some(Protection::OtherArgv(pid)),
            }
        }
        let (Some(before), Some(now)) = (&before.marks, &now.marks) else { return None };
        // What a helper executes without its mark says nothing else.
        let is_other = before != now && (is_worker || !now.is_empty());
        is_other.then_some(Protection::OtherMark(pid))
    }
}

impl Warrant {
    /// Whose orphan it is.
    pub fn gateway(&self) -> &GatewayName {
        &self.gateway
    }

    /// Which kind of orphan.
    pub fn orphan(&self) -> OrphanKind {
        self.orphan
    }

    /// The session to close first, if it is one.
    pub fn session(&self) -> Option<&CloseOrder> {
        self.session.as_ref()
    }

    /// How often it failed before.
    pub fn failures(&self) -> u32 {
        self.failures.unwrap_or_default()
    }

    /// How often its gateway said before that it closed the session, which it went on to list.
    pub fn closes_without_effect(&self) -> u32 {
        self.closes_without_effect
    }

    /// The worker process, where one is known and may be signalled.
    pub fn worker(&self) -> Option<ProcessIdentity> {
        self.worker
    }

    /// The key that the worker's argv says.
    pub fn worker_key(&self) -> Option<&str> {
        self.limits.key()
    }

    /// What an interrupted run had seen under the worker before its first signal.
    pub fn remnants(&self) -> &[ProcessIdentity] {
        &self.remnants
    }

    /// The worker that they were seen under; it is gone.
    pub fn remnants_of(&self) -> Option<ProcessIdentity> {
        self.remnants_of
    }

    /// What is left of a worker with which no run had begun.
    pub fn remnant(&self) -> Option<ProcessIdentity> {
        self.remnants.first().copied().filter(|_| self.by_themselves)
    }

    /// Whether it is only to be told of.
    pub fn is_told(&self) -> bool {
        self.is_told
    }

    /// The gateways that may have started its worker; none: it may be any.
    pub fn may_be_of(&self) -> &[GatewayName] {
        &self.may_be_of
    }

    /// Whether its gateway listed this session when it was made, and didn't tell of its worker then, either.
    pub fn knew_without_worker(&self, session: &SessionId) -> bool {
        self.without_worker.contains(session)
    }

    /// That the process which the session's row names as its worker is left to its gateway, which closes the session, and why.
    pub fn left_to_gateway(&self) -> Option<&str> {
        self.left_to_gateway.as_deref()
    }

    /// From now on it doesn't cover what another look has found to be others' either.
    pub fn spare(&mut self, claimed: Arc<Claimed>) {
        self.limits.claimed.push(claimed);
    }

    /// Whom it doesn't cover, whatever was said.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Until when the first signal may be sent without another look at what the decision rested on.
    pub fn valid_until(&self) -> Awake {
        self.valid_until
    }

    /// How long the worker of a closed session has to exit by itself.
    pub fn close_timeout(&self) -> Duration {
        self.close_timeout
    }

    /// How long a process has between SIGTERM and SIGKILL.
    pub fn term_timeout(&self) -> Duration {
        self.term_timeout
    }
}
