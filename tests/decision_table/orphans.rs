//! The four kinds of orphan, each if and only if; for `parentless-worker` see its own page.

use gateway_reaper::domain::process::PidfdInode;
use gateway_reaper::domain::table::{Session, Told};

use crate::world::*;

const OWNERLESS: &str = "reap: ownerless-worker, after 60s";
const SUPERSEDED: &str = "reap: superseded-worker, after 60s";

/// The verdict on worker 200 when it was seen for 60 s.
fn fate(world: &mut World) -> String {
    world.look();
    world.look_after(60).fate_of_worker(200)
}

#[test]
fn a_detached_session_is_reaped_together_with_its_worker() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([with_worker(detached("a"), 200)]).look();
    let looked = world.look_after(20);
    assert_eq!(looked.reaped(), ["a"]);
    assert_eq!(looked.warrant("a").worker(), Some(identity(200)));
}

#[test]
fn a_worker_of_no_session_in_the_table_is_ownerless() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    assert_eq!(world.fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
    assert_eq!(world.look_after(59).fate_of_worker(200), "wait: ownerless-worker, 59s of 60s");
    let looked = world.look_after(1);
    assert_eq!(looked.fate_of_worker(200), OWNERLESS);
    assert_eq!(looked.warrant_for(200).worker(), Some(identity(200)));
    assert_eq!(looked.warrant_for(200).session(), None, "there is no session to close");
}

#[test]
fn a_worker_without_a_key_is_ownerless_when_every_row_gives_a_pid() {
    let mut world = World::new();
    world.process(200, 100, "python3 -m worker");
    world.worker(201, "b", 100);
    assert_eq!(fate(world.rows([with_worker(attached("b"), 201)])), OWNERLESS);
}

#[test]
fn a_worker_named_by_pid_belongs_to_its_session_whatever_its_argv_carries() {
    let mut world = World::new();
    world.worker(200, "old-key", 100);
    assert_eq!(fate(world.rows([with_worker(attached("a"), 200)])), "not judged");
}

#[test]
fn a_worker_whose_key_is_in_a_table_without_pids_belongs_to_that_session() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    assert_eq!(fate(world.rows([attached("a")])), "not judged");
}

#[test]
fn a_copy_of_the_named_worker_is_younger_than_it_and_is_the_sessions() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(150, "a", 100);
    assert_eq!(fate(world.rows([with_worker(attached("a"), 150)])), "not judged");
    world.rows([with_worker(detached("a"), 150)]).look();
    let looked = world.look_after(20);
    assert_eq!(looked.goes_along("a"), Some(150));
    assert_eq!(looked.warrant("a").remnants(), [identity(200)], "and goes with it");
}

#[test]
fn a_worker_whose_session_names_a_younger_one_is_superseded() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "a", 100);
    assert_eq!(fate(world.rows([with_worker(attached("a"), 201)])), SUPERSEDED);
}

#[test]
fn only_a_living_younger_worker_of_the_same_gateway_supersedes() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    let row = || with_worker(attached("a"), 201);
    let the_sessions = "not judged";
    assert_eq!(fate(world.clone().rows([row()])), the_sessions, "the one that it names isn't there");
    world.worker(201, "a", 100).zombie = true;
    assert_eq!(fate(world.clone().rows([row()])), the_sessions, "it is a zombie");
    world.process(201, 100, "vi notes");
    assert!(world.clone().rows([row()]).is_of_a_session(200), "it is no worker");
}

#[test]
fn the_same_key_twice_is_no_proof_that_one_of_them_is_stale() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "a", 100);
    let twin = |row: Session| Session { key: Told::Known("a".into()), ..row };
    let looked =
        world.clone().rows([with_worker(attached("s1"), 200), with_worker(twin(attached("s2")), 201)]).look();
    assert_eq!(looked.fate_of_worker(200), "not judged");
    assert_eq!(looked.fate_of_worker(201), "not judged");
    let mut without_pids = world.clone();
    without_pids.rows([twin(detached("s1")), twin(attached("s2"))]).look();
    let looked = without_pids.look_after(60);
    assert_eq!(
        looked.goes_along("s1"),
        None,
        "its gateway closes the session; which of both is its worker nobody can tell"
    );
    assert!(looked.is_of_a_session(200));
}

#[test]
fn all_that_carry_the_key_of_one_row_go_with_its_session() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "a", 100);
    world.rows([detached("a")]).look();
    let looked = world.look_after(20);
    assert_eq!((looked.goes_along("a"), looked.warrant("a").remnants()), (Some(200), &[identity(201)][..]));
    assert_eq!(world.rows([]).fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
}

#[test]
fn a_child_of_the_gateway_that_doesnt_look_like_a_worker_is_left_alone() {
    let mut world = World::new();
    world.process(200, 100, "tail -f python3 -m worker --session-key a");
    assert_eq!(fate(&mut world), "not judged");
    world.process(200, 100, "").argv = None;
    assert_eq!(fate(&mut world), "not judged");
}

#[test]
fn a_zombie_is_no_worker() {
    let mut world = World::new();
    world.worker(200, "a", 100).zombie = true;
    assert_eq!(fate(&mut world), "not judged");
}

#[test]
fn a_worker_that_is_another_process_by_now_starts_again() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.look();
    world.worker(200, "a", 100).identity.start_ticks += 1;
    assert_eq!(world.look_after(60).fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
    world.worker(200, "a", 100).identity.inode = PidfdInode::new(7);
    assert_eq!(world.look_after(60).fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
}

#[test]
fn a_row_whose_worker_is_not_understood_keeps_every_worker_it_may_mean() {
    let mut world = World::new();
    world.worker(200, "nobody", 100);
    world.rows([Session { worker: gibberish(), ..attached("a") }]);
    assert_eq!(fate(&mut world), "keep: unknown-state");
}

#[test]
fn a_row_without_pid_whose_key_is_not_understood_keeps_every_worker_it_may_mean() {
    let mut world = World::new();
    world.worker(200, "nobody", 100);
    assert_eq!(
        fate(world.clone().rows([Session { key: gibberish(), ..attached("a") }])),
        "keep: unknown-state"
    );
    world.worker(201, "a", 100);
    let row = with_worker(Session { key: gibberish(), ..attached("a") }, 201);
    assert_eq!(fate(world.rows([row])), OWNERLESS, "with a PID the key isn't needed");
}

#[test]
fn a_worker_without_a_key_may_be_that_of_any_row_without_a_pid() {
    let mut world = World::new();
    world.process(200, 100, "python3 -m worker");
    assert_eq!(fate(world.rows([attached("a")])), "keep: unknown-state");
}

#[test]
fn a_worker_as_old_as_the_one_its_row_names_is_not_superseded_but_the_sessions() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "a", 100).identity.start_ticks = identity(200).start_ticks;
    assert_eq!(fate(world.rows([with_worker(attached("a"), 201)])), "not judged");
}

/// The gateway above it adopted it, and its table is current: it isn't asked whose it was.
#[test]
fn a_superseded_worker_of_an_earlier_run_below_a_gateway_is_still_superseded() {
    let mut world = World::new();
    world.worker(99, "a", 100);
    world.worker(201, "a", 100);
    let fate = world.rows([with_worker(attached("a"), 201)]).fate_of_worker(99);
    assert_eq!(fate, "wait: superseded-worker, 0s of 60s");
}
