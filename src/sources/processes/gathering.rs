//! A view in the making: each process that was asked for, then what is needed to judge it.

use std::collections::HashSet;

use super::argv::ArgvCache;
use super::error::ProcessesError;
use super::kinship::Kinship;
use super::proc::{Proc, ProcessDir, exists};
use crate::domain::ids::Pid;
use crate::domain::process::{Process, ProcessView};

/// Collects processes into a view.
pub(super) struct Gathering<'a> {
    pub(super) proc: &'a mut Proc,
    pub(super) argvs: &'a mut ArgvCache,
    pub(super) view: ProcessView,
    /// Those that were asked for, as against those that only stand around them.
    asked: HashSet<Pid>,
    /// Looked for in vain.
    missing: HashSet<Pid>,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(proc: &'a mut Proc, argvs: &'a mut ArgvCache, view: ProcessView) -> Self {
        Self { proc, argvs, view, asked: HashSet::new(), missing: HashSet::new() }
    }

    /// Whether a process is in view because it was asked for.
    pub(super) fn was_asked_for(&self, pid: Pid) -> bool {
        self.asked.contains(&pid) && self.view.get(pid).is_some()
    }

    /// Adds a process that may be a worker or a gateway, with its argv.
    pub(super) fn ask(&mut self, pid: Pid) -> Result<(), ProcessesError> {
        self.ask_with(pid, |_, _| Ok(Vec::new())).map(|_| ())
    }

    /// Adds a process with its argv, and its children with theirs.
    pub(super) fn ask_family(&mut self, pid: Pid, kinship: &Kinship) -> Result<(), ProcessesError> {
        let children = self.ask_with(pid, |proc, dir| kinship.children(proc, dir))?;
        children.into_iter().try_for_each(|child| self.ask(child))
    }

    fn ask_with(
        &mut self,
        pid: Pid,
        children: impl FnOnce(&mut Proc, &ProcessDir) -> Result<Vec<Pid>, ProcessesError>,
    ) -> Result<Vec<Pid>, ProcessesError> {
        self.asked.insert(pid);
        let Some(dir) = self.proc.process(pid)? else { return Ok(self.miss_asked(pid)) };
        let Some((mut process, exec)) = self.proc.describe(&dir)? else { return Ok(self.miss_asked(pid)) };
        let known = exec.and_then(|exec| self.argvs.get(process.identity, exec));
        process.argv = match known {
            Some(argv) => argv,
            None if process.zombie || process.kernel => None,
            None => {
                let argv = self.proc.argv(&dir)?.map(Into::into);
                if let Some(exec) = exec {
                    self.argvs.put(process.identity, exec, argv.clone());
                }
                argv
            }
        };
        let children = children(self.proc, &dir)?;
        self.found(process);
        Ok(children)
    }

    /// Adds a process that stands around others, without argv, unless it is there. `None`: nobody has this PID, or it's hidden.
    pub(super) fn add(&mut self, pid: Pid) -> Result<Option<&Process>, ProcessesError> {
        if !self.view.processes.contains_key(&pid) && !self.missing.contains(&pid) {
            let described = match self.proc.process(pid)? {
                Some(dir) => self.proc.describe(&dir)?,
                None => None,
            };
            match described {
                Some((process, _)) => self.found(process),
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
        }
        Vec::new()
    }

    /// Adds what is needed to judge those that are there: everybody's ancestors, and the leaders of the session and the process group of
    /// whoever was asked for.
    pub(super) fn finish(&mut self) -> Result<(), ProcessesError> {
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
