//! Which workers were started by a gateway that is gone, by what their own environment says of it. What else is in there is not kept.

use std::collections::HashMap;

use super::error::ProcessesError;
use super::proc::{Proc, exists};
use crate::domain::ids::Pid;
use crate::domain::policy::{Rules, Workers};
use crate::domain::process::{Process, ProcessIdentity, ProcessView};

/// Jupyter's name for the process that started a kernel.
const MARK: &[u8] = b"JPY_PARENT_PID=";

/// What the environments that were read say.
#[derive(Debug, Default)]
pub(super) struct Marks {
    known: HashMap<ProcessIdentity, Option<Pid>>,
    buffer: Vec<u8>,
}

impl Marks {
    /// From now on everything is read again.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Adds to the view which of its workers lost the gateway that started them. One that is still that one's child needs no look.
    pub(super) fn look(
        &mut self,
        proc: &mut Proc,
        view: &mut ProcessView,
        rules: &[Rules],
    ) -> Result<(), ProcessesError> {
        let rules: Vec<&Rules> =
            rules.iter().filter(|rules| rules.workers == Workers::LeadersOfGone).collect();
        if rules.is_empty() {
            return Ok(());
        }
        let may_be_one = |process: &Process| {
            !process.zombie
                && rules.iter().any(|rules| {
                    let pattern = rules.worker_match.as_ref();
                    process.uid == rules.worker_uid
                        && pattern
                            .zip(process.argv.as_deref())
                            .is_some_and(|(it, argv)| it.matches(argv).is_some())
                })
        };
        let workers: Vec<&Process> = view.processes.values().filter(|process| may_be_one(process)).collect();
        let mut bereft = Vec::new();
        let mut known = HashMap::with_capacity(workers.len());
        for worker in workers {
            let mark = match self.known.get(&worker.identity) {
                Some(mark) => *mark,
                None => mark_of(proc, worker, &mut self.buffer)?,
            };
            known.insert(worker.identity, mark);
            if let Some(gateway) = mark.filter(|gateway| worker.parent != Some(*gateway))
                && is_gone(proc, gateway, worker)?
            {
                bereft.push(worker.identity.pid);
            }
        }
        self.known = known;
        view.bereft.extend(bereft);
        Ok(())
    }
}

fn mark_of(proc: &mut Proc, worker: &Process, buffer: &mut Vec<u8>) -> Result<Option<Pid>, ProcessesError> {
    let Some(dir) = proc.process(worker.identity.pid)? else { return Ok(None) };
    if let Err(error) = dir.text("environ", buffer) {
        tracing::debug!(%error, "the environment of a worker can't be read, so it shows no mark");
        return Ok(None);
    }
    let mark = mark_in(buffer);
    // It may hold secrets.
    buffer.fill(0);
    buffer.clear();
    // What was read is of the process that had the PID then.
    let is_it = proc.describe(&dir)?.is_some_and(|(process, _)| process.identity == worker.identity);
    Ok(mark.filter(|_| is_it))
}

/// The process that started this one, by Jupyter's name for it in its environment.
pub(crate) fn gateway_named_by(pid: Pid) -> Option<Pid> {
    let mut environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mark = mark_in(&environ);
    // It may hold secrets.
    environ.fill(0);
    mark
}

fn mark_in(environ: &[u8]) -> Option<Pid> {
    let value = environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(MARK))?;
    Pid::new(std::str::from_utf8(value).ok()?.parse().ok()?)
}

/// No process has its PID, or one that is younger than what it started.
fn is_gone(proc: &mut Proc, gateway: Pid, worker: &Process) -> Result<bool, ProcessesError> {
    Ok(match proc.standing(gateway)? {
        Some(stat) => stat.is_over() || stat.start_ticks() > worker.identity.start_ticks,
        None => !exists(gateway),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_one_variable_of_many() {
        assert_eq!(mark_in(b"A=1\0JPY_PARENT_PID=4711\0B=2\0"), Pid::new(4711));
        for other in [
            &b"XJPY_PARENT_PID=1\0"[..],
            b"JPY_PARENT_PID=\0",
            b"JPY_PARENT_PID=x\0",
            b"JPY_PARENT_PID=0\0",
            b"",
        ] {
            assert_eq!(mark_in(other), None);
        }
    }
}
