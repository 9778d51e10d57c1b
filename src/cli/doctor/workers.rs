//! Which processes are a gateway's workers, whose they are, how much memory they take, and whether they may be signalled.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use crate::config::GatewayConfig;
use crate::domain::ids::Pid;
use crate::domain::policy::WorkerMatch;
use crate::domain::process::{Process, ProcessView};
use crate::report::json::{Document, Gateway};
use crate::report::text::{bytes, count, plain};
use crate::sources::processes::{Processes, ProcessesError};
use crate::users::Shown;

/// What may be workers: those that the report lists, which has looked at every process of the workers' users, and all that is below the
/// gateways, whatever user it runs as. Nothing else of the machine is read.
pub(super) fn in_view(report: &Document<'_>) -> Result<ProcessView, ProcessesError> {
    let listed = report.gateways.iter().flat_map(|gateway| &gateway.subjects);
    let listed: Vec<Pid> = listed.filter_map(|entry| pid(entry.worker_pid?)).collect();
    let gateways: Vec<Pid> = report.gateways.iter().filter_map(|gateway| pid(gateway.pid?)).collect();
    let (mut processes, mut view) = (Processes::new()?, ProcessView::default());
    processes.look_below(&mut view, &gateways)?;
    processes.look_at(&mut view, &listed)?;
    Ok(view)
}

fn pid(pid: u32) -> Option<Pid> {
    Pid::new(pid.into())
}

/// Those of them that match.
pub(super) fn matching<'a>(view: &'a ProcessView, pattern: &WorkerMatch) -> Vec<&'a Process> {
    let fits = |process: &&Process| {
        !process.zombie && process.argv.as_deref().is_some_and(|argv| pattern.matches(argv).is_some())
    };
    view.processes.values().filter(fits).collect()
}

fn memory(found: &[&Process]) -> String {
    bytes(found.iter().filter_map(|process| process.rss_bytes).sum())
}

fn processes(number: usize) -> String {
    count(number, "process").replace("processs", "processes")
}

/// Its own, and all that look like them.
pub(super) fn workers(gateway: &Gateway<'_>, found: &[&Process], checks: &mut Vec<Check>) {
    let name = plain(gateway.name, 64);
    if found.is_empty() {
        let sessions = gateway.subjects.iter().any(|entry| entry.kind == "session");
        let detail = format!("{name}: no process of its workers' user matches worker.match");
        checks.push(match sessions {
            false => Check::ok("workers", format!("{detail}; there is no session either")),
            true => Check::warning(
                "workers",
                detail,
                "compare worker.match with the argv of a worker (`ps -eo user,args`), it is tried from the first character on; and `[gateway.worker] user` with whose it is: yours, unless that says another",
            ),
        });
        return;
    }
    let listed: BTreeSet<u32> = gateway.subjects.iter().filter_map(|entry| entry.worker_pid).collect();
    let is_own = |process: &&&Process| {
        let parent = process.parent.map(Pid::get);
        listed.contains(&process.identity.pid.get()) || parent.is_some() && parent == gateway.pid
    };
    let own: Vec<&Process> = found.iter().filter(is_own).copied().collect();
    let others = match found.len() - own.len() {
        0 => String::new(),
        others => format!(", and {} of others", processes(others)),
    };
    checks.push(Check::ok(
        "workers",
        format!("{name}: worker.match fits {} of it, {}{others}", processes(own.len()), memory(&own)),
    ));
}

/// The gateway, where it looks like one: its workers may be forks of it.
pub(super) fn itself(
    settings: &GatewayConfig,
    gateway: &Gateway<'_>,
    found: &[&Process],
    checks: &mut Vec<Check>,
) {
    let is_it = |process: &&&Process| Some(process.identity.pid.get()) == gateway.pid;
    if let Some(process) = found.iter().find(is_it)
        && settings.process.is_none()
    {
        checks.push(Check::warning(
            "workers",
            format!(
                "{}: worker.match fits the gateway's own process {}, too",
                plain(gateway.name, 64),
                process.identity.pid
            ),
            "set match or pid_file under [gateway.process]: where the gateway doesn't answer, nothing else tells it from a worker",
        ));
    }
}

/// Those that are below a process that isn't known. `gateways`: the processes of gateways, and what listens where one isn't known.
pub(super) fn strangers(view: &ProcessView, found: &[&Process], gateways: &[u32], checks: &mut Vec<Check>) {
    let is_below_gateway = |pid: Pid| {
        let mut above = view.get(pid).into_iter().flat_map(|process| view.ancestors(process));
        above.any(|above| gateways.contains(&above.identity.pid.get()))
    };
    let pids: BTreeSet<Pid> = found.iter().map(|process| process.identity.pid).collect();
    let mut strangers: BTreeMap<Pid, Vec<&Process>> = BTreeMap::new();
    for process in found {
        if let Some(parent) = process.parent.filter(|parent| *parent != Pid::INIT)
            && !gateways.contains(&parent.get())
            && !pids.contains(&parent)
        {
            strangers.entry(parent).or_default().push(process);
        }
    }
    for (parent, found) in strangers {
        checks.push(Check::warning(
            "workers",
            format!(
                "{} of these, {}, belong to process {parent}, which is no [[gateway]]",
                found.len(),
                memory(&found)
            ),
            match is_below_gateway(parent) {
                true => "it starts them in a PID namespace of their own, perhaps, where no worker is looked for: make worker.match wide enough for that process",
                false => "if that is a gateway, add a [[gateway]] for it; otherwise make worker.match narrower",
            },
        ));
    }
}

/// Signal 0 asks whether a process may be signalled, and does nothing to it.
pub(super) fn signals(found: &[&Process], checks: &mut Vec<Check>) {
    if found.is_empty() {
        return;
    }
    let is_refused = |pid: Pid| {
        let raw = rustix::process::Pid::from_raw(pid.get().cast_signed());
        raw.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::PERM))
    };
    let pids = found.iter().map(|process| process.identity.pid);
    let refused: Vec<String> = pids.filter(|pid| is_refused(*pid)).map(|pid| pid.to_string()).collect();
    checks.push(if refused.is_empty() {
        Check::ok("signals", "all workers may be signalled")
    } else {
        Check::failure(
            "signals",
            format!("not permitted to signal {}", plain(&refused.join(", "), 200)),
            "run the reaper as the workers' user, or give it CAP_KILL and set user under [gateway.worker]",
        )
    });
}

/// Those that run as another user than the gateway's workers are kept, whatever becomes of their sessions.
pub(super) fn users(settings: &GatewayConfig, found: &[&Process], checks: &mut Vec<Check>) {
    let wanted = match settings.worker_user.as_ref().map(|user| user.uid("gateway.worker.user")) {
        None => rustix::process::geteuid().as_raw(),
        Some(Ok(uid)) => uid,
        // Told where the configuration is put to work.
        Some(Err(_)) => return,
    };
    let mut others: BTreeMap<u32, usize> = BTreeMap::new();
    for process in found.iter().filter(|process| process.uid != wanted) {
        *others.entry(process.uid).or_default() += 1;
    }
    for (uid, number) in others {
        checks.push(Check::warning(
            "workers",
            format!(
                "{}: {number} that match worker.match run as {}, not as {}, and are never signalled",
                plain(settings.name.as_str(), 64),
                Shown(uid),
                Shown(wanted)
            ),
            "if they are this gateway's, set user under [gateway.worker] and run the reaper as that user or as root",
        ));
    }
}
