//! How a run sees the world: what the planner asks for, with processes that are not all looked at in one instant.

use std::collections::{BTreeMap, BTreeSet};

use gateway_reaper::domain::adoption;
use gateway_reaper::domain::ids::{GatewayName, Pid};
use gateway_reaper::domain::ledger::Ledger;
use gateway_reaper::domain::looking::{Extent, Families, Found, Looked};
use gateway_reaper::domain::observation::GatewayObservation;
use gateway_reaper::domain::process::{Process, ProcessIdentity, ProcessView};
use gateway_reaper::domain::table::TableView;
use gateway_reaper::domain::time::Awake;

use super::procs::{Kind, OWN_NAMESPACE, Proc, Serial};
use super::setup::{USER, gateway_name};
use super::world::World;

/// How far down a family is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Down to the workers, and not below them.
    ToWorkers,
    /// All of it.
    All,
}

/// What a process that looks again and again knows besides its ledger. A single run has none of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watcher {
    /// Whose loss a whole look was made for.
    pub(crate) lost: BTreeSet<ProcessIdentity>,
    /// The last look.
    pub(crate) looked: Option<Looked>,
    /// Processes that were seen to adopt.
    adopters: BTreeSet<u32>,
    /// Below which workers it looked.
    families: Option<Families<u64>>,
    /// The parents that known processes had.
    parents: BTreeMap<ProcessIdentity, u32>,
}

impl World {
    /// A look at the whole machine, or where workers can be: the gateways with everything below them down to the workers, what is
    /// remembered, and what looks like a worker, or like a shell that runs one, among the children of those that adopt. Processes come and go
    /// meanwhile.
    pub(crate) fn look(
        &mut self,
        reaper: Serial,
        extent: Extent,
        (roots, known): (&[Pid], &[ProcessIdentity]),
        watcher: &mut Watcher,
    ) -> ProcessView {
        let own_line = self.own_line(reaper);
        let mut pids: BTreeSet<u32> = own_line.iter().map(|pid| pid.get()).collect();
        for root in roots {
            self.add_family(root.get(), Depth::ToWorkers, &mut pids);
        }
        pids.extend(known.iter().map(|known| known.pid.get()));
        if extent != Extent::Near {
            let all: Vec<u32> = self.procs.iter().map(|proc| proc.pid).collect();
            for pid in all.into_iter().filter(|pid| self.is_candidate(*pid)).collect::<Vec<_>>() {
                self.add_family(pid, Depth::ToWorkers, &mut pids);
            }
        }
        if extent != Extent::Near {
            let adopted: Vec<u32> = self.adopted();
            for pid in adopted {
                pids.insert(pid);
                if self.is_candidate(pid) {
                    self.add_family(pid, Depth::ToWorkers, &mut pids);
                }
            }
        }
        for identity in known {
            let Some(parent) = self.procs.get(identity.pid.get()).map(|proc| proc.parent) else { continue };
            if watcher.parents.insert(*identity, parent).is_some_and(|before| before != parent) {
                watcher.adopters.insert(parent);
            }
        }
        for adopter in [1].into_iter().chain(watcher.adopters.clone()) {
            pids.insert(adopter);
            for child in self.list_children(adopter) {
                if self.is_candidate(child.get()) {
                    self.add_family(child.get(), Depth::ToWorkers, &mut pids);
                }
            }
        }
        let looked_below = self.add_below_workers(reaper, watcher, &mut pids);
        let mut view = ProcessView {
            own_line,
            own_namespace: Some(OWN_NAMESPACE),
            init_is_init: self.setup.init_is_init,
            looked_below,
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
        self.look_around(&mut view);
        if extent != Extent::Near {
            let lines = roots.iter().copied().chain(known.iter().map(|known| known.pid));
            let lines = lines.filter_map(|pid| view.get(pid)).flat_map(|process| view.ancestors(process));
            let above: BTreeSet<u32> = lines.map(|process| process.identity.pid.get()).collect();
            let adopted = view.processes.values().filter(|process| adoption::sign(process, &view).is_some());
            let adopters = adopted.filter_map(|process| Some(process.parent?.get()));
            watcher.adopters.extend(adopters.filter(|adopter| above.contains(adopter)));
        }
        view
    }

    /// What is below some of the workers.
    fn add_below_workers(
        &mut self,
        reaper: Serial,
        watcher: &mut Watcher,
        pids: &mut BTreeSet<u32>,
    ) -> BTreeSet<Pid> {
        let workers =
            pids.iter().filter_map(|pid| self.procs.get(*pid)).filter(|proc| proc.looks_like_worker());
        let workers = workers.map(|proc| (self.procs.identity(proc), proc.forks)).collect();
        let first = usize::try_from(reaper).unwrap();
        let families = watcher.families.get_or_insert_with(|| Families::beginning_with(first));
        let mut looked_below = BTreeSet::new();
        for worker in families.choose(workers) {
            let pid = worker.pid.get();
            let children = self.list_children(pid);
            families.found(&worker, children.len());
            for child in children {
                self.add_family(child.get(), Depth::All, pids);
            }
            looked_below.insert(worker.pid);
        }
        looked_below
    }

    /// A worker, or a shell that runs one.
    fn is_candidate(&self, pid: u32) -> bool {
        let is_one = |proc: &Proc| proc.looks_like_worker() || proc.kind == Kind::Wrapper;
        self.procs.get(pid).is_some_and(is_one)
    }

    /// The processes that show a sign of adoption, as a scan of the whole table tells.
    fn adopted(&self) -> Vec<u32> {
        let mut all = ProcessView { init_is_init: self.setup.init_is_init, ..ProcessView::default() };
        for proc in self.procs.iter() {
            self.look_at(proc.pid, &mut all);
        }
        self.look_around(&mut all);
        let ours = |process: &&Process| process.uid == USER && !process.zombie && !process.kernel;
        let adopted = all.processes.values().filter(ours);
        let adopted = adopted.filter(|process| adoption::sign(process, &all).is_some());
        adopted.map(|process| process.identity.pid.get()).collect()
    }

    /// A process and what is below it.
    fn add_family(&mut self, root: u32, depth: Depth, pids: &mut BTreeSet<u32>) {
        let mut waiting = vec![root];
        let mut met = BTreeSet::new();
        while let Some(pid) = waiting.pop().filter(|_| met.len() < 400) {
            if !met.insert(pid) {
                continue;
            }
            pids.insert(pid);
            let is_worker = || self.procs.get(pid).is_some_and(Proc::looks_like_worker);
            if depth == Depth::All || pid == root || !is_worker() {
                waiting.extend(self.list_children(pid).iter().map(|child| child.get()));
            }
        }
    }

    /// A look at everything that is below these: before their trees are ended, all that is in them has to be known.
    pub(crate) fn look_below(&mut self, pids: &[Pid], view: &mut ProcessView) {
        let has_children = |pid: &&Pid| self.procs.children(pid.get()).next().is_some();
        let again: Vec<Pid> = pids.iter().filter(has_children).copied().collect();
        for pids in [pids, &again] {
            let mut below = BTreeSet::new();
            for pid in pids {
                self.add_family(pid.get(), Depth::All, &mut below);
            }
            for pid in below {
                self.look_at(pid, view);
            }
            self.look_around(view);
        }
    }

    /// What is needed to judge those that are in view: ancestors, and the leaders of groups and sessions.
    fn look_around(&self, view: &mut ProcessView) {
        let mut around: Vec<u32> = Vec::new();
        for process in view.processes.values() {
            around.extend([process.group, process.session]);
            around.extend(process.parent.map(|parent| parent.get()));
        }
        while let Some(pid) = around.pop() {
            let Some(number) = Pid::new(pid.into()) else { continue };
            if view.get(number).is_none() && !view.gone.contains(&number) {
                self.look_at(pid, view);
                around.extend(view.get(number).and_then(|process| process.parent).map(|parent| parent.get()));
            }
        }
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

    /// How the gateways' processes are known.
    pub(crate) fn find_gateways(&self) -> Vec<(GatewayName, Found)> {
        let find = |index: usize| {
            let process = self.gateways[index].process.and_then(|process| self.procs.alive(process));
            let pid = process.and_then(|process| Pid::new(process.pid.into()));
            let is_configured = self.setup.gateways[index].found_by_argv;
            let found = if is_configured { Found::AsConfigured(pid) } else { Found::ByTable };
            (gateway_name(index).as_str().into(), found)
        };
        (0..self.gateways.len()).map(find).collect()
    }

    /// A look at those that a table names, and what is around them.
    pub(crate) fn look_at_all(&self, pids: &[Pid], view: &mut ProcessView) {
        for pid in pids.iter().filter(|pid| view.get(**pid).is_none()).collect::<Vec<_>>() {
            self.look_at(pid.get(), view);
        }
        self.look_around(view);
    }

    /// What was seen of a gateway.
    pub(crate) fn observed(
        &self,
        index: usize,
        root: Option<Pid>,
        (table, asked): (TableView, Awake),
        memory: &Ledger,
        view: &ProcessView,
    ) -> GatewayObservation {
        let name: GatewayName = gateway_name(index).as_str().into();
        let alive =
            |pid: Pid| view.get(pid).filter(|process| !process.zombie).map(|process| process.identity);
        let remembered = || memory.gateways.get(&name)?.process;
        let process = match (self.setup.gateways[index].found_by_argv, table.current()) {
            (true, _) => root.and_then(alive),
            (false, Some(table)) => table.gateway_pid.and_then(alive),
            (false, None) => remembered().filter(|process| view.alive(process).is_some()),
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
            let parent = worker.and_then(|worker| seen.get(worker.parent?));
            let shell = |pid: Pid| self.procs.get(pid.get()).is_some_and(|proc| proc.kind == Kind::Wrapper);
            let parent = parent.map(|parent| parent.identity.pid);
            let above = parent.filter(|pid| shell(*pid)).and_then(|pid| seen.get(pid)?.parent);
            if [parent, above].contains(&Some(gateway.identity.pid)) {
                toil.known_to.push(disk);
            }
        }
    }
}
