//! A gateway's process as `[gateway.process]` describes it, or why it isn't found.

use std::collections::BTreeSet;

use crate::config::{ProcessSource, pid_file};
use crate::domain::ids::Pid;
use crate::domain::process::{ProcessIdentity, ProcessView};
use crate::named_file::Trust;
use crate::sources::processes::{Processes, ProcessesError};
use crate::text::in_full;

/// How far to search for a gateway's process. Reading every argv of the machine is for a gateway that may be up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Remembered,
    All,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) pid: Option<Pid>,
    /// What the operator should know: a description that fits nothing, or too much. A gateway that is simply down is none.
    pub(super) trouble: Option<String>,
}

impl Found {
    fn trouble(trouble: String) -> Self {
        Self { pid: None, trouble: Some(trouble) }
    }
}

/// Both ways have to agree if both are given; more than one match is none.
pub(super) fn find(
    processes: &mut Processes,
    source: &ProcessSource,
    trust: &Trust,
    remembered: Option<ProcessIdentity>,
    reach: Reach,
) -> Result<Found, ProcessesError> {
    if let Some(path) = &source.pid_file {
        let pid = match pid_file::read(path, trust) {
            Ok(pid) => pid,
            Err(error) => return Ok(Found::trouble(in_full(&error))),
        };
        return confirm(processes, source, pid);
    }
    let Some(pattern) = &source.match_ else { return Ok(Found::default()) };
    if let Some(process) = remembered {
        let confirmed = confirm(processes, source, process.pid)?;
        if confirmed.pid.is_some() {
            return Ok(confirmed);
        }
    }
    if reach == Reach::Remembered {
        return Ok(Found::default());
    }
    let found = processes.find_matching(pattern)?;
    // A gateway's helpers may look like it; the one that isn't under another of them is the gateway.
    let pids: BTreeSet<Pid> = found.iter().map(|process| process.identity.pid).collect();
    let tops = found.iter().filter(|process| !process.parent.is_some_and(|parent| pids.contains(&parent)));
    let tops: Vec<Pid> = tops.map(|process| process.identity.pid).collect();
    Ok(match tops[..] {
        [] => Found::default(),
        [pid] => Found { pid: Some(pid), trouble: None },
        [first, second, ..] => Found::trouble(format!(
            "gateway.process.match fits {} processes ({first}, {second}, …), and none is taken for the gateway: make it fit one",
            tops.len()
        )),
    })
}

/// Whether this process is there and fits.
fn confirm(processes: &mut Processes, source: &ProcessSource, pid: Pid) -> Result<Found, ProcessesError> {
    let mut view = ProcessView::default();
    processes.look_at(&mut view, &[pid])?;
    let Some(process) = view.get(pid).filter(|process| !process.zombie) else {
        return Ok(Found::trouble(format!(
            "{} names process {pid}, which isn't there (any more)",
            named(source)
        )));
    };
    let fits = source
        .match_
        .as_ref()
        .is_none_or(|pattern| process.argv.as_deref().is_some_and(|argv| pattern.matches(argv).is_some()));
    if fits {
        return Ok(Found { pid: Some(pid), trouble: None });
    }
    Ok(Found::trouble(format!(
        "{} names process {pid}, which gateway.process.match doesn't fit",
        named(source)
    )))
}

fn named(source: &ProcessSource) -> String {
    source.pid_file.as_ref().map_or_else(|| "memory".into(), |path| format!("pid_file {}", path.display()))
}
