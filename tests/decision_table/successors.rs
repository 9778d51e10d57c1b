//! Two processes of one gateway at a time: one that was replaced and goes on with the sessions that it has, or several that answer in turn.
//! Only one of them gives the table; what another one may have started is in doubt until that one is gone.

use gateway_reaper::domain::table::Session;

use crate::world::*;

const UNKNOWN: &str = "keep: unknown-state";
const PARENTLESS: &str = "wait: parentless-worker, 0s of 60s";

/// From now on this process gives the table of `gw`, with these rows.
fn answers(world: &mut World, raw: u32, rows: impl IntoIterator<Item = Session>) {
    if world.seen.processes.get(pid(raw)).is_none() {
        let process = world.process(raw, 1, "gatewayd");
        (process.session, process.group) = (raw, raw);
    }
    let table = world.rows(rows).table("gw");
    table.gateway_pid = Some(pid(raw));
    table.instance = Some(format!("run {raw}").as_str().into());
    world.of("gw").process = Some(identity(raw));
}

/// Worker 200 of an attached session, then gateway process 300 in place of 100, which is there still.
fn replaced(parent: u32) -> World {
    let mut world = World::new();
    world.worker(200, "a", parent);
    answers(&mut world, 100, [with_worker(attached("a"), 200)]);
    world.look();
    answers(&mut world, 300, []);
    world
}

#[test]
fn a_child_of_a_gateway_process_that_was_replaced_and_is_there_is_kept() {
    let mut world = replaced(100);
    assert_eq!(world.fate_of_worker(200), UNKNOWN);
    assert_eq!(world.look_after(3_600).fate_of_worker(200), UNKNOWN);
    assert_eq!(world.look_after(3_600).reaped(), [""; 0]);
    world.ledger = gateway_reaper::domain::ledger::Ledger::default();
    assert_eq!(world.look_after(3_600).fate_of_worker(200), UNKNOWN, "also where nothing is remembered");
}

#[test]
fn a_worker_under_init_is_kept_while_a_gateway_process_that_was_replaced_may_have_started_it() {
    let mut world = replaced(1);
    assert_eq!(world.fate_of_worker(200), UNKNOWN);
    let looked = world.look_after(3_600);
    assert_eq!(looked.fate_of_worker(200), UNKNOWN);
    assert_eq!(
        looked.why_worker(200),
        "unknown state: process 100, which its gateway had before, is still there and may want it"
    );
    world.end(100);
    assert_eq!(
        world.look_after(60).fate_of_worker(200),
        UNKNOWN,
        "that process isn't in view, and isn't known to be gone"
    );
    world.die(100, 1);
    assert_eq!(world.look_after(60).fate_of_worker(200), PARENTLESS);
    assert_eq!(world.look_after(60).reaped(), ["a"]);
}

#[test]
fn what_is_older_than_the_process_that_was_replaced_or_a_child_of_its_successor_is_not_kept_for_it() {
    let mut world = replaced(1);
    world.worker(99, "b", 1);
    assert_eq!(world.fate_of_worker(99), UNKNOWN, "that process may have taken it back");
    world.rules[0].takes_workers_back = false;
    assert_eq!(world.fate_of_worker(99), PARENTLESS);
    world.worker(301, "c", 300);
    assert_eq!(world.fate_of_worker(301), "wait: ownerless-worker, 0s of 60s");
}

#[test]
fn nor_is_anything_reaped_for_its_successors_end() {
    let mut world = replaced(1);
    world.look();
    world.die(300, 1);
    world.unreachable("gw");
    assert_eq!(world.look_after(60).fate_of_worker(200), UNKNOWN);
    assert_eq!(world.look_after(3_600).reaped(), [""; 0]);
}

#[test]
fn of_processes_that_answer_in_turn_each_ones_workers_are_kept_while_another_answers() {
    for parents in [[100, 110], [1, 1]] {
        let mut world = World::new();
        let ours =
            |raw| if raw == 200 { with_worker(attached("a"), 200) } else { with_worker(attached("b"), 210) };
        answers(&mut world, 110, []);
        world.look();
        answers(&mut world, 100, []);
        world.look();
        world.worker(200, "a", parents[0]);
        world.worker(210, "b", parents[1]);
        for (process, worker) in [(110, 210), (100, 200), (110, 210)] {
            answers(&mut world, process, [ours(worker)]);
            for _ in 0..10 {
                assert_eq!(world.look_after(30).reaped(), [""; 0], "{parents:?}: {process} answers");
            }
        }
    }
}

#[test]
fn a_worker_that_the_replaced_process_had_taken_back_from_an_earlier_one_is_kept_for_it() {
    let mut world = World::new();
    world.worker(60, "a", 50);
    answers(&mut world, 50, [with_worker(attached("a"), 60)]);
    world.look();
    world.die(50, 1);
    world.worker(60, "a", 1);
    answers(&mut world, 100, [with_worker(attached("a"), 60)]);
    world.look();
    answers(&mut world, 300, []);
    assert_eq!(world.look().fate_of_worker(60), UNKNOWN);
    assert_eq!(world.look_after(3_600).reaped(), [""; 0]);
    world.die(100, 1);
    world.look();
    assert_eq!(world.look_after(60).reaped(), ["a"]);
}

#[test]
fn what_is_left_of_a_worker_is_kept_while_the_replaced_process_may_still_have_its_session() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.process(310, 200, "node mcp.js");
    answers(&mut world, 100, [with_worker(attached("a"), 200)]);
    world.look();
    world.die(200, 1);
    answers(&mut world, 300, []);
    assert_eq!(world.look().fate_of_worker(310), UNKNOWN);
    assert_eq!(world.look_after(3_600).fate_of_worker(310), UNKNOWN);
    world.die(100, 1);
    assert_eq!(world.look().fate_of_worker(310), "wait: ownerless-worker, 0s of 60s");
    assert_eq!(world.look_after(60).fate_of_worker(310), "reap: ownerless-worker, after 60s");
}

#[test]
fn of_a_kind_that_takes_no_worker_back_what_was_seen_below_no_gateway_may_be_of_an_earlier_process() {
    let mut world = replaced(1);
    world.rules[0].takes_workers_back = false;
    assert_eq!(world.look_after(3_600).fate_of_worker(200), UNKNOWN);
    world.worker(99, "b", 1);
    assert_eq!(world.fate_of_worker(99), PARENTLESS, "it is older than that process");
}
