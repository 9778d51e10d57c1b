//! Gateways that are replaced while they serve: the old process goes on with the sessions that are in use, and another one gives the table.

use super::event::TableFault;
use super::procs::Serial;
use super::session::Life;
use super::setup::gateway_name;
use super::world::{Happening, World};

impl World {
    /// Another process takes over; the old one closes what waits for nobody, and goes on with the rest for so long.
    pub(crate) fn replace_gateway(&mut self, index: usize, span: u64) {
        let Some(process) = self.gateways[index].process.filter(|process| self.may_drain(index, *process))
        else {
            return;
        };
        let now = self.now;
        self.gateways[index].draining = Some(process);
        self.gateways[index].process = None;
        for session in self.sessions.iter_mut().filter(|session| session.gateway == index) {
            session.life = match session.life {
                Life::Live if session.is_orphan() => Life::Closed,
                Life::Live | Life::Unlisted => Life::Draining,
                other => other,
            };
            session.settles(now);
        }
        self.plan(span, Happening::Exits(process));
        self.weigh();
        self.start_gateway(index);
    }

    /// Whether it can be told later that the process was this gateway's: its table says so, and each reaper remembers it.
    fn may_drain(&self, index: usize, process: Serial) -> bool {
        let setup = &self.setup.gateways[index];
        let is_told = setup.tells.pid && setup.tells.instance && !setup.found_by_argv && !setup.contained;
        let is_told = is_told && self.table_fault(index) != Some(TableFault::Anonymous);
        let Some(process) = self.procs.alive(process).map(|proc| self.procs.identity(proc)) else {
            return false;
        };
        let (boot, now, name) = (self.boot_id(), self.awake(), gateway_name(index).as_str().into());
        let is_remembered = |ledger: gateway_reaper::domain::ledger::Ledger| {
            ledger.gateways.get(&name).is_some_and(|memory| memory.process == Some(process))
        };
        is_told
            && self.gateways[index].draining.is_none()
            && self.now < self.setup.calm_at
            && self.disks.iter().all(|disk| is_remembered(disk.load(&boot, now)))
    }

    /// Where nothing tells any more that it was a gateway, it ends.
    pub(crate) fn end_draining(&mut self, index: usize) {
        if let Some(process) = self.gateways[index].draining {
            self.die(process);
        }
    }

    /// It ended, and with it the sessions that it had.
    pub(crate) fn drained(&mut self, index: usize, process: Serial) {
        if self.gateways[index].draining != Some(process) {
            return;
        }
        self.gateways[index].draining = None;
        let now = self.now;
        let own = self.sessions.iter_mut().filter(|session| session.gateway == index);
        for session in own.filter(|session| session.life == Life::Draining) {
            session.life = Life::Closed;
            session.settles(now);
        }
        self.weigh();
    }
}
