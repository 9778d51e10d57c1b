//! PID namespaces: what is in another one than its gateway (than the reaper, where no gateway is known) is not considered.

use crate::world::*;

/// A container on the same host, with a worker of the same argv under its own init; and a worker of `gw`.
fn beside_a_container() -> World {
    let mut world = World::new();
    world.process(300, 1, "tini").comm = "tini".into();
    world.worker(301, "x", 300);
    world.worker(200, "x", 1);
    world.in_one_namespace();
    world.elsewhere(300, Some(ELSEWHERE));
    world.elsewhere(301, Some(ELSEWHERE));
    world
}

#[test]
fn a_worker_in_another_pid_namespace_than_its_gateway_is_not_considered() {
    let looked = beside_a_container().look();
    assert_eq!(looked.fate_of_worker(301), "not judged");
    assert_eq!(looked.fate_of_worker(200), "wait: parentless-worker, 0s of 60s");
}

#[test]
fn where_no_gateway_is_known_the_reapers_own_pid_namespace_counts() {
    let mut world = beside_a_container();
    world.unreachable("gw").die(100, 1);
    let looked = world.look();
    assert_eq!(looked.fate_of_worker(301), "not judged");
    assert_eq!(looked.fate_of_worker(200), "wait: parentless-worker, 0s of 60s");
}

#[test]
fn a_key_that_is_listed_by_a_gateway_of_another_pid_namespace_makes_no_owner() {
    let mut world = beside_a_container();
    world.rows([detached("x")]).look();
    let looked = world.look_after(20);
    assert_eq!(looked.goes_along("x"), Some(200), "and 301 is never ended");
    assert_eq!(looked.warrant("x").remnants(), []);
}

/// The gateway and its workers are in a container, the reaper is on the host.
fn gateway_in_a_container() -> World {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "x", 100);
    world.in_one_namespace();
    for raw in [100, 200, 201] {
        world.elsewhere(raw, Some(ELSEWHERE));
    }
    world
}

#[test]
fn of_a_gateway_in_another_pid_namespace_nothing_is_signalled_and_that_is_said() {
    let mut world = gateway_in_a_container();
    let why = "its gateway runs in another PID namespace, where the pids of its table mean other processes";
    world.rows([detached("a")]).look();
    let looked = world.look_after(60);
    assert_eq!(looked.goes_along("a"), None);
    let left =
        format!("unknown state: it is of session \"a\" of gateway gw, but isn't judged with it: {why}");
    assert_eq!(looked.why_worker(200), left, "the session is closed by its gateway, and the worker with it");
    assert_eq!(looked.why_worker(201), format!("its gateway's table can't be trusted: {why}"));
    assert_eq!(looked.0.gateways[0].contradiction.as_deref(), Some(why));
}

#[test]
fn a_pid_in_the_table_of_a_gateway_in_another_pid_namespace_names_no_process_here() {
    let mut world = gateway_in_a_container();
    world.gateway("native", 110);
    world.worker(300, "y", 110);
    for raw in [110, 300] {
        world.elsewhere(raw, Some(HERE));
    }
    world.rows([with_worker(detached("a"), 300), with_worker(detached("b"), 1)]).look();
    let looked = world.look_after(60);
    assert_eq!(looked.fate_of_worker(300), "reap: ownerless-worker, after 60s");
    assert_eq!((looked.goes_along("a"), looked.goes_along("b")), (None, None), "its gateway closes them");
}

#[test]
fn a_worker_whose_pid_namespace_cant_be_read_is_a_doubt() {
    let mut world = beside_a_container();
    world.elsewhere(200, None);
    assert_eq!(world.look().why_worker(200), "unknown state: its PID namespace can't be read");
    assert_eq!(
        world.rows([with_worker(attached("a"), 200)]).fate_of_worker(200),
        "not judged",
        "it is named"
    );
}

#[test]
fn a_gateway_whose_pid_namespace_cant_be_read_is_taken_for_one_of_the_reapers() {
    let mut world = beside_a_container();
    world.elsewhere(100, None);
    let looked = world.look();
    assert_eq!(
        (looked.fate_of_worker(200), looked.fate_of_worker(301)),
        ("wait: parentless-worker, 0s of 60s".into(), "not judged".into())
    );
    assert_eq!(looked.0.gateways[0].contradiction, None);
}

#[test]
fn a_worker_that_was_told_of_and_is_found_in_another_pid_namespace_is_not_considered() {
    let mut world = beside_a_container();
    assert_eq!(world.fate_of_worker(200), "wait: parentless-worker, 0s of 60s");
    world.elsewhere(200, Some(ELSEWHERE));
    assert_eq!(world.fate_of_worker(200), "not judged");
}

/// In the table of a gateway in another PID namespace the numbers mean other processes.
#[test]
fn a_row_of_a_gateway_in_another_pid_namespace_claims_no_process_by_its_number() {
    let mut world = gateway_in_a_container();
    world.rows([with_worker(attached("b"), 60)]);
    assert!(!world.look().0.claimed.contains_key(&pid(60)));
    world.gateway("other", 110);
    world.worker(202, "k", 110);
    world.table("other").sessions = vec![with_worker(attached("b"), 202)];
    let looked = world.look();
    let claim = &looked.0.claimed[&pid(202)];
    assert_eq!((claim.started, &claim.owners[..]), (Some(2020), &[("other".into(), id("b"))][..]));
}

#[test]
fn a_row_that_names_a_process_of_another_pid_namespace_keeps_its_session_and_says_that() {
    let mut world = beside_a_container();
    world.process(302, 300, "sleep 60");
    world.elsewhere(302, Some(ELSEWHERE));
    world.process(201, 100, "sleep 60").namespace = Some(HERE);
    world.rows([
        with_worker(detached("x"), 301),
        with_worker(detached("y"), 302),
        with_worker(detached("z"), 201),
    ]);
    let looked = world.look();
    for (session, raw) in [("x", 301), ("y", 302)] {
        let why = "is named as its worker but is in another PID namespace than its gateway";
        assert_eq!(looked.why(session), format!("protected: process {raw} {why}"));
    }
    assert_eq!(
        looked.why("z"),
        "protected: process 201 is named as its worker but doesn't match worker.match"
    );
}
