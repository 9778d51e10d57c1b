//! What each field of a row does: its values, its absence, and what isn't understood.

use gateway_reaper::domain::table::{Session, Told, Turn};

use crate::world::*;

/// The verdict on the one session `a`, when it was first seen like this and is looked at again after its grace.
fn fate_of(row: Session) -> String {
    let mut world = World::new();
    world.rows([row]).look();
    world.look_after(20).fate("a")
}

fn why(row: Session) -> String {
    let mut world = World::new();
    world.rows([row]).look().why("a")
}

const REAP: &str = "reap: detached-session, after 20s";

#[test]
fn detached_idle_and_not_held_is_an_orphan() {
    assert_eq!(fate_of(detached("a")), REAP);
}

#[test]
fn transport_attached_keeps_the_session() {
    assert_eq!(fate_of(attached("a")), "keep: attached");
}

#[test]
fn transport_absent_keeps_the_session() {
    let row = Session { transport: Told::Absent, ..detached("a") };
    assert_eq!(fate_of(row.clone()), "keep: unknown-state");
    assert_eq!(why(row), "unknown state: the table doesn't say its transport");
}

#[test]
fn transport_of_any_other_value_keeps_the_session_and_that_is_said() {
    let row = Session { transport: gibberish(), ..detached("a") };
    assert_eq!(fate_of(row.clone()), "keep: unknown-state");
    assert_eq!(why(row), "unknown state: transport \"gibberish\" is not understood");
}

#[test]
fn turn_running_keeps_the_session() {
    assert_eq!(fate_of(Session { turn: Told::Known(Turn::Running), ..detached("a") }), "keep: mid-turn");
}

#[test]
fn turn_waiting_on_a_persons_answer_keeps_the_session() {
    assert_eq!(fate_of(Session { turn: Told::Known(Turn::Waiting), ..detached("a") }), "keep: waiting");
}

#[test]
fn turn_starting_keeps_the_session() {
    assert_eq!(fate_of(Session { turn: Told::Known(Turn::Starting), ..detached("a") }), "keep: starting");
}

#[test]
fn turn_absent_keeps_the_session() {
    let row = Session { turn: Told::Absent, ..detached("a") };
    assert_eq!(fate_of(row.clone()), "keep: unknown-state");
    assert_eq!(why(row), "unknown state: the table doesn't say its turn");
}

#[test]
fn turn_of_any_other_value_keeps_the_session_and_that_is_said() {
    let row = Session { turn: gibberish(), ..detached("a") };
    assert_eq!(fate_of(row.clone()), "keep: unknown-state");
    assert_eq!(why(row), "unknown state: turn \"gibberish\" is not understood");
}

#[test]
fn any_hold_keeps_the_session_and_is_named() {
    let row = Session { holds: Told::Known(vec!["delegation".into(), "approval".into()]), ..detached("a") };
    assert_eq!(fate_of(row.clone()), "keep: held");
    assert_eq!(why(row), "held by its gateway: delegation, approval");
}

#[test]
fn holds_absent_means_none() {
    assert_eq!(fate_of(Session { holds: Told::Absent, ..detached("a") }), REAP);
    assert_eq!(fate_of(Session { holds: Told::Known(Vec::new()), ..detached("a") }), REAP);
}

#[test]
fn holds_that_are_not_understood_keep_the_session() {
    assert_eq!(fate_of(Session { holds: gibberish(), ..detached("a") }), "keep: unknown-state");
}

#[test]
fn close_on_disconnect_has_a_grace_of_its_own() {
    let row = Session { close_on_disconnect: Told::Known(true), ..detached("a") };
    let mut world = World::new();
    world.policy().close_on_disconnect_grace = secs(3);
    assert_eq!(world.rows([row]).fate("a"), "wait: detached-session, 0s of 3s");
    assert_eq!(world.look_after(3).fate("a"), "reap: detached-session, after 3s");
}

#[test]
fn close_on_disconnect_is_reaped_at_first_sight_by_default() {
    let row = Session { close_on_disconnect: Told::Known(true), ..detached("a") };
    assert_eq!(World::new().rows([row]).fate("a"), "reap: detached-session, after 0s");
}

#[test]
fn close_on_disconnect_absent_means_false() {
    for told in [Told::Absent, Told::Known(false)] {
        let row = Session { close_on_disconnect: told, ..detached("a") };
        assert_eq!(World::new().rows([row]).fate("a"), "wait: detached-session, 0s of 20s");
    }
}

#[test]
fn close_on_disconnect_that_is_not_understood_keeps_the_session() {
    assert_eq!(fate_of(Session { close_on_disconnect: gibberish(), ..detached("a") }), "keep: unknown-state");
}

#[test]
fn close_on_disconnect_doesnt_end_what_is_in_use() {
    let quick = |row: Session| Session { close_on_disconnect: Told::Known(true), ..row };
    assert_eq!(fate_of(quick(attached("a"))), "keep: attached");
    let running = Session { turn: Told::Known(Turn::Running), ..detached("a") };
    assert_eq!(fate_of(quick(running)), "keep: mid-turn");
}

#[test]
fn key_absent_means_that_the_id_serves() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([detached("a")]).look();
    assert_eq!(world.look_after(20).goes_along("a"), Some(200));
}

#[test]
fn key_is_what_the_workers_argv_carries() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "long-key", 100);
    world.rows([Session { key: Told::Known("long-key".into()), ..detached("a") }]).look();
    assert_eq!(world.look_after(20).goes_along("a"), Some(201));
}

#[test]
fn key_that_is_not_understood_keeps_the_session() {
    assert_eq!(fate_of(Session { key: gibberish(), ..detached("a") }), "keep: unknown-state");
}

#[test]
fn worker_that_is_not_understood_keeps_the_session() {
    assert_eq!(fate_of(Session { worker: gibberish(), ..detached("a") }), "keep: unknown-state");
}

#[test]
fn worker_absent_is_matched_by_key_in_argv() {
    let mut world = World::new();
    world.worker(200, "b", 100);
    world.worker(201, "a", 100);
    world.rows([detached("a"), attached("b")]).look();
    assert_eq!(world.look_after(20).goes_along("a"), Some(201));
}

#[test]
fn a_match_by_key_proves_nothing_while_another_rows_key_or_worker_is_not_understood() {
    let mut world = World::new();
    world.worker(201, "a", 100);
    for other in
        [Session { key: gibberish(), ..attached("b") }, Session { worker: gibberish(), ..attached("b") }]
    {
        world.rows([detached("a"), other]).look();
        let looked = world.look_after(20);
        assert!(looked.fate("a").starts_with("reap"), "{}", looked.fate("a"));
        assert_eq!(looked.goes_along("a"), None, "it may be that row's");
        assert!(looked.is_of_a_session(201), "it is of session a, whose key it carries");
        world.rows([attached("a")]).look();
    }
}

#[test]
fn a_worker_that_doesnt_say_whose_it_is_proves_nothing_while_another_rows_key_or_worker_is_not_understood() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.process(201, 100, "python3 -m worker");
    for other in
        [Session { key: gibberish(), ..attached("b") }, Session { worker: gibberish(), ..attached("b") }]
    {
        let a = |named| Session { worker: Told::Known(Some(pid(named))), ..detached("a") };
        world.rows([a(201), other.clone()]).look();
        let looked = world.look_after(20);
        assert!(looked.fate("a").starts_with("reap"), "{}", looked.fate("a"));
        assert_eq!(looked.goes_along("a"), None, "it may be that row's");
        world.rows([a(200), other]);
        assert_eq!(world.look_after(20).goes_along("a"), Some(200), "it says that it is this row's");
        world.rows([attached("a")]).look();
    }
}

#[test]
fn a_session_is_told_with_the_worker_that_was_found_by_key_and_what_that_one_weighs() {
    let mut world = World::new();
    world.worker(200, "a", 100).rss_bytes = Some(7);
    for row in [detached("a"), attached("a")] {
        let looked = world.rows([row]).look();
        let [judged] = &looked.0.gateways[0].judged[..] else { panic!("{looked:?}") };
        assert_eq!((judged.subject.worker_pid(), judged.rss_bytes), (Some(pid(200)), Some(7)));
    }
}

#[test]
fn worker_pid_is_the_worker_of_the_session() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([Session { worker: Told::Known(Some(pid(200))), ..detached("a") }]).look();
    let looked = world.look_after(20);
    assert_eq!(looked.goes_along("a"), Some(200));
    assert_eq!(looked.fate_of_worker(200), "not judged", "a session's worker is not listed again");
}

#[test]
fn what_is_certain_is_said_before_what_is_unknown() {
    let row = Session { turn: gibberish(), holds: gibberish(), ..attached("a") };
    assert_eq!(fate_of(row), "keep: attached");
    let row = Session { transport: gibberish(), turn: Told::Known(Turn::Running), ..detached("a") };
    assert_eq!(fate_of(row), "keep: mid-turn");
}

#[test]
fn attached_and_idle_for_a_year_is_not_an_orphan() {
    let year = Some(secs(365 * 86_400));
    let row = Session { detached_for: year, idle_for: year, ..attached("a") };
    assert_eq!(fate_of(row), "keep: attached");
}

#[test]
fn gateway_pid_absent_means_no_claims_on_processes_but_the_session_is_closed() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "nobody", 100);
    world.of("gw").process = None;
    world.rows([Session { worker: Told::Known(Some(pid(200))), ..detached("a") }]).look();
    let looked = world.look_after(60);
    assert_eq!(looked.warrant("a").session().map(|order| order.id.clone()), Some(id("a")));
    assert_eq!(looked.goes_along("a"), None);
    assert_eq!(
        looked.fate_of_worker(201),
        "keep: unknown-state",
        "nothing says that its parent is no gateway"
    );
}

#[test]
fn without_worker_match_no_process_is_a_worker_but_the_session_is_closed() {
    let mut world = World::new();
    world.rules[0].worker_match = None;
    world.worker(200, "a", 100);
    world.rows([Session { worker: Told::Known(Some(pid(200))), ..detached("a") }]).look();
    assert_eq!(world.look_after(20).goes_along("a"), None);
}

#[test]
fn the_gateway_is_asked_for_the_very_run_that_was_seen() {
    let mut world = World::new();
    world.rows([detached("a")]).look();
    let looked = world.look_after(20);
    let instance = looked.warrant("a").session().and_then(|order| order.instance.clone());
    assert_eq!(instance, Some("gw run 1".into()));
}
