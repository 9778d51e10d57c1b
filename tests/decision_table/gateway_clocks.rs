//! The gateway's own clocks, `detached_for_s` and `idle_for_s`: only both together may stand in for the reaper's own observation, and then
//! the smaller one counts.

use gateway_reaper::domain::decide::decide;
use gateway_reaper::domain::table::{Session, Told, Turn};

use crate::world::*;

fn claiming(detached_for: Option<u64>, idle_for: Option<u64>) -> Session {
    let [detached_for, idle_for] = [detached_for, idle_for].map(|claim| claim.map(secs));
    Session { detached_for, idle_for, ..detached("a") }
}

/// Session `a`, seen for 10 s with these claims.
fn waited(detached_for: Option<u64>, idle_for: Option<u64>) -> String {
    let mut world = World::new();
    world.rows([claiming(detached_for, idle_for)]).look();
    world.look_after(10).fate("a")
}

/// One run of a series with looks due every 5 s, stopped for 40 s after it had asked for the tables.
fn look_and_stop(world: &mut World) -> Looked {
    let mut seen = world.seen.clone();
    seen.gateways[0].asked = world.now;
    seen.unobserved = secs(35);
    world.pass(40);
    let looked = Looked(decide(&seen, &world.ledger, &world.rules, world.now));
    world.ledger = looked.0.ledger.clone();
    looked
}

#[test]
fn without_them_the_reapers_own_observation_counts() {
    assert_eq!(waited(None, None), "wait: detached-session, 10s of 20s");
}

#[test]
fn both_together_stand_in_for_the_reapers_own_observation() {
    let mut world = World::new();
    let looked = world.rows([claiming(Some(25), Some(30))]).look();
    assert_eq!(looked.fate("a"), "reap: detached-session, after 25s", "at first sight");
}

#[test]
fn the_smaller_of_both_counts() {
    assert_eq!(waited(Some(12), Some(14)), "wait: detached-session, 12s of 20s");
    assert_eq!(waited(Some(14), Some(12)), "wait: detached-session, 12s of 20s");
}

#[test]
fn a_client_that_came_and_went_between_two_looks_is_known_to_the_gateway() {
    let mut world = World::new();
    world.rows([claiming(Some(0), Some(0))]).look();
    world.rows([claiming(Some(3), Some(40))]);
    assert_eq!(world.look_after(40).fate("a"), "wait: detached-session, 3s of 20s");
}

#[test]
fn one_of_them_alone_never_stands_in() {
    assert_eq!(waited(Some(3_600), None), "wait: detached-session, 10s of 20s");
    assert_eq!(waited(None, Some(3_600)), "wait: detached-session, 10s of 20s");
}

#[test]
fn one_of_them_alone_can_only_lengthen_the_wait() {
    assert_eq!(waited(Some(4), None), "wait: detached-session, 4s of 20s");
    assert_eq!(waited(None, Some(4)), "wait: detached-session, 4s of 20s");
}

#[test]
fn after_new_activity_they_reach_no_further_back_than_that() {
    let mut world = World::new();
    let row = |activity: &str| Session { activity: Some(activity.into()), ..claiming(Some(90), Some(90)) };
    world.rows([row("1")]).look();
    world.rows([row("2")]);
    assert_eq!(world.look_after(1).fate("a"), "wait: detached-session, 0s of 20s");
    assert_eq!(world.look_after(7).fate("a"), "wait: detached-session, 7s of 20s");
}

#[test]
fn after_a_new_instance_they_reach_no_further_back_than_that() {
    let mut world = World::new();
    world.rows([]).look();
    world.rows([claiming(Some(90), Some(90))]).table("gw").instance = Some("gw run 2".into());
    assert_eq!(world.look_after(1).fate("a"), "wait: detached-session, 0s of 20s");
    assert_eq!(world.look_after(7).fate("a"), "wait: detached-session, 7s of 20s");
}

/// They know when the transport and the turn ended, not when a hold did.
#[test]
fn after_a_hold_they_reach_no_further_back_than_that() {
    let mut world = World::new();
    let held = Told::Known(vec!["delegation".into()]);
    world.rows([Session { holds: held, ..claiming(Some(3_600), Some(3_600)) }]).look();
    world.rows([claiming(Some(3_610), Some(3_610))]);
    assert_eq!(world.look_after(10).fate("a"), "wait: detached-session, 0s of 20s");
    assert_eq!(world.look_after(7).fate("a"), "wait: detached-session, 7s of 20s");
}

#[test]
fn after_a_hold_and_an_outage_they_reach_no_further_back_than_that() {
    let mut world = World::new();
    world.rows([Session { holds: gibberish(), ..claiming(Some(3_600), Some(3_600)) }]).look();
    let seen = world.seen.clone();
    world.unreachable("gw").look_after(10);
    world.seen = seen;
    world.rows([claiming(Some(3_620), Some(3_620))]);
    assert_eq!(world.look_after(10).fate("a"), "wait: detached-session, 0s of 20s");
}

#[test]
fn after_a_refused_reap_and_an_outage_they_reach_no_further_back_than_that() {
    let mut world = World::new();
    world.rows([claiming(Some(90), Some(90))]).look();
    world.ledger.refused(&"gw".into(), &id("a"));
    let seen = world.seen.clone();
    world.unreachable("gw").look_after(1);
    world.seen = seen;
    assert_eq!(world.look_after(1).fate("a"), "wait: detached-session, 0s of 20s");
}

#[test]
fn a_session_that_was_attached_and_left_again_is_as_old_an_orphan_as_they_say() {
    let mut world = World::new();
    world.rows([attached("a")]).look();
    world.rows([claiming(Some(25), Some(25))]);
    assert_eq!(world.look_after(60).fate("a"), "reap: detached-session, after 25s");
}

/// As where a container is frozen with its gateway while a question is under way.
#[test]
fn of_a_look_that_was_stopped_before_the_table_was_written_they_reach_over_nothing_that_nobody_saw() {
    let mut world = World::new();
    world.rows([attached("a")]).look();
    world.rows([claiming(Some(20), Some(20))]).pass(5);
    assert_eq!(look_and_stop(&mut world).fate("a"), "wait: detached-session, 0s of 20s");
    world.rows([claiming(Some(25), Some(25))]);
    assert_eq!(world.look_after(5).fate("a"), "wait: detached-session, 5s of 20s");
}

/// Its client came and went while nobody looked.
#[test]
fn of_a_session_that_was_not_listed_they_reach_no_further_back_than_the_last_look() {
    let mut world = World::new();
    world.rows([]).look();
    look_and_stop(world.pass(5));
    world.rows([claiming(Some(40), Some(40))]);
    assert_eq!(
        world.look_after(5).fate("a"),
        "wait: detached-session, 10s of 20s",
        "one look in time counts"
    );
    let mut world = World::new();
    world.rows([]).look();
    world.rows([claiming(Some(3_600), Some(3_600))]);
    assert_eq!(world.look_after(15).fate("a"), "wait: detached-session, 15s of 20s");
}

#[test]
fn after_a_refused_reap_and_a_client_that_came_and_went_they_reach_no_further_back_than_that() {
    let mut world = World::new();
    world.rows([claiming(Some(90), Some(90))]).look();
    world.ledger.refused(&"gw".into(), &id("a"));
    let row = claiming(Some(92), Some(92));
    world.rows([Session { transport: Told::Absent, ..row.clone() }]).look_after(1);
    assert_eq!(world.rows([row.clone()]).look_after(1).fate("a"), "wait: detached-session, 0s of 20s");
    world.rows([Session { transport: Told::Absent, ..row.clone() }]).look_after(1);
    let looked = world.rows([row]).look_after(1);
    assert_eq!(looked.fate("a"), "wait: detached-session, 0s of 20s", "nor when that happens twice");
}

#[test]
fn between_two_looks_they_grow_by_no_more_than_the_time_that_passed() {
    let mut world = World::new();
    world.rows([claiming(Some(3), Some(3))]).look();
    world.rows([claiming(Some(28_803), Some(28_803))]);
    assert_eq!(
        world.look_after(1).fate("a"),
        "wait: detached-session, 4s of 20s",
        "it counts the machine's sleep"
    );
    world.rows([claiming(Some(28_813), Some(28_813))]);
    assert_eq!(world.look_after(10).fate("a"), "wait: detached-session, 14s of 20s");
    world.rows([claiming(Some(1), Some(28_814))]);
    assert_eq!(world.look_after(1).fate("a"), "wait: detached-session, 1s of 20s", "a client came and went");
    world.rows([claiming(Some(28_820), Some(28_820))]);
    assert_eq!(
        world.look_after(5).fate("a"),
        "wait: detached-session, 6s of 20s",
        "and that counts from then on"
    );
}

#[test]
fn neither_of_them_may_grow_faster_while_the_other_stays_small() {
    let mut world = World::new();
    world.rows([claiming(Some(3), Some(40))]).look();
    world.rows([claiming(Some(9_000), Some(41))]);
    assert_eq!(world.look_after(1).fate("a"), "wait: detached-session, 4s of 20s");
}

#[test]
fn of_a_session_in_use_at_the_last_look_they_reach_no_further_back_than_that() {
    let turn = |turn| Session { turn: Told::Known(turn), ..detached("a") };
    for row in [attached("a"), turn(Turn::Running), turn(Turn::Waiting), turn(Turn::Starting)] {
        let mut world = World::new();
        world.rows([row]).look();
        world.rows([claiming(Some(3_600), Some(3_600))]);
        assert_eq!(world.clone().look_after(5).fate("a"), "wait: detached-session, 5s of 20s");
        let seen = world.seen.clone();
        world.unreachable("gw").look_after(5);
        world.seen = seen;
        assert_eq!(
            world.look_after(5).fate("a"),
            "wait: detached-session, 10s of 20s",
            "nor after an outage"
        );
    }
}

#[test]
fn while_a_session_is_kept_for_its_worker_they_may_not_grow_faster_than_time_passes_either() {
    let mut world = World::new();
    let mut kept = claiming(Some(2), Some(2));
    kept.worker = Told::Known(Some(pid(1)));
    assert_eq!(world.rows([kept]).look().fate("a"), "keep: protected");
    let mut row = claiming(Some(13_000), Some(13_000));
    row.worker = Told::Known(None);
    world.rows([row]);
    assert_eq!(world.look_after(10).fate("a"), "wait: detached-session, 12s of 20s");
}

/// An answer's way takes its time.
#[test]
fn a_tenth_of_a_second_more_than_the_time_that_passed_is_no_client_that_came_back() {
    for (less, waited) in [(100, "10s"), (500, "9.5s")] {
        let mut world = World::new();
        let claims = |millis| std::time::Duration::from_millis(millis);
        let row = |claim| Session { detached_for: Some(claim), idle_for: Some(claim), ..detached("a") };
        world.rows([row(claims(0))]).look();
        world.rows([row(claims(10_000 - less))]);
        world.look_after(10);
        world.rows([row(claims(20_000))]);
        let fate = world.look_after(0).fate("a");
        assert_eq!(fate, format!("wait: detached-session, {waited} of 20s"), "{less} ms less");
    }
}

#[test]
fn what_happened_in_a_session_while_there_was_no_table_or_it_was_kept_starts_the_grace_again() {
    let row = |activity: &str| Session { activity: Some(activity.into()), ..claiming(Some(90), Some(90)) };
    for activity in ["1", "2"] {
        let is_right = |fate: &str| if activity == "1" { fate.starts_with("reap") } else { fate == WAITS };
        let mut world = World::new();
        world.rows([row("1")]).look();
        let seen = world.seen.clone();
        world.unreachable("gw").look_after(30);
        world.seen = seen;
        world.rows([row(activity)]);
        assert!(is_right(&world.look_after(1).fate("a")), "no table, {activity}");
        let mut world = World::new();
        world.rows([row("1")]).look();
        world.rows([Session { close_on_disconnect: gibberish(), ..row("1") }]).look_after(30);
        world.rows([row(activity)]);
        assert!(is_right(&world.look_after(1).fate("a")), "kept, {activity}");
    }
}

const WAITS: &str = "wait: detached-session, 0s of 20s";

/// It is kept for what has the PID of its worker by now, while its gateway counts the machine's sleep. (Found by the simulation.)
#[test]
fn of_a_session_whose_pid_is_anothers_by_now_they_reach_no_further_back_than_they_did() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([with_worker(claiming(Some(0), Some(0)), 200)]).look();
    world.pass(10);
    let reused = world.worker(200, "a", 100);
    (reused.identity.start_ticks, reused.uid) = (2_001, 0);
    world.rows([with_worker(claiming(Some(9_000), Some(9_000)), 200)]);
    assert_eq!(world.fate("a"), "keep: protected");
    world.pass(2).end(200);
    world.rows([without_worker(claiming(Some(9_002), Some(9_002)))]);
    assert_eq!(world.fate("a"), "wait: detached-session, 12s of 20s");
}
