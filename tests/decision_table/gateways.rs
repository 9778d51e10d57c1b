//! Tables that can't be trusted, and gateways that come in numbers.

use gateway_reaper::domain::table::TableView;

use crate::world::*;

#[test]
fn an_unreadable_table_is_never_an_empty_one() {
    for make in [World::unreachable, World::refused] {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.look();
        make(&mut world, "gw");
        let looked = world.look_after(3_600);
        assert_eq!(looked.fate_of_worker(200), "keep: table-not-trusted");
        assert_eq!(looked.reaped(), Vec::<String>::new());
    }
}

#[test]
fn an_outage_starts_the_graces_that_depend_on_the_table_again() {
    let mut world = World::new();
    world.worker(200, "nobody", 100);
    world.rows([without_worker(detached("a"))]).look();
    let seen = world.seen.clone();
    world.unreachable("gw").look_after(10);
    world.seen = seen;
    let looked = world.look_after(60);
    assert_eq!(looked.fate("a"), "wait: detached-session, 0s of 20s");
    assert_eq!(looked.fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
}

#[test]
fn a_hanging_gateway_is_not_a_dead_one() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.look();
    assert_eq!(world.unreachable("gw").look_after(3_600).fate_of_worker(200), "keep: table-not-trusted");
}

#[test]
fn one_gateway_down_keeps_what_depends_on_it_and_the_others_are_served() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 100);
    world.worker(201, "b", 110);
    world.look();
    let looked = world.unreachable("gw").look_after(60);
    assert_eq!(looked.fate_of_worker(200), "keep: table-not-trusted");
    assert_eq!(looked.fate_of_worker(201), "reap: ownerless-worker, after 60s");
    assert_eq!(looked.warrant_for(201).gateway().as_str(), "other");
}

#[test]
fn a_worker_off_the_tree_waits_for_the_gateway_that_listed_it_not_for_another() {
    for row in [attached("a"), with_worker(attached("a"), 200)] {
        let mut world = World::new();
        world.gateway("other", 110);
        world.worker(200, "a", 1);
        world.table("other").sessions = vec![row];
        world.look();
        world.unreachable("other");
        assert_eq!(world.look_after(60).fate_of_worker(200), "keep: table-not-trusted");
        world.of("other").process = None;
        assert_eq!(world.look_after(60).fate_of_worker(200), "keep: table-not-trusted");
    }
}

#[test]
fn a_process_that_two_tables_name_is_nobodys_to_reap() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 100);
    world.rows([with_worker(detached("a"), 200)]);
    world.table("other").sessions = vec![with_worker(detached("b"), 200)];
    world.look();
    let looked = world.look_after(3_600);
    assert_eq!(looked.why("a"), "protected: process 200 is the worker of another session too");
    assert_eq!(looked.why("b"), "protected: process 200 is the worker of another session too");
}

#[test]
fn a_worker_that_another_gateways_table_names_is_that_sessions() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 100);
    world.table("other").sessions = vec![with_worker(attached("b"), 200)];
    world.look();
    assert_eq!(world.look_after(60).fate_of_worker(200), "not judged");
    world.table("other").sessions = vec![with_worker(detached("b"), 200)];
    let why = "protected: process 200 is named as its worker but isn't under its gateway";
    assert_eq!(world.look().why("b"), why, "and is not ended on the word of a gateway that it isn't below");
}

#[test]
fn two_entries_with_one_gateway_process_reap_none_of_its_workers() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.of("other").process = Some(identity(100));
    world.worker(200, "a", 100);
    world.rows([detached("a")]).look();
    world.pass(60);
    let looked = world.look();
    assert_eq!(looked.goes_along("a"), None, "its gateway closes it; whose its worker is nobody can tell");
    assert!(looked.0.gateways.iter().all(|gateway| gateway.judged.iter().all(|judged| {
        judged.subject.worker_pid() != Some(pid(200))
            || judged.subject.id() == "a" && format!("{:?}", judged.verdict).starts_with("Keep")
    })));
}

#[test]
fn a_table_that_names_init_or_the_reaper_as_its_gateway_claims_no_process() {
    for raw in [1, 90] {
        let mut world = World::new();
        world.worker(200, "a", raw);
        world.worker(201, "b", 100);
        world.of("gw").process = Some(identity(raw));
        world.rows([with_worker(detached("b"), 201)]).look();
        let looked = world.look_after(60);
        assert_eq!(looked.goes_along("b"), None);
        assert_ne!(looked.fate_of_worker(200), "reap: ownerless-worker, after 60s");
    }
}

#[test]
fn a_table_that_names_another_gateway_than_was_found_claims_no_process() {
    let mut world = World::new();
    world.process(110, 1, "gatewayd");
    world.worker(200, "a", 100);
    world.worker(201, "b", 100);
    world.table("gw").gateway_pid = Some(pid(110));
    world.rows([with_worker(detached("b"), 201)]).look();
    let looked = world.look_after(60);
    assert_eq!(looked.goes_along("b"), None);
    let why = "it says that its gateway is process 110, and [gateway.process] finds 100";
    assert_eq!(looked.why_worker(200), format!("its gateway's table can't be trusted: {why}"));
}

#[test]
fn each_worker_is_judged_by_one_gateway_even_if_the_patterns_of_several_match() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(99, "a", 1);
    let looked = world.look();
    assert_eq!(looked.fate_of_worker(99), "wait: parentless-worker, 0s of 60s");
    assert_eq!(looked.0.gateways[0].judged.len(), 1, "by the first");
}

#[test]
fn each_worker_is_judged_by_the_gateway_that_remembers_it() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.rules[1].policy.worker_grace = secs(5);
    world.worker(200, "a", 110);
    world.look();
    world.unreachable("other").die(110, 1);
    assert_eq!(world.look_after(60).fate_of_worker(200), "wait: parentless-worker, 0s of 5s");
}

#[test]
fn a_worker_of_another_gateway_than_the_one_that_tells_of_it_has_the_longest_grace() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.rules[0].policy.worker_grace = secs(5);
    world.worker(200, "a", 110);
    world.refused("gw").of("other").process = None;
    assert_eq!(world.unreachable("other").fate_of_worker(200), "keep: table-not-trusted");
    world.of("other").process = Some(identity(110));
    world.table("other");
    world.look();
    world.worker(200, "a", 1);
    world.table("gw");
    assert_eq!(world.look().fate_of_worker(200), "wait: parentless-worker, 0s of 60s");
}

#[test]
fn a_gateway_without_rules_is_left_out() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 110);
    world.rules.pop();
    let looked = world.look();
    let why = "its parent 110 (gatewayd) is there and may be its gateway; it is no [[gateway]] of the configuration";
    assert_eq!(
        looked.why_worker(200),
        format!("unknown state: {why}"),
        "gw's worker.match takes it for a worker"
    );
    assert_eq!(looked.0.gateways.len(), 1);
}

#[test]
fn strangers_change_nothing() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([detached("a")]).look();
    world.process(300, 1, "postgres");
    world.process(301, 100, "tail -f python3 -m worker --session-key a");
    world.process(302, 200, "node mcp.js");
    let looked = world.look_after(20);
    assert_eq!(looked.reaped(), ["a"]);
    assert_eq!(looked.goes_along("a"), Some(200));
}

#[test]
fn a_gateway_without_a_table_keeps_every_session_that_it_can_name() {
    let mut world = World::new();
    world.of("gw").table = TableView::listed([id("a"), id("b")], "no table");
    let looked = world.look();
    for session in ["a", "b"] {
        assert_eq!(looked.why(session), "unknown state: no session table says whether it is in use");
    }
}
