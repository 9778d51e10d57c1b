//! The process table of the simulated machine: a PID space so small that PIDs are reused all the time, start ticks, zombies, reparenting
//! to subreapers, groups and sessions. Each process knows whose tree it is of, which no look can see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::process::{PidNamespace, PidfdInode, Process, ProcessIdentity};

use super::setup::USER;

/// One process and no other, ever: the truth that PIDs and ticks only approximate.
pub(crate) type Serial = u64;

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Init,
    KernelThread,
    /// Whatever starts and restarts gateways; adopts what they leave if it is a subreaper.
    Supervisor,
    /// A gateway of the configuration, by its index.
    Gateway(usize),
    /// A gateway that nobody configured.
    ForeignGateway,
    Reaper,
    Bystander,
    /// A worker of a configured gateway.
    Worker,
    /// Something that descends from a worker.
    Child,
    /// A shell that a gateway started to run one worker and nothing else.
    Wrapper,
    /// The first process of a container, with workers that look like all others.
    Container,
}

/// What a process does when it is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnTerm {
    /// Exits after so many milliseconds.
    Exits(u64),
    /// Doesn't care.
    Ignores,
    /// Starts another process first, then exits.
    ForksAndExits(u64),
}

#[derive(Debug, Clone)]
pub(crate) struct Proc {
    pub(crate) serial: Serial,
    pub(crate) pid: u32,
    pub(crate) start_ticks: u64,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) session: u32,
    pub(crate) uid: u32,
    pub(crate) comm: &'static str,
    pub(crate) argv: Arc<str>,
    pub(crate) zombie: bool,
    pub(crate) stopped: bool,
    pub(crate) subreaper: bool,
    pub(crate) kind: Kind,
    pub(crate) on_term: OnTerm,
    /// Exits when its parent does (it reads to the end of a pipe).
    pub(crate) follows_parent: bool,
    /// The worker it descends from, itself included.
    pub(crate) root: Option<Serial>,
    /// The chain of living parents up to its worker is broken: no look at any tree leads to it.
    pub(crate) strayed: bool,
    /// When a listing of children last missed it.
    pub(crate) missed: bool,
    /// Its PID namespace.
    pub(crate) namespace: PidNamespace,
    /// How many processes it started.
    pub(crate) forks: u64,
    /// When it became another user's.
    pub(crate) left_user_at: Option<u64>,
    /// What its argv was before it wrote over that.
    pub(crate) said: Option<Arc<str>>,
}

/// The machine's first PID namespace, the reaper's own.
pub(crate) const OWN_NAMESPACE: PidNamespace = PidNamespace::Inode(1);

/// A container's.
pub(crate) const OTHER_NAMESPACE: PidNamespace = PidNamespace::Inode(2);

/// What workers' argv begin with.
pub(crate) const WORKER_ARGV: &str = "/usr/bin/python3 -m tui_gateway.slash_worker --session-key ";

/// How a process comes to be.
#[derive(Debug, Clone)]
pub(crate) struct Birth {
    pub(crate) parent: u32,
    pub(crate) kind: Kind,
    pub(crate) comm: &'static str,
    pub(crate) argv: Arc<str>,
    pub(crate) uid: u32,
    pub(crate) leads_session: bool,
    pub(crate) on_term: OnTerm,
}

#[derive(Debug)]
pub(crate) struct Procs {
    by_pid: BTreeMap<u32, Proc>,
    by_serial: BTreeMap<Serial, u32>,
    next_pid: u32,
    pid_max: u32,
    next_serial: Serial,
    /// The kernel has pidfs: an inode tells processes apart that were started in one tick.
    pidfs: bool,
    /// PIDs that were given out in this tick; without pidfs none is given out twice in one, as no machine forks that fast.
    in_this_tick: (u64, BTreeSet<u32>),
}

impl Proc {
    /// The key that its argv carries, if it is a worker.
    pub(crate) fn key(&self) -> &str {
        self.argv.rsplit(' ').next().unwrap_or_default()
    }

    /// A worker, or a copy of one that it made by forking without exec, as far as anybody can see.
    pub(crate) fn looks_like_worker(&self) -> bool {
        !self.zombie && self.uid == USER && self.argv.starts_with(WORKER_ARGV)
    }
}

impl Procs {
    pub(crate) fn new(pid_max: u32, pidfs: bool) -> Self {
        Self {
            by_pid: BTreeMap::new(),
            by_serial: BTreeMap::new(),
            next_pid: 1,
            pid_max,
            next_serial: 1,
            pidfs,
            in_this_tick: (0, BTreeSet::new()),
        }
    }

    /// Everything is gone, as after a reboot.
    pub(crate) fn clear(&mut self) {
        self.by_pid.clear();
        self.by_serial.clear();
        self.next_pid = 1;
        // Ticks begin again, too.
        self.in_this_tick.1.clear();
    }

    pub(crate) fn get(&self, pid: u32) -> Option<&Proc> {
        self.by_pid.get(&pid)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Proc> {
        self.by_pid.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Proc> {
        self.by_pid.values_mut()
    }

    pub(crate) fn by_serial(&self, serial: Serial) -> Option<&Proc> {
        self.by_pid.get(self.by_serial.get(&serial)?)
    }

    pub(crate) fn by_serial_mut(&mut self, serial: Serial) -> Option<&mut Proc> {
        self.by_pid.get_mut(self.by_serial.get(&serial)?)
    }

    /// The very process, not dead.
    pub(crate) fn alive(&self, serial: Serial) -> Option<&Proc> {
        self.by_serial(serial).filter(|proc| !proc.zombie)
    }

    pub(crate) fn children(&self, pid: u32) -> impl Iterator<Item = &Proc> {
        self.by_pid.values().filter(move |proc| proc.parent == pid && !proc.zombie)
    }

    /// Whoever lives of a worker's tree.
    pub(crate) fn tree(&self, root: Serial) -> impl Iterator<Item = &Proc> {
        self.by_pid.values().filter(move |proc| proc.root == Some(root) && !proc.zombie)
    }

    pub(crate) fn identity(&self, proc: &Proc) -> ProcessIdentity {
        ProcessIdentity {
            pid: Pid::new(u64::from(proc.pid)).unwrap(),
            start_ticks: proc.start_ticks,
            inode: PidfdInode::new(proc.serial).filter(|_| self.pidfs),
        }
    }

    /// The process as a look shows it.
    pub(crate) fn show(&self, proc: &Proc) -> Process {
        // Another user's argv and namespace aren't read.
        let is_open = proc.uid == USER;
        Process {
            namespace: is_open.then_some(proc.namespace),
            identity: self.identity(proc),
            parent: Pid::new(u64::from(proc.parent)),
            group: proc.group,
            session: proc.session,
            comm: proc.comm.into(),
            uid: proc.uid,
            zombie: proc.zombie,
            kernel: proc.kind == Kind::KernelThread,
            argv: is_open.then(|| Arc::clone(&proc.argv)),
            rss_bytes: Some(1 << 20),
        }
    }

    /// This is the next number that is given out, if it is free.
    pub(crate) fn give_next(&mut self, pid: u32) {
        self.next_pid = pid;
    }

    /// A number that no process, group or session has.
    fn free_pid(&mut self, ticks: u64) -> Option<u32> {
        if self.in_this_tick.0 != ticks {
            self.in_this_tick = (ticks, BTreeSet::new());
        }
        for _ in 0..self.pid_max {
            let pid = self.next_pid;
            self.next_pid = if pid >= self.pid_max { 2 } else { pid + 1 };
            let taken =
                self.by_pid.values().any(|proc| proc.pid == pid || proc.group == pid || proc.session == pid);
            if !taken && (self.pidfs || !self.in_this_tick.1.contains(&pid)) {
                return Some(pid);
            }
        }
        None
    }

    /// Starts a process. `None`: no PID is left.
    pub(crate) fn spawn(&mut self, birth: Birth, ticks: u64) -> Option<Serial> {
        let pid = self.free_pid(ticks)?;
        self.in_this_tick.1.insert(pid);
        let serial = self.next_serial;
        self.next_serial += 1;
        let parent = self.by_pid.get(&birth.parent);
        let inherit = parent.filter(|_| !birth.leads_session);
        let root = match birth.kind {
            Kind::Worker => Some(serial),
            Kind::Child => parent.and_then(|parent| parent.root),
            _ => None,
        };
        let proc = Proc {
            serial,
            pid,
            start_ticks: ticks,
            parent: birth.parent,
            group: inherit.map_or(pid, |parent| parent.group),
            session: inherit.map_or(pid, |parent| parent.session),
            uid: birth.uid,
            comm: birth.comm,
            argv: birth.argv,
            zombie: false,
            stopped: false,
            subreaper: false,
            kind: birth.kind,
            on_term: birth.on_term,
            follows_parent: false,
            root,
            strayed: parent.is_some_and(|parent| parent.strayed),
            missed: false,
            namespace: parent.map_or(OWN_NAMESPACE, |parent| parent.namespace),
            forks: 0,
            left_user_at: None,
            said: None,
        };
        if let Some(parent) = self.by_pid.get_mut(&birth.parent) {
            parent.forks += 1;
        }
        self.by_pid.insert(pid, proc);
        self.by_serial.insert(serial, pid);
        Some(serial)
    }

    /// Dies. Its children go to the nearest living subreaper among its ancestors, else to init. Returns those that noticed.
    pub(crate) fn exit(&mut self, serial: Serial) -> Vec<Serial> {
        let Some(proc) = self.by_serial_mut(serial).filter(|proc| !proc.zombie) else { return Vec::new() };
        proc.zombie = true;
        proc.stopped = false;
        let (pid, root) = (proc.pid, proc.root);
        let adopter = self.adopter(proc_parent(self, serial));
        let mut followers = Vec::new();
        let mut stray = Vec::new();
        for child in self.by_pid.values_mut().filter(|child| child.parent == pid) {
            child.parent = adopter;
            if root.is_some() && child.root == root && !child.zombie {
                stray.push(child.serial);
            }
            if child.follows_parent && !child.zombie {
                followers.push(child.serial);
            }
        }
        // Init waits for what it adopts.
        let dead: Vec<_> = self
            .by_pid
            .values()
            .filter(|proc| proc.zombie && proc.parent <= 1)
            .map(|proc| proc.serial)
            .collect();
        for serial in dead {
            self.reap(serial);
        }
        for serial in stray {
            self.stray(serial);
        }
        followers
    }

    /// Its parent was a process between it and this one, which is gone: it goes to the adopter of its parent.
    pub(crate) fn adopt(&mut self, serial: Serial) {
        let adopter = self.adopter(proc_parent(self, serial));
        if let Some(proc) = self.by_serial_mut(serial) {
            proc.parent = adopter;
        }
        self.stray(serial);
    }

    /// From here down nothing leads to the worker any more.
    fn stray(&mut self, serial: Serial) {
        let Some(proc) = self.by_serial_mut(serial) else { return };
        proc.strayed = true;
        let pid = proc.pid;
        let children: Vec<_> = self.children(pid).map(|child| child.serial).collect();
        for child in children {
            self.stray(child);
        }
    }

    /// Who adopts the children of this process.
    pub(crate) fn adopter(&self, mut pid: u32) -> u32 {
        while let Some(proc) = self.by_pid.get(&pid) {
            if proc.subreaper && !proc.zombie {
                return pid;
            }
            pid = proc.parent;
        }
        1
    }

    /// Its parent waited for it.
    pub(crate) fn reap(&mut self, serial: Serial) {
        if self.by_serial(serial).is_some_and(|proc| proc.zombie)
            && let Some(pid) = self.by_serial.remove(&serial)
        {
            self.by_pid.remove(&pid);
        }
    }

    /// Leads a session and a group of its own from now on.
    pub(crate) fn setsid(&mut self, serial: Serial) {
        if let Some(proc) = self.by_serial_mut(serial).filter(|proc| proc.group != proc.pid) {
            proc.group = proc.pid;
            proc.session = proc.pid;
        }
    }
}

fn proc_parent(procs: &Procs, serial: Serial) -> u32 {
    procs.by_serial(serial).map_or(1, |proc| proc.parent)
}
