//! The reaper's hands: the very traits that production implements, over the simulated world. Each call takes a moment, in which the
//! world goes on; each may be the reaper's last.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::ledger::Unfinished;
use gateway_reaper::domain::process::{Process, ProcessIdentity};
use gateway_reaper::domain::time::Awake;
use gateway_reaper::reap::kernel::{Delivery, Kernel, KernelError, Signal};
use gateway_reaper::reap::outcome::{Outcome, Step};
use gateway_reaper::reap::record::{Case, Record};

use super::disk::{Line, Sight};
use super::procs::{OnTerm, Serial};
use super::setup::USER;
use super::world::{Happening, World};

/// What is known of a run from outside of it.
#[derive(Debug, Default)]
pub(crate) struct Grip {
    /// Killed after so many more calls.
    pub(crate) fuse: Option<u64>,
    /// Killed: nothing it does has any effect.
    pub(crate) dead: bool,
    /// What it wrote to the audit log.
    pub(crate) announced: Vec<(Step, Option<ProcessIdentity>)>,
    /// What it saw of the sessions, by gateway and id.
    pub(crate) seen: Vec<((usize, String), Seen)>,
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
    pub(crate) orphan_since: Option<u64>,
    pub(crate) lull_since: u64,
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
                grip.dead = true;
                world.say(|_| "    the reaper is killed".to_owned());
                return None;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if world.noise.percent(20) {
            let until = world.now + world.noise.between(0, 3);
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

    fn hold(&mut self, who: ProcessIdentity) -> Result<Option<(Serial, Process)>, KernelError> {
        self.call(|world| {
            if world.kernel_fails() {
                return Err(Self::error("pidfd_open", who.pid));
            }
            let proc = world.procs.get(who.pid.get()).filter(|proc| !proc.zombie);
            let same = proc.filter(|proc| world.procs.identity(proc) == who);
            Ok(same.map(|proc| (proc.serial, world.procs.show(proc))))
        })
        .unwrap_or_else(|| Err(Self::error("pidfd_open", who.pid)))
    }

    fn signal(&mut self, held: &Serial, signal: Signal) -> Result<Delivery, KernelError> {
        let (serial, disk) = (*held, self.disk);
        self.call(|world| world.signal(disk, serial, signal))
            .unwrap_or_else(|| Err(Self::error("pidfd_send_signal", Pid::INIT)))
    }

    fn exited(&mut self, held: &Serial) -> Result<bool, KernelError> {
        let serial = *held;
        self.call(|world| Ok(world.procs.alive(serial).is_none()))
            .unwrap_or_else(|| Err(Self::error("poll", Pid::INIT)))
    }

    /// By PID, as the kernel's file is: whoever has that PID now.
    fn children(&mut self, of: Pid) -> Result<Vec<Pid>, KernelError> {
        self.call(|world| Ok(world.list_children(of.get())))
            .unwrap_or_else(|| Err(Self::error("children", of)))
    }

    fn look(&mut self, pid: Pid) -> Result<Option<Process>, KernelError> {
        self.call(|world| {
            let proc = world.procs.get(pid.get()).filter(|proc| !proc.zombie);
            Ok(proc.map(|proc| world.procs.show(proc)))
        })
        .unwrap_or_else(|| Err(Self::error("look", pid)))
    }

    fn led_by(&mut self, leaders: &[Pid]) -> Result<Vec<Process>, KernelError> {
        self.call(|world| {
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
            world.grips[disk].announced.push((step, on));
            if step == Step::Close {
                world.check_close(disk, case);
            }
            Ok(())
        })
        .unwrap_or_else(|| Err(gone()))
    }

    fn conclude(&mut self, case: &Case, outcome: &Outcome) {
        self.call(|world| {
            if world.story.is_some() {
                let who =
                    case.session.as_ref().map_or_else(|| format!("{:?}", case.worker), ToString::to_string);
                world.say(|_| format!("    reaper: {} {who}: {outcome:?}", case.orphan));
            }
        });
    }

    fn take_in_hand(&mut self, tree: &Unfinished) -> io::Result<()> {
        let disk = self.disk;
        self.call(|world| {
            world.writable(disk)?;
            let boot = world.boot_id();
            world.disks[disk].write(Line::InHand(boot, tree.clone()));
            world.take_stock(tree);
            Ok(())
        })
        .unwrap_or_else(|| Err(gone()))
    }

    fn put_down(&mut self, worker: &ProcessIdentity) {
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

    fn kernel_fails(&mut self) -> bool {
        let rough = self.now < self.setup.calm_at && self.setup.kernel_fails > 0;
        rough && self.noise.percent(self.setup.kernel_fails)
    }

    /// The children of whoever has this PID now. Misses one now and then, and never the same one twice running.
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
        // It has become another's since it was held; the kernel says no.
        if proc.uid != USER {
            let source = io::Error::from(io::ErrorKind::PermissionDenied);
            let pid = Pid::new(pid.into()).unwrap_or(Pid::INIT);
            return Err(KernelError { what: "pidfd_send_signal", pid, source });
        }
        self.acts += 1;
        if self.story.is_some() {
            let kind = proc.kind;
            self.say(|_| format!("    reaper: {signal:?} to {kind:?} {pid}"));
        }
        self.check_signal(disk, serial, signal);
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
            Signal::Kill => {
                let after = self.noise.between(0, 3);
                self.plan(after, Happening::Exits(serial));
            }
        }
        Ok(Delivery::Sent)
    }
}
