//! The record of a run: the audit log for people, the journal of unfinished teardowns for the next run.

use std::io;
use std::path::Path;

use super::recheck::forbids;
use crate::domain::ledger::Unfinished;
use crate::domain::process::ProcessIdentity;
use crate::domain::warrant::Warrant;
use crate::reap::outcome::{Ending, Step};
use crate::reap::record::{Case, Record};
use crate::sources::clock;
use crate::state::audit::Audit;
use crate::state::holds;
use crate::state::journal::Journal;

/// Both, for one run.
#[derive(Debug)]
pub struct Recorder<'a> {
    pub(super) audit: Audit,
    pub(super) journal: &'a mut Journal,
    /// Where the holds are.
    pub(super) dir: &'a Path,
}

impl Record for Recorder<'_> {
    fn forbids(&mut self, warrant: &Warrant) -> Option<Box<str>> {
        let keep = forbids(&holds::vetoes(self.dir, clock::wall_now()), warrant)?;
        Some(keep.to_string().into())
    }

    fn announce(&mut self, case: &Case, step: Step, on: Option<ProcessIdentity>) -> io::Result<()> {
        self.audit.announce(clock::wall_now(), case, step, on)
    }

    fn conclude(&mut self, case: &Case, ending: &Ending) {
        if let Err(error) = self.audit.conclude(clock::wall_now(), case, ending) {
            tracing::error!(%error, outcome = ending.outcome.as_str(), "an outcome could not be written to the audit log");
        }
    }

    fn begun(&mut self, tree: &Unfinished) -> io::Result<()> {
        self.journal.begun(tree)
    }

    fn finished(&mut self, worker: &ProcessIdentity) {
        self.journal.finished(worker);
    }
}
