//! Reads what a process and everything below it used of a processor.

use std::collections::HashMap;

use std::time::Duration;

use super::processes::{Proc, ProcessesError};
use crate::domain::ids::Pid;
use crate::domain::process::ProcessIdentity;
use crate::domain::spent::RENEWED_AFTER;
use crate::domain::time::Awake;

/// Reads the processor time of trees, and remembers what is in each: what is new there is found once a minute.
#[derive(Debug, Default)]
pub struct Trees {
    proc: Option<Proc>,
    known: HashMap<ProcessIdentity, Tree>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Tree {
    listed: Awake,
    members: Vec<(Pid, u64)>,
}

impl Trees {
    /// The processor time that the tree below this process ever used. `None`: it is gone.
    ///
    /// # Errors
    /// Something of it can't be read.
    pub fn used(&mut self, root: ProcessIdentity, now: Awake) -> Result<Option<Duration>, ProcessesError> {
        if let Some(tree) = self.known.get(&root).filter(|tree| now.since(tree.listed) < RENEWED_AFTER) {
            let proc = proc(&mut self.proc)?;
            let mut sum = Duration::ZERO;
            let mut is_whole = true;
            for (pid, started) in &tree.members {
                match proc.standing(*pid)?.filter(|stat| stat.start_ticks() == *started) {
                    Some(stat) => sum += stat.ran(),
                    None => is_whole = false,
                }
            }
            if is_whole {
                return Ok(Some(sum));
            }
        }
        self.list(root, now)
    }

    fn list(&mut self, root: ProcessIdentity, now: Awake) -> Result<Option<Duration>, ProcessesError> {
        let proc = proc(&mut self.proc)?;
        let (mut members, mut sum) = (Vec::new(), Duration::ZERO);
        let mut left = vec![root.pid];
        while let Some(pid) = left.pop() {
            let Some(stat) = proc.standing(pid)? else { continue };
            if pid == root.pid && (stat.start_ticks() != root.start_ticks || stat.is_over()) {
                break;
            }
            // A view that is no snapshot may have a ring in it.
            if members.iter().any(|(known, _)| *known == pid) {
                continue;
            }
            sum += stat.ran();
            members.push((pid, stat.start_ticks()));
            left.extend(proc.children_of(pid, &stat)?.pids);
        }
        if members.is_empty() {
            self.known.remove(&root);
            return Ok(None);
        }
        self.known.insert(root, Tree { listed: now, members });
        Ok(Some(sum))
    }

    /// Whether a thread of the tree runs right now: all that one look alone can show.
    ///
    /// # Errors
    /// Something of it can't be read.
    pub fn runs_now(&mut self, root: ProcessIdentity) -> Result<bool, ProcessesError> {
        let proc = proc(&mut self.proc)?;
        let members = self.known.get(&root).map(|tree| tree.members.as_slice()).unwrap_or_default();
        for (pid, _) in members {
            let Some(dir) = proc.process(*pid)? else { continue };
            for thread in dir.numbers("task")?.unwrap_or_default() {
                let line = dir.text(&format!("task/{thread}/stat"), &mut self.buffer)?;
                let state = line.and_then(|line| line.rsplit_once(')')?.1.split_ascii_whitespace().next());
                if state == Some("R") {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Has it listed anew when next it is asked for.
    pub fn forget(&mut self, root: &ProcessIdentity) {
        self.known.remove(root);
    }

    /// Forgets the trees of all others.
    pub fn keep(&mut self, is_wanted: impl Fn(&ProcessIdentity) -> bool) {
        self.known.retain(|root, _| is_wanted(root));
    }
}

fn proc(proc: &mut Option<Proc>) -> Result<&mut Proc, ProcessesError> {
    let opened = match proc.take() {
        Some(opened) => opened,
        None => Proc::open()?,
    };
    Ok(proc.insert(opened))
}
