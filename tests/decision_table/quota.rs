//! `max_reaps`: per run and gateway; the rest is listed as deferred.

use std::convert::Infallible;

use gateway_reaper::domain::decide::decide_closely;
use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::table::Session;
use gateway_reaper::domain::veto::{Scope, Veto, Vetoes};

use crate::world::*;

/// Sessions `a`, `b`, `c`, which have waited 30, 40 and 50 s.
fn three() -> World {
    let mut world = World::new();
    let waited = |id, seconds| {
        let claim = Some(secs(seconds));
        Session { detached_for: claim, idle_for: claim, ..detached(id) }
    };
    world.rows([waited("a", 30), waited("b", 40), waited("c", 50)]);
    world
}

#[test]
fn those_who_waited_longest_go_first_and_the_rest_is_deferred() {
    let mut world = three();
    world.policy().max_reaps = 2;
    let looked = world.look();
    assert_eq!(looked.reaped(), ["b", "c"], "in the order of the table");
    assert_eq!(looked.fate("a"), "deferred: detached-session, after 30s");
}

#[test]
fn of_those_who_waited_alike_the_first_in_the_table_goes_first() {
    let mut world = World::new();
    world.policy().max_reaps = 1;
    world.rows([detached("b"), detached("a")]).look();
    assert_eq!(world.look_after(20).reaped(), ["b"]);
}

#[test]
fn sessions_and_workers_share_it() {
    let mut world = World::new();
    world.policy().max_reaps = 1;
    world.worker(200, "nobody", 100);
    world.look();
    world.rows([without_worker(detached("a"))]).look_after(30);
    let looked = world.look_after(30);
    assert_eq!(looked.fate_of_worker(200), "reap: ownerless-worker, after 60s");
    assert_eq!(looked.fate("a"), "deferred: detached-session, after 30s");
}

#[test]
fn none_at_all_defers_everything() {
    let mut world = three();
    world.policy().max_reaps = 0;
    assert_eq!(world.look().reaped(), Vec::<String>::new());
}

#[test]
fn each_gateway_has_its_own() {
    let mut world = three();
    world.gateway("other", 110);
    world.table("other").sessions = vec![Session { ..detached("d") }];
    for rules in &mut world.rules {
        rules.policy.max_reaps = 1;
    }
    world.look();
    assert_eq!(world.look_after(20).reaped(), ["c", "d"]);
}

#[test]
fn who_is_inside_a_grace_takes_none_of_it() {
    let mut world = three();
    world.policy().max_reaps = 1;
    world.policy().grace = secs(45);
    let looked = world.look();
    assert_eq!(looked.reaped(), ["c"]);
    assert_eq!(looked.fate("b"), "wait: detached-session, 40s of 45s");
}

#[test]
fn what_an_operator_holds_takes_none_of_it() {
    let mut world = three();
    world.policy().max_reaps = 1;
    let scope = Scope::One { gateway: "gw".into(), name: "c".into(), key: None, worker: None };
    world.seen.forbidden = Vetoes(vec![Veto { scope, until: None, words: "for now".into() }]);
    let looked = world.look();
    assert_eq!((looked.fate("c").as_str(), looked.reaped()), ("keep: held", vec!["b".to_owned()]));
}

/// A gateway that can't be asked to close anything.
#[test]
fn what_is_only_told_takes_none_of_it() {
    let mut world = three();
    world.policy().closes_at_once = 0;
    world.policy().max_reaps = 1;
    world.worker(200, "x", 100);
    world.worker(201, "y", 100);
    world.rows(["a", "b", "c"].map(|id| without_worker(detached(id)))).look();
    let looked = world.look_after(60);
    assert_eq!(looked.reaped(), ["a", "b", "c", "x"]);
    assert_eq!(looked.fate_of_worker(201), "deferred: ownerless-worker, after 60s");
}

/// It may be of either gateway, of which one is on trial.
#[test]
fn what_is_only_told_for_the_trial_of_another_gateway_takes_none_of_it() {
    let mut world = World::new();
    world.gateway("trial", 110);
    world.rules[1].policy.dry_run = true;
    world.policy().max_reaps = 1;
    world.worker(200, "x", 1);
    world.worker(201, "y", 100);
    world.worker(202, "z", 100);
    world.look();
    world.unreachable("gw").unreachable("trial").die(100, 1);
    world.die(110, 1);
    world.look();
    let looked = world.look_after(60);
    assert!(looked.warrant_for(200).is_told() && !looked.warrant_for(201).is_told());
    assert_eq!(looked.reaped(), ["x", "y"]);
    assert_eq!(looked.fate_of_worker(202), "deferred: parentless-worker, after 60s");
}

#[test]
fn a_gateway_on_trial_tells_what_it_would_defer() {
    let mut world = three();
    world.policy().max_reaps = 1;
    world.policy().dry_run = true;
    assert_eq!(world.look().reaped(), ["c"]);
}

#[test]
fn deferred_keeps_its_clock() {
    let mut world = World::new();
    world.policy().max_reaps = 0;
    world.rows([detached("a")]).look();
    world.look_after(20);
    world.policy().max_reaps = 1;
    assert_eq!(world.look_after(1).fate("a"), "reap: detached-session, after 21s");
}

#[test]
fn who_could_not_be_reaped_queues_behind_those_who_were_not_tried() {
    let mut world = three();
    world.policy().max_reaps = 1;
    let mut order = Vec::new();
    for _ in 0..4 {
        let reaped = world.look().reaped().remove(0);
        world.ledger.failed(&"gw".into(), Some(&id(&reaped)), None);
        order.push(reaped);
    }
    assert_eq!(order, ["c", "b", "a", "c"], "and comes round again");
}

#[test]
fn a_worker_that_could_not_be_reaped_queues_behind_too() {
    let mut world = World::new();
    world.policy().max_reaps = 1;
    world.worker(200, "x", 100);
    world.worker(201, "y", 100);
    world.look();
    assert_eq!(world.look_after(60).reaped(), ["x"]);
    world.ledger.failed(&"gw".into(), None, Some(identity(200)));
    assert_eq!(world.look_after(1).reaped(), ["y"]);
}

#[test]
fn where_only_a_worker_is_due_it_is_looked_at_closely_once() {
    let mut world = World::new();
    world.worker(200, "x", 100);
    world.look();
    world.pass(60);
    let mut seen = world.seen.clone();
    seen.gateways[0].asked = world.now;
    let mut looks = Vec::new();
    let decision =
        decide_closely::<Infallible>(&mut seen, &world.ledger, &world.rules, world.now, |_, _, roots| {
            looks.push(roots.to_vec());
            Ok(())
        });
    assert_eq!(
        (Looked(decision.expect("nothing fails")).reaped(), looks),
        (vec!["x".into()], vec![vec![pid(200)]])
    );
}

/// Below the worker of each of two due sessions runs that of an attached one, which only a closer look finds.
#[test]
fn what_takes_the_place_of_a_session_that_is_wanted_after_all_is_looked_at_as_closely() {
    let mut world = World::new();
    world.policy().max_reaps = 1;
    for (raw, key, parent) in [(200, "a", 100), (201, "b", 100), (300, "x", 200), (301, "y", 201)] {
        world.worker(raw, key, parent);
    }
    let whole = world.seen.processes.clone();
    world.end(300);
    world.end(301);
    world.rows([detached("a"), detached("b"), attached("x"), attached("y")]).look();
    world.pass(20);
    let mut seen = world.seen.clone();
    seen.gateways[0].asked = world.now;
    let mut looked_below: Vec<Vec<Pid>> = Vec::new();
    let decision =
        decide_closely::<Infallible>(&mut seen, &world.ledger, &world.rules, world.now, |seen, _, roots| {
            looked_below.push(roots.to_vec());
            let below = whole.processes.values().filter(|it| it.parent.is_some_and(|it| roots.contains(&it)));
            seen.processes.processes.extend(below.map(|process| (process.identity.pid, process.clone())));
            Ok(())
        });
    let looked = Looked(decision.expect("nothing fails"));
    assert_eq!((looked.reaped(), looked_below.len()), (vec![], 2), "{looked_below:?}");
    for session in ["a", "b"] {
        assert!(looked.fate(session).starts_with("keep: protected"), "{}", looked.fate(session));
    }
}
