//! Which worker a row has, and which rows may have a worker, by what the rows and the argvs say.

use std::collections::{BTreeSet, HashMap};

use super::{Gateway, RowId, World};
use crate::domain::ids::Pid;
use crate::domain::process::{Process, ProcessIdentity};
use crate::domain::table::{Session, Told};

impl<'a> World<'a> {
    /// The rows of all current tables whose key this worker carries.
    pub(in crate::domain::decide) fn rows_with_key_of(&self, pid: Pid) -> impl Iterator<Item = RowId> {
        self.matching(pid).flat_map(move |gateway| {
            let of = &self.gateways[gateway];
            let rows = of.key_of(pid).map(|key| of.rows_with(key)).unwrap_or_default();
            rows.iter().map(move |row| RowId { gateway, row: *row })
        })
    }

    pub(super) fn find_marked_rows(&self) -> BTreeSet<RowId> {
        let marked = self.marked.iter().flat_map(|(pid, rows)| rows.iter().map(move |row| (*pid, *row)));
        let of_workers = marked.filter(|(pid, row)| {
            let is_below_another = |worker| self.is_below_another(row.gateway, worker);
            self.gateways[row.gateway].takes(*pid) && !self.alive(*pid).is_some_and(is_below_another)
        });
        of_workers.map(|(_, row)| row).collect()
    }

    /// How many workers that may be of this gateway's rows carry each key.
    pub(super) fn carried(&self, gateway: usize) -> HashMap<&'a str, usize> {
        let mut carried = HashMap::new();
        for (pid, key) in &self.gateways[gateway].workers {
            let Some((process, key)) = self.alive(*pid).zip(*key) else { continue };
            if self.may_be_of_rows(gateway, process) {
                *carried.entry(key).or_default() += 1;
            }
        }
        carried
    }

    /// Whether a row of this gateway may have this worker without naming it. What a row names is that row's, whatever key it carries.
    pub(in crate::domain::decide) fn may_be_of_rows(&self, gateway: usize, worker: &Process) -> bool {
        self.rows_naming(worker.identity.pid).is_empty() && !self.is_below_another(gateway, worker)
    }

    /// Whether the gateway that this worker is below, or was when that was last to be seen, is another one than this.
    fn is_below_another(&self, gateway: usize, worker: &Process) -> bool {
        let own = &self.gateways[gateway];
        if self.gateways.len() == 1 || own.may_be_any_process() {
            return false;
        }
        let Some(below) = self.below(worker, &self.position(worker)) else { return false };
        let is_its = |it: &Gateway<'_>| [it.process, it.lost].contains(&Some(below));
        !is_its(own) && self.gateways.iter().any(is_its)
    }

    /// The first row of this gateway of which nothing tells which worker it has: it neither names one that can be it, nor says that it has
    /// none, nor is one found by its key.
    pub(in crate::domain::decide) fn row_without_worker(&self, gateway: usize) -> Option<&'a Session> {
        self.rows_without_worker.get(gateway).copied().flatten()
    }

    pub(super) fn find_row_without_worker(&self, index: usize) -> Option<&'a Session> {
        self.rows_of(index).find(|row| self.lacks_worker(*row)).map(|row| self.session(row))
    }

    /// The first row of this gateway that names a process which is known to be gone, and whose worker nothing else tells.
    pub(in crate::domain::decide) fn row_naming_one_gone(&self, gateway: usize) -> Option<&'a Session> {
        self.rows_naming_one_gone.get(gateway).copied().flatten()
    }

    pub(super) fn find_row_naming_one_gone(&self, index: usize) -> Option<&'a Session> {
        let gateway = &self.gateways[index];
        let names_one_gone =
            |row: &RowId| self.session(*row).named_worker().is_some_and(|pid| self.view().is_gone(pid));
        let is_told = |row: &RowId| {
            let found = |key: &str| gateway.carried.contains_key(key);
            self.session(*row).worker_key().is_some_and(found) || self.marked_rows.contains(row)
        };
        let row = self.rows_of(index).find(|row| names_one_gone(row) && !is_told(row));
        row.map(|row| self.session(row))
    }

    /// Whether nothing tells which worker this row has.
    pub(in crate::domain::decide) fn lacks_worker(&self, row: RowId) -> bool {
        let (gateway, session) = (&self.gateways[row.gateway], self.session(row));
        let found = |key: Option<&str>| key.is_some_and(|key| gateway.carried.contains_key(key));
        // A worker that bears its mark is its own, whatever its argv says.
        match (&session.worker, session.worker_key()) {
            (Told::Absent, _) if self.marked_rows.contains(&row) => false,
            // Where two rows name one worker, it says itself whose it is.
            (Told::Known(Some(pid)), key) if key.is_some() && gateway.key_of(*pid) == key => false,
            (Told::Known(Some(pid)), key) => !found(key) && self.is_wrongly_named(gateway, *pid),
            (Told::Known(None), _) => false,
            (Told::NotUnderstood(_), _) | (Told::Absent, None) => true,
            (Told::Absent, Some(key)) => {
                let found = gateway.carried.get(key).copied().unwrap_or_default();
                // Two sessions with one key and one worker: whose it is leaves the other without.
                let unnamed = |row: &&usize| gateway.rows[**row].worker == Told::Absent;
                found < gateway.rows_with(key).iter().filter(unnamed).count()
            }
        }
    }

    /// Whether this process can't be the worker of the one row of this gateway that names it: it is no worker and none is its child, it was one
    /// itself and doesn't look like it any more, or another row names it too. One that is gone says only that its worker ended, and one that
    /// became another user's hides its argv.
    fn is_wrongly_named(&self, gateway: &Gateway<'a>, pid: Pid) -> bool {
        let Some(process) = self.alive(pid) else { return false };
        let is_its_child = |child: &Pid| self.alive(*child).is_some_and(|child| child.parent == Some(pid));
        let is_shell = || !self.is_changed(process) && gateway.workers.keys().any(is_its_child);
        let is_worker = || gateway.takes(pid) || is_shell();
        let is_ours = process.uid == gateway.rules.worker_uid;
        let is_never = gateway.limits.protects_pid(pid).is_some();
        self.rows_naming(pid).len() > 1 || is_never || (is_ours && !is_worker())
    }

    /// The rows that name a worker of which this process is a copy: it carries the same key and is no older. What key the row itself says
    /// doesn't matter: a conversation may get another one while its worker's argv stays.
    pub(in crate::domain::decide) fn rows_of_copied(&self, process: &Process) -> Vec<RowId> {
        let keys = self.matching(process.identity.pid);
        let keys = keys.filter_map(|gateway| self.gateways[gateway].key_of(process.identity.pid));
        let rows: BTreeSet<RowId> = keys
            .flat_map(|key| self.named_keys.get(key).into_iter().flatten())
            .filter(|(_, started)| *started <= process.identity.start_ticks)
            .map(|(row, _)| *row)
            .collect();
        rows.into_iter().collect()
    }

    /// A row whose worker this one may be a copy of, though no key says so: that one has the same argv and is no younger.
    pub(in crate::domain::decide) fn row_of_look_alike(&self, process: &Process) -> Option<&'a Session> {
        let pid = process.identity.pid;
        let (started, row) = self.named_argvs.get(process.argv.as_deref()?)?;
        let has_no_key = self.matching(pid).any(|gateway| self.gateways[gateway].key_of(pid).is_none());
        (has_no_key && *started <= process.identity.start_ticks).then(|| self.session(*row))
    }

    /// The one worker that runs in this shell, which a row names.
    pub(in crate::domain::decide) fn only_wrapped(&self, shell: Pid) -> Option<&'a Process> {
        match self.wrapped.get(&shell).map(Vec::as_slice) {
            Some([worker]) => Some(worker),
            _ => None,
        }
    }

    /// What a row names and this worker is below; or was, where that is gone and the row names it still.
    pub(in crate::domain::decide) fn shell_of(&self, process: &Process) -> Option<ProcessIdentity> {
        let is_named = |above: &&Process| !self.rows_naming(above.identity.pid).is_empty();
        let now = self.ancestors_below_gateway(process).find(is_named).map(|above| above.identity);
        now.or_else(|| {
            let (_, known) = self.known.get(&process.identity)?;
            let is_left = |shell: &ProcessIdentity| {
                self.view().get(shell.pid).is_none() && !self.rows_naming(shell.pid).is_empty()
            };
            known.shell.filter(is_left)
        })
    }

    /// The rows that name the shell which this worker ran in, and which is gone.
    pub(in crate::domain::decide) fn rows_of_gone_shell(&self, process: &Process) -> &[RowId] {
        let shell = self.shell_of(process).filter(|shell| self.view().get(shell.pid).is_none());
        shell.map(|shell| self.rows_naming(shell.pid)).unwrap_or_default()
    }
}
