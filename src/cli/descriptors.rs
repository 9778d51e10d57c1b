//! Descriptors: as many as there may be, because each victim of a run takes one, and never so few that nothing can be begun.

use std::io;

use rustix::process::{Resource, getrlimit};

use super::exit::Failure;
use crate::reap::linux::raise_descriptor_limit;

/// What a run takes that looks at one gateway and reaps nothing, twice over. With fewer than a third of it the runtime panics.
const FEWEST: u64 = 32;

/// Sees to it that there are enough.
pub(super) fn provide() -> Result<(), Failure> {
    if let Err(error) = raise_descriptor_limit() {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < FEWEST => {
            let expected = format!("{limit} may be open; expected {FEWEST} or more: raise `ulimit -n`");
            Err(Failure::System("too few files may be open", io::Error::other(expected)))
        }
        _ => Ok(()),
    }
}
