//! The reaper's hands: the very traits that production implements, over the simulated world. Each call takes a moment, in which the
//! world goes on; each may be the reaper's last.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::ledger::Unfinished;
use gateway_reaper::domain::process::{Process, ProcessIdentity};
use gateway_reaper::domain::time::Awake;
use gateway_reaper::reap::kernel::{Delivery, Family, Kernel, KernelError, Listing, Reread, Signal};
use gateway_reaper::reap::outcome::{Ending, Step};
use gateway_reaper::reap::record::{Case, Record};

use super::disk::{Line, Sight};
use super::listed::Listed;
use super::procs::{Kind, OnTerm, Serial};
use super::setup::USER;
use super::world::{Happening, World};

/// What is known of a run from outside of it.
#[derive(Debug, Default)]
pub(crate) struct Grip {
    /// Killed after so many more calls.
    pub(crate) fuse: Option<u64>,
    /// Killed: nothing it does has any effect.
    pub(crate) dead: bool,
    /// How often its state directory had lost memory when it began.
    pub(crate) losses: u64,
    /// What it reported.
    pub(crate) listed: Listed,
    /// What it wrote to the audit log.
    pub(crate) announced: Vec<(Step, Option<ProcessIdentity>)>,
    /// The sessions that it wrote there that it would close.
    pub(crate) closes: Vec<String>,
    /// The processes that it took hold of.
    pub(crate) held: BTreeSet<Serial>,
    /// When it signalled a process to end.
    pub(crate) termed: BTreeMap<Serial, u64>,
    /// The workers that it began to end, rightly.
    pub(crate) begun: BTreeSet<Serial>,
    /// When it last asked for a table.
    pub(crate) asked: u64,
    /// When the gateways wrote the tables of its look: a run that is stopped after it began to ask gets what they write once it goes on.
    pub(crate) written: u64,
    /// What it saw of the sessions, by gateway and id.
    pub(crate) seen: Vec<((usize, String), Seen)>,
    /// When the gateway's clocks started at the latest, by what the looks that it remembers had seen; by serial number.
    pub(crate) starts: BTreeMap<u64, u64>,
    pub(crate) next_starts: BTreeMap<u64, u64>,
    /// The process that made the last look makes this one.
    pub(crate) is_continued: bool,
    /// What the looks that it remembers had seen.
    pub(crate) base: BTreeMap<u64, Sight>,
    /// What this look adds to the remembered ones, once it is saved: the orphans, and who was seen to be none.
    pub(crate) sights: Option<Sights>,
}

/// Orphans by serial number, and who was seen to be none, when.
pub(crate) type Sights = (BTreeMap<u64, Sight>, Vec<(u64, u64)>);

/// The truth about a row at the instant it was written.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) serial: u64,
    pub(crate) at: u64,
    pub(crate) is_orphan: bool,
    pub(crate) makes_sense: bool,
    pub(crate) ends_with_transport: bool,
    pub(crate) orphan_since: Option<u64>,
    pub(crate) lull_since: u64,
    /// How long its gateway's own clocks say it has been one.
    pub(crate) claim: u64,
}

/// The hands of the run that holds a state directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hands<'w> {
    pub(crate) world: &'w RefCell<World>,
    pub(crate) disk: usize,
}

fn gone() -> io::Error {
    io::Error::other("the reaper is dead")
}

impl Hands<'_> {
    /// A call to the system: takes a moment, and may be the last.
    fn call<T>(&self, effect: impl FnOnce(&mut World) -> T) -> Option<T> {
        let mut world = self.world.borrow_mut();
        let grip = &mut world.grips[self.disk];
        if grip.dead {
            return None;
        }
        match &mut grip.fuse {
            Some(0) => {
                (grip.dead, grip.fuse) = (true, None);
                world.say(|_| "    the reaper is killed".to_owned());
                return None;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        let frozen = world.disks[self.disk].frozen_until;
        if frozen > world.now {
            world.pass_until(frozen);
        }
        if world.noise.percent(20) {
            let moment = world.moment(3);
            let until = world.now + moment;
            world.pass_until(until);
        }
        (!world.grips[self.disk].dead).then(|| effect(&mut world))
    }

    fn error(what: &'static str, pid: Pid) -> KernelError {
        KernelError { what, pid, source: gone() }
    }
}

impl Kernel for Hands<'_> {
    type Held = Serial;

    fn now(&self) -> Awake {
        self.world.borrow().awake()
    }

    fn ticks(&self) -> u64 {
        self.world.borrow().ticks()
    }

    fn ticks_at(&self, at: Awake) -> u64 {
        let since = u64::try_from(self.now().since(at).as_millis()).unwrap_or(u64::MAX);
        self.ticks().saturating_sub(since / 10)
    }

    fn hold(&mut self, who: ProcessIdentity) -> Result<Option<(Serial, Process)>, KernelError> {
        let disk = self.disk;
        self.call(|world| {
            if world.kernel_fails() {
                return Err(Self::error("pidfd_open", who.pid));
            }
            world.race(who.pid.get());
            let proc = world.procs.get(who.pid.get()).filter(|proc| !proc.zombie);
            let same = proc.filter(|proc| world.procs.identity(proc) == who);
            let held = same.map(|proc| (proc.serial, world.procs.show(proc)));
            world.grips[disk].held.extend(held.as_ref().map(|(serial, _)| *serial));
            Ok(held)
        })
        .unwrap_or_else(|| Err(Self::error("pidfd_open", who.pid)))
    }

    fn reread(&mut self, held: &Serial, _: Reread) -> Result<Option<Process>, KernelError> {
        let serial = *held;
        self.call(|world| Ok(world.procs.alive(serial).map(|proc| world.procs.show(proc))))
            .unwrap_or_else(|| Err(Self::error("reread", Pid::INIT)))
    }

    fn memory(&mut self, who: ProcessIdentity) -> Option<u64> {
        let world = self.world.borrow();
        let proc = world.procs.get(who.pid.get()).filter(|proc| world.procs.identity(proc) == who)?;
        world.procs.show(proc).rss_bytes
    }

    fn signal(&mut self, held: &Serial, signal: Signal) -> Result<Delivery, KernelError> {
        let (serial, disk) = (*held, self.disk);
        self.call(|world| {
            if let Some(pid) = world.procs.alive(serial).map(|proc| proc.pid) {
                world.race(pid);
            }
            world.signal(disk, serial, signal)
        })
        .unwrap_or_else(|| Err(Self::error("pidfd_send_signal", Pid::INIT)))
    }

    fn exited(&mut self, held: &Serial) -> Result<bool, KernelError> {
        let serial = *held;
        self.call(|world| Ok(world.procs.alive(serial).is_none()))
            .unwrap_or_else(|| Err(Self::error("poll", Pid::INIT)))
    }

    /// By PID, as the kernel's file is: the process that has that PID now.
    fn family(&mut self, of: Pid, listing: Listing) -> Result<Option<Family>, KernelError> {
        self.call(|world| {
            world.race(of.get());
            let own = world.procs.get(of.get()).map(|proc| (proc.group, proc.session));
            let Some((group, session)) = own else { return Ok(None) };
            let children = world.list_children(of.get());
            // One that was left out makes an empty list no proof.
            let is_childless = listing == Listing::Whole && world.procs.children(of.get()).next().is_none();
            Ok(Some(Family { group, session, children, is_childless }))
        })
        .unwrap_or_else(|| Err(Self::error("children", of)))
    }

    fn look(&mut self, pid: Pid) -> Result<Option<Process>, KernelError> {
        self.call(|world| {
            world.race(pid.get());
            let proc = world.procs.get(pid.get()).filter(|proc| !proc.zombie);
            Ok(proc.map(|proc| world.procs.show(proc)))
        })
        .unwrap_or_else(|| Err(Self::error("look", pid)))
    }

    fn led_by(&mut self, leaders: &[Pid]) -> Result<Vec<Process>, KernelError> {
        self.call(|world| {
            world.race_for(leaders);
            let led = |leader: u32| leaders.iter().any(|pid| pid.get() == leader);
            let procs =
                world.procs.iter().filter(|proc| !proc.zombie && (led(proc.group) || led(proc.session)));
            Ok(procs.map(|proc| world.procs.show(proc)).collect())
        })
        .unwrap_or_else(|| Err(Self::error("scan", Pid::INIT)))
    }
}

impl Record for Hands<'_> {
    fn announce(&mut self, case: &Case, step: Step, on: Option<ProcessIdentity>) -> io::Result<()> {
        let disk = self.disk;
        self.call(|world| {
            world.writable(disk)?;
            let (slow, until) = world.disks[disk].slow;
            if world.now < until {
                let until = world.now + slow;
                world.pass_until(until);
            }
            world.grips[disk].announced.push((step, on));
            if let (Step::Close, Some(session)) = (step, &case.session) {
                world.grips[disk].closes.push(session.to_string());
            }
            Ok(())
        })
        .unwrap_or_else(|| Err(gone()))
    }

    fn conclude(&mut self, case: &Case, ending: &Ending) {
        let outcome = &ending.outcome;
        let disk = self.disk;
        self.call(|world| {
            if world.story.is_some() {
                let who =
                    case.session.as_ref().map_or_else(|| format!("{:?}", case.worker), ToString::to_string);
                world.say(|_| format!("    reaper: {} {who}: {outcome:?}", case.orphan));
            }
            world.check_end_of_tree(disk, case, ending);
        });
    }

    fn begun(&mut self, tree: &Unfinished) -> io::Result<()> {
        let disk = self.disk;
        self.call(|world| {
            world.writable(disk)?;
            let boot = world.boot_id();
            world.disks[disk].write(Line::InHand(boot, tree.clone()));
            world.take_stock(tree);
            world.note_condemned(disk, tree);
            Ok(())
        })
        .unwrap_or_else(|| Err(gone()))
    }

    fn finished(&mut self, worker: &ProcessIdentity) {
        let disk = self.disk;
        self.call(|world| {
            if world.writable(disk).is_ok() {
                world.disks[disk].write(Line::PutDown(*worker));
                world.inventory.retain(|_, of| of != worker);
            }
        });
    }
}

impl World {
    pub(crate) fn writable(&self, disk: usize) -> io::Result<()> {
        let full = self.now < self.disks[disk].full_until;
        if full { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }

    fn take_stock(&mut self, tree: &Unfinished) {
        for member in &tree.members {
            let proc = self.procs.get(member.pid.get()).filter(|proc| self.procs.identity(proc) == *member);
            if let Some(serial) = proc.map(|proc| proc.serial) {
                self.inventory.insert(serial, tree.worker);
            }
        }
    }

    /// A few milliseconds.
    pub(crate) fn moment(&mut self, most: u64) -> u64 {
        if self.setup.instant_calls { 0 } else { self.noise.between(0, most) }
    }

    /// The worst moment to die: what has this PID crashes between two calls of the reaper, and the PID goes to a bystander with a child.
    pub(crate) fn race(&mut self, pid: u32) {
        let rough = self.now < self.setup.calm_at && self.setup.races > 0;
        if !rough || !self.noise.percent(self.setup.races) {
            return;
        }
        let proc = self.procs.get(pid).filter(|proc| matches!(proc.kind, Kind::Worker | Kind::Child));
        if let Some(serial) = proc.map(|proc| proc.serial) {
            self.say(|_| format!("    process {pid} crashes, and its PID is used again"));
            self.die(serial);
            self.procs.give_next(pid);
            self.family(false);
        }
    }

    /// The worst that can come of a dead leader's number: it leads another family now, whose head may be gone as well.
    fn race_for(&mut self, leaders: &[Pid]) {
        // A second reaper would be held up by this one's calls, and learn late who has died; no two runs hold up each other.
        let rough = self.now < self.setup.calm_at && self.setup.races > 0 && self.disks.len() == 1;
        let free = leaders.iter().map(|pid| pid.get()).find(|pid| self.procs.get(*pid).is_none());
        let Some(pid) = free.filter(|_| rough && self.noise.percent(10 * self.setup.races)) else { return };
        // No machine gives out all its PIDs within a tick.
        let until = self.now + 20;
        self.pass_until(until);
        self.procs.give_next(pid);
        let head = self.family(true);
        if let Some(head) = head.filter(|_| self.noise.percent(50)) {
            self.die(head);
        }
    }

    fn kernel_fails(&mut self) -> bool {
        let rough = self.now < self.setup.calm_at && self.setup.kernel_fails > 0;
        rough && self.noise.percent(self.setup.kernel_fails)
    }

    /// The children of what has this PID now. Misses one now and then, and never the same one twice running.
    pub(crate) fn list_children(&mut self, pid: u32) -> Vec<Pid> {
        let children: Vec<Serial> = self.procs.children(pid).map(|child| child.serial).collect();
        let misses = self.setup.misses;
        let mut list = Vec::with_capacity(children.len());
        for serial in children {
            let miss = misses > 0 && self.noise.percent(misses);
            if let Some(child) = self.procs.by_serial_mut(serial) {
                child.missed = miss && !child.missed;
                if child.missed {
                    continue;
                }
            }
            list.extend(self.procs.by_serial(serial).and_then(|child| Pid::new(u64::from(child.pid))));
        }
        list
    }

    fn signal(&mut self, disk: usize, serial: Serial, signal: Signal) -> Result<Delivery, KernelError> {
        let Some(proc) = self.procs.by_serial(serial) else { return Ok(Delivery::Gone) };
        let (zombie, on_term, stopped, pid) = (proc.zombie, proc.on_term, proc.stopped, proc.pid);
        if zombie {
            return Ok(Delivery::Sent);
        }
        // It has become another's since it was held; the kernel says no, unless to root.
        let (uid, left_user_at) = (proc.uid, proc.left_user_at);
        let named = proc.kind;
        if uid != USER && self.setup.as_root {
            // Between the last look at its user and the signal a moment passes.
            if left_user_at.is_some_and(|at| at + 50 < self.now) {
                self.breach(format!("{signal:?} reached process {pid}, which is another user's"));
            }
        } else if uid != USER {
            let source = io::Error::from(io::ErrorKind::PermissionDenied);
            let pid = Pid::new(pid.into()).unwrap_or(Pid::INIT);
            return Err(KernelError { what: "pidfd_send_signal", pid, source });
        }
        self.acts += 1;
        if self.story.is_some() {
            let kind = named;
            self.say(|_| format!("    reaper: {signal:?} to {kind:?} {pid}"));
        }
        if signal != Signal::Continue {
            self.check_signal(disk, serial, signal);
        }
        match signal {
            Signal::Term if stopped => {}
            Signal::Term => match on_term {
                OnTerm::Exits(after) => self.plan(after, Happening::Exits(serial)),
                OnTerm::Ignores => {}
                OnTerm::ForksAndExits(after) => {
                    self.fork(serial, false);
                    self.plan(after, Happening::Exits(serial));
                }
            },
            Signal::Stop => {
                if let Some(proc) = self.procs.by_serial_mut(serial) {
                    proc.stopped = true;
                }
            }
            Signal::Continue => {
                if let Some(proc) = self.procs.by_serial_mut(serial) {
                    proc.stopped = false;
                }
            }
            Signal::Kill => {
                let after = self.moment(3);
                self.plan(after, Happening::Exits(serial));
            }
        }
        Ok(Delivery::Sent)
    }
}
