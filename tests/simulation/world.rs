//! The world: a clock, a queue of what is going to happen, the processes, the gateways and their sessions. What happens is the same for
//! the same plan, to the letter.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use gateway_reaper::domain::ids::BootId;
use gateway_reaper::domain::policy::Rules;
use gateway_reaper::domain::process::ProcessIdentity;
use gateway_reaper::domain::time::Awake;

use super::disk::Disk;
use super::event::{CloseFault, Event, TableFault};
use super::hands::Grip;
use super::procs::{Birth, Kind, OnTerm, Procs, Serial};
use super::rng::Rng;
use super::session::{Life, Sess, Sessions};
use super::setup::{Setup, USER, rules};

/// What is going to happen by itself.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    Event(Event),
    Exits(Serial),
    /// Its parent waits for it.
    Waited(Serial),
    /// The session's row appears.
    Listed(u64),
    GatewayStarts(usize),
    /// A close that was asked for long ago is carried out, if it still may be.
    LateClose {
        gateway: usize,
        session: String,
        run: u64,
    },
}

/// A gateway at work.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// Its process, while it runs.
    pub(crate) process: Option<Serial>,
    /// One that was replaced and goes on with sessions.
    pub(crate) draining: Option<Serial>,
    /// Counts its runs.
    pub(crate) run: u64,
    pub(crate) hangs_until: u64,
    pub(crate) table_fault: Option<(TableFault, u64)>,
    pub(crate) close_fault: Option<(CloseFault, u64)>,
    pub(crate) leaks: bool,
    /// For a while it looked as if it were gone for good.
    pub(crate) blinked: bool,
}

/// A worker that was started at some time.
#[derive(Debug, Clone)]
pub(crate) struct Toil {
    pub(crate) gateway: Option<usize>,
    pub(crate) session: u64,
    /// The truth: nobody has needed it since.
    pub(crate) orphan_since: Option<u64>,
    /// It was needed while no table named it (its session was being built, or left out): to polls it may have looked like nobody's
    /// for longer than it was.
    pub(crate) blurred: bool,
    /// It is in another PID namespace, and none of the reaper's business.
    pub(crate) is_elsewhere: bool,
    /// It was an orphan's, and its gateway took it back then.
    pub(crate) needed_since: Option<u64>,
    /// A row that isn't its own has named it.
    pub(crate) claimed: bool,
    /// It has led a session of its own from the beginning.
    pub(crate) leads: bool,
    /// It was rightly condemned before: the run that finishes it need not wait again.
    pub(crate) condemned: bool,
    /// A run has seen it as a child of its gateway, and remembers.
    pub(crate) known_to: Vec<usize>,
}

impl Toil {
    /// A worker's, of a session of this gateway; of none in the configuration, it serves another one.
    pub(crate) fn new(gateway: Option<usize>, session: u64) -> Self {
        Self {
            gateway,
            session,
            orphan_since: None,
            blurred: false,
            is_elsewhere: false,
            needed_since: None,
            claimed: false,
            leads: false,
            condemned: false,
            known_to: Vec::new(),
        }
    }
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) rules: Rc<[Rules]>,
    pub(crate) now: u64,
    pub(crate) booted_at: u64,
    pub(crate) slept: u64,
    pub(crate) boots: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    count: u64,
    pub(crate) procs: Procs,
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) foreign: Option<Serial>,
    pub(crate) supervisor: u32,
    /// The first process of a container.
    pub(crate) container: Option<u32>,
    pub(crate) sessions: Sessions,
    pub(crate) toils: BTreeMap<Serial, Toil>,
    /// Processes that a run took in hand and whose journal is still there.
    pub(crate) inventory: BTreeMap<Serial, ProcessIdentity>,
    pub(crate) disks: Vec<Disk>,
    pub(crate) grips: Vec<Grip>,
    pub(crate) noise: Rng,
    /// Somebody has exited since the runs were last told.
    pub(crate) exits: u64,
    /// The machine was restarted, or a run killed: it is dropped where it stands.
    pub(crate) killed: Vec<usize>,
    /// Runs that are wanted now.
    pub(crate) wanted: Vec<usize>,
    /// The worker of a session has crashed.
    pub(crate) lost_a_worker: bool,
    pub(crate) story: Option<Vec<String>>,
    pub(crate) breach: Option<String>,
    pub(crate) acts: u64,
}

impl World {
    pub(crate) fn new(setup: Setup, seed: u64, told: bool) -> Self {
        let gateways = setup.gateways.iter().map(|gateway| Gateway {
            process: None,
            draining: None,
            run: 0,
            hangs_until: 0,
            table_fault: None,
            close_fault: None,
            leaks: gateway.leaks,
            blinked: false,
        });
        let mut world = Self {
            now: 0,
            booted_at: 0,
            slept: 0,
            boots: 0,
            queue: BTreeMap::new(),
            count: 0,
            procs: Procs::new(setup.pid_max, setup.pidfs),
            gateways: gateways.collect(),
            foreign: None,
            supervisor: 1,
            container: None,
            sessions: Sessions::default(),
            toils: BTreeMap::new(),
            inventory: BTreeMap::new(),
            disks: setup.reapers.iter().map(|_| Disk::default()).collect(),
            grips: setup.reapers.iter().map(|_| Grip::default()).collect(),
            noise: Rng::new(seed, 2),
            exits: 0,
            killed: Vec::new(),
            wanted: Vec::new(),
            lost_a_worker: false,
            story: told.then(Vec::new),
            breach: None,
            acts: 0,
            rules: rules(&setup).into(),
            setup,
        };
        world.boot();
        world
    }

    /// Init, a kernel thread, whatever starts gateways, and the gateways.
    pub(crate) fn boot(&mut self) {
        let birth = |kind, parent, comm, uid| Birth {
            parent,
            kind,
            comm,
            argv: Arc::from(comm),
            uid,
            leads_session: true,
            on_term: OnTerm::Ignores,
        };
        let ticks = self.ticks();
        let init = if self.setup.init_is_init { "systemd" } else { "entrypoint" };
        self.procs.spawn(birth(Kind::Init, 0, init, 0), ticks);
        self.procs.spawn(birth(Kind::KernelThread, 0, "kthreadd", 0), ticks);
        let supervisor = self.procs.spawn(birth(Kind::Supervisor, 1, "supervisor", USER), ticks);
        if let Some(supervisor) = supervisor.and_then(|serial| self.procs.by_serial_mut(serial)) {
            supervisor.subreaper = self.setup.supervisor_adopts;
            self.supervisor = supervisor.pid;
        }
        if self.setup.container || self.setup.has_contained() {
            self.start_container();
        }
        for index in 0..self.gateways.len() {
            self.start_gateway(index);
        }
        if self.setup.foreign_gateway {
            self.start_foreign();
        }
    }

    pub(crate) fn awake(&self) -> Awake {
        Awake::from_nanos((self.now - self.booted_at) * 1_000_000)
    }

    /// Start ticks count the machine's sleep.
    pub(crate) fn ticks(&self) -> u64 {
        (self.now - self.booted_at + self.slept) / 10
    }

    pub(crate) fn boot_id(&self) -> BootId {
        format!("boot {}", self.boots).into()
    }

    /// Lets something happen in so many milliseconds.
    pub(crate) fn plan(&mut self, delay: u64, what: Happening) {
        self.plan_at(self.now + delay, what);
    }

    pub(crate) fn plan_at(&mut self, at: u64, what: Happening) {
        self.count += 1;
        self.queue.insert((at, self.count), what);
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets time pass, and everything happen that happens meanwhile.
    pub(crate) fn pass_until(&mut self, until: u64) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((at, _), what) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(what);
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Event(event) => {
                if self.story.is_some() {
                    self.say(|_| format!("{event}"));
                }
                self.apply(&event);
            }
            Happening::Exits(serial) => self.die(serial),
            Happening::Waited(serial) => self.procs.reap(serial),
            Happening::Listed(serial) => {
                let now = self.now;
                if let Some(session) = self.sessions.get_mut(serial).filter(|s| s.life == Life::Unlisted) {
                    session.life = Life::Live;
                    session.stirs(now);
                }
                self.weigh();
            }
            Happening::GatewayStarts(index) => self.start_gateway(index),
            Happening::LateClose { gateway, session, run } => {
                if self.gateways[gateway].run == run {
                    self.close_if_orphan(gateway, &session, false);
                }
            }
        }
    }

    /// Tells the story, where somebody listens.
    pub(crate) fn say(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.story.is_some() {
            let line = format!("{:>9.3}s  {}", self.now as f64 / 1000.0, what(self));
            if let Some(story) = &mut self.story {
                story.push(line);
            }
        }
    }

    /// Something happened that may never happen.
    pub(crate) fn breach(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.say(|_| format!("!!! {what}"));
        self.breach.get_or_insert(what);
    }

    /// Starts a process.
    pub(crate) fn spawn(&mut self, birth: Birth) -> Option<Serial> {
        let ticks = self.ticks();
        self.procs.spawn(birth, ticks)
    }

    /// A process dies, and with it whatever hangs on it.
    pub(crate) fn die(&mut self, serial: Serial) {
        let Some(proc) = self.procs.alive(serial) else { return };
        let (parent, kind, pid) = (proc.parent, proc.kind, proc.pid);
        let matters = !matches!(kind, Kind::Bystander | Kind::Reaper);
        if matters && self.story.is_some() {
            self.say(|_| format!("    {kind:?} {pid} exits"));
        }
        self.exits += 1;
        for follower in self.procs.exit(serial) {
            self.plan(5, Happening::Exits(follower));
        }
        let waits = match self.procs.get(parent).map(|parent| parent.kind) {
            Some(Kind::Gateway(index)) => self.setup.gateways[index].waits_ms,
            _ => 0,
        };
        if waits == 0 {
            self.procs.reap(serial);
        } else {
            self.plan(waits, Happening::Waited(serial));
        }
        let shell = self.procs.get(parent).filter(|parent| parent.kind == Kind::Wrapper && !parent.zombie);
        if let Some(shell) = shell.map(|shell| shell.serial) {
            self.plan(5, Happening::Exits(shell));
        }
        if let Kind::Gateway(index) = kind {
            self.gateway_died(index, serial);
            self.drained(index, serial);
        } else if kind == Kind::ForeignGateway {
            self.foreign = None;
        }
        self.weigh();
    }

    /// Writes down who is needed by nobody now.
    pub(crate) fn weigh(&mut self) {
        let now = self.now;
        for (serial, toil) in &mut self.toils {
            let needed = match toil.gateway {
                _ if toil.is_elsewhere => true,
                // It was ended, rightly, before another run of its gateway took its session back: that one has no worker.
                Some(_) if toil.condemned && self.procs.alive(*serial).is_none() => false,
                None => self.foreign.is_some_and(|gateway| gateway == toil.session),
                Some(_) => self
                    .sessions
                    .get(toil.session)
                    .filter(|session| !matches!(session.life, Life::Closed | Life::Suspended))
                    .is_some_and(|session| session.worker == Some(*serial)),
            };
            toil.orphan_since = if needed { None } else { toil.orphan_since.or(Some(now)) };
        }
        self.set_right();
    }

    /// Ends the lies that nothing tells from the truth: a row that names a worker with its very key, which no other row names.
    fn set_right(&mut self) {
        let is_hidden = |row: &&Sess| {
            let named =
                row.misnamed.and_then(|pid| self.procs.get(pid)).filter(|named| named.key() == row.key);
            let is_its =
                |other: &Sess| other.life == Life::Live && other.worker == named.map(|named| named.serial);
            named.is_some() && !self.sessions.iter().any(is_its)
        };
        let rows: Vec<u64> = self.sessions.iter().filter(is_hidden).map(|row| row.serial).collect();
        for row in rows {
            self.sessions.get_mut(row).unwrap().misnamed = None;
        }
    }
}
