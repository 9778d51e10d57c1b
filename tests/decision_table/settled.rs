//! What the end of a teardown means for the next run.

use gateway_reaper::domain::ledger::GatewayMemory;
use gateway_reaper::domain::table::{Refusal, Session, Told};
use gateway_reaper::reap::outcome::{Ending, Outcome, Step, Survivor};
use gateway_reaper::sweep::settle::settle;

use crate::world::*;

/// Session `a` with worker 200 was due and ended like this; session `b` is an orphan, too.
fn settled(outcome: Outcome) -> World {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([Session { worker: Told::Known(Some(pid(200))), ..detached("a") }, detached("b")]).look();
    let looked = world.look_after(20);
    let ending = Ending::of(outcome);
    settle(&mut world.ledger, looked.warrant("a"), &ending);
    if ending.outcome == Outcome::Reaped {
        world.end(200);
    }
    world
}

fn memory(world: &World) -> &GatewayMemory {
    &world.ledger.gateways[&"gw".into()]
}

fn is_remembered(world: &World) -> (bool, bool) {
    let worker = memory(world).workers.iter().any(|worker| worker.identity == identity(200));
    (memory(world).sessions.contains_key(&id("a")), worker)
}

#[test]
fn what_was_reaped_is_forgotten() {
    let world = settled(Outcome::Reaped);
    assert_eq!(is_remembered(&world), (false, false));
    assert!(memory(&world).sessions.contains_key(&id("b")), "and nobody else");
}

/// It became something else while its session was closed.
#[test]
fn a_worker_that_is_left_alive_is_remembered_and_listed() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([with_worker(detached("a"), 200)]).look();
    let looked = world.look_after(20);
    let survivors = vec![Survivor { process: identity(200), why: "it isn't a worker any more".into() }];
    let ending = Ending { survivors, ..Ending::of(Outcome::Reaped) };
    settle(&mut world.ledger, looked.warrant("a"), &ending);
    world.process(200, 100, "vi notes");
    let why = "unknown state: it was a worker, and doesn't look like one any more";
    assert_eq!(world.rows([]).look().why_worker(200), why);
}

#[test]
fn only_the_reaped_worker_is_forgotten() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "b", 100);
    world.look();
    let looked = world.look_after(60);
    let ending = Ending::of(Outcome::Reaped);
    settle(&mut world.ledger, looked.warrant_for(200), &ending);
    let left: Vec<u32> = memory(&world).workers.iter().map(|worker| worker.identity.pid.get()).collect();
    assert_eq!(left, [201]);
}

#[test]
fn the_worker_of_a_session_that_was_gone_already_is_remembered() {
    assert_eq!(is_remembered(&settled(Outcome::Gone)), (false, true));
}

#[test]
fn what_its_gateway_keeps_starts_its_grace_again() {
    let mut world = settled(Outcome::Kept { reason: "attached".into() });
    let looked = world.look_after(1);
    assert_eq!(looked.fate("a"), "wait: detached-session, 0s of 20s");
    assert_eq!(looked.fate("b"), "reap: detached-session, after 21s");
}

/// Session `a` was due, and another run of the gateway is said to have answered. Beside it are an orphan and a worker of no session.
fn another_run_answered(says_its_run: bool) -> World {
    let mut world = World::new();
    world.worker(200, "nobody", 100);
    world.rows(["a", "b"].map(|id| without_worker(detached(id))));
    world.table("gw").instance = says_its_run.then(|| "run 1".into());
    world.look();
    let looked = world.look_after(20);
    settle(&mut world.ledger, looked.warrant("a"), &Ending::of(Outcome::Kept { reason: Refusal::OtherRun }));
    world
}

#[test]
fn if_another_run_of_the_gateway_answered_every_grace_starts_again() {
    for says_its_run in [true, false] {
        let mut world = another_run_answered(says_its_run);
        if says_its_run {
            world.table("gw").instance = Some("run 2".into());
        }
        let looked = world.look_after(1);
        assert_eq!(looked.fate("a"), "wait: detached-session, 0s of 20s");
        assert_eq!(looked.fate("b"), "wait: detached-session, 0s of 20s");
        assert_eq!(looked.fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
    }
}

#[test]
fn a_gateway_that_says_for_one_session_that_another_run_answers_and_goes_on_as_the_same_holds_up_nothing_else()
 {
    let mut world = another_run_answered(true);
    let looked = world.look_after(1);
    assert_eq!(looked.fate("a"), "wait: detached-session, 0s of 20s");
    assert_eq!(looked.fate("b"), "reap: detached-session, after 21s");
    assert_eq!(looked.fate_of_worker(200), "wait: ownerless-worker, 21s of 60s");
}

#[test]
fn what_failed_is_tried_again_behind_those_that_were_not_tried() {
    let mut world = settled(Outcome::Failed { why: "no answer".into() });
    world.policy().max_reaps = 1;
    assert_eq!(world.look_after(1).reaped(), ["b"]);
    world.rows([detached("a")]);
    assert_eq!(world.look_after(1).fate("a"), "reap: detached-session, after 22s");
}

#[test]
fn what_a_gateway_says_in_vain_is_counted_and_a_first_close_that_failed_is_not() {
    let mut world = settled(Outcome::Reaped);
    world.look();
    let close = |world: &mut World, steps: Vec<Step>| {
        world.look_after(20);
        let looked = world.look_after(20);
        let failed = Outcome::Failed { why: "it says so again".into() };
        settle(&mut world.ledger, looked.warrant("a"), &Ending { steps, ..Ending::of(failed) });
        world.ledger.closes_without_effect(&"gw".into(), &id("a"))
    };
    assert_eq!(close(&mut world, vec![Step::Close]), 2);
    assert_eq!(close(&mut world, vec![Step::Close]), 3);
    assert_eq!(close(&mut world, vec![Step::Term]), 3, "it wasn't asked");
    let mut first = settled(Outcome::Failed { why: "no answer".into() });
    assert_eq!(close(&mut first, vec![Step::Close]), 0);
}

#[test]
fn what_a_client_came_back_to_and_left_between_two_looks_was_closed() {
    let times = |detached_for: Option<f64>, idle_for: u64| {
        let mut world = settled(Outcome::Reaped);
        let detached_for = detached_for.map(std::time::Duration::from_secs_f64);
        world.rows([Session { detached_for, idle_for: Some(secs(idle_for)), ..detached("a") }]);
        world.look_after(10);
        world.ledger.closes_without_effect(&"gw".into(), &id("a"))
    };
    assert_eq!(times(Some(8.0), 8), 0, "it was attached 8 s ago, and closed 10 s ago");
    assert_eq!(times(Some(9.5), 8), 1, "its gateway may count whole seconds");
    assert_eq!(times(Some(60.0), 8), 1, "no client came back");
    assert_eq!(times(None, 8), 1, "without a clock nothing shows a client");
}

#[test]
fn a_gateway_that_said_a_session_is_closed_or_gone_which_it_lists_again_is_believed_once() {
    for outcome in [Outcome::Reaped, Outcome::Gone] {
        is_believed_once(&outcome);
    }
}

fn is_believed_once(outcome: &Outcome) {
    let mut world = settled(outcome.clone());
    let times = |world: &mut World| {
        world.look_after(1);
        world.ledger.closes_without_effect(&"gw".into(), &id("a"))
    };
    assert_eq!(times(&mut world), 1, "it is still listed");
    world.unreachable("gw");
    assert_eq!(times(&mut world), 1, "without a table nothing shows an effect");
    world.rows([attached("a")]);
    assert_eq!(times(&mut world), 0, "a client came back to it");
    let mut gone = settled(outcome.clone());
    gone.rows([]);
    assert_eq!(times(&mut gone), 0, "it is gone");
}
