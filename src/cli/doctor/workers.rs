//! Which processes are a gateway's workers, whose they are, how much memory they take, and whether they may be signalled.

use std::collections::BTreeMap;

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use super::Check;
use crate::config::GatewayConfig;
use crate::domain::policy::WorkerMatch;
use crate::report::json::Gateway;
use crate::report::text::{bytes, count, plain};
use crate::users::Shown;

/// A process that matches `worker.match`.
pub(super) struct Found<'a> {
    process: &'a sysinfo::Process,
}

pub(super) fn everything() -> Result<System, sysinfo::Error> {
    let mut system = System::new()?;
    let what = ProcessRefreshKind::nothing()
        .without_tasks()
        .with_memory()
        .with_cmd(UpdateKind::Always)
        .with_user(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    Ok(system)
}

pub(super) fn matching<'a>(system: &'a System, pattern: &WorkerMatch) -> Vec<Found<'a>> {
    let matches = |process: &&sysinfo::Process| {
        let argv: Vec<_> = process.cmd().iter().map(|word| word.to_string_lossy()).collect();
        !argv.is_empty() && pattern.matches(&argv.join(" ")).is_some()
    };
    system.processes().values().filter(matches).map(|process| Found { process }).collect()
}

pub(super) fn workers(gateway: &Gateway<'_>, found: &[Found<'_>], gateways: &[u32], checks: &mut Vec<Check>) {
    let name = plain(gateway.name, 64);
    let memory = |found: &[&Found<'_>]| bytes(found.iter().map(|found| found.process.memory()).sum());
    if found.is_empty() {
        let sessions = gateway.subjects.iter().any(|entry| entry.kind == "session");
        let detail = format!("{name}: no process matches worker.match");
        checks.push(match sessions {
            false => Check::ok("workers", format!("{detail}; there is no session either")),
            true => Check::warning(
                "workers",
                detail,
                "compare worker.match with the argv of a worker (`ps -eo args`); it is tried from the first character on",
            ),
        });
        return;
    }
    let all: Vec<&Found<'_>> = found.iter().collect();
    checks.push(Check::ok(
        "workers",
        format!(
            "{name}: {} match worker.match, {}",
            count(all.len(), "process").replace("processs", "processes"),
            memory(&all)
        ),
    ));
    let pids: Vec<u32> = found.iter().map(|found| found.process.pid().as_u32()).collect();
    let mut strangers: BTreeMap<u32, Vec<&Found<'_>>> = BTreeMap::new();
    for found in &all {
        let parent = found.process.parent().map_or(0, sysinfo::Pid::as_u32);
        if parent > 1 && !gateways.contains(&parent) && !pids.contains(&parent) {
            strangers.entry(parent).or_default().push(found);
        }
    }
    for (parent, found) in strangers {
        checks.push(Check::warning(
            "workers",
            format!(
                "{} more, {}, belong to process {parent}, which is no [[gateway]]",
                found.len(),
                memory(&found)
            ),
            "if that is a gateway, add a [[gateway]] for it; otherwise make worker.match narrower",
        ));
    }
    signals(&name, &all, checks);
}

/// Signal 0 asks whether a process may be signalled, and does nothing to it.
fn signals(name: &str, found: &[&Found<'_>], checks: &mut Vec<Check>) {
    let refused = |found: &&&Found<'_>| {
        let pid = i32::try_from(found.process.pid().as_u32()).ok().and_then(rustix::process::Pid::from_raw);
        pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::PERM))
    };
    let refused: Vec<String> =
        found.iter().filter(refused).map(|found| found.process.pid().to_string()).collect();
    checks.push(if refused.is_empty() {
        Check::ok("signals", format!("{name}: all of them may be signalled"))
    } else {
        Check::failure(
            "signals",
            format!("{name}: not permitted to signal {}", plain(&refused.join(", "), 200)),
            "run the reaper as the workers' user, or give it CAP_KILL and set user under [gateway.worker]",
        )
    });
}

/// Those that run as another user than the gateway's workers are kept, whatever becomes of their sessions.
pub(super) fn users(settings: &GatewayConfig, found: &[Found<'_>], checks: &mut Vec<Check>) {
    let wanted = match settings.worker_user.as_ref().map(|user| user.uid("gateway.worker.user")) {
        None => rustix::process::geteuid().as_raw(),
        Some(Ok(uid)) => uid,
        // Told where the configuration is put to work.
        Some(Err(_)) => return,
    };
    let mut others: BTreeMap<u32, usize> = BTreeMap::new();
    for found in found {
        // As the kernel decides on signals: by the effective user.
        let uid = found.process.effective_user_id().map_or(wanted, |uid| **uid);
        if uid != wanted {
            *others.entry(uid).or_default() += 1;
        }
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
