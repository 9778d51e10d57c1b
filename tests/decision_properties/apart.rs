//! Workers influence each other only through what they share: a key, a line of parents, a process session, a copied argv, a row. One that
//! shares nothing with any other, and that no row means, might as well not be there.

use gateway_reaper::domain::decide::decide;
use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::process::Process;
use gateway_reaper::domain::table::Session;

use crate::laws::told;
use crate::oracle::Fates;
use crate::random::Random;
use crate::world::*;

/// What starts a worker's argv, and what comes before its key.
const ARGV: &str = "python3 -m worker";
const KEY: &str = "--session-key ";

fn key(process: &Process) -> Option<&str> {
    process.argv.as_deref()?.split_once(KEY).map(|(_, key)| key)
}

fn workers(world: &World) -> impl Iterator<Item = &Process> {
    let is_one = |process: &&Process| process.argv.as_deref().is_some_and(|argv| argv.starts_with(ARGV));
    world.seen.processes.processes.values().filter(is_one)
}

/// It is below no worker and above nothing, leads no process session with another in it, no other worker has its key or is one without, and no
/// row names it or has its key.
fn is_apart(world: &World, worker: &Process) -> bool {
    let view = &world.seen.processes;
    let pid = worker.identity.pid;
    let others = || workers(world).filter(|other| other.identity.pid != pid);
    let above: Vec<Pid> = view.ancestors(worker).map(|above| above.identity.pid).collect();
    let is_below_one = others().any(|other| above.contains(&other.identity.pid));
    let is_above_any = view.processes.values().any(|below| below.parent == Some(pid));
    let rows = || {
        let tables = world.seen.gateways.iter().filter_map(|gateway| gateway.table.current());
        tables.flat_map(|table| &table.sessions)
    };
    let means_it = |row: &Session| {
        row.named_worker() == Some(pid) || key(worker).is_some_and(|key| row.worker_key() == Some(key))
    };
    // A shell around it may be named, and a gateway may be any process.
    let is_named_above = rows().any(|row| row.named_worker().is_some_and(|named| above.contains(&named)));
    let is_gateway = world.seen.gateways.iter().any(|gateway| {
        let said = gateway.table.current().and_then(|table| table.gateway_pid);
        [said, gateway.process.map(|process| process.pid)].contains(&Some(pid))
    });
    let leads_another = others().any(|other| other.session == pid.get());
    let shares_key = key(worker).is_some() && others().any(|other| key(other) == key(worker));
    let is_in_line = is_below_one || is_above_any || leads_another;
    !(is_in_line || is_named_above || is_gateway || shares_key || rows().any(means_it))
}

/// The first worker that has nothing to do with the others and matters to them all the same; and what is decided without it.
pub(crate) fn that_matters(random: &Random, told_with_it: &Fates) -> Option<(Pid, Fates)> {
    let world = &random.world;
    // One alone has no others.
    workers(world).nth(1)?;
    let apart: Vec<Pid> =
        workers(world).filter(|worker| is_apart(world, worker)).map(|it| it.identity.pid).collect();
    apart.into_iter().find_map(|pid| {
        let mut left = world.clone();
        left.end(pid.get());
        left.seen.processes.gone.insert(pid);
        let looked = Looked(decide(&left.seen, &left.ledger, &left.rules, left.now));
        let (without, own) = (told(&looked), format!("worker {pid}"));
        let others = told_with_it.iter().filter(|((_, whose), _)| *whose != own);
        (!without.iter().eq(others)).then_some((pid, without))
    })
}
