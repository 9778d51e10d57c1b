//! What a teardown writes down, and when: each act before it is done, each end after it, and the unfinished tree for the next run.

use std::io;
use std::time::Duration;

use crate::domain::ids::{GatewayName, SessionId};
use crate::domain::ledger::Unfinished;
use crate::domain::orphan::OrphanKind;
use crate::domain::process::ProcessIdentity;
use crate::domain::warrant::Warrant;

use super::outcome::{Ending, Step};

/// Whom an act is done to, and on what evidence.
#[derive(Debug, Clone)]
pub struct Case {
    /// Whose orphan.
    pub gateway: GatewayName,
    /// The session, if it is one.
    pub session: Option<SessionId>,
    /// The worker at the root of the tree; where an earlier run began with it, it may be gone.
    pub worker: Option<ProcessIdentity>,
    /// Of what is left of a dead worker: the process itself.
    pub remnant: Option<ProcessIdentity>,
    /// Which kind of orphan.
    pub orphan: OrphanKind,
    /// Awake time it had looked like one.
    pub waited: Duration,
}

impl Case {
    /// The process by which it is known: what is left of a worker, else the worker.
    pub fn subject(&self) -> Option<ProcessIdentity> {
        self.remnant.or(self.worker)
    }
}

/// The memory of acts, and the word of the operator.
pub trait Record {
    /// Why an operator forbids by now to signal what this warrant is for, asked before the first signal: it may have been said after the
    /// decision, and after a close.
    fn forbids(&mut self, _warrant: &Warrant) -> Option<Box<str>> {
        None
    }

    /// Writes an act down *before* it is done. `on`: the process that is signalled.
    ///
    /// # Errors
    /// It could not be written; then the act must not be done.
    fn announce(&mut self, case: &Case, step: Step, on: Option<ProcessIdentity>) -> io::Result<()>;

    /// Writes an end down.
    fn conclude(&mut self, case: &Case, ending: &Ending);

    /// Writes down a tree whose teardown is begun, so that the next run can finish it if this one is killed.
    ///
    /// # Errors
    /// It could not be written; then nothing of it must be signalled.
    fn begun(&mut self, tree: &Unfinished) -> io::Result<()>;

    /// The teardown of this worker's tree is finished.
    fn finished(&mut self, worker: &ProcessIdentity);
}
