//! What gateways do: start, die, publish their table, close sessions.

use std::sync::Arc;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::table::{CloseAnswer, Listener, SessionTable, TableView, Transport, Turn};

use super::event::TableFault;
use super::procs::{Birth, Kind, OTHER_NAMESPACE, OnTerm, Proc, Serial, WORKER_ARGV};
use super::session::{Clock, Life, Sess};
use super::setup::{GatewaySetup, Names, Starts, USER, gateway_name};
use super::world::{Happening, Toil, World};

impl World {
    pub(crate) fn start_gateway(&mut self, index: usize) {
        if self.gateways[index].process.is_some() {
            return;
        }
        let home = self.container.filter(|_| self.setup.gateways[index].contained);
        let process = self.spawn(Birth {
            parent: home.unwrap_or(self.supervisor),
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
        } else {
            self.take_back(index);
        }
    }

    /// The sessions of the last run go on in this one, with the workers that are left.
    pub(crate) fn take_back(&mut self, index: usize) {
        let (now, slept) = (self.now, self.slept);
        for session in self.sessions.iter_mut().filter(|session| session.gateway == index) {
            if session.life != Life::Suspended {
                continue;
            }
            session.life = Life::Live;
            (session.detached_at, session.detached_slept) = (now, slept);
            (session.idle_at, session.idle_slept) = (now, slept);
            session.stirs(now);
            if let Some(toil) = session.worker.and_then(|worker| self.toils.get_mut(&worker)) {
                (toil.blurred, toil.needed_since) = (true, Some(now));
            }
        }
        self.weigh();
    }

    /// A container of somebody else's: its gateway, a worker of that, and one that it forked twice. Their keys may be ours.
    pub(crate) fn start_container(&mut self) {
        let birth = |parent, kind, comm, argv: Arc<str>| Birth {
            parent,
            kind,
            comm,
            argv,
            uid: USER,
            leads_session: true,
            on_term: OnTerm::Exits(20),
        };
        let tini = self.spawn(birth(self.supervisor, Kind::Container, "tini", Arc::from("tini -- hermes")));
        let Some(tini) = tini.and_then(|serial| self.procs.by_serial_mut(serial)) else { return };
        (tini.namespace, tini.subreaper) = (OTHER_NAMESPACE, true);
        let first = tini.pid;
        self.container = Some(first);
        if !self.setup.container {
            return;
        }
        let argv = Arc::from("python -m hermes dashboard");
        let gateway = self.spawn(birth(first, Kind::Bystander, "hermes", argv));
        let gateway = gateway.and_then(|serial| self.procs.by_serial(serial)).map(|proc| proc.pid);
        let mine = self.noise.percent(50);
        // Beside a gateway of ours in the same container, nothing says whose daemon it is.
        let is_ours_there = self.setup.has_contained();
        let daemon = (Some(first).filter(|_| !is_ours_there), "key-b1");
        for (parent, key) in [(gateway, if mine { "key-a0" } else { "x" }), daemon] {
            let Some(parent) = parent else { continue };
            if let Some(worker) = self.spawn(birth(parent, Kind::Worker, "python", worker_argv(key))) {
                self.toils.insert(worker, Toil { is_elsewhere: true, ..Toil::new(None, 0) });
            }
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
            // To looks it was gone from when nothing listened any more.
            if self.table_fault(index) == Some(TableFault::Closed) {
                for toil in self.toils.values_mut().filter(|toil| toil.gateway == Some(index)) {
                    toil.blurred = true;
                }
            }
            self.lose_sessions(index);
        }
    }

    /// The run is over; nobody remembers its sessions, unless the next run takes them back. (Once: to polls, two gaps may look like one.)
    pub(crate) fn lose_sessions(&mut self, index: usize) {
        let now = self.now;
        let gateway = &mut self.gateways[index];
        let takes_back =
            self.setup.gateways[index].takes_back && !std::mem::replace(&mut gateway.blinked, true);
        for session in self.sessions.iter_mut().filter(|session| session.gateway == index) {
            session.life = match session.life {
                Life::Live if takes_back => Life::Suspended,
                Life::Draining => Life::Draining,
                _ => Life::Closed,
            };
            session.settles(now);
        }
        self.weigh();
    }

    /// Starts a worker for a session.
    pub(crate) fn start_worker(&mut self, session: u64) -> Option<Serial> {
        let found = self.sessions.get(session)?;
        let (index, slot, key) = (found.gateway, found.slot, found.key.clone());
        let host = found.nested_in.and_then(|host| self.procs.alive(host)).map(|host| host.pid);
        let gateway = self.procs.by_serial(self.gateways[index].process?)?.pid;
        let starts = self.setup.gateways[index].starts;
        let leads = !self.setup.gateways[index].shares_group && !matches!(starts, Starts::Wrapped(_));
        let parent = match (host, starts) {
            (Some(host), _) => host,
            (None, Starts::Children) => gateway,
            (None, Starts::Daemons) => self.procs.adopter(gateway),
            (None, Starts::Launched) => {
                self.start_launcher(session, gateway, &key)?;
                self.procs.adopter(gateway)
            }
            (None, Starts::Wrapped(_)) => self.start_wrapper(index, gateway, &key)?,
        };
        let leads = leads || matches!(starts, Starts::Daemons | Starts::Launched);
        let worker = self.spawn(Birth {
            parent,
            kind: Kind::Worker,
            comm: "python",
            argv: worker_argv(&key),
            uid: USER,
            leads_session: leads,
            on_term: OnTerm::Exits(20),
        })?;
        if self.setup.gateways[index].workers_watch
            && let Some(proc) = self.procs.by_serial_mut(worker)
        {
            proc.follows_parent = true;
        }
        // It is needed from now on, and its row isn't there.
        let blurred = self.table_fault(index) == Some(TableFault::Omits(slot));
        self.toils.insert(worker, Toil { leads, blurred, ..Toil::new(Some(index), session) });
        self.sessions.get_mut(session)?.worker = Some(worker);
        self.weigh();
        Some(worker)
    }

    /// A shell that runs a worker and then something else, so that it doesn't become the worker itself.
    fn start_wrapper(&mut self, index: usize, gateway: u32, key: &str) -> Option<u32> {
        let command = format!("{}; true", worker_argv(key));
        self.start_shell(gateway, &command, !self.setup.gateways[index].shares_group)
    }

    /// What starts a worker and exits.
    fn start_launcher(&mut self, session: u64, gateway: u32, key: &str) -> Option<()> {
        let launcher = self.start_shell(gateway, &format!("nohup {} &", worker_argv(key)), true)?;
        self.sessions.get_mut(session)?.launcher = Some(launcher);
        self.die(self.procs.get(launcher)?.serial);
        Some(())
    }

    fn start_shell(&mut self, gateway: u32, command: &str, leads_session: bool) -> Option<u32> {
        let shell = self.spawn(Birth {
            parent: gateway,
            kind: Kind::Wrapper,
            comm: "sh",
            argv: Arc::from(format!("sh -c {command}")),
            uid: USER,
            leads_session,
            on_term: OnTerm::Exits(5),
        })?;
        self.procs.by_serial(shell).map(|proc| proc.pid)
    }

    /// The launcher of its worker, as long as nothing else has its PID.
    fn launcher(&self, session: &Sess) -> Option<u32> {
        session.launcher.filter(|pid| self.procs.get(*pid).is_none_or(|proc| proc.zombie))
    }

    /// The process that a row names as its worker, by the numbers of the gateway's own PID namespace.
    pub(crate) fn named_by(&self, session: &Sess) -> Option<u32> {
        let setup = &self.setup.gateways[session.gateway];
        let worker = session.worker.and_then(|serial| self.procs.alive(serial))?;
        if let Some(launcher) = self.launcher(session).filter(|_| !setup.contained) {
            return Some(launcher);
        }
        let shell = self.procs.get(worker.parent).filter(|parent| parent.kind == Kind::Wrapper);
        let named = match (setup.starts, shell) {
            (Starts::Wrapped(Names::TheShell), Some(shell)) => shell,
            _ => worker,
        };
        Some(if setup.contained { inner(named.serial) } else { named.pid })
    }

    /// What a row of this gateway depends on besides its session.
    pub(crate) fn clock_of(&self, index: usize) -> Clock {
        let GatewaySetup { counts_sleep, hides_keys, .. } = self.setup.gateways[index];
        Clock { now: self.now, slept: self.slept, counts_sleep, hides_keys }
    }

    pub(crate) fn table_fault(&self, index: usize) -> Option<TableFault> {
        self.gateways[index].table_fault.filter(|(_, until)| self.now < *until).map(|(fault, _)| fault)
    }

    /// What the gateway answers to a request for its table now.
    pub(crate) fn table(&self, index: usize) -> TableView {
        let gateway = &self.gateways[index];
        let fault = self.table_fault(index);
        let Some(process) = gateway.process.and_then(|serial| self.procs.alive(serial)) else {
            return TableView::nothing_listens("connection refused");
        };
        match fault {
            Some(TableFault::Unreachable) => return TableView::unreachable("no answer"),
            Some(TableFault::Closed) => return TableView::nothing_listens("connection refused"),
            Some(TableFault::Unauthorized) => return TableView::refused("401"),
            Some(TableFault::Listed) => {
                let live = self.sessions.iter().filter(|session| session.gateway == index);
                let live = live.filter(|session| session.life == Life::Live);
                let ids: Vec<_> = live.map(|session| session.id.as_str().into()).collect();
                return TableView::listed(ids, "no session table");
            }
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
            // One that was started below another session's worker is that one's, as far as the table says without its row.
            let is_alone = || is_alone() && session.nested_in.is_none();
            let omitted = fault == Some(TableFault::Omits(session.slot)) && is_alone();
            session.gateway == index && session.life == Life::Live && !omitted
        });
        TableView::Current(SessionTable {
            gateway_pid: Pid::new(u64::from(self.told_pid(index, process)))
                .filter(|_| tells.pid && !anonymous),
            instance: (tells.instance && !anonymous).then(|| format!("run {}", gateway.run).into()),
            sessions: listed
                .map(|session| session.row(tells, self.named_by(session), self.clock_of(index)))
                .collect(),
            listener: Listener::Verified,
        })
    }

    /// The session, if it is an orphan at this instant; else what the gateway answers.
    pub(crate) fn orphan_to_close(&self, index: usize, id: &str) -> Result<u64, CloseAnswer> {
        let kept = |reason: &str| Err(CloseAnswer::Kept { reason: reason.into() });
        let found = self
            .sessions
            .iter()
            .find(|session| session.gateway == index && session.id == id && session.life == Life::Live);
        let Some(session) = found else { return Err(CloseAnswer::Gone) };
        if session.transport == Transport::Attached {
            return kept("attached");
        }
        if session.turn != Turn::Idle {
            return kept("mid-turn");
        }
        if !session.holds.is_empty() {
            return kept("held");
        }
        Ok(session.serial)
    }

    /// The conditional reap: closed only if it is an orphan at this instant. Returns the answer.
    pub(crate) fn close_if_orphan(&mut self, index: usize, id: &str, stays: bool) -> CloseAnswer {
        match self.orphan_to_close(index, id) {
            Ok(serial) => self.close(index, serial, stays),
            Err(answer) => answer,
        }
    }

    /// A close without a condition.
    pub(crate) fn close_blindly(&mut self, gateway: &str, id: &str) -> CloseAnswer {
        let is_it = |session: &&Sess| gateway_name(session.gateway) == gateway && session.id == id;
        let live = self.sessions.iter().filter(is_it).find(|session| session.life == Life::Live);
        let is_there = |index: usize| {
            self.gateways[index].process.is_some_and(|process| self.procs.alive(process).is_some())
        };
        match live.map(|session| (session.gateway, session.serial)) {
            Some((index, serial)) if is_there(index) => self.close(index, serial, false),
            Some(_) => CloseAnswer::Failed { why: "connection refused".into() },
            None => CloseAnswer::Gone,
        }
    }

    fn close(&mut self, index: usize, serial: u64, stays: bool) -> CloseAnswer {
        self.say(|world| {
            let session = world.sessions.get(serial);
            format!("    gateway {index} closes {}", session.map_or("nothing", |session| &session.id))
        });
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
            let proc = self.procs.alive(worker);
            let shell = proc.and_then(|proc| self.procs.get(proc.parent));
            let shell = shell.filter(|shell| shell.kind == Kind::Wrapper).map(|shell| shell.serial);
            // Where there is a shell, half of the gateways end that and nothing else.
            match shell {
                Some(shell) if shell % 2 == 0 => self.plan(exit, Happening::Exits(shell)),
                _ => self.plan(exit, Happening::Exits(worker)),
            }
        }
        self.weigh();
    }

    fn told_pid(&self, index: usize, process: &Proc) -> u32 {
        if !self.setup.gateways[index].contained {
            return process.pid;
        }
        let inner = inner(process.serial);
        // That another gateway's worker, or a shell around one, were this gateway would be one lie more.
        let is_another = |kind| matches!(kind, Kind::Worker | Kind::Wrapper | Kind::Gateway(_));
        let clashes = self.procs.get(inner).is_some_and(|proc| is_another(proc.kind));
        if clashes { self.setup.pid_max + 9 } else { inner }
    }
}

/// The PID of a process in a container's own namespace: a small number, which means another process elsewhere.
pub(crate) fn inner(serial: Serial) -> u32 {
    2 + u32::try_from(serial % 40).unwrap()
}

pub(crate) fn worker_argv(key: &str) -> Arc<str> {
    Arc::from(format!("{WORKER_ARGV}{key}"))
}
