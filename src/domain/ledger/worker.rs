//! What is remembered of workers, and of what was seen below them.

use serde::{Deserialize, Serialize};

use crate::domain::activity::Account;
use crate::domain::ids::{GatewayName, SessionId};
use crate::domain::orphan::OrphanKind;
use crate::domain::process::ProcessIdentity;
use crate::domain::time::Awake;

/// What is remembered of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerMemory {
    /// The process.
    pub identity: ProcessIdentity,
    /// What ties it to its gateway.
    pub bond: Bond,
    /// Its grace clock, while it is an orphan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<WorkerClock>,
    /// What it showed of its work, where that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// What a row named and it was below. A row may name the shell that its worker runs in, also once that shell is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<ProcessIdentity>,
    /// The activity of its session, while it is an idle worker's clock that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Box<str>>,
    /// The session that it was the worker of when that was last to be told: its row's key may be another by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionOf>,
}

/// A session of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOf {
    /// Which gateway; `None`: the one that remembers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayName>,
    /// Which of its sessions.
    pub id: SessionId,
    /// An earlier run of that gateway told so. One that takes workers back may go on with it; or have given the id to another session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub earlier_run: bool,
}

impl WorkerMemory {
    /// Whether a run that finds the other loses nothing by not finding this one.
    pub(super) fn is_told_by(&self, other: &Self) -> bool {
        let account = match (&self.account, &other.account) {
            (Some(now), Some(before)) => now.is_told_by(before),
            (now, before) => now.is_none() && before.is_none(),
        };
        account
            && (self.shell, &self.activity, &self.session) == (other.shell, &other.activity, &other.session)
            && (self.identity, self.bond, self.clock) == (other.identity, other.bond, other.clock)
    }
}

/// What ties a worker to its gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bond {
    /// Seen below this gateway process.
    Child(ProcessIdentity),
    /// Never seen below a gateway.
    #[serde(alias = "listed")]
    None,
}

/// The grace clock of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerClock {
    /// As this kind of orphan; another kind starts the clock again.
    pub kind: OrphanKind,
    /// Seen as one from here on.
    pub since: Awake,
    /// How often it could not be reaped since.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub failures: u32,
}

/// What was seen below a worker, for as long as any of it is there: once the worker is gone nothing else tells whose it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilyMemory {
    /// The worker.
    pub worker: ProcessIdentity,
    /// The sessions whose worker it was when that was last to be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionId>,
    /// What else it was called: the keys that the rows of those sessions gave, and ids and keys of other gateways' rows that had it, too. It may
    /// be held by each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Box<str>>,
    /// No other gateway's session had it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_alone: bool,
    /// Where it was of no session: the gateways that may have started it. What keeps it for one of them keeps what it has left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_be_of: Vec<GatewayName>,
    /// The key that its argv carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Box<str>>,
    /// It was of no session, and an orphan of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphan: Option<OrphanKind>,
    /// What was seen below it.
    pub members: Vec<ProcessIdentity>,
    /// Their grace clock, where worker and sessions are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<WorkerClock>,
}

impl FamilyMemory {
    /// Everything that its worker was called: by its argv, by rows, and by the ids of sessions.
    pub fn all_names(&self) -> impl Iterator<Item = &str> {
        let given = self.key.iter().chain(&self.names).map(|name| &**name);
        given.chain(self.sessions.iter().map(SessionId::as_str))
    }

    /// Whether it may have been any gateway's: several had it in their tables, or an earlier version didn't write down whose it may be.
    pub fn may_be_of_any(&self) -> bool {
        !self.is_alone || (self.sessions.is_empty() && self.may_be_of.is_empty())
    }
}
