//! What gateways do: start, die, publish their table, close sessions.

use std::sync::Arc;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::table::{CloseAnswer, Listener, SessionTable, TableView, Transport, Turn};

use super::event::TableFault;
use super::procs::{Birth, Kind, OnTerm, Serial};
use super::session::{Life, Sess};
use super::setup::USER;
use super::world::{Happening, Toil, World};

impl World {
    pub(crate) fn start_gateway(&mut self, index: usize) {
        if self.gateways[index].process.is_some() {
            return;
        }
        let process = self.spawn(Birth {
            parent: self.supervisor,
            kind: Kind::Gateway(index),
            comm: "hermes",
            argv: Arc::from(format!("python -m hermes dashboard {index}")),
            uid: USER,
            leads_session: true,
            on_term: OnTerm::Exits(10),
        });
        self.gateways[index].process = process;
        self.gateways[index].run += 1;
        if process.is_none() {
            self.plan(1000, Happening::GatewayStarts(index));
        }
    }

    pub(crate) fn start_foreign(&mut self) {
        let gateway = self.spawn(Birth {
            parent: self.supervisor,
            kind: Kind::ForeignGateway,
            comm: "hermes",
            argv: Arc::from("python -m hermes --tui"),
            uid: USER,
            leads_session: true,
            on_term: OnTerm::Exits(10),
        });
        self.foreign = gateway;
        let Some(pid) = gateway.and_then(|serial| Some(self.procs.by_serial(serial)?.pid)) else { return };
        let worker = self.spawn(Birth {
            parent: pid,
            kind: Kind::Worker,
            comm: "python",
            argv: worker_argv("foreign"),
            uid: USER,
            leads_session: false,
            on_term: OnTerm::Exits(20),
        });
        if let (Some(worker), Some(gateway)) = (worker, gateway) {
            self.toils.insert(worker, Toil::new(None, gateway));
        }
    }

    /// Its sessions die with it.
    pub(crate) fn gateway_died(&mut self, index: usize, process: Serial) {
        if self.gateways[index].process == Some(process) {
            self.gateways[index].process = None;
            self.lose_sessions(index);
        }
    }

    /// The run is over; nobody remembers its sessions.
    pub(crate) fn lose_sessions(&mut self, index: usize) {
        let now = self.now;
        for session in self.sessions.iter_mut().filter(|session| session.gateway == index) {
            session.life = Life::Closed;
            session.settles(now);
        }
        self.weigh();
    }

    /// Starts a worker for a session.
    pub(crate) fn start_worker(&mut self, session: u64) -> Option<Serial> {
        let found = self.sessions.get(session)?;
        let (index, slot, key) = (found.gateway, found.slot, found.key.clone());
        let gateway = self.procs.by_serial(self.gateways[index].process?)?.pid;
        let worker = self.spawn(Birth {
            parent: gateway,
            kind: Kind::Worker,
            comm: "python",
            argv: worker_argv(&key),
            uid: USER,
            leads_session: !self.setup.gateways[index].shares_group,
            on_term: OnTerm::Exits(20),
        })?;
        if self.setup.gateways[index].workers_watch
            && let Some(proc) = self.procs.by_serial_mut(worker)
        {
            proc.follows_parent = true;
        }
        let leads = !self.setup.gateways[index].shares_group;
        // It is needed from now on, and its row isn't there.
        let blurred = self.table_fault(index) == Some(TableFault::Omits(slot));
        self.toils.insert(worker, Toil { leads, blurred, ..Toil::new(Some(index), session) });
        self.sessions.get_mut(session)?.worker = Some(worker);
        self.weigh();
        Some(worker)
    }

    pub(crate) fn table_fault(&self, index: usize) -> Option<TableFault> {
        self.gateways[index].table_fault.filter(|(_, until)| self.now < *until).map(|(fault, _)| fault)
    }

    /// What the gateway answers to whoever asks for its table now.
    pub(crate) fn table(&self, index: usize) -> TableView {
        let gateway = &self.gateways[index];
        let fault = self.table_fault(index);
        let Some(process) = gateway.process.and_then(|serial| self.procs.alive(serial)) else {
            return TableView::nothing_listens("connection refused");
        };
        match fault {
            Some(TableFault::Unreachable) => return TableView::unreachable("no answer"),
            Some(TableFault::Refused) => return TableView::refused("the table is truncated"),
            _ => {}
        }
        let tells = &self.setup.gateways[index].tells;
        let anonymous = fault == Some(TableFault::Anonymous);
        let listed = self.sessions.iter().filter(|session| {
            // Of two rows with one key, the one that is left would be said to own both workers, and that can't be told from the truth.
            let shares_key = |other: &Sess| other.serial != session.serial && other.key == session.key;
            let is_alone =
                || !self.sessions.iter().any(|other| other.life != Life::Closed && shares_key(other));
            let omitted = fault == Some(TableFault::Omits(session.slot)) && is_alone();
            session.gateway == index && session.life == Life::Live && !omitted
        });
        TableView::Current(SessionTable {
            gateway_pid: Pid::new(process.pid.into()).filter(|_| tells.pid && !anonymous),
            instance: (tells.instance && !anonymous).then(|| format!("run {}", gateway.run).into()),
            sessions: listed
                .map(|session| {
                    let worker = session.worker.and_then(|serial| self.procs.alive(serial));
                    session.row(tells, worker.map(|worker| worker.pid), self.now)
                })
                .collect(),
            listener: Listener::Verified,
        })
    }

    /// The conditional reap: closed only if it is an orphan at this instant. Returns the answer.
    pub(crate) fn close_if_orphan(&mut self, index: usize, id: &str, stays: bool) -> CloseAnswer {
        let kept = |reason: &str| CloseAnswer::Kept { reason: reason.into() };
        let found = self
            .sessions
            .iter()
            .find(|session| session.gateway == index && session.id == id && session.life == Life::Live);
        let Some(session) = found else { return CloseAnswer::Gone };
        let serial = session.serial;
        if session.transport == Transport::Attached {
            return kept("attached");
        }
        if session.turn != Turn::Idle {
            return kept("mid-turn");
        }
        if !session.holds.is_empty() {
            return kept("held");
        }
        self.say(|_| format!("    gateway {index} closes {id}"));
        self.end_session(serial, stays);
        if let Some(session) = self.sessions.get_mut(serial) {
            session.taken = true;
        }
        CloseAnswer::Reaped
    }

    /// The gateway's one teardown path.
    pub(crate) fn end_session(&mut self, serial: u64, worker_stays: bool) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(serial) else { return };
        session.life = Life::Closed;
        session.settles(now);
        let (index, worker) = (session.gateway, session.worker);
        let exit = self.setup.gateways[index].exit_ms;
        if let Some(worker) = worker.filter(|_| !worker_stays && !self.gateways[index].leaks) {
            self.plan(exit, Happening::Exits(worker));
        }
        self.weigh();
    }
}

pub(crate) fn worker_argv(key: &str) -> Arc<str> {
    Arc::from(format!("/usr/bin/python3 -m tui_gateway.slash_worker --session-key {key}"))
}
