//! The kernels of a server among the processes: its children that lead a session of their own and were given a connection file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::ids::{Pid, SessionId};
use crate::domain::process::ProcessIdentity;
use crate::sources::clock;
use crate::sources::http::Peer;
use crate::sources::processes::{Proc, ProcessesError};
use crate::sources::sockets::{Sockets, holder};

use super::server::{Flavour, Server};

/// The kernels that a server runs.
#[derive(Debug, Default)]
pub(super) struct Kernels {
    proc: Option<Proc>,
    buffer: Vec<u8>,
    by_id: HashMap<SessionId, Kernel>,
    /// What is known of each child: which kernel it is, or that it is none.
    children: HashMap<Pid, (u64, Option<SessionId>)>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    pub(super) pid: Pid,
    pub(super) start_ticks: u64,
    /// The file that says at which ports it listens.
    pub(super) connection_file: PathBuf,
}

impl Kernel {
    /// For how long it has been there.
    pub(super) fn age(&self) -> Duration {
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        Duration::from_secs(clock::ticks_now().saturating_sub(self.start_ticks) / per_second)
    }
}

impl Kernels {
    /// Whether the process of this server is still there. Of one without a process it isn't known.
    pub(super) fn is_there(&mut self, server: &Server) -> bool {
        let Some(process) = server.process else {
            // A Kernel Gateway without a process has nothing that tells one run from the next.
            return matches!(server.flavour, Flavour::KernelGateway);
        };
        self.started_at(process.pid) == Some(process.start_ticks)
    }

    /// The process at the other end of a connection.
    pub(super) fn holder(&mut self, peer: Peer) -> Option<ProcessIdentity> {
        let pids = match peer {
            Peer::Unknown => Vec::new(),
            Peer::Process(pid) => vec![pid],
            Peer::Ends(ours, theirs) => {
                // What listens stays; what was connected may be closed by now.
                let listener = Sockets::open().listener(theirs, ours.ip()).ok()??;
                holder::holders(listener.inode)
            }
        };
        // A child may have inherited it; the one that opened it is older.
        pids.into_iter().filter_map(|pid| self.identity(pid)).min_by_key(|process| process.start_ticks)
    }

    /// Looks at the children of the server.
    pub(super) fn look(&mut self, server: Option<ProcessIdentity>) {
        if let Err(error) = server.map_or(Ok(()), |server| self.look_below(server)) {
            tracing::debug!(%error, "the kernels of a server can't be looked at");
        }
        let children = &self.children;
        self.by_id.retain(|id, kernel| {
            let known = children.get(&kernel.pid);
            server.is_some()
                && known.is_some_and(|(start, of)| *start == kernel.start_ticks && of.as_ref() == Some(id))
        });
    }

    fn look_below(&mut self, server: ProcessIdentity) -> Result<(), ProcessesError> {
        let mut before = std::mem::take(&mut self.children);
        let proc = proc(&mut self.proc)?;
        let Some(dir) = proc.process(server.pid)? else { return Ok(()) };
        for pid in proc.children_of_process(&dir)? {
            let Some(stat) = proc.standing(pid)? else { continue };
            if stat.is_over() {
                continue;
            }
            let known =
                before.remove(&pid).filter(|(start, of)| *start == stat.start_ticks() && of.is_some());
            let of = match known {
                Some((_, of)) => of,
                None if stat.session == pid.get() => {
                    let file = connection_file(proc, pid, &mut self.buffer)?;
                    file.and_then(|file| Some((kernel_of(&file)?, file))).map(|(id, file)| {
                        let kernel = Kernel { pid, start_ticks: stat.start_ticks(), connection_file: file };
                        self.by_id.insert(id.clone(), kernel);
                        id
                    })
                }
                None => None,
            };
            self.children.insert(pid, (stat.start_ticks(), of));
        }
        Ok(())
    }

    /// The kernel of this id.
    pub(super) fn get(&self, id: &SessionId) -> Option<&Kernel> {
        self.by_id.get(id)
    }

    /// The ids of all.
    pub(super) fn ids(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.by_id.keys().cloned()
    }

    /// The processes of a kernel's tree, itself included. `None`: they can't be looked at.
    pub(super) fn tree(&mut self, kernel: &Kernel) -> Option<Vec<Pid>> {
        let proc = proc(&mut self.proc).ok()?;
        let mut tree = vec![kernel.pid];
        let mut at = 0;
        while let Some(pid) = tree.get(at).copied() {
            at += 1;
            if let Some(dir) = proc.process(pid).ok()? {
                tree.extend(proc.children_of_process(&dir).ok()?);
            }
        }
        Some(tree)
    }

    fn identity(&mut self, pid: Pid) -> Option<ProcessIdentity> {
        let proc = proc(&mut self.proc).ok()?;
        let dir = proc.process(pid).ok()??;
        let (process, _) = proc.describe(&dir).ok()??;
        (!process.zombie && !process.kernel).then_some(process.identity)
    }

    fn started_at(&mut self, pid: Pid) -> Option<u64> {
        let stat = proc(&mut self.proc).ok()?.standing(pid).ok()??;
        (!stat.is_over()).then(|| stat.start_ticks())
    }
}

fn proc(proc: &mut Option<Proc>) -> Result<&mut Proc, ProcessesError> {
    let opened = match proc.take() {
        Some(opened) => opened,
        None => Proc::open()?,
    };
    Ok(proc.insert(opened))
}

/// The last argument of a process.
fn connection_file(
    proc: &mut Proc,
    pid: Pid,
    buffer: &mut Vec<u8>,
) -> Result<Option<PathBuf>, ProcessesError> {
    let Some(dir) = proc.process(pid)? else { return Ok(None) };
    let Some(cmdline) = dir.text("cmdline", buffer)? else { return Ok(None) };
    Ok(cmdline.trim_end_matches('\0').rsplit('\0').next().map(PathBuf::from))
}

/// The kernel that a connection file is named after.
fn kernel_of(file: &Path) -> Option<SessionId> {
    let id = file.file_name()?.to_str()?.strip_prefix("kernel-")?.strip_suffix(".json")?;
    (!id.is_empty()).then(|| SessionId::from(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_file_names_its_kernel() {
        let of = |path: &str| kernel_of(Path::new(path)).map(|id| id.as_str().to_owned());
        assert_eq!(of("/run/a b/kernel-15b9f4fd-1f16.json").as_deref(), Some("15b9f4fd-1f16"));
        for path in ["/run/kernel-.json", "/run/kernel-1.txt", "/run/my-kernel-1.json", "-f", ""] {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
