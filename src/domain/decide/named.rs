//! The process that a row names as its worker.

use super::doubts;
use super::gateway::is_apart;
use super::world::{RowId, World};
use crate::domain::ids::Pid;
use crate::domain::process::Process;
use crate::domain::table::Told;
use crate::domain::verdict::Protection;

/// The process that a row names, or the worker in the shell that it names, if that may be signalled. `Err`: the session is kept for it.
pub(super) fn by_pid<'a>(world: &World<'a>, row: RowId, pid: Pid) -> Result<Option<&'a Process>, Protection> {
    let gateway = &world.gateways[row.gateway];
    let session = world.session(row);
    if let Some(protection) = gateway.limits.protects_pid(pid) {
        return Err(protection);
    }
    if world.rows_naming(pid).len() > 1 {
        return Err(Protection::Shared(pid));
    }
    if let Some(of) = world.seen.processes.threads.get(&pid) {
        return Err(Protection::Thread { id: pid, of: *of });
    }
    let Some(process) = world.alive(pid) else { return Ok(None) };
    // Without its gateway or a pattern there is nothing to check the claim against, so nothing is signalled.
    let can_check = gateway.rules.worker_match.is_some() && gateway.contradiction.is_none();
    let above = gateway.process.filter(|_| can_check);
    if let Some(protection) = gateway.limits.protects(process) {
        return Err(protection);
    }
    let Some(above) = above else { return Ok(None) };
    let named = pid;
    let worker = if gateway.takes(pid) { Some(process) } else { world.only_wrapped(pid) };
    let Some(process) = worker.filter(|worker| gateway.takes(worker.identity.pid)) else {
        // Whatever its argv is.
        let is_apart = is_apart(world.view(), gateway.process, process);
        return Err(if is_apart { Protection::Elsewhere(pid) } else { Protection::NotAWorker(pid) });
    };
    let pid = process.identity.pid;
    if pid != named && !world.rows_naming(pid).is_empty() {
        return Err(Protection::Shared(pid));
    }
    if let Some(protection) = gateway.limits.protects(process) {
        return Err(protection);
    }
    let key = gateway.key_of(pid);
    let says_so = key.is_some() && key == session.worker_key();
    if !says_so && key.is_some_and(|key| !gateway.rows_with(key).is_empty()) {
        return Err(Protection::Shared(pid));
    }
    if key.is_some_and(|key| is_found_by_another(world, row, key)) {
        return Err(Protection::Shared(pid));
    }
    let line: Vec<Pid> = world.ancestors(process).map(|ancestor| ancestor.identity.pid).collect();
    let is_under = line.contains(&above.pid);
    let between = line.iter().take_while(|ancestor| **ancestor != above.pid);
    let between = between.filter(|ancestor| **ancestor != named);
    if !says_so && between.into_iter().any(|pid| !world.rows_naming(*pid).is_empty()) {
        return Err(Protection::Shared(pid));
    }
    // A worker that left its gateway's tree (double-forked) has to say itself whose it is; and one that gives no table may serve a session of
    // the same key.
    let is_under_another = line.iter().any(|pid| !world.gateways_at(*pid).is_empty());
    let is_its_own =
        || says_so && !is_under_another && !doubts::may_be_of_another(world, row.gateway, process);
    if !is_under && !is_its_own() {
        return Err(Protection::NotUnderGateway(pid));
    }
    // It carries another key than the row says, and may be of a session that isn't listed yet; or it doesn't say whose it is, and may be the
    // worker of a row that isn't understood. If it is this one's after all, its gateway ends it with its session.
    let contradicts = key.is_some() && session.key.known().is_some();
    Ok((says_so || !(contradicts || gateway.has_obscure_row())).then_some(process))
}

/// Whether another row with this key says nothing of its worker, and no other worker with the key is there for it: by its key that is this one.
fn is_found_by_another(world: &World<'_>, row: RowId, key: &str) -> bool {
    let rows = world.gateways[row.gateway].rows_with(key).iter();
    let mut others = rows.filter(|other| **other != row.row).map(|other| RowId { row: *other, ..row });
    others.any(|other| world.session(other).worker == Told::Absent && world.lacks_worker(other))
}

/// Why the process that a row names, and that may be signalled, isn't taken for its worker.
pub(super) fn why_unproven<'w>(world: &'w World<'_>, row: RowId, pid: Pid) -> &'w str {
    let gateway = &world.gateways[row.gateway];
    if gateway.rules.worker_match.is_none() {
        return "no worker.match says how its workers look";
    }
    if let Some(why) =
        gateway.why_no_check().filter(|_| gateway.process.is_none() || gateway.contradiction.is_some())
    {
        return why;
    }
    let worker = if gateway.takes(pid) {
        Some(pid)
    } else {
        world.only_wrapped(pid).map(|worker| worker.identity.pid)
    };
    let key = worker.and_then(|worker| gateway.key_of(worker));
    let says_so = key.is_some() && key == world.session(row).worker_key();
    match key {
        _ if says_so => "it may be of another session as well",
        Some(_) if world.session(row).key.known().is_some() => "it carries another key than the row says",
        _ if gateway.has_obscure_row() => "the worker of another row isn't understood, and may be this",
        _ => "it may be of another session as well",
    }
}
