//! The four kinds of orphan. Everything else is left alone.

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
}

impl OrphanKind {
    /// The word of the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DetachedSession => "detached-session",
            Self::OwnerlessWorker => "ownerless-worker",
            Self::SupersededWorker => "superseded-worker",
            Self::ParentlessWorker => "parentless-worker",
        }
    }

    /// Whether the gateway's table is part of the evidence. A new run of the gateway then starts the grace again.
    pub fn depends_on_table(self) -> bool {
        self != Self::ParentlessWorker
    }
}

impl fmt::Display for OrphanKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
