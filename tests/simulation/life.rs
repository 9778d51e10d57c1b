//! What clients, sessions and workers do by themselves.

use std::sync::Arc;

use gateway_reaper::domain::table::{Transport, Turn};

use super::disk::Disk;
use super::event::{Act, Event, Fate, Leaves, Slot, TableFault, Turnabout, Weather, Wrong};
use super::procs::{Birth, Kind, OnTerm, Serial};
use super::session::{Life, Sess, Sessions};
use super::setup::{USER, gateway_name};
use super::world::{Happening, World};

impl World {
    pub(crate) fn apply(&mut self, event: &Event) {
        match *event {
            Event::Session(slot, act) => self.act(slot, act),
            Event::Worker(slot, fate) => self.befall(slot, fate),
            Event::Gateway(index, turn) if index < self.gateways.len() => self.turn(index, turn),
            Event::Gateway(..) => {}
            Event::Foreign(turn) => match (turn, self.foreign) {
                (Turnabout::Crashes, Some(serial)) => self.die(serial),
                // The number that a container's table gives as its gateway's may be this one's: then nothing tells the two apart.
                (Turnabout::Starts, None)
                    if (self.container.is_none() || self.setup.container) && !self.setup.has_contained() =>
                {
                    self.start_foreign()
                }
                _ => {}
            },
            Event::Machine(weather) => self.weather(weather),
            Event::Churn(count) => self.churn(count),
            Event::Reaper(index, mishap) => self.mishap(index, mishap),
            Event::Sweep(index) => self.wanted.push(index),
        }
    }

    /// Another row has its key, and their gateway names no workers.
    fn has_twin_by_key_alone(&self, slot: Slot) -> bool {
        let Some(own) = self.sessions.at(slot) else { return false };
        let is_twin = |other: &Sess| {
            other.serial != own.serial && other.life == Life::Live && other.told_key() == own.told_key()
        };
        !self.setup.gateways[own.gateway].tells.worker_pids && self.sessions.iter().any(is_twin)
    }

    fn live(&mut self, slot: Slot) -> Option<&mut Sess> {
        let serial = self.sessions.at(slot)?.serial;
        self.sessions.get_mut(serial).filter(|session| session.life == Life::Live)
    }

    fn act(&mut self, slot: Slot, act: Act) {
        let now = self.now;
        match act {
            Act::Opens(gateway, built) => return self.open(slot, gateway % self.gateways.len(), built, None),
            Act::Twins(other) => {
                let Some(session) = self.live(slot) else { return };
                let (gateway, key, is_rotated) =
                    (session.gateway, session.told_key().to_owned(), session.rotated.is_some());
                // Of two rows with one key that name no worker, each is found by that key. Where only the worker of the one carries it, and
                // stays after that one's end, nothing tells that it isn't the other's, whose own carries an older key.
                if is_rotated && !self.setup.gateways[gateway].tells.worker_pids {
                    return;
                }
                return self.open(other, gateway, 0, Some(key));
            }
            Act::Resumes => {
                let Some(session) = self.sessions.at(slot) else { return };
                let (gateway, key) = (session.gateway, session.told_key().to_owned());
                return self.open(slot, gateway, 0, Some(key));
            }
            Act::Nests(other) => {
                let Some((gateway, host)) = self.live(slot).and_then(|s| Some((s.gateway, s.worker?))) else {
                    return;
                };
                return self.open_in(other, gateway, 0, None, Some(host));
            }
            Act::Rotates => {
                // Two rows with one key that name no worker: once one of them has another key, nothing tells whose the worker is that is left
                // with the older key when the other one is gone.
                if self.has_twin_by_key_alone(slot) {
                    return;
                }
                let worker = self.sessions.at(slot).and_then(|session| self.procs.alive(session.worker?));
                if worker.is_some_and(|worker| worker.said.is_some()) {
                    return;
                }
                let Some(session) = self.live(slot).filter(|row| row.misnamed.is_none()) else { return };
                session.rotated = Some(format!("{}-{now}", session.key));
                return;
            }
            Act::Closes => {
                if let Some(serial) = self.live(slot).map(|session| session.serial) {
                    self.end_session(serial, false);
                }
                return;
            }
            Act::Misnamed(wrong) => {
                // Nor is there anything once the process that was the gateway is gone, where rows have no keys.
                // And one that goes on beside its successor is any process to a run that has never seen it.
                let is_unknown = |world: &Self| {
                    let gateway = world.sessions.at(slot).map(|session| session.gateway);
                    gateway.is_some_and(|gateway| {
                        world.setup.gateways[gateway].hides_keys || world.gateways[gateway].draining.is_some()
                    })
                };
                if wrong == Wrong::Gateway && is_unknown(self) {
                    return;
                }
                let pid = self.wrong_pid(slot, wrong);
                // A row tells one lie: one that hides its key and names another's worker leaves nothing to see through it by.
                if let (Some(pid), Some(session)) =
                    (pid, self.live(slot).filter(|row| row.obscured.is_none() && row.rotated.is_none()))
                {
                    session.misnamed = Some(pid);
                    // Once nobody needs that one any more, it goes with the session that claims it.
                    let named = self.procs.get(pid).map(|proc| proc.serial);
                    if let Some(toil) = named.and_then(|serial| self.toils.get_mut(&serial)) {
                        (toil.blurred, toil.claimed) = (true, true);
                    }
                }
                self.weigh();
                return;
            }
            _ => {}
        }
        let slept = self.slept;
        let Some(session) = self.live(slot) else { return };
        match act {
            Act::Attaches => session.transport = Transport::Attached,
            Act::Drops if session.transport == Transport::Attached => {
                session.transport = Transport::Detached;
                (session.detached_at, session.detached_slept) = (now, slept);
            }
            Act::Prompts => session.turn = Turn::Running,
            Act::Asks if session.turn == Turn::Running => session.turn = Turn::Waiting,
            Act::TurnEnds if session.turn != Turn::Idle => {
                session.turn = Turn::Idle;
                (session.idle_at, session.idle_slept) = (now, slept);
            }
            Act::Held(hold) if !session.holds.contains(&hold) => session.holds.push(hold),
            Act::Released if !session.holds.is_empty() => session.holds.clear(),
            Act::EndsWithTransport => session.close_on_disconnect = true,
            Act::Obscured(field) if session.misnamed.is_none() => session.obscured = Some(field),
            _ => return,
        }
        session.stirs(now);
        let serial = session.serial;
        let wants_worker = session.worker.is_none() && act == Act::Prompts;
        if wants_worker && self.setup.gateways[session_gateway(&self.sessions, serial)].lazy {
            self.start_worker(serial);
        }
    }

    fn open(&mut self, slot: Slot, gateway: usize, built: u64, key: Option<String>) {
        self.open_in(slot, gateway, built, key, None);
    }

    fn open_in(
        &mut self,
        slot: Slot,
        gateway: usize,
        built: u64,
        key: Option<String>,
        nested_in: Option<Serial>,
    ) {
        let taken = self.sessions.at(slot).is_some_and(|session| session.life != Life::Closed);
        if taken || self.gateways[gateway].process.is_none() {
            return;
        }
        let (now, serial) = (self.now, self.sessions.next_serial());
        let is_omitted = self.table_fault(gateway) == Some(TableFault::Omits(slot));
        let built = if is_omitted { 0 } else { built };
        let id = format!("{slot}{serial}");
        self.sessions.add(Sess {
            serial,
            slot,
            key: key.unwrap_or_else(|| format!("key-{id}")),
            id,
            gateway,
            life: if built > 0 { Life::Unlisted } else { Life::Live },
            transport: Transport::Attached,
            turn: Turn::Idle,
            holds: Vec::new(),
            close_on_disconnect: serial % 5 == 4,
            obscured: None,
            misnamed: None,
            launcher: None,
            worker: None,
            detached_at: now,
            idle_at: now,
            detached_slept: self.slept,
            idle_slept: self.slept,
            activity: 0,
            orphan_since: None,
            closed_at: None,
            condemned: false,
            taken: false,
            nested_in,
            rotated: None,
        });
        let is_lazy = self.setup.gateways[gateway].lazy && nested_in.is_none();
        let worker = if is_lazy { None } else { self.start_worker(serial) };
        if built > 0 {
            if let Some(toil) = worker.and_then(|worker| self.toils.get_mut(&worker)) {
                toil.blurred = true;
            }
            self.plan(built, Happening::Listed(serial));
        }
    }

    fn wrong_pid(&self, slot: Slot, wrong: Wrong) -> Option<u32> {
        let gateway = self.sessions.at(slot)?.gateway;
        let of = |kind| self.procs.iter().find(|proc| proc.kind == kind).map(|proc| proc.pid);
        match wrong {
            // Where keys say nothing, that its worker was another, which ended, is a lie that nothing shows.
            Wrong::Nobody | Wrong::Bystander | Wrong::Reaper | Wrong::Another(_)
                if self.setup.gateways[gateway].hides_keys =>
            {
                None
            }
            Wrong::Init => Some(1),
            Wrong::Reaper => of(Kind::Reaper),
            Wrong::Gateway => of(Kind::Gateway(gateway)),
            Wrong::Bystander => of(Kind::Bystander),
            // That it names its own is no lie, also once it has got another one.
            Wrong::Another(other) if other == slot => None,
            Wrong::Another(other) => {
                let worker = self.sessions.at(other)?.worker?;
                Some(self.procs.alive(worker)?.pid)
            }
            Wrong::Nobody => Some(self.setup.pid_max + 7),
        }
    }

    fn befall(&mut self, slot: Slot, fate: Fate) {
        let Some((session, worker)) = self.sessions.at(slot).and_then(|s| Some((s.serial, s.worker?))) else {
            return;
        };
        match fate {
            Fate::Crashes => {
                self.lost_a_worker = true;
                self.die(worker);
            }
            Fate::Replaced(leaves) => {
                if self.live(slot).is_some()
                    && self.start_worker(session).is_some()
                    && leaves == Leaves::Nothing
                {
                    self.plan(15, Happening::Exits(worker));
                }
            }
            Fate::Forks => drop(self.fork(worker, false)),
            Fate::ForksLeader => drop(self.fork(worker, true)),
            Fate::Daemonizes => {
                if let Some(child) = self.fork(worker, false) {
                    self.fork(child, false);
                    self.plan(30, Happening::Exits(child));
                }
            }
            Fate::TurnsDeaf => self.deafen(worker),
            Fate::Stops => {
                if let Some(proc) = self.procs.by_serial_mut(worker) {
                    proc.stopped = true;
                }
            }
            Fate::LeadsSession => self.procs.setsid(worker),
            Fate::Copies => drop(self.copy(worker, false)),
            Fate::CopiesAway => drop(self.copy(worker, true)),
            Fate::ChangesUser => self.change_user(worker),
            Fate::Renames => self.rename(session, worker),
            Fate::ChildExits | Fate::ChildForks | Fate::ChildTurnsDeaf | Fate::ChildChangesUser => {
                let children: Vec<_> = self
                    .procs
                    .tree(worker)
                    .filter(|proc| proc.serial != worker)
                    .map(|proc| proc.serial)
                    .collect();
                if children.is_empty() {
                    return;
                }
                let child = self.noise.pick(&children);
                match fate {
                    Fate::ChildExits => self.die(child),
                    Fate::ChildForks => drop(self.fork(child, false)),
                    Fate::ChildTurnsDeaf => self.deafen(child),
                    _ => self.change_user(child),
                }
            }
        }
    }

    fn deafen(&mut self, serial: Serial) {
        if let Some(proc) = self.procs.by_serial_mut(serial) {
            proc.on_term = if serial.is_multiple_of(3) { OnTerm::ForksAndExits(10) } else { OnTerm::Ignores };
        }
    }

    /// A process of a worker's tree starts another.
    pub(crate) fn fork(&mut self, parent: Serial, leads_session: bool) -> Option<Serial> {
        let proc = self.procs.alive(parent).filter(|proc| !proc.stopped)?;
        let (pid, uid) = (proc.pid, proc.uid);
        let child = self.spawn(Birth {
            parent: pid,
            kind: Kind::Child,
            comm: "node",
            argv: Arc::from("node mcp-server.js"),
            uid,
            leads_session,
            on_term: OnTerm::Exits(5),
        })?;
        // Half of all such servers read to the end of their standard input.
        if let Some(proc) = self.procs.by_serial_mut(child) {
            proc.follows_parent = child % 2 == 0;
        }
        Some(child)
    }

    fn change_user(&mut self, serial: Serial) {
        let now = self.now;
        if let Some(proc) = self.procs.by_serial_mut(serial).filter(|proc| proc.uid != 0) {
            (proc.uid, proc.left_user_at) = (0, Some(now));
        }
    }

    /// A worker writes over its argv. To a run that has never seen it, or not with its session, it is any process.
    fn rename(&mut self, session: u64, worker: Serial) {
        let (Some(session), Some(proc)) = (self.sessions.get(session), self.procs.alive(worker)) else {
            return;
        };
        // A row tells one lie: where its key isn't its worker's, nothing else tells whose a copy is.
        if proc.uid != USER || proc.said.is_some() || session.rotated.is_some() {
            return;
        }
        let identity = self.procs.identity(proc);
        let gateway = gateway_name(session.gateway);
        let (boot, now) = (self.boot_id(), self.awake());
        let is_known_as_its = |disk: &Disk| {
            let ledger = disk.load(&boot, now);
            let workers = ledger.gateways.get(&gateway.as_str().into()).map(|memory| &memory.workers);
            let known = workers.and_then(|workers| workers.iter().find(|known| known.identity == identity));
            let had = known.and_then(|known| known.session.as_ref());
            had.is_some_and(|had| {
                had.gateway.is_none() && *session.id == *had.id.as_str() && !had.earlier_run
            })
        };
        if !self.disks.iter().all(is_known_as_its) {
            return;
        }
        if let Some(proc) = self.procs.by_serial_mut(worker) {
            proc.said = Some(std::mem::replace(&mut proc.argv, Arc::from("renamed")));
        }
    }

    /// What was written over says again what it did: without its memory no run can know what it is.
    pub(crate) fn unname(&mut self) {
        for proc in self.procs.iter_mut() {
            if let Some(said) = proc.said.take() {
                proc.argv = said;
            }
        }
    }

    /// A worker forks and doesn't execute anything else; twice, so that the copy is adopted.
    fn copy(&mut self, worker: Serial, away: bool) -> Option<Serial> {
        let proc = self.procs.alive(worker).filter(|proc| !proc.stopped)?;
        let (pid, uid, argv) = (proc.pid, proc.uid, Arc::clone(&proc.argv));
        let child = self.spawn(Birth {
            parent: pid,
            kind: Kind::Child,
            comm: "python",
            argv,
            uid,
            leads_session: away,
            on_term: OnTerm::Exits(20),
        })?;
        if away {
            self.procs.adopt(child);
        }
        Some(child)
    }

    /// Others come and go, and PIDs are used up. The last one stays for a while and leaves a child in its group.
    fn churn(&mut self, count: u64) {
        for index in 0..count {
            let leads_session = index % 2 == 0;
            let bystander = self.spawn(Birth {
                parent: self.supervisor,
                kind: Kind::Bystander,
                comm: "sh",
                argv: Arc::from("vim notes about python -m tui_gateway.slash_worker --session-key x"),
                uid: USER,
                leads_session,
                on_term: OnTerm::Exits(0),
            });
            let Some(bystander) = bystander else { return };
            let life = if index + 2 < count { 0 } else { self.noise.between(200, 40_000) };
            if index + 1 == count
                && let Some(pid) = self.procs.by_serial(bystander).map(|proc| proc.pid)
            {
                let child = self.spawn(Birth {
                    parent: pid,
                    kind: Kind::Bystander,
                    comm: "sh",
                    argv: Arc::from("sleep 60"),
                    uid: USER,
                    leads_session: false,
                    on_term: OnTerm::Exits(0),
                });
                if let Some(child) = child {
                    self.plan(life + 30_000, Happening::Exits(child));
                }
            }
            if life == 0 {
                self.die(bystander);
            } else {
                self.plan(life, Happening::Exits(bystander));
            }
        }
    }

    /// Somebody else's process with a child. Returns the process.
    pub(crate) fn family(&mut self, leads_session: bool) -> Option<Serial> {
        let birth = |parent, leads_session| Birth {
            parent,
            kind: Kind::Bystander,
            comm: "sh",
            argv: Arc::from("make"),
            uid: USER,
            leads_session,
            on_term: OnTerm::Exits(0),
        };
        let parent = self.spawn(birth(self.supervisor, leads_session))?;
        let pid = self.procs.by_serial(parent).map_or(1, |proc| proc.pid);
        let child = self.spawn(birth(pid, false));
        for serial in child.into_iter().chain([parent]) {
            self.plan(20_000, Happening::Exits(serial));
        }
        Some(parent)
    }

    fn turn(&mut self, index: usize, turn: Turnabout) {
        let now = self.now;
        match turn {
            Turnabout::Crashes => {
                if let Some(process) = self.gateways[index].process {
                    self.die(process);
                }
            }
            Turnabout::Starts => self.start_gateway(index),
            Turnabout::Drains(span) => self.replace_gateway(index, span),
            Turnabout::Execs => {
                if self.gateways[index].process.is_some() {
                    self.gateways[index].run += 1;
                    self.lose_sessions(index);
                    self.take_back(index);
                }
            }
            Turnabout::Hangs(span) => self.gateways[index].hangs_until = now + span,
            Turnabout::Table(fault, span) => {
                if let TableFault::Omits(slot) = fault
                    && let Some(worker) = self.sessions.at(slot).and_then(|session| session.worker)
                    && let Some(toil) = self.toils.get_mut(&worker)
                    // Left out a second time, it may look to polls as if it had been left out ever since the first.
                    && std::mem::replace(&mut toil.blurred, true)
                {
                    return;
                }
                if fault == TableFault::Anonymous {
                    self.end_draining(index);
                }
                let is_late = fault == TableFault::Closed && self.gateways[index].blinked;
                self.gateways[index].blinked |= fault == TableFault::Closed;
                if !is_late {
                    self.gateways[index].table_fault = Some((fault, now + span));
                }
            }
            Turnabout::Close(fault, span) => self.gateways[index].close_fault = Some((fault, now + span)),
            Turnabout::Leaks => self.gateways[index].leaks = true,
        }
    }

    fn weather(&mut self, weather: Weather) {
        match weather {
            Weather::Sleeps(span) => self.slept += span,
            // Nobody here looks at the wall clock, and that is the point.
            Weather::WallJumps(_) => {}
            Weather::Reboots => self.reboot(),
        }
    }

    fn reboot(&mut self) {
        for index in 0..self.gateways.len() {
            (self.gateways[index].process, self.gateways[index].draining) = (None, None);
            self.lose_sessions(index);
        }
        self.foreign = None;
        self.container = None;
        for session in self.sessions.iter_mut() {
            session.life = Life::Closed;
            session.settles(self.now);
        }
        self.procs.clear();
        self.toils.clear();
        for disk in 0..self.disks.len() {
            self.kill(disk);
        }
        self.boots += 1;
        self.booted_at = self.now;
        self.slept = 0;
        self.boot();
    }
}

fn session_gateway(sessions: &Sessions, serial: u64) -> usize {
    sessions.get(serial).map_or(0, |session| session.gateway)
}
