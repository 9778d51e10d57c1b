//! The record of a run: the audit log for people, the journal of unfinished teardowns for the next run.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::recheck::forbids;
use crate::domain::ledger::Unfinished;
use crate::domain::process::ProcessIdentity;
use crate::domain::time::Awake;
use crate::domain::veto::Vetoes;
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
    pub(super) holds: Holds<'a>,
}

/// What an operator forbids, read again after a moment: a hundred victims are signalled in less.
#[derive(Debug)]
pub(super) struct Holds<'a> {
    dir: &'a Path,
    read: Option<(Awake, Vetoes)>,
}

const MOMENT: Duration = Duration::from_millis(20);

impl<'a> Holds<'a> {
    pub(super) fn new(dir: &'a Path) -> Self {
        Self { dir, read: None }
    }

    fn now(&mut self) -> &Vetoes {
        let now = clock::awake_now();
        let known = self.read.take().filter(|(read, _)| now.since(*read) < MOMENT);
        let read = || (now, holds::vetoes(self.dir, clock::wall_now()));
        &self.read.insert(known.unwrap_or_else(read)).1
    }
}

impl Record for Recorder<'_> {
    fn forbids(&mut self, warrant: &Warrant) -> Option<Box<str>> {
        let keep = forbids(self.holds.now(), warrant)?;
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
