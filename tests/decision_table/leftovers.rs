//! `leftover`: the other end of a server's stdin is gone, and so is its parent; of a kind that has no gateway.

use gateway_reaper::domain::policy::Workers;
use gateway_reaper::domain::process::Stdin;

use crate::world::*;

const WAIT: &str = "wait: leftover, 0s of 60s";
const REAP: &str = "reap: leftover, after 60s";

/// A world of leftovers alone, in which process 200 lost the other end of its stdin and was adopted by init.
fn left_over() -> World {
    let mut world = World::new();
    world.rules[0].workers = Workers::Leftovers;
    world.of("gw").process = None;
    world.worker(200, "a", 1);
    at_stdin(&mut world, Stdin::Gone);
    world
}

fn at_stdin(world: &mut World, stdin: Stdin) {
    world.seen.processes.stdin.insert(pid(200), stdin);
}

#[test]
fn its_host_and_the_other_end_of_its_stdin_are_gone() {
    let mut world = left_over();
    assert_eq!(world.look().fate_of_worker(200), WAIT);
    let looked = world.look_after(60);
    assert_eq!(looked.fate_of_worker(200), REAP);
    let warrant = looked.warrant_for(200);
    assert_eq!(warrant.worker(), Some(identity(200)));
    assert!(warrant.valid_until() <= world.now, "its stdin is looked at again before the first signal");
}

#[test]
fn adopted_by_a_subreaper() {
    let mut world = left_over();
    world.process(60, 1, "tini").comm = "tini".into();
    world.process(200, 60, "python3 -m worker --session-key a");
    assert_eq!(world.fate_of_worker(200), WAIT);
}

#[test]
fn a_parent_that_is_there_may_be_its_host() {
    let mut world = left_over();
    world.process(60, 80, "editor");
    world.process(200, 60, "python3 -m worker --session-key a");
    let why = world.look().why_worker(200);
    assert!(why.contains("its parent is there and may be its host"), "{why}");
}

#[test]
fn process_1_of_a_container_may_be_its_host() {
    let mut world = left_over();
    world.seen.processes.init_is_init = false;
    world.process(1, 0, "node host.js").comm = "node".into();
    let why = world.look().why_worker(200);
    assert!(why.contains("process 1 of a container"), "{why}");
}

#[test]
fn each_other_end_but_one_that_is_gone_keeps_it() {
    for (stdin, why) in [
        (Stdin::Held, "a client is attached"),
        (Stdin::Serving, "a client is attached"),
        (
            Stdin::AtPort,
            "unknown state: the other end of its stdin is gone, but it listens at a port, as its command line says: it needs no host",
        ),
        (
            Stdin::Other("/dev/null".into()),
            "unknown state: its stdin is /dev/null, so nothing tells whether its host is there",
        ),
        (Stdin::Unknown("no".into()), "unknown state: no"),
    ] {
        let mut world = left_over();
        at_stdin(&mut world, stdin);
        assert_eq!(world.look().why_worker(200), why);
    }
    let mut unseen = left_over();
    unseen.seen.processes.stdin.clear();
    assert_eq!(
        unseen.look().why_worker(200),
        "unknown state: what is at the other end of its stdin wasn't seen"
    );
}

#[test]
fn its_grace_begins_again_when_the_other_end_was_there_at_any_look() {
    let mut world = left_over();
    world.look();
    at_stdin(&mut world, Stdin::Held);
    world.look_after(30);
    at_stdin(&mut world, Stdin::Gone);
    assert_eq!(world.look_after(30).fate_of_worker(200), WAIT);
    assert_eq!(world.look_after(60).fate_of_worker(200), REAP);
}

#[test]
fn leftovers_leave_no_doubt_at_the_process_of_a_gateway() {
    // In a container a worker is taken for parentless only where each gateway is known to be another process; leftovers have none.
    let mut world = World::new();
    world.seen.processes.init_is_init = false;
    world.process(1, 0, "supervise").comm = "supervise".into();
    world.gateway("left", 101);
    world.rules[1].workers = Workers::Leftovers;
    world.rules[1].worker_match = None;
    world.of("left").process = None;
    world.worker(200, "a", 1);
    assert_eq!(world.fate_of_worker(200), "wait: parentless-worker, 0s of 60s");
}

#[test]
fn what_is_below_a_gateway_is_none() {
    let mut world = left_over();
    world.gateway("other", 110);
    world.rules[1].worker_match = None;
    world.process(200, 110, "python3 -m worker --session-key a");
    let why = world.look().why_worker(200);
    assert!(why.contains("it is below a gateway"), "{why}");
}

#[test]
fn what_may_be_a_worker_of_a_server_that_leaves_things_on_purpose_is_judged_as_that() {
    let mut world = left_over();
    world.gateway("server", 110);
    world.rules[1].workers = Workers::LeadersOfGone;
    world.worker(200, "a", 1).session = 200;
    let why = world.look().why_worker(200);
    assert!(why.contains("another program may have started it"), "{why}");
}
