//! One process, read now.

use super::error::ProcessesError;
use super::proc::Proc;
use crate::domain::ids::Pid;
use crate::domain::process::{PidfdInode, Process, ProcessIdentity};

/// How much of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Everything but its argv.
    Bare,
    /// Its argv, too.
    WithArgv,
}

/// The process that has this PID now. `None`: there is none, or it's hidden.
pub(crate) fn read(proc: &mut Proc, pid: Pid, detail: Detail) -> Result<Option<Process>, ProcessesError> {
    let Some(dir) = proc.process(pid)? else { return Ok(None) };
    let Some((mut process, _)) = proc.describe(&dir)? else { return Ok(None) };
    if has_argv(&process, detail) {
        process.argv = proc.argv(&dir)?.map(Into::into);
    }
    Ok(Some(process))
}

/// The same for who holds the process by a pidfd with this inode, and asks it afterwards whether that is still there.
pub(crate) fn read_held(
    proc: &mut Proc,
    pid: Pid,
    inode: Option<PidfdInode>,
    detail: Detail,
) -> Result<Option<Process>, ProcessesError> {
    let Some(mut process) = proc.describe_held(pid, inode)? else { return Ok(None) };
    if has_argv(&process, detail) {
        process.argv = proc.argv_of(pid)?.map(Into::into);
    }
    Ok(Some(process))
}

/// The memory that would come back if this very process ended: PSS, or RSS where that can't be read. `None`: it is gone, or hidden.
pub(crate) fn memory_of(proc: &mut Proc, who: ProcessIdentity) -> Result<Option<u64>, ProcessesError> {
    let Some(dir) = proc.process(who.pid)? else { return Ok(None) };
    let described = proc.describe_as(&dir, who.inode)?;
    let Some((process, _)) = described.filter(|(process, _)| process.identity == who && !process.zombie)
    else {
        return Ok(None);
    };
    Ok(proc.proportional_memory(&dir).or(process.rss_bytes))
}

/// Whether it has an argv that is wanted.
fn has_argv(process: &Process, detail: Detail) -> bool {
    detail == Detail::WithArgv && !process.zombie && !process.kernel
}
