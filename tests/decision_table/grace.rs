//! The grace clock: awake time, only while the subject is seen orphaned at every look; and all that starts it again.

use gateway_reaper::domain::table::{Session, Told, Turn};

use crate::world::*;

/// Whether `between` starts the grace of session `a` again: seen detached at 0 s, between at 15 s, detached again at 16 s.
fn after(between: impl FnOnce(&mut World)) -> String {
    let mut world = World::new();
    world.rows([detached("a")]).look();
    let before = world.clone();
    world.pass(15);
    between(&mut world);
    world.look();
    world.seen = before.seen;
    world.look_after(1).fate("a")
}

const WENT_ON: &str = "wait: detached-session, 16s of 20s";
const STARTED_AGAIN: &str = "wait: detached-session, 0s of 20s";

#[test]
fn an_orphan_is_reaped_only_after_its_grace() {
    let mut world = World::new();
    assert_eq!(world.rows([detached("a")]).fate("a"), "wait: detached-session, 0s of 20s");
    assert_eq!(world.look_after(19).fate("a"), "wait: detached-session, 19s of 20s");
    assert_eq!(world.look_after(1).fate("a"), "reap: detached-session, after 20s");
}

#[test]
fn a_grace_of_nothing_is_over_at_first_sight() {
    let mut world = World::new();
    world.policy().grace = secs(0);
    world.policy().worker_grace = secs(0);
    world.worker(200, "nobody", 100);
    let looked = world.rows([without_worker(detached("a"))]).look();
    assert_eq!(looked.fate("a"), "reap: detached-session, after 0s");
    assert_eq!(looked.fate_of_worker(200), "reap: ownerless-worker, after 0s");
}

#[test]
fn nothing_between_lets_it_go_on() {
    assert_eq!(after(|_| {}), WENT_ON);
}

#[test]
fn attached_starts_it_again() {
    assert_eq!(
        after(|world| {
            world.rows([attached("a")]);
        }),
        STARTED_AGAIN
    );
}

#[test]
fn mid_turn_starts_it_again() {
    for turn in [Turn::Running, Turn::Waiting, Turn::Starting] {
        let row = Session { turn: Told::Known(turn), ..detached("a") };
        assert_eq!(
            after(|world| {
                world.rows([row]);
            }),
            STARTED_AGAIN
        );
    }
}

#[test]
fn held_starts_it_again() {
    let row = Session { holds: Told::Known(vec!["approval".into()]), ..detached("a") };
    assert_eq!(
        after(|world| {
            world.rows([row]);
        }),
        STARTED_AGAIN
    );
}

#[test]
fn not_known_starts_it_again() {
    let row = Session { transport: gibberish(), ..detached("a") };
    assert_eq!(
        after(|world| {
            world.rows([row]);
        }),
        STARTED_AGAIN
    );
}

#[test]
fn not_listed_starts_it_again() {
    assert_eq!(
        after(|world| {
            world.rows([]);
        }),
        STARTED_AGAIN
    );
}

#[test]
fn a_table_that_could_not_be_read_starts_it_again() {
    assert_eq!(
        after(|world| {
            world.unreachable("gw");
        }),
        STARTED_AGAIN
    );
    assert_eq!(
        after(|world| {
            world.refused("gw");
        }),
        STARTED_AGAIN
    );
}

/// Session `a` is seen detached, and 15 s later so again, after a change.
fn then(change: impl FnOnce(&mut World)) -> String {
    let mut world = World::new();
    world.rows([Session { activity: Some("1".into()), ..detached("a") }]).look();
    change(&mut world);
    world.look_after(15).fate("a")
}

#[test]
fn new_activity_starts_it_again() {
    let row = |activity: Option<&str>| Session { activity: activity.map(Into::into), ..detached("a") };
    assert_eq!(
        then(|world| {
            world.rows([row(Some("1"))]);
        }),
        "wait: detached-session, 15s of 20s"
    );
    assert_eq!(
        then(|world| {
            world.rows([row(Some("2"))]);
        }),
        STARTED_AGAIN
    );
    assert_eq!(
        then(|world| {
            world.rows([row(None)]);
        }),
        STARTED_AGAIN
    );
}

#[test]
fn a_new_gateway_instance_starts_every_grace_again() {
    assert_eq!(then(|world| world.table("gw").instance = Some("gw run 2".into())), STARTED_AGAIN);
    assert_eq!(then(|world| world.table("gw").instance = None), STARTED_AGAIN);
}

#[test]
fn a_new_gateway_instance_is_noticed_across_an_outage() {
    let mut world = World::new();
    let row = Session { detached_for: Some(secs(90)), idle_for: Some(secs(90)), ..detached("a") };
    world.rows([row]).look();
    let seen = world.seen.clone();
    world.unreachable("gw").look_after(15);
    world.seen = seen;
    world.table("gw").instance = Some("gw run 2".into());
    assert_eq!(world.look_after(15).fate("a"), STARTED_AGAIN);
}

#[test]
fn instance_absent_means_that_the_process_identity_of_the_gateway_serves() {
    let mut world = World::new();
    world.table("gw").instance = None;
    world.rows([detached("a")]).look();
    assert_eq!(world.look_after(15).fate("a"), "wait: detached-session, 15s of 20s");
    world.process(101, 1, "gatewayd");
    world.of("gw").process = Some(identity(101));
    assert_eq!(world.look_after(1).fate("a"), STARTED_AGAIN);
    world.of("gw").process = None;
    assert_eq!(world.look_after(15).fate("a"), STARTED_AGAIN, "who answers now isn't known");
    assert_eq!(world.look_after(20).fate("a"), "reap: detached-session, after 20s", "nor ever was");
}

#[test]
fn a_refused_reap_starts_it_again() {
    let mut world = World::new();
    let row = Session { detached_for: Some(secs(90)), idle_for: Some(secs(90)), ..detached("a") };
    assert_eq!(world.rows([row]).fate("a"), "reap: detached-session, after 90s");
    world.ledger.refused(&"gw".into(), &id("a"));
    assert_eq!(world.look_after(5).fate("a"), STARTED_AGAIN, "it was none when it was refused");
    assert_eq!(world.look_after(5).fate("a"), "wait: detached-session, 5s of 20s");
    assert_eq!(world.look_after(15).fate("a"), "reap: detached-session, after 20s");
}

#[test]
fn a_reap_that_another_run_of_the_gateway_answered_starts_every_grace_again() {
    let mut world = World::new();
    let claims = Session { detached_for: Some(secs(90)), idle_for: Some(secs(90)), ..detached("a") };
    world.worker(200, "nobody", 100);
    world.rows([without_worker(claims), without_worker(detached("b"))]).look();
    world.ledger.run_changed(&"gw".into());
    let looked = world.look_after(15);
    assert_eq!(looked.fate("a"), STARTED_AGAIN);
    assert_eq!(looked.fate("b"), STARTED_AGAIN);
    assert_eq!(looked.fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
}

#[test]
fn a_reap_that_failed_keeps_its_clock() {
    let mut world = World::new();
    world.rows([detached("a")]).look();
    world.ledger.failed(&"gw".into(), Some(&id("a")), None);
    assert_eq!(world.look_after(20).fate("a"), "reap: detached-session, after 20s");
}

#[test]
fn a_worker_that_becomes_another_kind_of_orphan_starts_again() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.look();
    let other = world.worker(201, "a", 100).identity.pid;
    world.rows([Session { worker: Told::Known(Some(other)), ..attached("a") }]);
    assert_eq!(world.look_after(30).fate_of_worker(200), "wait: superseded-worker, 0s of 60s");
    assert_eq!(world.look_after(30).fate_of_worker(200), "wait: superseded-worker, 30s of 60s");
}

#[test]
fn a_worker_that_is_wanted_for_one_look_starts_again() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.look();
    world.rows([attached("a")]).look_after(30);
    world.rows([]);
    assert_eq!(world.look_after(30).fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
}

#[test]
fn a_new_gateway_instance_starts_the_grace_of_its_workers_again() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.look();
    world.table("gw").instance = Some("gw run 2".into());
    assert_eq!(world.look_after(60).fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
}

#[test]
fn time_in_which_there_was_no_look_counts_for_no_grace() {
    let mut world = World::new();
    world.worker(200, "x", 100);
    let claims = |id, seconds| {
        let claim = Some(secs(seconds));
        without_worker(Session { detached_for: claim, idle_for: claim, ..detached(id) })
    };
    world.rows([without_worker(detached("a")), claims("b", 3)]).look();
    world.rows([without_worker(detached("a")), claims("b", 33)]);
    world.seen.unobserved = secs(25);
    let looked = world.look_after(30);
    assert_eq!(looked.fate("a"), "wait: detached-session, 5s of 20s");
    assert_eq!(looked.fate("b"), "wait: detached-session, 8s of 20s", "nor do the gateway's own clocks");
    assert_eq!(looked.fate_of_worker(200), "wait: ownerless-worker, 5s of 60s");
    world.seen.unobserved = secs(0);
    let looked = world.look_after(15);
    assert_eq!(looked.fate("a"), "reap: detached-session, after 20s", "and is not taken off twice");
    assert_eq!(looked.fate_of_worker(200), "wait: ownerless-worker, 20s of 60s");
}

#[test]
fn more_time_without_a_look_than_passed_makes_no_grace_longer_than_it_is() {
    let mut world = World::new();
    world.rows([detached("a")]).look();
    world.seen.unobserved = secs(3_600);
    assert_eq!(world.look_after(30).fate("a"), STARTED_AGAIN);
    world.seen.unobserved = secs(0);
    assert_eq!(world.look_after(20).fate("a"), "reap: detached-session, after 20s");
}

/// The row wasn't renewed, and its worker's PID is another session's worker's by now.
#[test]
fn another_process_with_the_pid_that_its_row_names_starts_it_again() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([with_worker(detached("a"), 200)]).look();
    world.pass(20);
    let reused = world.worker(200, "b", 100);
    reused.identity.start_ticks += 1;
    assert_eq!(world.look().fate("a"), "wait: detached-session, 0s of 20s");
    assert_eq!(world.look_after(20).fate("a"), "reap: detached-session, after 20s");
}

#[test]
fn so_does_one_where_its_row_named_what_was_gone_when_it_was_first_seen() {
    let mut world = World::new();
    world.rows([with_worker(detached("a"), 200)]).look();
    world.pass(20);
    world.worker(200, "b", 100);
    assert_eq!(world.look().fate("a"), "wait: detached-session, 0s of 20s");
}
