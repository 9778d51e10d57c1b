//! How a run sees the world: processes first and not all at one instant, tables second, and whoever a table names third.

use std::collections::BTreeSet;
use std::time::Duration;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::ledger::{Bond, Ledger, WorkerMemory};
use gateway_reaper::domain::observation::GatewayObservation;
use gateway_reaper::domain::process::{ProcessIdentity, ProcessView};
use gateway_reaper::domain::table::{Session, TableView};
use gateway_reaper::domain::time::Awake;

use super::procs::Serial;
use super::setup::{USER, gateway_name};
use super::world::World;

/// How often every process is looked at.
const WHOLE_LOOK_EVERY: Duration = Duration::from_secs(600);

impl World {
    /// A look at everything that can be, or be the parent of, a worker, or at the whole machine. Processes come and go meanwhile.
    pub(crate) fn look(&mut self, reaper: Serial, memory: &Ledger, whole: bool) -> ProcessView {
        let own_line = self.own_line(reaper);
        let mut pids: BTreeSet<u32> = own_line.iter().map(|pid| pid.get()).collect();
        if whole {
            pids.extend(self.procs.iter().map(|proc| proc.pid));
        }
        let roots: Vec<u32> = [1, self.supervisor]
            .into_iter()
            .chain(
                memory
                    .gateways
                    .values()
                    .filter_map(|gateway| gateway.process)
                    .map(|gateway| gateway.pid.get()),
            )
            .chain((0..self.gateways.len()).filter_map(|index| self.found(index)))
            .collect();
        for root in roots {
            pids.insert(root);
            pids.extend(self.list_children(root).iter().map(|child| child.get()));
        }
        pids.extend(memory.workers().keys().map(|worker| worker.pid.get()));
        let unfinished = memory.unfinished.iter();
        pids.extend(
            unfinished.flat_map(|tree| tree.members.iter().chain([&tree.worker])).map(|it| it.pid.get()),
        );
        let mut view = ProcessView {
            own_line,
            own_uid: USER,
            init_is_init: self.setup.init_is_init,
            ..ProcessView::default()
        };
        let chunk = 1 + pids.len() / 3;
        for (index, pid) in pids.into_iter().enumerate() {
            if index > 0 && index % chunk == 0 {
                let until = self.now + self.moment(2);
                self.pass_until(until);
                self.race(pid);
            }
            self.look_at(pid, &mut view);
        }
        // Leaders of groups and sessions are asked after, too.
        let led = view.processes.values().flat_map(|process| [process.group, process.session]);
        let asked: BTreeSet<u32> = led.filter(|pid| *pid > 0).collect();
        for pid in asked {
            if view.processes.keys().all(|seen| seen.get() != pid) {
                self.look_at(pid, &mut view);
            }
        }
        view
    }

    /// Whether a look near the roots may miss somebody: a gateway isn't known or is gone, or a worker lost its parent.
    pub(crate) fn needs_whole_look(&self, memory: &Ledger, now: Awake) -> bool {
        let known = |index: usize| {
            let name = gateway_name(index).as_str().into();
            let process = memory.gateways.get(&name).and_then(|gateway| gateway.process);
            let root = if self.setup.gateways[index].found_by_argv {
                self.found(index).is_some()
            } else {
                process.is_some()
            };
            let alive = process.is_none_or(|process| self.is_alive(&process));
            root && alive
        };
        let kept_its_parent = |worker: &WorkerMemory| {
            let proc = self.procs.get(worker.identity.pid.get());
            let proc = proc.filter(|proc| !proc.zombie && self.procs.identity(proc) == worker.identity);
            match (worker.bond, proc) {
                (Bond::Child(parent), Some(proc)) => {
                    proc.parent == parent.pid.get() || worker.clock.is_some()
                }
                _ => true,
            }
        };
        let overdue = memory.whole_look.is_none_or(|at| now.since(at) >= WHOLE_LOOK_EVERY);
        let workers = memory.gateways.values().flat_map(|gateway| &gateway.workers);
        overdue || !(0..self.gateways.len()).all(known) || !workers.into_iter().all(kept_its_parent)
    }

    fn is_alive(&self, identity: &ProcessIdentity) -> bool {
        let proc = self.procs.get(identity.pid.get()).filter(|proc| !proc.zombie);
        proc.is_some_and(|proc| self.procs.identity(proc) == *identity)
    }

    /// Whether a table names a process or a run of its gateway that memory doesn't know: then a whole look is taken, and the table is read
    /// once more.
    pub(crate) fn is_news(&self, index: usize, table: &TableView, memory: &Ledger) -> bool {
        let Some(table) = table.current() else { return false };
        let name = gateway_name(index).as_str().into();
        let before = memory.gateways.get(&name);
        let process = before.and_then(|gateway| gateway.process).map(|process| process.pid);
        let moved = table.gateway_pid.is_some() && table.gateway_pid != process;
        let run = before.and_then(|gateway| gateway.run.as_deref());
        let restarted = matches!((run, &table.instance), (Some(run), Some(now)) if run != now.as_str());
        restarted || (moved && !self.setup.gateways[index].found_by_argv)
    }

    /// A look at one PID.
    pub(crate) fn look_at(&self, pid: u32, view: &mut ProcessView) {
        if let Some(proc) = self.procs.get(pid) {
            let process = self.procs.show(proc);
            view.gone.remove(&process.identity.pid);
            view.processes.insert(process.identity.pid, process);
        } else {
            view.gone.extend(Pid::new(pid.into()));
        }
    }

    fn own_line(&self, reaper: Serial) -> Vec<Pid> {
        let mut line = Vec::new();
        let mut proc = self.procs.by_serial(reaper);
        while let Some(found) = proc {
            line.extend(Pid::new(found.pid.into()));
            proc = self.procs.get(found.parent);
        }
        line
    }

    /// Where `[gateway.process]` finds the gateway.
    fn found(&self, index: usize) -> Option<u32> {
        let process = self.gateways[index].process.filter(|_| self.setup.gateways[index].found_by_argv)?;
        self.procs.alive(process).map(|proc| proc.pid)
    }

    /// What was seen of a gateway. Looks at those whom its table names and who weren't seen before.
    pub(crate) fn gather(
        &self,
        index: usize,
        (table, asked): (TableView, Awake),
        memory: &Ledger,
        view: &mut ProcessView,
    ) -> GatewayObservation {
        let name = gateway_name(index).as_str().into();
        let mut named: Vec<Pid> = Vec::new();
        if let Some(table) = table.current() {
            named.extend(table.gateway_pid);
            named.extend(table.sessions.iter().filter_map(|session: &Session| session.named_worker()));
        }
        for pid in named {
            if view.get(pid).is_none() {
                self.look_at(pid.get(), view);
            }
        }
        let alive =
            |pid: Pid| view.get(pid).filter(|process| !process.zombie).map(|process| process.identity);
        let found = self.setup.gateways[index].found_by_argv.then(|| {
            let pattern = format!("python -m hermes dashboard {index}");
            let mut seen = view.processes.values();
            seen.find(|process| !process.zombie && process.argv.as_deref() == Some(&pattern))
                .map(|process| process.identity)
        });
        let remembered = || -> Option<ProcessIdentity> {
            let process = memory.gateways.get(&name)?.process?;
            view.alive(&process).map(|process| process.identity)
        };
        let process = match (found.flatten(), table.current()) {
            (Some(process), _) => Some(process),
            (None, Some(table)) => table.gateway_pid.and_then(alive),
            (None, None) => remembered(),
        };
        GatewayObservation { name, table, process, asked }
    }

    /// Writes down which workers a run has seen under gateways whose process it will remember.
    pub(crate) fn note_known(&mut self, disk: usize, memory: &Ledger, seen: &ProcessView) {
        // What belongs to a live session again is in nobody's hand.
        let (procs, toils) = (&self.procs, &self.toils);
        self.inventory.retain(|serial, _| {
            let root = procs.by_serial(*serial).and_then(|proc| proc.root);
            root.and_then(|root| toils.get(&root)).is_some_and(|toil| toil.orphan_since.is_some())
        });
        for (serial, toil) in &mut self.toils {
            let Some(index) = toil.gateway.filter(|_| !toil.known_to.contains(&disk)) else { continue };
            let gateway = memory.gateways.get(&gateway_name(index).as_str().into());
            let Some(gateway) = gateway.and_then(|gateway| seen.alive(&gateway.process?)) else { continue };
            let worker = self.procs.by_serial(*serial).map(|proc| self.procs.identity(proc));
            let worker = worker.and_then(|worker| seen.alive(&worker));
            if worker.is_some_and(|worker| worker.parent == Some(gateway.identity.pid)) {
                toil.known_to.push(disk);
            }
        }
    }
}
