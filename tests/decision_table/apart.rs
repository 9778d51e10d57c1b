//! Every process that matches `worker.match` is judged with its session, or listed with the reason: what a session owns and wouldn't be ended
//! with it, too.

use gateway_reaper::domain::table::Session;

use crate::world::*;

/// Why the worker is kept, which session `a` of gateway `gw` owns.
fn left(world: &mut World, raw: u32) -> String {
    let why = world.look().why_worker(raw);
    let left = "unknown state: it is of session \"a\" of gateway gw, but isn't judged with it: ";
    why.strip_prefix(left).unwrap_or_else(|| panic!("{raw}: {why}")).into()
}

/// Two gateways with workers of one kind, 200 below the first and 201 below the second, both of the key `a`.
fn two_gateways() -> World {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 110);
    world.worker(201, "a", 100);
    world
}

#[test]
fn a_worker_below_another_gateway_that_closed_its_session() {
    for row in [attached("a"), detached("a")] {
        let mut world = two_gateways();
        world.rows([row]);
        assert_eq!(left(&mut world, 200), "it is below gateway other");
        assert_eq!(world.fate_of_worker(201), "not judged", "it goes with the session");
    }
}

#[test]
fn once_the_session_that_owns_it_has_ended_it_is_ownerless() {
    let mut world = two_gateways();
    world.rows([detached("a")]).look();
    let looked = world.look_after(60);
    assert_eq!(looked.goes_along("a"), Some(201));
    world.end(201);
    world.rows([]).look();
    assert_eq!(world.look_after(60).fate_of_worker(200), "reap: ownerless-worker, after 60s");
}

#[test]
fn a_worker_below_a_gateway_whose_table_cannot_be_read() {
    let mut world = two_gateways();
    world.rows([attached("a")]).refused("other");
    assert_eq!(left(&mut world, 200), "it is below gateway other");
}

#[test]
fn a_worker_that_lost_its_gateway_and_may_be_of_one_without_a_table() {
    let mut world = two_gateways();
    world.worker(200, "a", 1);
    world.rows([attached("a")]).refused("other");
    assert_eq!(left(&mut world, 200), "it may be of a gateway that gives no table");
}

#[test]
fn a_worker_that_two_sessions_may_own() {
    let mut world = World::new();
    world.worker(200, "k", 100);
    world.rows([with_key(attached("a"), "k"), with_key(detached("b"), "k")]);
    assert_eq!(left(&mut world, 200), "it may be of session \"b\" of gateway gw as well");
}

#[test]
fn a_copy_that_does_not_carry_its_sessions_key() {
    let mut world = World::new();
    world.worker(200, "old", 100);
    world.worker(201, "old", 1);
    world.rows([with_worker(attached("a"), 200)]);
    assert_eq!(left(&mut world, 201), "it carries another key");
    assert_eq!(world.fate_of_worker(200), "not judged", "its row names it");
}

#[test]
fn a_copy_of_a_worker_that_does_not_carry_the_key_of_its_row() {
    let mut world = World::new();
    world.worker(200, "old", 100);
    world.worker(201, "old", 1);
    world.rows([with_key(with_worker(attached("a"), 200), "new")]);
    let why = "its row names process 200, and nothing proves that this is its worker";
    assert_eq!(left(&mut world, 201), why);
}

#[test]
fn a_copy_below_the_worker_is_judged_with_it() {
    let mut world = World::new();
    world.worker(200, "old", 100);
    world.worker(201, "old", 200);
    world.rows([with_key(with_worker(attached("a"), 200), "new")]);
    assert_eq!(world.fate_of_worker(201), "not judged");
}

#[test]
fn a_copy_below_one_that_is_listed_is_listed_too() {
    let mut world = World::new();
    world.worker(200, "old", 100);
    world.worker(201, "old", 1);
    world.worker(202, "old", 201);
    world.rows([with_worker(attached("a"), 200)]);
    assert_eq!((left(&mut world, 201), left(&mut world, 202)), (ANOTHER_KEY.into(), ANOTHER_KEY.into()));
}

const ANOTHER_KEY: &str = "it carries another key";

/// A row may name init, and all that init has adopted is below that.
#[test]
fn what_is_below_a_process_that_is_never_a_worker_is_not_judged_with_that() {
    let mut world = World::new();
    world.worker(200, "a", 1);
    world.rows([with_worker(attached("a"), 1)]);
    assert_eq!(left(&mut world, 200), "process 1 is init");
}

#[test]
fn without_its_gateways_process() {
    let mut world = World::new();
    world.worker(200, "a", 1);
    world.rows([attached("a")]).of("gw").process = None;
    assert_eq!(left(&mut world, 200), "its gateway's process isn't known");
}

#[test]
fn of_a_gateway_that_shares_its_process_with_another() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.gateway("other", 100);
    world.rows([attached("a")]);
    assert_eq!(left(&mut world, 200), "another gateway of the configuration has the same process");
}

#[test]
fn where_a_row_is_not_understood() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([attached("a"), Session { worker: gibberish(), ..attached("b") }]);
    assert_eq!(left(&mut world, 200), "the worker of another row isn't understood, and may be this");
    world.rows([Session { worker: gibberish(), ..attached("a") }]);
    assert_eq!(left(&mut world, 200), "what is said of its worker isn't understood");
}

#[test]
fn where_the_row_names_a_process_that_may_be_anything() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.process(201, 100, "vi notes");
    world.rows([with_worker(attached("a"), 201)]);
    assert_eq!(left(&mut world, 200), "process 201 is named as its worker but doesn't match worker.match");
    // It carries another key, and may be of a session that isn't listed yet.
    world.worker(201, "x", 100);
    world.rows([with_worker(with_key(attached("a"), "a"), 201)]);
    assert_eq!(
        left(&mut world, 200),
        "its row names process 201, and nothing proves that this is its worker"
    );
}

#[test]
fn one_of_several_where_another_rows_worker_is_not_known() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "a", 100);
    world.rows([attached("a"), attached("b")]);
    let why = "the worker of session \"b\" isn't known, and this may be it";
    assert_eq!((left(&mut world, 200), left(&mut world, 201)), (why.into(), why.into()));
}

#[test]
fn another_users_process_is_protected() {
    let mut world = World::new();
    world.worker(200, "a", 100).uid = 0;
    world.rows([attached("a")]);
    let why = "protected: process 200 runs as user 0, not as 1000 (see worker.user)";
    assert_eq!(world.look().why_worker(200), why);
}

#[test]
fn what_nothing_says_to_have_lost_its_gateway() {
    let mut world = World::new();
    world.worker(200, "a", 80);
    world.rows([attached("a")]);
    assert!(left(&mut world, 200).starts_with("its parent 80"), "{}", left(&mut world, 200));
}
