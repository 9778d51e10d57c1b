//! The reaper's memory: losing it only ever lengthens a grace, and what is of another boot or of the future is no memory.

use gateway_reaper::domain::ids::BootId;
use gateway_reaper::domain::ledger::{Ledger, SessionOf};
use gateway_reaper::domain::table::Session;
use gateway_reaper::domain::time::Awake;

use crate::world::*;

/// Session `a` and worker 200 were seen for 15 s, and memory is then changed.
fn then(change: impl FnOnce(&mut World)) -> [String; 2] {
    let mut world = World::new();
    world.worker(200, "nobody", 100);
    world.rows([without_worker(detached("a"))]).look();
    world.pass(15);
    change(&mut world);
    let looked = world.look();
    [looked.fate("a"), looked.fate_of_worker(200)]
}

const STARTED_AGAIN: [&str; 2] = ["wait: detached-session, 0s of 20s", "wait: ownerless-worker, 0s of 60s"];

#[test]
fn kept_the_graces_go_on() {
    assert_eq!(then(|_| {}), ["wait: detached-session, 15s of 20s", "wait: ownerless-worker, 15s of 60s"]);
}

#[test]
fn lost_the_graces_start_again() {
    assert_eq!(then(|world| world.ledger = Ledger::default()), STARTED_AGAIN);
}

#[test]
fn of_another_boot_the_graces_start_again() {
    let other = |world: &mut World| world.ledger.boot = Some(BootId::from("another boot"));
    assert_eq!(then(other), STARTED_AGAIN);
    assert_eq!(then(|world| world.ledger.boot = None), STARTED_AGAIN);
    let mut world = World::new();
    world.look();
    other(&mut world);
    let why = "it is from before the machine was started";
    assert_eq!(world.ledger.check(&world.seen.boot, world.now), Err(why));
}

#[test]
fn of_the_future_the_graces_start_again() {
    let back = |world: &mut World| world.now = Awake::from_nanos(1);
    assert_eq!(then(back), STARTED_AGAIN);
    let mut world = World::new();
    world.rows([detached("a")]).look();
    assert_eq!(world.ledger.check(&world.seen.boot, Awake::from_nanos(1)), Err("it is dated in the future"));
    assert_eq!(world.ledger.check(&world.seen.boot, world.now), Ok(()));
}

#[test]
fn of_the_future_the_gateways_own_clocks_reach_no_further_back_either() {
    let mut world = World::new();
    world.rows([Session { detached_for: Some(secs(90)), idle_for: Some(secs(90)), ..detached("a") }]).look();
    world.now = Awake::from_nanos(1);
    assert_eq!(world.fate("a"), STARTED_AGAIN[0]);
}

#[test]
fn of_another_boot_no_worker_was_seen_to_lose_its_gateway() {
    let mut world = World::new();
    world.process(60, 1, "supervisord");
    world.worker(200, "a", 100);
    world.look();
    world.unreachable("gw").die(100, 60);
    assert_eq!(world.peek().fate_of_worker(200), "wait: parentless-worker, 0s of 60s");
    world.ledger.boot = Some(BootId::from("another boot"));
    assert_eq!(world.fate_of_worker(200), "keep: unknown-state");
}

#[test]
fn what_is_gone_is_forgotten() {
    let mut world = World::new();
    world.worker(200, "nobody", 100);
    world.rows([detached("a")]).look();
    world.die(200, 1);
    world.rows([]).look();
    let memory = &world.ledger.gateways[&"gw".into()];
    assert!(memory.sessions.is_empty());
    assert!(memory.workers.is_empty());
}

#[test]
fn a_look_at_the_same_instant_decides_the_same() {
    let mut world = World::new();
    world.worker(200, "nobody", 100);
    world.rows([detached("a")]).look();
    world.pass(15);
    let first = world.look();
    let second = world.look();
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}

#[test]
fn when_every_process_was_last_looked_at_is_remembered() {
    let mut world = World::new();
    world.ledger.whole_look = Some(world.now);
    let at = world.now;
    world.look_after(15);
    world.look_after(15);
    assert_eq!(world.ledger.whole_look, Some(at));
}

/// The session that a worker is remembered with by this gateway.
fn session_of(world: &World, gateway: &str, raw: u32) -> Option<SessionOf> {
    let memory = &world.ledger.gateways[&gateway.into()];
    memory.workers.iter().find(|worker| worker.identity == identity(raw)).expect("a worker").session.clone()
}

#[test]
fn a_worker_is_remembered_with_its_session_and_with_the_gateway_of_that_if_it_is_another() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.process(200, 100, "python3 -m worker");
    world.rules[0].worker_match = None;
    world.rows([with_worker(attached("a"), 200)]).look();
    assert_eq!(
        session_of(&world, "other", 200),
        Some(SessionOf { gateway: Some("gw".into()), id: id("a"), earlier_run: false })
    );
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 100);
    world.rows([attached("a")]).look();
    assert_eq!(
        session_of(&world, "gw", 200),
        Some(SessionOf { gateway: None, id: id("a"), earlier_run: false })
    );
}

#[test]
fn what_was_a_worker_and_looks_like_none_is_remembered_with_its_session_and_without_a_clock() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([attached("a")]).look();
    let memory = world.ledger.gateways.get_mut(&"gw".into()).expect("memory");
    memory.workers[0].activity = Some("one".into());
    world.process(200, 100, "idle");
    world.look();
    let worker = world.ledger.gateways[&"gw".into()].workers[0].clone();
    assert_eq!((worker.identity, worker.clock, worker.activity), (identity(200), None, None));
    assert_eq!(worker.session, Some(SessionOf { gateway: None, id: id("a"), earlier_run: false }));
    // Another run of its gateway tells of it.
    world.table("gw").instance = Some("gw run 2".into());
    world.look();
    let of_earlier_run = SessionOf { gateway: None, id: id("a"), earlier_run: true };
    assert_eq!(session_of(&world, "gw", 200), Some(of_earlier_run));
}

#[test]
fn a_second_worker_of_a_session_is_remembered_with_it_as_well_as_the_first() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([attached("a")]).look();
    world.worker(201, "a", 1);
    world.look();
    for raw in [200, 201] {
        assert_eq!(session_of(&world, "gw", raw).expect("a session").id, id("a"), "{raw}");
    }
}

/// What has carried the session's new key for longer than its own worker runs was left of another one.
#[test]
fn an_older_worker_is_not_remembered_with_the_session_that_has_its_key_only_by_now() {
    let mut world = World::new();
    world.worker(200, "new", 100);
    world.worker(201, "a", 100);
    world.rows([attached("a")]).look();
    world.rows([with_key(attached("a"), "new")]).look();
    assert_eq!(session_of(&world, "gw", 200), None);
    let mut as_old = world.clone();
    as_old.worker(200, "new", 100).identity.start_ticks = 2010;
    as_old.look();
    let of_it = &as_old.ledger.gateways[&"gw".into()].workers;
    let of_it = of_it.iter().find(|worker| worker.identity.pid == pid(200)).expect("a worker");
    assert_eq!(of_it.session.as_ref().expect("a session").id, id("a"), "it may have come after that");
    world.rows([attached("a"), with_key(attached("b"), "new")]).look();
    assert_eq!(session_of(&world, "gw", 200).expect("a session").id, id("b"));
    world.worker(202, "a", 100);
    world.worker(199, "a", 100);
    world.look();
    assert_eq!(session_of(&world, "gw", 199).expect("a session").id, id("a"), "a copy, as old as it may be");
}

#[test]
fn another_sessions_worker_is_remembered_with_the_session_whose_row_names_it_by_now() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "b", 100);
    world.rows([attached("a"), attached("b")]).look();
    assert_eq!(session_of(&world, "gw", 201).expect("a session").id, id("b"));
    let mut rotated = world.clone();
    for (world, key) in [(&mut world, "a"), (&mut rotated, "new")] {
        world.rows([with_worker(with_key(attached("a"), key), 201)]).look();
        assert_eq!(session_of(world, "gw", 201).expect("a session").id, id("a"), "{key}");
    }
}

#[test]
fn another_sessions_worker_is_remembered_with_the_session_that_has_its_key_by_now_and_no_worker_of_its_own() {
    for own_worker_lives in [true, false] {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.worker(201, "b", 100);
        world.rows([attached("a"), attached("b")]).look();
        if !own_worker_lives {
            world.end(200);
        }
        world.rows([with_key(attached("a"), "b")]).look();
        let session = if own_worker_lives { "b" } else { "a" };
        assert_eq!(session_of(&world, "gw", 201).expect("a session").id, id(session));
    }
}
