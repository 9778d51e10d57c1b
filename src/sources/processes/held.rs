//! The directories of the processes in the last looks, held open: each belongs to one process for good, so the next look needn't find out
//! again which process has the PID.

use std::collections::HashMap;
use std::sync::Arc;

use rustix::process::{Resource, getrlimit};

use super::dir::ProcessDir;
use super::error::ProcessesError;
use super::proc::Proc;
use super::stat::Traces;
use crate::domain::ids::Pid;
use crate::domain::process::{PidfdInode, Process};

/// No more are held: each takes up a descriptor. The others are opened at each look.
const MOST: usize = 1024;
/// Nor more than this part of the descriptors that there may be: the processes that are ended take up one each.
const PART: u64 = 16;

/// The directory of a process, and what `stat` said through it.
pub(super) type Described = (Arc<ProcessDir>, Process, Traces);

/// The directories of the last look, and of this one.
#[derive(Debug)]
pub(super) struct HeldDirs {
    last: HashMap<Pid, Held>,
    now: HashMap<Pid, Held>,
    most: usize,
}

#[derive(Debug)]
struct Held {
    dir: Arc<ProcessDir>,
    inode: Option<PidfdInode>,
}

impl HeldDirs {
    pub(super) fn new() -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = usize::try_from(limit / PART).unwrap_or(MOST).min(MOST);
        Self { last: HashMap::new(), now: HashMap::new(), most }
    }

    /// Ends a look: what it didn't see is closed.
    pub(super) fn turn_over(&mut self) {
        self.last = std::mem::take(&mut self.now);
    }

    /// The process that has this PID now. `None`: there is none, or it is hidden.
    pub(super) fn describe(
        &mut self,
        proc: &mut Proc,
        pid: Pid,
    ) -> Result<Option<Described>, ProcessesError> {
        if let Some(held) = self.now.remove(&pid).or_else(|| self.last.remove(&pid))
            && let Some((process, traces)) = proc.describe_as(&held.dir, held.inode)?
        {
            let dir = Arc::clone(&held.dir);
            self.now.insert(pid, held);
            return Ok(Some((dir, process, traces)));
        }
        // It is gone, and its PID may be another's by now.
        let Some(dir) = proc.process(pid)? else { return Ok(None) };
        let Some((process, traces)) = proc.describe(&dir)? else { return Ok(None) };
        let (dir, inode) = (Arc::new(dir), process.identity.inode);
        if self.last.len() + self.now.len() < self.most {
            self.now.insert(pid, Held { dir: Arc::clone(&dir), inode });
        }
        Ok(Some((dir, process, traces)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(raw: u32) -> Pid {
        Pid::new(raw.into()).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "it is a process")]
    fn sleeper() -> std::process::Child {
        std::process::Command::new("sleep").arg("60").spawn().unwrap()
    }

    #[test]
    fn a_process_is_read_through_the_same_directory_until_it_is_gone() {
        let (mut proc, mut dirs) = (Proc::open().unwrap(), HeldDirs::new());
        let mut child = sleeper();
        let pid = pid(child.id());
        let (first, process, _) = dirs.describe(&mut proc, pid).unwrap().unwrap();
        dirs.turn_over();
        let (second, again, _) = dirs.describe(&mut proc, pid).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(process.identity, again.identity);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(dirs.describe(&mut proc, pid).unwrap().is_none());
        assert!(dirs.now.is_empty() && dirs.last.is_empty(), "its directory is closed");
    }

    #[test]
    fn a_pid_that_is_anothers_by_now_is_read_as_that() {
        let (mut proc, mut dirs) = (Proc::open().unwrap(), HeldDirs::new());
        let mut child = sleeper();
        let own = pid(std::process::id());
        // As if this process had got the PID of the child.
        let dir = ProcessDir { pid: own, fd: proc.process(pid(child.id())).unwrap().unwrap().fd };
        dirs.last.insert(own, Held { dir: Arc::new(dir), inode: PidfdInode::new(1) });
        child.kill().unwrap();
        child.wait().unwrap();
        let (_, process, _) = dirs.describe(&mut proc, own).unwrap().unwrap();
        assert_eq!(process.identity, proc_self(&mut proc));
    }

    #[test]
    fn what_a_look_did_not_see_is_closed_and_no_more_are_held_than_may_be() {
        let (mut proc, mut dirs) = (Proc::open().unwrap(), HeldDirs::new());
        dirs.describe(&mut proc, pid(std::process::id())).unwrap().unwrap();
        dirs.turn_over();
        dirs.turn_over();
        assert!(dirs.last.is_empty());
        dirs.most = 20;
        let mut children: Vec<_> = (0..=dirs.most).map(|_| sleeper()).collect();
        for child in &children {
            assert!(dirs.describe(&mut proc, pid(child.id())).unwrap().is_some());
        }
        assert_eq!(dirs.now.len(), dirs.most);
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn proc_self(proc: &mut Proc) -> crate::domain::process::ProcessIdentity {
        let dir = proc.process(pid(std::process::id())).unwrap().unwrap();
        proc.describe(&dir).unwrap().unwrap().0.identity
    }
}
