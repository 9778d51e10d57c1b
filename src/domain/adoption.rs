//! Signs that a process was adopted.

use super::process::{Process, ProcessView};

/// Why a process must have been adopted by its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdoptionSign {
    UnderInit,
    UnderKnownSubreaper,
    OlderThanParent,
    LeaderlessSession,
}

pub fn sign(_process: &Process, _view: &ProcessView) -> Option<AdoptionSign> {
    None
}
