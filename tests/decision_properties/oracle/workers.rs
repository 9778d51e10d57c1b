//! What the contract says of the workers that no session owns.

use std::time::Duration;

use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::process::{Process, ProcessIdentity};

use super::owners::{Owner, Place};
use super::{Fate, Oracle, RowId};

impl<'a> Oracle<'a> {
    /// The gateway that tells of this worker, and what. `None`: it is judged with a session or another worker, or not considered.
    pub(super) fn worker(&self, process: &'a Process) -> Option<(usize, Fate)> {
        let Some(owner) = self.owner(process) else { return self.former_worker(process) };
        let gateway = self.teller(process, &owner);
        let own: &[_] = if let Owner::Rows(rows) = &owner { rows } else { &[] };
        let is_protected = self.is_protected(gateway, process) || self.is_above_anothers(process, own);
        let fate = match &owner {
            Owner::Above => return None,
            Owner::Rows(rows) if self.is_judged_with_one_of(rows, process) => return None,
            Owner::Rows(_) | Owner::Doubt(_) | Owner::Nobody(_) if is_protected => Fate::Keep("protected"),
            Owner::Rows(_) => Fate::Keep("unknown-state"),
            Owner::Doubt(reason) => Fate::Keep(reason),
            Owner::Nobody(kind) => self.orphan(gateway, process, *kind),
        };
        Some((gateway, fate))
    }

    /// A row names it, or it would be ended with one of these sessions, or it is in the tree of another process of theirs of which that is so.
    fn is_judged_with_one_of(&self, rows: &[RowId], process: &'a Process) -> bool {
        let ends_with_one = |process: &Process| {
            rows.iter().any(|row| self.goes(*row).is_ok_and(|goes| goes.contains(&process.identity.pid)))
        };
        let is_named = |process: &Process| self.times_named(process.identity.pid) > 0;
        let is_of_them = |above: &'a Process| {
            let is_worker = self.count().any(|gateway| self.is_worker(gateway, above));
            let owner =
                if is_worker { self.owner_of(above) } else { Owner::Rows(self.rows_of_its_own(above)) };
            let is_told = ends_with_one(above) || (is_named(above) && self.may_be_a_worker(above));
            is_told && owner == Owner::Rows(rows.to_vec())
        };
        let mut line = self.line_below_the_gateway(process).into_iter();
        is_named(process) || ends_with_one(process) || line.any(is_of_them)
    }

    /// It is remembered as a worker, and no gateway takes it for one by what it is now.
    fn former_worker(&self, process: &'a Process) -> Option<(usize, Fate)> {
        let (gateway, _) = self.remembered(process).filter(|(gateway, _)| self.count().contains(gateway))?;
        let fits = self.key(gateway, process).is_some();
        let fate = if self.is_protected(gateway, process) { "protected" } else { "unknown-state" };
        // What a row names is told of with that row.
        let is_named = self.times_named(process.identity.pid) > 0;
        // A worker's helper, that was seen between its fork and its exec.
        let is_below_one = self.worker_above(process, |above| self.was_anothers(above)).is_some();
        let is_helper = is_below_one
            && !self.was_anothers(process)
            && !process.kernel
            && !self.is_protected_pid(process.identity.pid);
        let is_told = !process.zombie && !fits && !is_named && !is_helper;
        is_told.then_some((gateway, Fate::Keep(fate)))
    }

    /// The nearest worker above it that is no helper of another, or the nearest of `others`.
    fn worker_above(
        &self,
        process: &'a Process,
        others: impl Fn(&'a Process) -> bool,
    ) -> Option<&'a Process> {
        let looks_like_one = |above: &'a Process| self.count().any(|gateway| self.is_worker(gateway, above));
        let is_worker = |above: &&'a Process| {
            let is_claimed = |row: &RowId| {
                self.rows_naming(above).contains(row) || self.rows_with_key_of(above).contains(row)
            };
            let is_nested = self.line_below_the_gateway(above).into_iter().any(|it| {
                looks_like_one(it) || (self.may_be_a_worker(it) && !self.rows_of_its_own(it).is_empty())
            });
            // One that is a session's only because of what it is below has no helpers of its own.
            let is_helper =
                matches!(self.owner(above), Some(Owner::Rows(rows)) if !rows.iter().any(is_claimed));
            looks_like_one(above) && !(is_helper && is_nested)
        };
        self.line_below_the_gateway(process).into_iter().find(|above| is_worker(above) || others(above))
    }

    /// It was a worker, and doesn't look like one any more. One that only isn't in the gateway's PID namespace is not considered.
    pub(super) fn has_changed(&self, process: &Process) -> bool {
        let known = self.remembered(process).filter(|(gateway, _)| self.count().contains(gateway));
        !process.zombie
            && known.is_some_and(|(gateway, _)| self.key(gateway, process).is_none())
            && !self.count().any(|gateway| self.is_worker(gateway, process))
    }

    /// It was the worker of a session, doesn't look like one any more, and the nearest worker above it isn't that session's.
    fn was_anothers(&self, process: &'a Process) -> bool {
        if !self.has_changed(process) {
            return false;
        }
        let was_its = |row: &RowId| self.was_its(process, (row.0, &self.row(*row).id), true);
        let owner = self.worker_above(process, |_| false).and_then(|above| self.owner(above));
        let is_its =
            matches!(owner, Some(Owner::Rows(rows)) if rows.iter().any(|row| was_its(row) == Some(true)));
        self.was_a_sessions(process) && !is_its
    }

    /// The session of such a worker, where it is listed; `Some(None)`: its gateway gives no table.
    pub(super) fn session_of_a_former_worker(&self, process: &'a Process) -> Option<Option<RowId>> {
        if !self.was_anothers(process) {
            return None;
        }
        match self.had_by(process) {
            Some((gateway, id)) => self.row_of((gateway, id)).map(|row| Some((gateway, row))),
            None => Some(None),
        }
    }

    /// The one whose session it is, in doubt the one that remembers it; else the one that it is below, else the one that remembers it, else the first that takes it for a worker.
    fn teller(&self, process: &'a Process, owner: &Owner) -> usize {
        let above = match self.place(process) {
            Place::Child(gateway) | Place::Below(gateway) => Some(gateway),
            Place::BelowFormer(_) | Place::Lost | Place::Unclear => None,
        };
        let remembers =
            self.remembered(process).map(|(gateway, _)| gateway).filter(|it| self.count().contains(it));
        let takes = |gateway: &usize| self.is_worker(*gateway, process);
        let remembers = remembers.filter(takes);
        let first = match owner {
            Owner::Doubt(_) => remembers,
            Owner::Rows(rows) => Some(rows[0].0).filter(takes),
            Owner::Above | Owner::Nobody(_) => None,
        };
        let any = first.or(above.filter(takes)).or(remembers).or_else(|| self.count().find(takes));
        any.expect("it is considered")
    }

    /// A gateway that nothing was there of at the last look answers, and this worker wasn't seen below one that ended, or may be taken back.
    fn is_its_gateway_back(&self, process: &'a Process) -> bool {
        let was_below = self.seen_below(process);
        let is_there = |was: ProcessIdentity| self.find(was.pid).is_some_and(|found| found.identity == was);
        let has_lost_one = was_below.is_some_and(|was| !is_there(was));
        self.may_have_started(process, self.place(process)).into_iter().any(|gateway| {
            let was_gone = self.memory(gateway).is_some_and(|memory| memory.gone);
            let takes_back = self.0.world.rules[gateway].takes_workers_back;
            let before = self.memory(gateway).and_then(|memory| memory.run.clone());
            let is_another = before.is_some() && self.run(gateway).is_some() && before != self.run(gateway);
            was_gone && self.table(gateway).is_some() && (takes_back || (!is_another && !has_lost_one))
        })
    }

    fn orphan(&self, gateway: usize, process: &'a Process, kind: OrphanKind) -> Fate {
        let now = self.0.world.now;
        let clock = self.remembered(process).and_then(|(by, worker)| {
            let is_same =
                kind == OrphanKind::ParentlessWorker || (by == gateway && self.is_same_run(gateway));
            let starts_again = kind == OrphanKind::ParentlessWorker && self.is_its_gateway_back(process);
            worker.clock.filter(|clock| clock.kind == kind && clock.since <= now && is_same && !starts_again)
        });
        let waited = clock.map_or(Duration::ZERO, |clock| self.observed_since(clock.since));
        let grace_of = |gateway: usize| self.0.world.rules[gateway].policy.worker_grace;
        let is_adopted = matches!(self.place(process), Place::Child(_));
        let had = self.memory(gateway).and_then(|memory| memory.process);
        let is_its = |seen_below| self.gateway(gateway) == Some(seen_below) || had == Some(seen_below);
        let was_its = self.seen_below(process).is_some_and(is_its);
        let is_anybodys = kind == OrphanKind::ParentlessWorker && (is_adopted || !was_its);
        let may_be_of = self.count().filter(|of| is_anybodys && self.is_worker(*of, process));
        let is_due = waited >= may_be_of.map(grace_of).fold(grace_of(gateway), Duration::max);
        Fate::Orphan { kind, waited, is_due, goes: vec![process.identity.pid] }
    }
}
