//! A view in the making: each process that was asked for, then what is needed to judge it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::argv::{ArgvCache, Kept};
use super::candidates::Candidates;
use super::dir::{Children, ProcessDir};
use super::error::ProcessesError;
use super::held::{Described, HeldDirs};
use super::kinship::Kinship;
use super::proc::{Proc, exists};
use super::stat::Work;
use crate::domain::ids::Pid;
use crate::domain::looking::Families;
use crate::domain::process::{Process, ProcessIdentity, ProcessView};

/// Collects processes into a view.
pub(super) struct Gathering<'a> {
    pub(super) proc: &'a mut Proc,
    pub(super) argvs: &'a mut ArgvCache,
    dirs: &'a mut HeldDirs,
    candidates: &'a Candidates,
    pub(super) view: ProcessView,
    /// Those that were asked for, as against those that only stand around them.
    asked: HashSet<Pid>,
    /// What those that were asked for had done by then.
    works: HashMap<Pid, Work>,
    /// Those whose children were asked for.
    families: HashSet<Pid>,
    /// Looked for and not found.
    missing: HashSet<Pid>,
}

/// How far down a family is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Down to the workers, and not below them.
    ToWorkers,
    /// All of it.
    All,
}

/// Whose argv is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// That of the users that workers run as.
    Workers,
    /// Every user's.
    Anybodys,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(
        proc: &'a mut Proc,
        argvs: &'a mut ArgvCache,
        dirs: &'a mut HeldDirs,
        candidates: &'a Candidates,
        view: ProcessView,
    ) -> Self {
        Self {
            proc,
            argvs,
            dirs,
            candidates,
            view,
            asked: HashSet::new(),
            works: HashMap::new(),
            families: HashSet::new(),
            missing: HashSet::new(),
        }
    }

    /// Whether a process is in view because it was asked for.
    pub(super) fn was_asked_for(&self, pid: Pid) -> bool {
        self.asked.contains(&pid) && self.view.get(pid).is_some()
    }

    /// Adds a process that may be a worker or a gateway, with its argv.
    pub(super) fn ask(&mut self, pid: Pid) -> Result<(), ProcessesError> {
        self.ask_with(pid, Whose::Workers, |_, _, _| Ok(Vec::new())).map(|_| ())
    }

    /// Adds a gateway with its family. Whatever user its workers run as, they are read: a worker that may not be signalled is listed.
    pub(super) fn ask_gateway(&mut self, root: Pid, kinship: &Kinship) -> Result<(), ProcessesError> {
        self.ask_all(root, kinship, Depth::ToWorkers, Whose::Anybodys, |_| {})
    }

    /// Adds a process with its argv and its children with theirs, and what is below those as far as `depth` says.
    pub(super) fn ask_family(
        &mut self,
        root: Pid,
        kinship: &Kinship,
        depth: Depth,
    ) -> Result<(), ProcessesError> {
        self.ask_all(root, kinship, depth, Whose::Workers, |_| {})
    }

    /// Adds a process and all that is below it. Returns whether nothing can have been left out: it has no children, for certain.
    pub(super) fn ask_whole_family(&mut self, root: Pid, kinship: &Kinship) -> Result<bool, ProcessesError> {
        let mut is_certain = true;
        let check = |children: &Children| is_certain &= children.are_none();
        self.ask_all(root, kinship, Depth::All, Whose::Workers, check)?;
        Ok(is_certain)
    }

    fn ask_all(
        &mut self,
        root: Pid,
        kinship: &Kinship,
        depth: Depth,
        whose: Whose,
        mut each: impl FnMut(&Children),
    ) -> Result<(), ProcessesError> {
        let candidates = self.candidates;
        let mut waiting = vec![root];
        while let Some(pid) = waiting.pop() {
            // One whose children weren't read may be a root of its own later: a gateway below another.
            if self.families.contains(&pid) {
                continue;
            }
            let mut goes_down = false;
            let goes_on = |process: &Process| match depth {
                _ if pid == root => true,
                Depth::All => true,
                // A shell between a gateway and its worker is passed through.
                Depth::ToWorkers => {
                    let is_worker = process.argv.as_deref().is_some_and(|argv| candidates.fits(argv));
                    !candidates.patterns.is_empty() && !is_worker
                }
            };
            let children = |proc: &mut Proc, dir: &ProcessDir, process: &Process| {
                goes_down = goes_on(process);
                if !goes_down {
                    return Ok(Vec::new());
                }
                let children = kinship.children(proc, dir)?;
                each(&children);
                Ok(children.pids)
            };
            waiting.extend(self.ask_with(pid, whose, children)?);
            if goes_down {
                self.families.insert(pid);
            }
        }
        Ok(())
    }

    /// The process that has this PID now. `None`: there is none, or it is hidden.
    pub(super) fn describe(&mut self, pid: Pid) -> Result<Option<Described>, ProcessesError> {
        self.dirs.describe(self.proc, pid)
    }

    fn ask_with(
        &mut self,
        pid: Pid,
        whose: Whose,
        children: impl FnOnce(&mut Proc, &ProcessDir, &Process) -> Result<Vec<Pid>, ProcessesError>,
    ) -> Result<Vec<Pid>, ProcessesError> {
        self.asked.insert(pid);
        let Some((dir, mut process, traces)) = self.describe(pid)? else { return Ok(self.miss_asked(pid)) };
        let exec = traces.exec;
        self.works.insert(pid, traces.work);
        let known = exec.and_then(|exec| self.argvs.get(process.identity, exec));
        let kept = match known {
            Some(kept) => kept,
            None if process.zombie || process.kernel => Kept::default(),
            None if whose == Whose::Workers && !self.candidates.has_user(process.uid) => Kept::default(),
            None => {
                let argv = self.proc.argv(&dir)?.map(Into::into);
                let namespace = self.argvs.namespace(process.identity);
                let kept = Kept { argv, namespace: namespace.or_else(|| self.proc.namespace(&dir)) };
                if let Some(exec) = exec {
                    self.argvs.put(process.identity, exec, kept.clone());
                }
                kept
            }
        };
        (process.argv, process.namespace) = (kept.argv, kept.namespace);
        let children = children(self.proc, &dir, &process)?;
        self.found(process);
        Ok(children)
    }

    /// Adds what is below some of the workers that are in view.
    pub(super) fn ask_below_workers(
        &mut self,
        kinship: &Kinship,
        families: &mut Families<Work>,
    ) -> Result<(), ProcessesError> {
        let fits = |process: &Process| process.argv.as_deref().is_some_and(|argv| self.candidates.fits(argv));
        let workers = self.view.processes.values().filter(|process| fits(process));
        let workers = workers.filter_map(|process| {
            let identity = process.identity;
            self.works.get(&identity.pid).map(|work| (identity, *work))
        });
        for worker in families.choose(workers.collect()) {
            let Some(children) = self.children_of(&worker, kinship)? else { continue };
            families.found(&worker, children.len());
            for child in children {
                self.ask_family(child, kinship, Depth::All)?;
            }
            self.view.looked_below.insert(worker.pid);
        }
        Ok(())
    }

    /// `None`: it is gone by now.
    fn children_of(
        &mut self,
        who: &ProcessIdentity,
        kinship: &Kinship,
    ) -> Result<Option<Vec<Pid>>, ProcessesError> {
        match self.describe(who.pid)? {
            Some((dir, process, _)) if process.identity == *who => {
                Ok(Some(kinship.children(self.proc, &dir)?.pids))
            }
            _ => Ok(None),
        }
    }

    /// Adds a process with everything below it, if it looks like a worker or was started to run one; else the process alone.
    pub(super) fn ask_if_worker(&mut self, pid: Pid, kinship: &Kinship) -> Result<(), ProcessesError> {
        if !self.was_asked_for(pid) {
            self.ask(pid)?;
        }
        let argv = self.view.get(pid).and_then(|process| process.argv.as_deref());
        match argv.is_some_and(|argv| self.candidates.is_or_runs_worker(argv)) {
            true => self.ask_family(pid, kinship, Depth::ToWorkers),
            false => Ok(()),
        }
    }

    /// The same for one that may well be none: it is added only if it is one. Where nothing is known of how workers look, it may be.
    pub(super) fn ask_if_candidate(&mut self, pid: Pid, kinship: &Kinship) -> Result<(), ProcessesError> {
        if !self.proc.owner(pid)?.is_some_and(|uid| self.candidates.has_user(uid)) {
            return Ok(());
        }
        if self.candidates.patterns.is_empty() {
            return self.ask(pid);
        }
        match self.proc.argv_of(pid)?.is_some_and(|argv| self.candidates.is_or_runs_worker(&argv)) {
            true => self.ask_family(pid, kinship, Depth::ToWorkers),
            false => Ok(()),
        }
    }

    /// Adds a process that stands around others, without argv, unless it is there. `None`: no process has this PID, or it's hidden.
    pub(super) fn add(&mut self, pid: Pid) -> Result<Option<&Process>, ProcessesError> {
        if !self.view.processes.contains_key(&pid) && !self.missing.contains(&pid) {
            match self.describe(pid)? {
                Some((_, process, _)) => self.found(process),
                None => drop(self.miss(pid)),
            }
        }
        Ok(self.view.get(pid))
    }

    fn found(&mut self, process: Process) {
        self.view.gone.remove(&process.identity.pid);
        self.view.processes.insert(process.identity.pid, process);
    }

    /// Where `hidepid` makes processes invisible, nothing else tells that a gateway or its workers are there.
    fn miss_asked(&mut self, pid: Pid) -> Vec<Pid> {
        let nothing = self.miss(pid);
        if !self.view.gone.contains(&pid) {
            self.proc.warn_of_hidden(pid);
        }
        nothing
    }

    /// Only what doesn't even exist under `hidepid` is gone for certain.
    fn miss(&mut self, pid: Pid) -> Vec<Pid> {
        self.missing.insert(pid);
        self.view.processes.remove(&pid);
        if !exists(pid) {
            self.view.gone.insert(pid);
        } else if let Some(process) = self.proc.process_of_thread(pid) {
            self.view.threads.insert(pid, process);
        }
        Vec::new()
    }

    /// Adds what is needed to judge those that are there: the ancestors of all, and the leaders of the session and the process group of
    /// those that were asked for.
    pub(super) fn finish(&mut self) -> Result<(), ProcessesError> {
        self.ask_wrappers()?;
        let mut around: Vec<Pid> = Vec::new();
        for process in self.view.processes.values() {
            around.extend(process.parent);
            if self.asked.contains(&process.identity.pid) {
                let leaders = [process.session, process.group];
                around.extend(leaders.into_iter().filter_map(|leader| Pid::new(leader.into())));
            }
        }
        while let Some(pid) = around.pop() {
            if !self.view.processes.contains_key(&pid)
                && let Some(parent) = self.add(pid)?.and_then(|process| process.parent)
            {
                around.push(parent);
            }
        }
        Ok(())
    }

    /// Adds the parents of workers with their argv, for as long as each has the worker's whole argv in its own: a shell that was started to
    /// run that worker alone.
    fn ask_wrappers(&mut self) -> Result<(), ProcessesError> {
        let workers: Vec<(Option<Pid>, Arc<str>)> = self
            .view
            .processes
            .values()
            .filter(|process| self.asked.contains(&process.identity.pid))
            .filter_map(|process| Some((process.parent, process.argv.clone()?)))
            .filter(|(_, argv)| self.candidates.fits(argv))
            .collect();
        for (mut parent, argv) in workers {
            while let Some(pid) = parent.filter(|pid| *pid != Pid::INIT) {
                if !self.was_asked_for(pid) {
                    self.ask(pid)?;
                }
                let process = self.view.get(pid);
                let wraps =
                    |process: &&Process| process.argv.as_ref().is_some_and(|outer| outer.contains(&*argv));
                parent = process.filter(wraps).and_then(|process| process.parent);
            }
        }
        Ok(())
    }

    /// A process and its ancestors, the nearest first; ends where one is hidden.
    pub(super) fn line_of(&self, pid: Pid) -> Vec<Pid> {
        let mut line = vec![pid];
        let mut at = pid;
        while let Some(parent) = self.view.get(at).and_then(|process| process.parent) {
            if line.contains(&parent) {
                break;
            }
            line.push(parent);
            at = parent;
        }
        line
    }
}
