//! The kinds of orphan. Everything else is left alone.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an orphan is one of, and only after its grace has passed while it looked like one the whole time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrphanKind {
    /// In the table; detached; idle; no holds. Reaped together with its worker.
    DetachedSession,
    /// A worker that is a child of the gateway, older than the table read, and of no session in it.
    OwnerlessWorker,
    /// The same, of a session whose row names another, younger worker.
    SupersededWorker,
    /// A worker whose gateway process is gone.
    ParentlessWorker,
    /// A worker that did nothing for long, of a session that is idle. The session stays.
    IdleWorker,
    /// A worker that does nothing, of a gateway that publishes no table and to which no client at all is connected.
    UnattendedWorker,
    /// A server that talks over stdin: the other end of that is gone, and so is its parent.
    Leftover,
}

impl OrphanKind {
    /// The word of the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DetachedSession => "detached-session",
            Self::OwnerlessWorker => "ownerless-worker",
            Self::SupersededWorker => "superseded-worker",
            Self::ParentlessWorker => "parentless-worker",
            Self::IdleWorker => "idle-worker",
            Self::UnattendedWorker => "unattended-worker",
            Self::Leftover => "leftover",
        }
    }

    /// Whether the gateway's table is part of the evidence. A new run of the gateway then starts the grace again.
    pub fn depends_on_table(self) -> bool {
        match self {
            Self::DetachedSession | Self::OwnerlessWorker | Self::SupersededWorker => true,
            Self::ParentlessWorker | Self::IdleWorker | Self::UnattendedWorker | Self::Leftover => false,
        }
    }

    /// Whether it rests on what may be over in any moment (the worker does nothing; the other end of its stdin is closed): that is looked at
    /// again right before the first signal.
    pub fn rests_on_a_moment(self) -> bool {
        matches!(self, Self::IdleWorker | Self::UnattendedWorker | Self::Leftover)
    }
}

impl fmt::Display for OrphanKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
