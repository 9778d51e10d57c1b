//! What the contract says of sessions.

use std::time::Duration;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::process::Process;
use gateway_reaper::domain::table::{Session, Told, Transport, Turn};

use super::{Fate, Oracle, first};
use crate::random::Pattern;

impl Oracle<'_> {
    /// Whether nobody can tell which worker this row has.
    fn is_obscure(row: &Session) -> bool {
        match row.worker {
            Told::Known(_) => false,
            Told::NotUnderstood(_) => true,
            Told::Absent => row.worker_key().is_none(),
        }
    }

    /// Whether another row of this table carries a key, in a way that is understood.
    fn carries(row: &Session, key: &str) -> bool {
        row.worker_key() == Some(key) && !matches!(row.worker, Told::NotUnderstood(_))
    }

    /// Nothing that the table says of processes can be relied on.
    pub(super) fn contradicts(&self, gateway: usize) -> bool {
        let said = self.table(gateway).and_then(|table| table.gateway_pid);
        matches!((said, self.gateway(gateway)), (Some(said), Some(found)) if said != found.pid)
    }

    pub(super) fn shares_process(&self, gateway: usize) -> bool {
        let found = |gateway: usize| self.0.world.seen.gateways[gateway].process;
        self.count().any(|other| other != gateway && found(other).is_some() && found(other) == found(gateway))
    }

    /// `Err`: the row is kept as protected. `Ok(None)`: there is nobody to signal.
    pub(super) fn worker_of(&self, gateway: usize, row: &Session) -> Result<Option<Pid>, ()> {
        let can_check = self.gateway(gateway).is_some()
            && self.0.patterns[gateway] != Pattern::None
            && !self.contradicts(gateway);
        let worker = match row.worker {
            Told::NotUnderstood(_) => return Ok(None),
            Told::Known(None) => return Ok(None),
            Told::Known(Some(pid)) => {
                if self.is_protected_pid(pid) || self.times_named(pid) > 1 {
                    return Err(());
                }
                let Some(process) = self.find(pid) else { return Ok(None) };
                if self.is_protected(process) {
                    return Err(());
                }
                let close_only = || if self.is_above(pid) { Err(()) } else { Ok(None) };
                if !can_check {
                    return close_only();
                }
                let key = self.key(gateway, process).ok_or(())?;
                let says_so = key.is_some() && key == row.worker_key();
                let is_anothers =
                    key.is_some_and(|key| self.rows(gateway).iter().any(|row| Self::carries(row, key)));
                let line = self.line(process);
                let mut below_gateway =
                    line.iter().take_while(|pid| Some(**pid) != self.gateway(gateway).map(|it| it.pid));
                let is_under_anothers = below_gateway.any(|pid| self.times_named(*pid) > 0);
                let is_ours = self.is_under(process, gateway) || (says_so && !self.is_under_any(process));
                if (!says_so && (is_anothers || is_under_anothers)) || !is_ours {
                    return Err(());
                }
                // It may be the worker of a row that isn't there yet, or of one that nobody understands.
                let is_not_its_key = key.is_some() && row.key.known().is_some();
                let may_be_anothers = is_not_its_key || self.rows(gateway).iter().any(Self::is_obscure);
                if !says_so && may_be_anothers {
                    return close_only();
                }
                pid
            }
            Told::Absent => {
                let Some(key) = row.worker_key() else { return Ok(None) };
                // Another row whose worker can't be told may have this one.
                if self.rows(gateway).iter().any(Self::is_obscure) {
                    return Ok(None);
                }
                let rows = self.rows(gateway).iter().filter(|row| Self::carries(row, key)).count();
                let processes = self.0.world.seen.processes.processes.values();
                let carriers: Vec<&Process> = processes
                    .filter(|process| !process.zombie && self.is_child(process, gateway))
                    .filter(|process| self.key(gateway, process) == Some(Some(key)))
                    .collect();
                let [carrier] = carriers[..] else { return Ok(None) };
                let pid = carrier.identity.pid;
                let is_clear = rows == 1
                    && can_check
                    && !self.shares_process(gateway)
                    && self.times_named(pid) == 0
                    && !self.is_protected(carrier);
                if !is_clear {
                    return Ok(None);
                }
                pid
            }
        };
        if self.is_above(worker) { Err(()) } else { Ok(Some(worker)) }
    }

    pub(super) fn session(&self, gateway: usize, row: &Session) -> Fate {
        let worker = self.worker_of(gateway, row);
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
            (worker.is_err(), "protected"),
        ]);
        if let Some(reason) = kept {
            return Fate::Keep(reason);
        }
        let policy = &self.0.world.rules[gateway].policy;
        let quick = row.close_on_disconnect == Told::Known(true);
        let grace = if quick { policy.close_on_disconnect_grace } else { policy.grace };
        let waited = self.waited(gateway, row);
        let worker = worker.unwrap_or_default();
        Fate::Orphan { kind: OrphanKind::DetachedSession, waited, is_due: waited >= grace, worker }
    }

    /// Identity of the run of the gateway that wrote the table.
    pub(super) fn run(&self, gateway: usize) -> Option<String> {
        let instance = self.table(gateway)?.instance.as_ref();
        let process = || self.gateway(gateway).map(|process| format!("process {process}"));
        instance.map(ToString::to_string).or_else(process)
    }

    pub(super) fn is_same_run(&self, gateway: usize) -> bool {
        self.memory(gateway).and_then(|memory| memory.run.as_deref()) == self.run(gateway).as_deref()
    }

    pub(super) fn waited(&self, gateway: usize, row: &Session) -> Duration {
        let now = self.0.world.now;
        let memory = self.memory(gateway);
        let clock = memory.and_then(|memory| memory.sessions.get(&row.id));
        let was_run_known = memory.is_some_and(|memory| memory.run.is_some());
        let is_marked = memory.is_some_and(|memory| memory.restart.contains(&row.id));
        let goes_on = clock.filter(|clock| {
            let is_past = clock.since <= now && clock.claims_after.is_none_or(|at| at <= now);
            is_past && clock.activity == row.activity && self.is_same_run(gateway) && !is_marked
        });
        let own = goes_on.map_or(Duration::ZERO, |clock| now.since(clock.since));
        // How far back the gateway's own clocks may reach.
        let reach = match goes_on {
            Some(clock) => clock.claims_after.map_or(Duration::MAX, |at| now.since(at)),
            None if clock.is_some() || is_marked => Duration::ZERO,
            None if was_run_known && !self.is_same_run(gateway) => Duration::ZERO,
            None => Duration::MAX,
        };
        match (row.detached_for, row.idle_for) {
            (None, None) => own,
            (Some(detached), Some(idle)) => detached.min(idle).min(reach),
            (Some(claim), None) | (None, Some(claim)) => own.min(claim).min(reach),
        }
    }
}
