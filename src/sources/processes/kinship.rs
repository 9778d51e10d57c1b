//! Whose child is whose: from the kernel's `children` files, or where it has none (no `CONFIG_PROC_CHILDREN`) from a full scan.

use std::collections::HashMap;

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::dir::{Children, ProcessDir, Threads};
use super::error::ProcessesError;
use super::proc::Proc;
use crate::domain::ids::Pid;

/// Where a look learns of children.
#[derive(Debug)]
pub(super) enum Kinship {
    /// From the parent's own files, whatever else there is on the machine.
    ChildrenFiles,
    /// From a table of all processes, already read.
    Table(HashMap<Pid, Vec<Pid>>),
}

impl Kinship {
    /// The children of a process, whichever thread started them.
    pub(super) fn children(&self, proc: &mut Proc, dir: &ProcessDir) -> Result<Children, ProcessesError> {
        self.of(proc, dir, Threads::All)
    }

    /// The children of a process among which whatever it adopted is to be found.
    pub(super) fn adopted(&self, proc: &mut Proc, dir: &ProcessDir) -> Result<Vec<Pid>, ProcessesError> {
        Ok(self.of(proc, dir, Threads::Main)?.pids)
    }

    fn of(&self, proc: &mut Proc, dir: &ProcessDir, threads: Threads) -> Result<Children, ProcessesError> {
        match self {
            Self::ChildrenFiles => proc.children(dir, threads),
            Self::Table(children) => {
                Ok(Children::in_table(children.get(&dir.pid()).cloned().unwrap_or_default()))
            }
        }
    }
}

/// The children of every process on the machine, by sysinfo. Without tasks, which it reads unless told; and never by a retained `System`,
/// which keeps the dead.
pub(crate) fn full_scan() -> Result<HashMap<Pid, Vec<Pid>>, ProcessesError> {
    let mut system = System::new().map_err(|error| ProcessesError::Read {
        what: "/proc, through sysinfo,".into(),
        source: std::io::Error::other(error),
    })?;
    let bare = ProcessRefreshKind::nothing().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, bare);
    // It skips what it can't read, and doesn't say so.
    if system.process(sysinfo::Pid::from_u32(std::process::id())).is_none() {
        return Err(ProcessesError::EmptyScan);
    }
    let pid = |pid: sysinfo::Pid| Pid::new(pid.as_u32().into());
    let pairs = system.processes().iter();
    Ok(by_parent(pairs.filter_map(|(&child, process)| Some((pid(child)?, pid(process.parent()?)?)))))
}

/// From pairs of child and parent.
pub(super) fn by_parent(pairs: impl Iterator<Item = (Pid, Pid)>) -> HashMap<Pid, Vec<Pid>> {
    let mut children: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for (child, parent) in pairs {
        children.entry(parent).or_default().push(child);
    }
    children
}
