//! Whose a worker was before, as the ledger remembers it: a session's key may change while its worker's argv stays.

use super::world::{Gateway, RowId, Standing, World};
use crate::domain::ids::{GatewayName, SessionId};
use crate::domain::process::{Process, ProcessIdentity};
use crate::domain::table::Told;

/// A session that had a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Had<'a> {
    pub(super) gateway: &'a GatewayName,
    pub(super) id: &'a SessionId,
    /// An earlier run of the gateway told so.
    pub(super) earlier_run: bool,
}

impl<'a> Had<'a> {
    /// Its gateway and its id, as [`World::name_of`] gives those of a row.
    pub(super) fn name(&self) -> (&'a GatewayName, &'a SessionId) {
        (self.gateway, self.id)
    }
}

impl<'a> World<'a> {
    /// The session whose worker this was when that was last to be told; unless its gateway is in another run by now, which may give that id
    /// to another session.
    pub(super) fn session_before(&self, worker: ProcessIdentity) -> Option<(&'a GatewayName, &'a SessionId)> {
        self.session_that_had(worker).filter(|had| !had.earlier_run).map(|had| had.name())
    }

    /// The same; and where its gateway is in another run by now and takes workers back, the one of the earlier run. That keeps, and proves
    /// nothing.
    pub(super) fn session_that_had(&self, worker: ProcessIdentity) -> Option<Had<'a>> {
        let (rememberer, known) = *self.known.get(&worker)?;
        let session = known.session.as_ref()?;
        let name = session.gateway.as_ref().unwrap_or(rememberer);
        let gateway = self.gateways.iter().find(|gateway| gateway.seen.name == *name);
        let is_another_run = |gateway: &Gateway<'_>| {
            gateway.standing == Standing::Current && gateway.remembered_run() != gateway.run().as_ref()
        };
        let earlier_run = session.earlier_run || gateway.is_some_and(is_another_run);
        let is_taken_back = gateway.is_some_and(|gateway| gateway.rules.takes_workers_back);
        let had = Had { gateway: name, id: &session.id, earlier_run };
        Some(had).filter(|had| !had.earlier_run || is_taken_back)
    }

    /// The same, with its gateway, where the table of that tells of it.
    fn was_of(&self, worker: ProcessIdentity) -> Option<(usize, &'a SessionId)> {
        let (name, id) = self.session_before(worker)?;
        let is_its =
            |gateway: &Gateway<'_>| gateway.seen.name == *name && gateway.standing == Standing::Current;
        Some((self.gateways.iter().position(is_its)?, id))
    }

    /// Whether this was the worker of that row's session when that was last to be told.
    pub(super) fn was_of_row(&self, process: &Process, row: RowId) -> bool {
        self.was_of(process.identity) == Some((row.gateway, &self.session(row).id))
    }

    /// Whether this was that row's session's, or nobody's as far as is remembered.
    pub(super) fn may_have_had(&self, row: RowId, worker: ProcessIdentity) -> bool {
        self.session_before(worker).is_none_or(|before| before == self.name_of(row))
    }

    /// What was the worker of that row's session, and doesn't look like one any more.
    pub(super) fn changed_worker_of(&self, row: RowId) -> Option<&'a Process> {
        self.changed.iter().map(|changed| changed.process).find(|process| self.was_of_row(process, row))
    }

    /// Whether this was the worker of a session that isn't listed any more.
    pub(super) fn was_of_one_gone(&self, process: &Process) -> bool {
        self.was_of(process.identity).is_some_and(|(gateway, id)| !self.gateways[gateway].lists(id))
    }

    /// The row of a session that this was the worker of when that was last to be told, in whatever run, and that has another key since: where
    /// nothing tells that it has another worker now.
    pub(super) fn row_that_had(&self, process: &Process) -> Option<RowId> {
        let had = self.session_that_had(process.identity)?;
        let gateway = self.gateways.iter().position(|gateway| gateway.seen.name == *had.gateway)?;
        // Hardly any worker comes further, and a table may have very many rows.
        if self.rows_with_key_of(process.identity.pid).any(|row| self.name_of(row) == had.name()) {
            return None;
        }
        let row = RowId { gateway, row: self.gateways[gateway].row_of(had.id)? };
        (self.lacks_worker(row) || !self.has_another_worker(row, process)).then_some(row)
    }

    /// Whether this row says itself which worker it has, or one that carries its key is to be taken for its worker instead of this one.
    fn has_another_worker(&self, row: RowId, had: &Process) -> bool {
        let (gateway, session) = (&self.gateways[row.gateway], self.session(row));
        let (Told::Absent, Some(key)) = (&session.worker, session.worker_key()) else { return true };
        let carriers = gateway.workers.iter().filter(|(_, carried)| **carried == Some(key));
        let mut carriers = carriers.filter_map(|(pid, _)| self.alive(*pid));
        carriers.any(|carrier| self.is_new_worker_of(row, carrier, had))
    }

    /// Whether what carries the key of this row may be what it has instead of the worker that it had: it was the row's own before, or it was
    /// nobody's and is no older.
    fn is_new_worker_of(&self, row: RowId, carrier: &Process, had: &Process) -> bool {
        let is_new = match self.session_that_had(carrier.identity) {
            Some(had) => had.name() == self.name_of(row),
            None => carrier.identity.start_ticks >= had.identity.start_ticks,
        };
        is_new && self.may_be_of_rows(row.gateway, carrier)
    }
}
