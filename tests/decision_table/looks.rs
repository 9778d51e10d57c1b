//! What a run looks at, and in which order: processes before tables, everything only where something may have been missed, and at last what
//! the tables name.

use std::collections::BTreeSet;

use gateway_reaper::domain::ledger::{GatewayMemory, GatewayRun, Ledger, Unfinished, WorkerClock};
use gateway_reaper::domain::looking::{Extent, Found, Next, Planner, Series};
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::process::ProcessIdentity;

use crate::world::*;

const NEAR: Next = Next::Look(Extent::Near);
const WHOLE: Next = Next::Look(Extent::Whole);
const EVERYTHING: Next = Next::Look(Extent::Everything);

/// Worker 200 of session `a` is below `gw`, with helper 300; a run saw all of it, and every process was looked at just now.
fn seen() -> World {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.process(300, 200, "node mcp.js");
    world.rows([with_worker(attached("a"), 200)]).look();
    world.ledger.whole_look = Some(world.now);
    world
}

fn memory(world: &mut World) -> &mut GatewayMemory {
    world.ledger.gateways.get_mut(&"gw".into()).expect("memory")
}

fn run(world: &World, found: Found, series: Series) -> Planner<&Ledger> {
    Planner::new(&world.ledger, vec![("gw".into(), found)], series, BTreeSet::new())
}

/// One more of many, of a gateway that its table names.
fn another(world: &World) -> Planner<&Ledger> {
    run(world, Found::ByTable, Series::Continued)
}

fn configured() -> Found {
    Found::AsConfigured(Some(pid(100)))
}

/// Everything that comes until the end, with what the world shows.
fn all(world: &World, planner: &mut Planner<&Ledger>) -> Vec<Next> {
    let mut all = Vec::new();
    loop {
        let next = planner.next(world.now);
        match &next {
            Next::Look(_) => planner.looked(&world.seen.processes),
            Next::ReadTables => planner.read(&[Some(world.seen.gateways[0].table.clone())]),
            Next::LookAt(_) => {}
            Next::Done => return all,
        }
        all.push(next);
        assert!(all.len() < 9, "no end: {all:?}");
    }
}

fn look_at(pids: &[u32]) -> Next {
    Next::LookAt(pids.iter().map(|raw| pid(*raw)).collect())
}

#[test]
fn processes_then_tables_then_what_these_name_and_the_gateway() {
    let world = seen();
    for found in [configured(), Found::ByTable] {
        let mut planner = run(&world, found, Series::Continued);
        assert_eq!(all(&world, &mut planner), [NEAR, Next::ReadTables, look_at(&[200, 100])]);
        assert_eq!(planner.roots().collect::<Vec<_>>(), [Some(pid(100))]);
        assert_eq!(planner.finish(), (Some(world.now), BTreeSet::new()));
    }
}

#[test]
fn where_nothing_is_named_and_no_gateway_known_there_is_nothing_more_to_look_at() {
    let mut world = seen();
    memory(&mut world).process = None;
    world.rows([]);
    assert_eq!(all(&world, &mut another(&world)), [NEAR, Next::ReadTables]);
}

#[test]
fn a_gateway_that_was_never_seen_is_asked_first_where_it_runs_and_looked_for_everywhere() {
    let mut world = seen();
    world.ledger.gateways.clear();
    world.table("gw").gateway_pid = Some(pid(100));
    let mut planner = another(&world);
    let expected = [Next::ReadTables, WHOLE, Next::ReadTables, look_at(&[200, 100])];
    assert_eq!(all(&world, &mut planner), expected);
    assert_eq!(all(&world, &mut run(&world, configured(), Series::Continued)), expected[1..]);
    let mut world = seen();
    memory(&mut world).process = None;
    assert_eq!(run(&world, configured(), Series::Continued).next(world.now), WHOLE, "its process is new");
}

#[test]
fn every_process_is_looked_at_in_its_turn_and_that_is_remembered() {
    let mut world = seen();
    let before = world.now;
    let now = world.pass(599).now;
    assert_eq!(another(&world).next(now), NEAR);
    let now = world.pass(1).now;
    let mut planner = another(&world);
    assert_eq!(planner.next(now), WHOLE);
    assert_eq!(planner.finish().0, Some(now));
    assert_eq!(another(&world).finish().0, Some(before));
}

#[test]
fn a_run_by_itself_looks_at_everything_where_it_does_not_know_a_gateways_process() {
    let mut world = seen();
    let first = |world: &World, series| run(world, Found::ByTable, series).next(world.now);
    assert_eq!(first(&world, Series::Single), NEAR);
    assert_eq!(first(&world, Series::Inquiry), EVERYTHING, "a person asks");
    memory(&mut world).process = None;
    assert_eq!(first(&world, Series::Single), WHOLE);
    assert_eq!(first(&world, Series::Continued), NEAR, "there is an earlier look to compare with");
}

/// Where its table names none or can't be read, and memory has none either, its workers are below what isn't known.
#[test]
fn a_whole_look_looks_for_workers_wherever_they_are_while_a_gateways_process_is_not_known() {
    let mut world = seen();
    world.ledger = Ledger::default();
    let first = |world: &World, found| all(world, &mut run(world, found, Series::Continued));
    assert_eq!(first(&world, Found::ByTable)[..2], [Next::ReadTables, WHOLE]);
    assert_eq!(first(&world, Found::AsConfigured(None))[..2], [Next::ReadTables, WHOLE]);
    world.table("gw").gateway_pid = Some(pid(100));
    assert_eq!(first(&world, Found::ByTable)[..2], [Next::ReadTables, WHOLE]);
    world.refused("gw");
    assert_eq!(first(&world, Found::ByTable)[..2], [Next::ReadTables, WHOLE]);
}

/// Others may have been adopted with it.
#[test]
fn what_is_gone_or_lost_its_parent_is_a_reason_to_look_at_everything_once() {
    let mut gone = seen();
    gone.die(100, 1);
    memory(&mut gone).workers.clear();
    let mut adopted = seen();
    adopted.worker(200, "a", 1);
    let mut due = adopted.clone();
    memory(&mut due).workers[0].clock =
        Some(WorkerClock { kind: OrphanKind::ParentlessWorker, since: due.now, failures: 0 });
    assert_eq!(all(&due, &mut another(&due))[..2], [NEAR, Next::ReadTables], "that is known of it");
    for (world, lost) in [(gone, 100), (adopted, 200)] {
        let mut planner = another(&world);
        assert_eq!(all(&world, &mut planner)[..3], [NEAR, WHOLE, Next::ReadTables]);
        let lost = BTreeSet::from([identity(lost)]);
        assert_eq!(planner.finish().1, lost);
        let gateways = vec![("gw".into(), Found::ByTable)];
        let mut again = Planner::new(&world.ledger, gateways, Series::Continued, lost);
        assert_eq!(all(&world, &mut again)[..2], [NEAR, Next::ReadTables], "once");
    }
}

#[test]
fn a_table_that_tells_of_another_process_or_run_of_its_gateway_is_read_again_after_a_look() {
    let again = |rest: &[u32]| [NEAR, Next::ReadTables, WHOLE, Next::ReadTables, look_at(rest)];
    let mut moved = seen();
    moved.process(400, 1, "gatewayd");
    moved.table("gw").gateway_pid = Some(pid(400));
    let mut planner = another(&moved);
    assert_eq!(all(&moved, &mut planner), again(&[200, 400]));
    assert_eq!(planner.roots().collect::<Vec<_>>(), [Some(pid(400))]);
    let mut planner = run(&moved, configured(), Series::Continued);
    assert_eq!(
        all(&moved, &mut planner)[..3],
        [NEAR, Next::ReadTables, look_at(&[200, 100])],
        "it is told where"
    );

    let mut named = seen();
    named.table("gw").gateway_pid = Some(pid(100));
    assert_eq!(all(&named, &mut another(&named)).len(), 3, "that is where it was");

    let mut restarted = seen();
    restarted.table("gw").instance = Some("gw run 2".into());
    assert_eq!(all(&restarted, &mut another(&restarted)), again(&[200, 100]));

    let mut tells_now = seen();
    memory(&mut tells_now).run = Some(GatewayRun::Process(identity(100)));
    assert_eq!(all(&tells_now, &mut another(&tells_now)), again(&[200, 100]));
    tells_now.table("gw").instance = None;
    assert_eq!(all(&tells_now, &mut another(&tells_now)).len(), 3, "it tells nothing of its run");
}

#[test]
fn what_was_below_a_worker_and_is_not_seen_there_is_looked_at_by_itself() {
    let mut world = seen();
    world.end(300);
    assert_eq!(all(&world, &mut another(&world))[2], look_at(&[200, 100]), "the look didn't go below it");
    let mut below = world.clone();
    below.seen.processes.looked_below.insert(pid(200));
    assert_eq!(all(&below, &mut another(&below))[2], look_at(&[200, 100, 300]));
    world.die(200, 1);
    world.rows([without_worker(attached("a"))]);
    assert_eq!(all(&world, &mut another(&world)).last(), Some(&look_at(&[100, 300])), "its worker is gone");
}

#[test]
fn everything_that_memory_speaks_of_is_asked_after() {
    let mut world = seen();
    memory(&mut world).former = vec![identity(101)];
    world.ledger.unfinished = vec![Unfinished {
        gateway: "gw".into(),
        orphan: OrphanKind::DetachedSession,
        asked: None,
        worker: identity(500),
        members: vec![identity(501)],
        stopping: false,
        may_be_of: Vec::new(),
    }];
    memory(&mut world).families[0].worker = identity(201);
    let known: Vec<ProcessIdentity> = another(&world).known();
    assert_eq!(known, [100, 101, 200, 201, 500, 501].map(identity));
}
