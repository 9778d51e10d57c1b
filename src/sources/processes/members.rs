//! Whose a process is by the marks that it inherited: a variable of its environment, and the path of its cgroup. Read once per process and
//! argv. Secrets are inherited, too: nothing of an environment is kept or shown but that one value.

use std::collections::HashMap;
use std::sync::Arc;

use super::dir::ProcessDir;
use super::error::ProcessesError;
use super::proc::{Proc, exists};
use crate::config::{MarkConfig, Names};
use crate::domain::ids::{GatewayName, Pid};
use crate::domain::process::{Mark, Process, ProcessIdentity, ProcessView};

/// A longer value is no key.
const LONGEST: usize = 1024;

/// What marks the processes of one gateway.
#[derive(Debug, Clone)]
pub struct Marker {
    /// Whose.
    pub gateway: GatewayName,
    /// The user of its workers; no other's environment is read.
    pub uid: u32,
    /// The marks.
    pub marks: MarkConfig,
}

/// What was read, by process.
#[derive(Debug, Default)]
pub(crate) struct Members {
    markers: Vec<Marker>,
    known: HashMap<ProcessIdentity, (Option<Arc<str>>, Vec<Mark>)>,
    buffer: Vec<u8>,
}

impl Members {
    pub(crate) fn of(markers: Vec<Marker>) -> Self {
        Self { markers, ..Self::default() }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.markers.is_empty()
    }

    /// What marks the processes.
    pub(super) fn markers(&self) -> &[Marker] {
        &self.markers
    }

    /// The marks of whatever has this PID now. `None`: nothing has it, or it is hidden.
    pub(crate) fn of_process(
        &mut self,
        proc: &mut Proc,
        pid: Pid,
    ) -> Result<Option<Vec<Mark>>, ProcessesError> {
        let Some(uid) = proc.owner(pid)? else { return Ok(None) };
        let Some(dir) = proc.process(pid)? else { return Ok(None) };
        self.read_in(&dir, uid).map(Some)
    }

    /// From now on everything is read again.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Adds the marks of those in view that can be workers or of their trees.
    pub(super) fn look(&mut self, proc: &mut Proc, view: &mut ProcessView) -> Result<(), ProcessesError> {
        if self.is_idle() {
            return Ok(());
        }
        let mut known = HashMap::with_capacity(self.known.len());
        let candidates: Vec<&Process> =
            view.processes.values().filter(|it| it.argv.is_some() && !it.zombie).collect();
        let (mut found, mut bereft) = (Vec::new(), Vec::new());
        for process in candidates {
            let before = self.known.remove(&process.identity).filter(|(argv, _)| *argv == process.argv);
            let marks = match before {
                Some((_, marks)) => marks,
                None => self.read(proc, process.identity, process.uid)?,
            };
            for mark in &marks {
                if let Mark::Gateway { pid, .. } = mark
                    && is_gone(proc, *pid, process.identity)?
                {
                    bereft.push(process.identity.pid);
                }
            }
            if !marks.is_empty() {
                found.push((process.identity.pid, marks.clone()));
            }
            known.insert(process.identity, (process.argv.clone(), marks));
        }
        self.known = known;
        view.marks.extend(found);
        view.bereft.extend(bereft);
        Ok(())
    }

    /// Every process of the machine that bears a mark.
    pub(super) fn all(&mut self, proc: &mut Proc) -> Result<Vec<Pid>, ProcessesError> {
        let mut pids = Vec::new();
        proc.scan(|pid, stat| pids.extend((!stat.is_over()).then_some(pid)))?;
        let mut marked = Vec::new();
        for pid in pids {
            let Some(uid) = proc.owner(pid)? else { continue };
            if !self.markers.iter().any(|marker| marker.uid == uid) {
                continue;
            }
            let Some(dir) = proc.process(pid)? else { continue };
            if !self.read_in(&dir, uid)?.is_empty() {
                marked.push(pid);
            }
        }
        Ok(marked)
    }

    fn read(&mut self, proc: &mut Proc, who: ProcessIdentity, uid: u32) -> Result<Vec<Mark>, ProcessesError> {
        let Some(dir) = proc.process(who.pid)? else { return Ok(Vec::new()) };
        let marks = self.read_in(&dir, uid)?;
        // What was read is of the process that had the PID then.
        let is_it = proc.describe(&dir)?.is_some_and(|(process, _)| process.identity == who);
        Ok(if is_it { marks } else { Vec::new() })
    }

    fn read_in(&mut self, dir: &ProcessDir, uid: u32) -> Result<Vec<Mark>, ProcessesError> {
        let mut marks = Vec::new();
        for marker in self.markers.iter().filter(|marker| marker.uid == uid) {
            if let Some((name, names)) = &marker.marks.variable {
                if let Err(error) = dir.text("environ", &mut self.buffer) {
                    tracing::debug!(%error, "an environment can't be read, so it shows no mark");
                    self.buffer.clear();
                }
                let value = value_in(&self.buffer, name);
                marks.extend(value.and_then(|value| mark(&marker.gateway, *names, value)));
                // It may hold secrets.
                self.buffer.fill(0);
                self.buffer.clear();
            }
            if let Some(pattern) = &marker.marks.cgroup {
                let text = dir.text("cgroup", &mut self.buffer)?.unwrap_or_default();
                let path = text.lines().find_map(|line| line.strip_prefix("0::"));
                let session = path.and_then(|path| pattern.session_of(path));
                marks.extend(session.and_then(|value| mark(&marker.gateway, Names::Session, value)));
            }
        }
        Ok(marks)
    }
}

fn value_in<'a>(environ: &'a [u8], name: &str) -> Option<&'a str> {
    let value = environ
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")))?;
    std::str::from_utf8(value).ok().filter(|value| !value.is_empty() && value.len() <= LONGEST)
}

fn mark(gateway: &GatewayName, names: Names, value: &str) -> Option<Mark> {
    let gateway = gateway.clone();
    Some(match names {
        Names::Session => Mark::Session { gateway, key: value.into() },
        Names::Gateway => Mark::Gateway { gateway, pid: Pid::new(value.parse().ok()?)? },
    })
}

/// No process has its PID, or one that is younger than what it started.
fn is_gone(proc: &mut Proc, gateway: Pid, worker: ProcessIdentity) -> Result<bool, ProcessesError> {
    Ok(match proc.standing(gateway)? {
        Some(stat) => stat.is_over() || stat.start_ticks() > worker.start_ticks,
        None => !exists(gateway),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_one_whole_variable() {
        let environ = b"XKEY=no\0KEY=a b\0KEY2=c\0EMPTY=\0";
        assert_eq!(value_in(environ, "KEY"), Some("a b"));
        assert_eq!(value_in(environ, "EMPTY"), None);
        assert_eq!(value_in(environ, "KE"), None);
        assert_eq!(value_in(b"KEY=\xff\0", "KEY"), None);
    }

    #[test]
    fn a_mark_of_a_gateway_is_a_process_id() {
        let gateway = GatewayName::from("g");
        assert!(
            matches!(mark(&gateway, Names::Gateway, "4711"), Some(Mark::Gateway { pid, .. }) if pid.get() == 4711)
        );
        for other in ["x", "0", "-1", ""] {
            assert_eq!(mark(&gateway, Names::Gateway, other), None, "{other}");
        }
    }
}
