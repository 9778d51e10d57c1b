//! What the contract says of workers that belong to no listed session.

use std::time::Duration;

use gateway_reaper::domain::adoption::{AdoptionSign, sign};
use gateway_reaper::domain::ledger::Bond;
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::process::{Process, ProcessIdentity};
use gateway_reaper::domain::table::{Session, Told};

use super::{Fate, Oracle, first};

impl<'a> Oracle<'a> {
    pub(super) fn worker(&self, gateway: usize, process: &'a Process) -> Option<Fate> {
        let key = self.key(gateway, process)?;
        if process.zombie {
            return None;
        }
        if self.is_child(process, gateway) {
            self.child(gateway, process, key)
        } else if !self.is_anybodys_child(process) && self.judge(process) == Some(gateway) {
            self.stray(gateway, process)
        } else {
            None
        }
    }

    fn finds_by(&self, gateway: usize, key: Option<&str>) -> bool {
        let finds = |row: &Session| row.worker == Told::Absent && row.worker_key() == key;
        key.is_some() && self.rows(gateway).iter().any(finds)
    }

    /// A row may mean this worker, for all that can be understood of it.
    fn may_be_meant(&self, gateway: usize, key: Option<&str>) -> bool {
        self.rows(gateway).iter().any(|row| match (&row.worker, &row.key) {
            (Told::NotUnderstood(_), _) | (Told::Absent, Told::NotUnderstood(_)) => true,
            (Told::Absent, _) => key.is_none(),
            (Told::Known(_), _) => false,
        })
    }

    /// One of these rows names a process that can't be its worker.
    fn misnames(&self, gateway: usize, which: impl Fn(&Session) -> bool) -> bool {
        self.rows(gateway).iter().filter(|row| which(row)).any(|row| {
            let Some(named) = row.named_worker() else { return false };
            let carried = self.find(named).and_then(|named| self.key(gateway, named));
            let key = row.worker_key();
            let is_shared = self.times_named(named) > 1;
            is_shared || !carried.is_some_and(|carried| key.is_none() || carried.is_none() || carried == key)
        })
    }

    fn child(&self, gateway: usize, process: &'a Process, key: Option<&str>) -> Option<Fate> {
        let pid = process.identity.pid;
        let is_listed = self.finds_by(gateway, key);
        let keep = |reason| Some(Fate::Keep(reason));
        let is_superseded = self.rows(gateway).iter().any(|row| {
            let named = row.named_worker().and_then(|named| self.find(named));
            key.is_some()
                && row.worker_key() == key
                && named.is_some_and(|named| {
                    self.is_child(named, gateway)
                        && self.key(gateway, named).is_some()
                        && named.identity.start_ticks > process.identity.start_ticks
                })
        });
        let kind = if is_superseded { OrphanKind::SupersededWorker } else { OrphanKind::OwnerlessWorker };
        let is_unclear = self.may_be_meant(gateway, key) && (!is_listed || self.is_obscured(gateway));
        first(&[
            (self.times_named_by(gateway, pid) > 0, None),
            (self.is_protected(process) || self.is_above(pid), keep("protected")),
            (self.table(gateway).is_none(), keep("table-not-trusted")),
            (self.contradicts(gateway) || self.shares_process(gateway), keep("table-not-trusted")),
            (self.times_named(pid) > 0, keep("unknown-state")),
            (self.misnames(gateway, |row| row.worker_key().is_none()), keep("unknown-state")),
            (is_unclear, keep("unknown-state")),
            (is_listed, None),
            (key.is_some() && self.misnames(gateway, |row| row.worker_key() == key), keep("unknown-state")),
            (true, Some(self.orphan(gateway, process, kind))),
        ])?
    }

    fn is_obscured(&self, gateway: usize) -> bool {
        self.may_be_meant(gateway, Some("a key that nobody has"))
    }

    fn may_have_started(&self, gateway: usize, process: &Process) -> bool {
        self.gateway(gateway).is_none_or(|gateway| gateway.start_ticks <= process.identity.start_ticks)
    }

    /// Who judges a worker that is no gateway's child.
    fn judge(&self, process: &'a Process) -> Option<usize> {
        let pid = process.identity.pid;
        let claimants = || self.count().filter(|gateway| self.key(*gateway, process).is_some());
        let lists_key = |gateway: &usize| {
            let key = self.key(*gateway, process).flatten();
            self.finds_by(*gateway, key) && self.may_have_started(*gateway, process)
        };
        let remembers = |gateway: &usize| self.remembered(process).is_some_and(|(name, _)| name == *gateway);
        claimants()
            .find(|gateway| self.times_named_by(*gateway, pid) > 0)
            .or_else(|| claimants().find(lists_key))
            .or_else(|| claimants().find(|gateway| self.bore(*gateway, process).is_some()))
            .or_else(|| claimants().find(remembers))
            .or_else(|| claimants().next())
    }

    fn stray(&self, gateway: usize, process: &'a Process) -> Option<Fate> {
        let pid = process.identity.pid;
        let bond = self.bond(gateway, process);
        let is_orphaned = matches!(bond, Bond::Child(was) if process.parent != Some(was.pid));
        let sign = sign(process, &self.0.world.seen.processes)
            .filter(|_| !matches!(bond, Bond::Child(_)))
            .filter(|_| !self.is_under_any(process))
            .filter(|_| {
                let parent = process.parent.and_then(|parent| self.find(parent));
                parent.is_none_or(|parent| self.key(gateway, parent).is_none())
            });
        let are_all_known = self.count().all(|gateway| self.gateway(gateway).is_some());
        let (is_gone, is_suspect) = match sign {
            None => (is_orphaned, false),
            Some(AdoptionSign::UnderFirst | AdoptionSign::LeaderlessSession) => (are_all_known, true),
            Some(_) => (true, true),
        };
        let is_down = |gateway: usize| self.table(gateway).is_none();
        let was_listed_by_the_living =
            bond == Bond::Listed && is_down(gateway) && !self.is_gone_for_certain(gateway);
        let may_be_of = |gateway: &usize| {
            self.key(*gateway, process).is_some() && self.may_have_started(*gateway, process)
        };
        let is_listed = self.count().filter(may_be_of).any(|other| {
            self.gateway(other).is_some() && self.finds_by(other, self.key(other, process).flatten())
        });
        let unclear = self.count().filter(may_be_of).find_map(|other| {
            let key = self.key(other, process).flatten();
            first(&[
                (self.finds_by(other, key), "unknown-state"),
                (!is_orphaned && self.may_be_meant(other, key), "unknown-state"),
                (!is_orphaned && is_down(other) && self.gateway(other).is_some(), "table-not-trusted"),
            ])
        });
        let keep = |reason| Some(Fate::Keep(reason));
        first(&[
            (self.times_named(pid) > 0, None),
            (!is_gone && !is_suspect && bond == Bond::None, None),
            (!was_listed_by_the_living && is_listed, None),
            (self.is_protected(process) || self.is_above(pid), keep("protected")),
            (was_listed_by_the_living, keep("table-not-trusted")),
            (unclear.is_some(), keep(unclear.unwrap_or_default())),
            (!is_gone, keep("unknown-state")),
            (true, Some(self.orphan(gateway, process, OrphanKind::ParentlessWorker))),
        ])?
    }

    /// What the gateway's process was when that was last known, if nobody knows it now, it still lives, and it is this process's parent.
    fn bore(&self, gateway: usize, process: &Process) -> Option<ProcessIdentity> {
        let was = self.memory(gateway)?.process.filter(|_| self.gateway(gateway).is_none())?;
        let lives = self.find(was.pid).is_some_and(|found| found.identity == was);
        (lives && process.parent == Some(was.pid)).then_some(was)
    }

    /// What is remembered, unless more can be seen now.
    fn bond(&self, gateway: usize, process: &Process) -> Bond {
        let before = self.remembered(process).map_or(Bond::None, |(_, worker)| worker.bond);
        let is_child = matches!(before, Bond::Child(_));
        self.bore(gateway, process).filter(|_| !is_child).map_or(before, Bond::Child)
    }

    fn is_gone_for_certain(&self, gateway: usize) -> bool {
        let view = &self.0.world.seen.processes;
        let was = self.memory(gateway).and_then(|memory| memory.process);
        self.0.world.seen.gateways[gateway].process.is_none()
            && was.is_some_and(|was| match view.get(was.pid) {
                Some(holder) => holder.identity != was || holder.zombie,
                None => view.gone.contains(&was.pid),
            })
    }

    fn orphan(&self, gateway: usize, process: &Process, kind: OrphanKind) -> Fate {
        let now = self.0.world.now;
        let clock = self.remembered(process).and_then(|(by, worker)| {
            let is_same =
                kind == OrphanKind::ParentlessWorker || (by == gateway && self.is_same_run(gateway));
            worker.clock.filter(|clock| clock.kind == kind && clock.since <= now && is_same)
        });
        let waited = clock.map_or(Duration::ZERO, |clock| now.since(clock.since));
        let grace_of = |gateway: usize| self.0.world.rules[gateway].policy.worker_grace;
        let is_anybodys = kind == OrphanKind::ParentlessWorker && self.bond(gateway, process) == Bond::None;
        let may_be_of = self.count().filter(|of| is_anybodys && self.key(*of, process).is_some());
        let is_due = waited >= may_be_of.map(grace_of).fold(grace_of(gateway), Duration::max);
        Fate::Orphan { kind, waited, is_due, worker: Some(process.identity.pid) }
    }
}
