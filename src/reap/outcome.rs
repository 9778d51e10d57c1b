//! How a teardown ends.

use std::fmt;

use crate::domain::process::ProcessIdentity;
use crate::domain::table::Refusal;

/// An act of a teardown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The gateway is asked to close the session.
    Close,
    /// A process is asked to end.
    Term,
    /// A process is ended.
    Kill,
}

impl Step {
    /// The word of the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Term => "SIGTERM",
            Self::Kill => "SIGKILL",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is gone, and this run did it.
    Reaped,
    /// It was gone already: a success.
    Gone,
    /// The gateway said no: it is no orphan any more.
    Kept {
        /// The gateway's reason.
        reason: Refusal,
    },
    /// It was let be: it changed, or is no orphan any more.
    Spared {
        /// What changed.
        why: Box<str>,
    },
    /// Something of it is still there, or may be.
    Failed {
        /// What happened.
        why: Box<str>,
    },
}

impl Outcome {
    pub(super) fn failed(why: impl Into<Box<str>>) -> Self {
        Self::Failed { why: why.into() }
    }

    /// The word of the report.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Reaped => "reaped",
            Self::Gone => "gone",
            Self::Kept { .. } | Self::Spared { .. } => "kept",
            Self::Failed { .. } => "failed",
        }
    }
}

/// The end of one teardown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// How it ended.
    pub outcome: Outcome,
    /// What was done, in order, each once.
    pub steps: Vec<Step>,
    /// Memory of the processes that are gone, in bytes, as it was before the first act; what they shared counts once.
    pub reclaimed_bytes: u64,
    /// What is left alive of the tree.
    pub survivors: Vec<Survivor>,
    /// Anything an operator should know besides.
    pub note: Option<Box<str>>,
}

impl Ending {
    /// An end without an act.
    pub fn of(outcome: Outcome) -> Self {
        Self { outcome, steps: Vec::new(), reclaimed_bytes: 0, survivors: Vec::new(), note: None }
    }
}

/// A process of an ended tree that is left alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// The process.
    pub process: ProcessIdentity,
    /// Why it lives on.
    pub why: Box<str>,
}
