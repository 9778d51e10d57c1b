//! What the rows name, by what they name it.

use std::collections::{BTreeSet, HashMap};

use super::{Gateway, RowId};
use crate::domain::ids::Pid;
use crate::domain::observation::Observation;
use crate::domain::process::{Mark, Process};

/// The workers below each process that a row names and that was started to run such a worker and nothing else.
pub(super) fn wrapped<'a>(
    seen: &'a Observation,
    gateways: &[Gateway<'a>],
    named: &HashMap<Pid, Vec<RowId>>,
) -> HashMap<Pid, Vec<&'a Process>> {
    let mut wrapped: HashMap<Pid, Vec<&Process>> = HashMap::new();
    let pids: BTreeSet<Pid> = gateways.iter().flat_map(Gateway::workers).collect();
    for process in pids.into_iter().filter_map(|pid| seen.processes.get(pid)) {
        let Some(shell) = process.parent.filter(|parent| named.contains_key(parent)) else { continue };
        if seen.processes.get(shell).is_some_and(|shell| shell.is_wrapper_of(process)) {
            wrapped.entry(shell).or_default().push(process);
        }
    }
    wrapped
}

/// For each key the rows that name a worker which carries it, or the shell around that, each with the start of that worker.
pub(super) fn named_keys<'a>(
    seen: &'a Observation,
    gateways: &[Gateway<'a>],
    named: &HashMap<Pid, Vec<RowId>>,
    wrapped: &HashMap<Pid, Vec<&'a Process>>,
) -> HashMap<&'a str, Vec<(RowId, u64)>> {
    let mut keys: HashMap<&str, Vec<(RowId, u64)>> = HashMap::new();
    for (pid, rows) in named {
        let workers =
            seen.processes.get(*pid).into_iter().chain(wrapped.get(pid).into_iter().flatten().copied());
        for process in workers {
            let carried = gateways.iter().filter_map(|gateway| gateway.key_of(process.identity.pid));
            for key in carried {
                let started = process.identity.start_ticks;
                keys.entry(key).or_default().extend(rows.iter().map(|row| (*row, started)));
            }
        }
    }
    keys
}

/// For each argv the oldest worker that carries no key and is, or is below, what a row names: when it started, and that row.
pub(super) fn named_argvs<'a>(
    seen: &'a Observation,
    gateways: &[Gateway<'a>],
    named: &HashMap<Pid, Vec<RowId>>,
) -> HashMap<&'a str, (u64, RowId)> {
    let mut argvs: HashMap<&str, (u64, RowId)> = HashMap::new();
    let is_gateway = |pid: Pid| gateways.iter().any(|it| it.process.is_some_and(|it| it.pid == pid));
    let keyless = gateways.iter().flat_map(|gateway| gateway.workers.iter().filter(|(_, key)| key.is_none()));
    for process in keyless.filter_map(|(pid, _)| seen.processes.get(*pid)) {
        let above = seen.processes.ancestors(process).take_while(|above| !is_gateway(above.identity.pid));
        let mut line = std::iter::once(process).chain(above);
        let row = line.find_map(|process| named.get(&process.identity.pid)?.first());
        if let (Some(row), Some(argv)) = (row, process.argv.as_deref()) {
            let started = process.identity.start_ticks;
            let oldest = argvs.entry(argv).or_insert((started, *row));
            *oldest = (*oldest).min((started, *row));
        }
    }
    argvs
}

/// The rows whose session the marks of each living process name, by key or by id.
pub(super) fn marked(seen: &Observation, gateways: &[Gateway<'_>]) -> HashMap<Pid, Vec<RowId>> {
    let mut marked: HashMap<Pid, Vec<RowId>> = HashMap::new();
    if seen.processes.marks.is_empty() {
        return marked;
    }
    for (gateway, it) in gateways.iter().enumerate().filter(|(_, it)| !it.is_elsewhere) {
        let named =
            seen.processes.marks.iter().flat_map(|(pid, marks)| marks.iter().map(move |mark| (*pid, mark)));
        for (pid, mark) in named {
            let Mark::Session { gateway: name, key } = mark else { continue };
            if it.seen.name != *name || seen.processes.get(pid).is_none_or(|process| process.zombie) {
                continue;
            }
            let by_id = || it.rows.iter().position(|row| row.id.as_str() == &**key);
            let rows = it.rows_with(key);
            let rows = if rows.is_empty() { by_id().into_iter().collect() } else { rows.to_vec() };
            marked.entry(pid).or_default().extend(rows.into_iter().map(|row| RowId { gateway, row }));
        }
    }
    marked.retain(|_, rows| !rows.is_empty());
    marked
}
