//! What the contract says of sessions.

use std::time::Duration;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::ledger::{GatewayMemory, GatewayRun};
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::process::Process;
use gateway_reaper::domain::table::{Session, Told, Transport, Turn};

use super::owners::{Owner, Place};
use super::{Fate, Oracle, RowId, first};
use crate::random::Pattern;

impl<'a> Oracle<'a> {
    /// Whether its worker may be any, because what is said of it isn't understood.
    fn is_obscure(row: &Session) -> bool {
        let is_key_needed = !matches!(row.worker, Told::Known(_));
        matches!(row.worker, Told::NotUnderstood(_)) || (is_key_needed && row.worker_key().is_none())
    }

    /// Nothing that the table says of processes can be relied on.
    pub(super) fn contradicts(&self, gateway: usize) -> bool {
        let said = self.table(gateway).and_then(|table| table.gateway_pid);
        let is_another =
            matches!((said, self.gateway(gateway)), (Some(said), Some(found)) if said != found.pid);
        is_another || (self.table(gateway).is_some() && self.is_elsewhere(gateway))
    }

    pub(super) fn shares_process(&self, gateway: usize) -> bool {
        let found = |gateway: usize| self.0.world.seen.gateways[gateway].process;
        self.count().any(|other| other != gateway && found(other).is_some() && found(other) == found(gateway))
    }

    fn can_check(&self, gateway: usize) -> bool {
        self.gateway(gateway).is_some()
            && self.0.patterns[gateway] != Pattern::None
            && !self.contradicts(gateway)
    }

    /// The process that a row names, if that may be signalled. `Err`: the row is kept as protected. `Ok(None)`: it is left to the gateway.
    fn named(&self, (gateway, index): RowId) -> Result<Option<Pid>, ()> {
        let row = self.row((gateway, index));
        let Some(pid) = row.named_worker() else { return Ok(None) };
        let is_named_twice = self.times_named(pid) > 1;
        if self.is_protected_pid(pid) || is_named_twice {
            return Err(());
        }
        let Some(process) = self.find(pid) else { return Ok(None) };
        if self.is_protected(gateway, process) {
            return Err(());
        }
        if !self.can_check(gateway) {
            return Ok(None);
        }
        let process = match self.is_worker(gateway, process) {
            true => process,
            // A shell that was started to run one worker stands for it.
            false => match self.workers_in_shell(pid)[..] {
                [worker] if self.is_worker(gateway, worker) => worker,
                _ => return Err(()),
            },
        };
        let (shell, pid) = (pid, process.identity.pid);
        if (pid != shell && self.times_named(pid) > 0) || self.is_protected(gateway, process) {
            return Err(());
        }
        let key = self.key(gateway, process).flatten();
        let says_so = key.is_some() && key == row.worker_key();
        let is_anothers_key =
            key.is_some_and(|key| self.rows(gateway).iter().any(|row| row.worker_key() == Some(key)));
        // One that says nothing of its worker, and for which there is no other, finds this one by its key.
        let is_found = |(other, row): (usize, &Session)| {
            other != index
                && row.worker == Told::Absent
                && key.is_some()
                && row.worker_key() == key
                && self.lacks_worker(gateway, row)
        };
        if self.rows(gateway).iter().enumerate().any(is_found) {
            return Err(());
        }
        let line = self.line(process);
        let mut below_gateway =
            line.iter().take_while(|pid| Some(**pid) != self.gateway(gateway).map(|it| it.pid));
        let is_under_anothers = below_gateway.any(|pid| *pid != shell && self.times_named(*pid) > 0);
        let is_under_any = self.count().any(|gateway| self.is_under(process, gateway));
        let has_left = says_so && !is_under_any && !self.may_be_of_another(gateway, process);
        let is_here = self.is_under(process, gateway) || has_left;
        if (!says_so && (is_anothers_key || is_under_anothers)) || !is_here {
            return Err(());
        }
        // It may be the worker of a row that isn't there yet, or of one that isn't understood.
        let is_not_its_key = key.is_some() && row.key.known().is_some();
        let may_be_anothers = is_not_its_key || self.rows(gateway).iter().any(Self::is_obscure);
        Ok((says_so || !may_be_anothers).then_some(pid))
    }

    fn workers_in_shell(&self, shell: Pid) -> Vec<&'a Process> {
        let processes = self.0.world.seen.processes.processes.values();
        let is_in_it = |process: &&Process| self.wrapper_of(process) == Some(shell);
        let is_worker = |process: &&'a Process| self.count().any(|gateway| self.is_worker(gateway, process));
        processes.filter(is_in_it).filter(is_worker).collect()
    }

    /// The same, as it is ended with the session: a worker that carries the key of another row isn't.
    fn named_and_its_own(&self, row: RowId) -> Result<Option<Pid>, ()> {
        let is_its_own = |pid: &Pid| {
            let process = self.find(*pid);
            self.row(row).named_worker() == Some(*pid)
                || process.is_some_and(|process| self.owner(process) == Some(Owner::Rows(vec![row])))
        };
        Ok(self.named(row)?.filter(is_its_own))
    }

    /// The process that a row names, if it can be its worker.
    pub(super) fn named_and_trusted(&self, row: RowId) -> Option<Pid> {
        self.named(row).ok().flatten()
    }

    pub(super) fn times_named(&self, pid: Pid) -> usize {
        let here = self.count().filter(|gateway| !self.is_elsewhere(*gateway));
        let rows = here.flat_map(|gateway| self.rows(gateway));
        rows.filter(|row| row.named_worker() == Some(pid)).count()
    }

    /// What carries the row's key and may be ended with its session.
    fn by_key(&self, row: RowId) -> Vec<&'a Process> {
        let (gateway, named) = (row.0, self.row(row).named_worker());
        // It says itself which worker it has: what carries its key besides may be the worker of the row of which none is known.
        let worker = self.named_and_its_own(row).ok().flatten();
        let says_itself = worker.is_some() || self.row(row).worker == Told::Known(None);
        let is_one_missing = self.has_row_without_worker(gateway);
        let was_its = |process: &Process| self.was_of_row(process, row);
        let is_below_its_worker =
            |process: &Process| worker.is_some_and(|worker| self.line(process).contains(&worker));
        // Several carry its key, none of them below another: one of them may be the worker of the row of which it isn't known.
        let carries = |process: &&'a Process| {
            let is_owned = matches!(self.owner(process), Some(Owner::Rows(rows)) if rows.contains(&row));
            let key = self.key(gateway, process).flatten();
            is_owned && self.is_worker(gateway, process) && key.is_some() && key == self.row(row).worker_key()
        };
        let carriers: Vec<&Process> =
            self.0.world.seen.processes.processes.values().filter(carries).collect();
        let is_below = |process: &Process| {
            let line = self.line(process);
            carriers.iter().any(|carrier| line.contains(&carrier.identity.pid))
        };
        let are_several = carriers.iter().filter(|process| !is_below(process)).count() > 1;
        let may_be_anothers = is_one_missing && (says_itself || are_several);
        // A row that names what is gone may have what it was never seen to have started, beside another that carries the key of this one, or the
        // one that this one says it has, or where that says it has none.
        let is_one_gone = self.has_row_naming_one_gone(gateway);
        let says_another = named.is_some_and(|named| self.find(named).is_some_and(|named| !named.zombie))
            || self.row(row).worker == Told::Known(None);
        let may_be_left = |process: &'a Process, place| {
            is_one_gone
                && (says_another || are_several)
                && !self.is_of_an_earlier_run(gateway, process)
                && self.was_never_seen_started(process, place)
                && !was_its(process)
        };
        let may_go = |process: &&'a Process| {
            let key = self.key(gateway, process).flatten();
            let place = self.place(process);
            let is_here = match place {
                Place::Child(at) | Place::Below(at) => {
                    at == gateway && !self.may_be_of_another(gateway, process)
                }
                Place::Lost => {
                    !self.may_be_of_another(gateway, process)
                        && (was_its(process) || !self.may_be_of_anothers_row(gateway, process))
                }
                Place::BelowFormer(_) | Place::Unclear => false,
            };
            self.owner(process) == Some(Owner::Rows(vec![row]))
                && Some(process.identity.pid) != named
                && Some(process.identity.pid) != self.named_and_trusted(row)
                && self.is_worker(gateway, process)
                && key.is_some()
                && key == self.row(row).worker_key()
                && is_here
                && !may_be_left(process, place)
                && !self.is_protected(gateway, process)
                && !self.is_below_a_worker_of_others(row, process)
                && (!may_be_anothers || is_below_its_worker(process) || was_its(process))
        };
        let is_clear = self.can_check(gateway)
            && !self.shares_process(gateway)
            && !self.rows(gateway).iter().any(Self::is_obscure);
        let is_named_one_trusted = match named {
            Some(named) => {
                self.find(named).is_none() || self.named_and_its_own(row).is_ok_and(|named| named.is_some())
            }
            None => true,
        };
        if !is_clear || !is_named_one_trusted || matches!(self.row(row).worker, Told::NotUnderstood(_)) {
            return Vec::new();
        }
        self.0.world.seen.processes.processes.values().filter(may_go).collect()
    }

    /// Another gateway gives no table, and may serve a session of the same key; or is gone, and takes back what was seen below it. What is, or
    /// was seen, below its own gateway as that runs may only be of one whose process isn't known, and may be that.
    fn may_be_of_another(&self, own: usize, process: &'a Process) -> bool {
        let seen_below = self.seen_below(process);
        let is_its_own = self.is_or_was_below(own, process);
        let others = self.count().filter(|other| *other != own && self.is_worker(*other, process));
        others.filter(|other| self.table(*other).is_none()).any(|other| {
            let was_above = |memory: &GatewayMemory| memory.process.is_some() && memory.process == seen_below;
            let had_it = self.memory(other).is_some_and(was_above);
            let takes_back = self.0.world.rules[other].takes_workers_back;
            let is_gone = self.is_to_be_trusted(other);
            if is_gone {
                !is_its_own && takes_back && had_it
            } else {
                (!is_its_own || self.may_be_any_process(other)) && !self.is_excused(other, process)
            }
        })
    }

    fn is_or_was_below(&self, gateway: usize, process: &'a Process) -> bool {
        let run = self.gateway(gateway);
        run.is_some_and(|run| self.seen_below(process) == Some(run) || self.line(process).contains(&run.pid))
    }

    /// A row of another gateway's current table has a worker that isn't known; unless this one was seen below its own as that runs.
    fn may_be_of_anothers_row(&self, own: usize, process: &'a Process) -> bool {
        let is_its_own = self.is_or_was_below(own, process);
        let mut others = self.count().filter(|other| *other != own && self.is_worker(*other, process));
        !is_its_own
            && others.any(|other| {
                let is_wanted = !self.is_to_be_trusted(other)
                    || self.has_row_without_worker(other) && !self.is_of_an_earlier_run(other, process);
                self.table(other).is_some() && is_wanted
            })
    }

    /// The row says itself which worker it has, and this one is below another's. Or: between it and its gateway is a worker with its key, no younger, that is another row's, or more rows' than this one.
    fn is_below_a_worker_of_others(&self, row: RowId, process: &'a Process) -> bool {
        let key = self.key(row.0, process);
        let line = self.line(process).into_iter().take_while(|pid| self.gateways_at(*pid).is_empty());
        let mut above = line.filter_map(|pid| self.find(pid));
        let says_itself = matches!(self.row(row).worker, Told::Known(_));
        above.any(|above| {
            let is_anothers = matches!(self.owner(above), Some(Owner::Rows(rows)) if rows != [row]);
            let may_be_copied = above.identity.start_ticks <= process.identity.start_ticks;
            let named = Some(self.rows_of_its_own(above)).filter(|rows| !rows.is_empty());
            let of_rows = match self.owner(above) {
                Some(Owner::Rows(rows)) => Some(rows),
                Some(_) => None,
                None => named.filter(|_| self.may_be_a_worker(above)),
            };
            let is_of_others_alone = of_rows.is_some_and(|rows| !rows.contains(&row));
            (says_itself && is_of_others_alone)
                || (is_anothers
                    && may_be_copied
                    && self.is_worker(row.0, above)
                    && self.key(row.0, above) == key)
        })
    }

    /// What is ended with a session. `Err`: the row is kept as protected.
    pub(super) fn goes(&self, row: RowId) -> Result<Vec<Pid>, ()> {
        if self.is_elsewhere(row.0) {
            return Ok(Vec::new());
        }
        let named = self.named_and_its_own(row)?;
        let mut goes: Vec<&Process> = named.and_then(|pid| self.find(pid)).into_iter().collect();
        goes.extend(self.by_key(row));
        // Its gateway ends the one that it names, and that is its own, whether that may be signalled or not; or, where none is known, any.
        let said = self.row(row).named_worker().and_then(|pid| self.find(pid));
        let is_above = |process: &'a Process| self.is_above_anothers(process, &[row]);
        if said.into_iter().chain(goes.iter().copied()).any(is_above) {
            return Err(());
        }
        let lacks_worker = self.lacks_worker(row.0, self.row(row));
        let is_above_anothers = |process: &'a Process| match self.owner_of(process) {
            Owner::Rows(rows) => rows.contains(&row) && self.is_above_anothers(process, &rows),
            Owner::Doubt(_) => {
                let may_be_its = || self.was_its(process, (row.0, &self.row(row).id), false).unwrap_or(true);
                lacks_worker
                    && self.is_worker(row.0, process)
                    && may_be_its()
                    && self.is_above_anothers(process, &[])
            }
            Owner::Above | Owner::Nobody(_) => false,
        };
        let is_considered = |process: &'a Process| {
            self.owner(process).is_some() || self.times_named(process.identity.pid) > 0
        };
        let mut processes = self.0.world.seen.processes.processes.values().filter(|process| !process.zombie);
        let is_ended = |process: &&'a Process| match self.place(process) {
            Place::Child(at) | Place::Below(at) => self.gateway(at) == self.gateway(row.0),
            Place::BelowFormer(_) | Place::Lost | Place::Unclear => true,
        };
        if processes.any(|it| is_considered(it) && is_ended(&it) && is_above_anothers(it)) {
            return Err(());
        }
        Ok(goes.into_iter().map(|process| process.identity.pid).collect())
    }

    pub(super) fn session(&self, id: RowId) -> Fate {
        let (gateway, row, goes) = (id.0, self.row(id), self.goes(id));
        let turn = |turn| row.turn == Told::Known(turn);
        let is_held = matches!(&row.holds, Told::Known(holds) if !holds.is_empty());
        let is_unknown = row.transport.known().is_none()
            || row.turn.known().is_none()
            || matches!(row.holds, Told::NotUnderstood(_))
            || matches!(row.close_on_disconnect, Told::NotUnderstood(_))
            || matches!(row.key, Told::NotUnderstood(_))
            || matches!(row.worker, Told::NotUnderstood(_));
        let kept = first(&[
            (row.transport == Told::Known(Transport::Attached), "attached"),
            (turn(Turn::Running), "mid-turn"),
            (turn(Turn::Waiting), "waiting"),
            (turn(Turn::Starting), "starting"),
            (is_held, "held"),
            (is_unknown, "unknown-state"),
            (goes.is_err(), "protected"),
        ]);
        if let Some(reason) = kept {
            return Fate::Keep(reason);
        }
        let policy = &self.0.world.rules[gateway].policy;
        let quick = row.close_on_disconnect == Told::Known(true);
        let grace = if quick { policy.close_on_disconnect_grace } else { policy.grace };
        let waited = self.waited(gateway, row);
        let goes = goes.unwrap_or_default();
        Fate::Orphan { kind: OrphanKind::DetachedSession, waited, is_due: waited >= grace, goes }
    }

    /// Identity of the run of the gateway that wrote the table.
    pub(super) fn run(&self, gateway: usize) -> Option<GatewayRun> {
        match self.table(gateway)?.instance.clone() {
            Some(instance) => Some(GatewayRun::Instance(instance)),
            None => self.gateway(gateway).map(GatewayRun::Process),
        }
    }

    pub(super) fn is_same_run(&self, gateway: usize) -> bool {
        self.memory(gateway).and_then(|memory| memory.run.clone()) == self.run(gateway)
    }

    pub(super) fn waited(&self, gateway: usize, row: &Session) -> Duration {
        let now = self.0.world.now;
        let memory = self.memory(gateway);
        let clock = memory.and_then(|memory| memory.sessions.get(&row.id));
        let was_run_known = memory.is_some_and(|memory| memory.run.is_some());
        let is_marked = memory.is_some_and(|memory| memory.restart.contains(&row.id));
        let activity = memory.and_then(|memory| memory.activity.get(&row.id));
        let had_another_activity = activity.is_some() && activity != row.activity.as_ref();
        // What has the PID of its worker by now was nobody's orphan yet.
        let named = row.named_worker().and_then(|pid| self.find(pid));
        let had = clock.and_then(|clock| clock.worker);
        let is_another = named.is_some_and(|named| {
            had.is_none_or(|had| named.identity.pid == had.pid && named.identity != had)
        });
        let goes_on = clock.filter(|clock| {
            let is_past = clock.since <= now && clock.claims_after.is_none_or(|at| at <= now);
            is_past
                && clock.activity == row.activity
                && self.is_same_run(gateway)
                && !is_marked
                && !is_another
        });
        let own = goes_on.map_or(Duration::ZERO, |clock| self.observed_since(clock.since));
        // How far back the gateway's own clocks may reach, for each reason not to believe them.
        let reach = match goes_on {
            Some(clock) => clock.claims_after.into_iter().chain(clock.started).collect(),
            None if clock.is_some() || is_marked => vec![now],
            None if was_run_known && !self.is_same_run(gateway) => vec![now],
            None if had_another_activity => vec![now],
            None if let Some(started) = memory.and_then(|memory| memory.started.get(&row.id)) => {
                vec![*started]
            }
            // In use, or not listed at the last look.
            None => memory.and_then(|memory| memory.looked).into_iter().collect(),
        };
        let reach = reach.into_iter().map(|at| self.observed_since(at)).min().unwrap_or(Duration::MAX);
        match (row.detached_for, row.idle_for) {
            (None, None) => own,
            (Some(detached), Some(idle)) => {
                detached.min(idle).saturating_sub(self.0.world.seen.unobserved).min(reach)
            }
            (Some(claim), None) | (None, Some(claim)) => own.min(claim),
        }
    }
}
