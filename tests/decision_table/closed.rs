//! What another look says of what is left of a session that is closed, before the first signal to it.

use gateway_reaper::domain::observation::Observation;
use gateway_reaper::domain::table::TableView;
use gateway_reaper::reap::event::Recheck;
use gateway_reaper::sweep::recheck::judge;

use crate::world::*;

/// Session `a` is closed and not listed any more, its worker 200 is still there, with a child 201.
fn closed(change: impl FnOnce(&mut World)) -> Result<(), String> {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.process(201, 200, "helper");
    world.rows([with_worker(detached("a"), 200)]).look();
    let warrant = world.look_after(20).warrant("a").clone();
    world.pass(10).rows([]);
    change(&mut world);
    let seen = Observation { gateways: world.seen.gateways.clone(), ..world.seen.clone() };
    let left = [identity(200), identity(201)];
    match judge(&warrant, Some(&left), &seen, &world.peek().0) {
        Recheck::Stands { .. } => Ok(()),
        Recheck::Lapsed { why } => Err(why.into()),
        Recheck::Unknown { why } => Err(format!("unknown: {why}")),
        Recheck::Gone => panic!("what is left of it is there"),
    }
}

#[test]
fn what_no_other_session_has_may_be_ended() {
    assert_eq!(closed(|_| {}), Ok(()));
    assert_eq!(closed(|world| _ = world.rows([attached("b")])), Ok(()), "whatever worker b may have");
    assert_eq!(
        closed(|world| _ = world.rows([with_worker(detached("a"), 200)])),
        Ok(()),
        "listed still, and not wanted"
    );
    let is_nested = |world: &mut World| {
        world.worker(150, "b", 100);
        world.worker(200, "a", 150);
        world.rows([attached("b")]);
    };
    assert_eq!(closed(is_nested), Ok(()), "below another session's worker it is still its own");
    assert_eq!(closed(|world| world.unreachable("gw").die(100, 1)), Ok(()), "its gateway is gone");
}

#[test]
fn a_worker_that_another_session_has_by_now_is_let_be() {
    let why = |pid: u32| Err(format!("process {pid} is of session \"b\" by now"));
    assert_eq!(closed(|world| _ = world.rows([with_worker(attached("b"), 200)])), why(200));
    assert_eq!(closed(|world| _ = world.rows([with_key(attached("b"), "a")])), why(200), "by its key");
    let is_nested = |world: &mut World| {
        world.worker(201, "b", 200);
        world.rows([attached("b")]);
    };
    assert_eq!(closed(is_nested), why(201));
    let other = |world: &mut World| {
        world.gateway("other", 110);
        world.table("other").sessions = vec![with_worker(attached("b"), 200)];
    };
    assert_eq!(closed(other), why(200), "of any gateway");
}

#[test]
fn a_session_that_is_listed_again_and_wanted_keeps_its_worker() {
    assert_eq!(
        closed(|world| _ = world.rows([with_worker(attached("a"), 200)])),
        Err("a client is attached".into())
    );
}

#[test]
fn without_a_table_it_cant_be_known_whether_a_session_has_it() {
    for no_table in [TableView::refused("401"), TableView::unreachable("no answer in time")] {
        let why = closed(|world| world.of("gw").table = no_table).expect_err("it is kept");
        assert!(
            why.starts_with(
                "unknown: its session is closed, and whose its worker is by now can't be known: "
            ),
            "{why}"
        );
    }
}
