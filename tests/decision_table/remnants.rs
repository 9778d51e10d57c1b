//! Teardowns that an earlier run began and could not finish: what had been seen under the worker before the first signal is not leaked.

use gateway_reaper::domain::ledger::Unfinished;
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::table::{Session, Told};
use gateway_reaper::domain::verdict::Judged;
use gateway_reaper::domain::veto::{Scope, Veto, Vetoes};

use crate::world::*;

/// The reaper was killed while it took down worker 200 of session `a`, which had 300 under it; 300 is under init now.
fn interrupted() -> World {
    let mut world = World::new();
    world.process(300, 1, "node mcp.js");
    world.ledger.unfinished = vec![Unfinished {
        gateway: "gw".into(),
        orphan: OrphanKind::DetachedSession,
        asked: None,
        worker: identity(200),
        members: vec![identity(300), identity(301)],
        stopping: false,
        may_be_of: Vec::new(),
    }];
    world
}

fn remnants(looked: &Looked, raw: u32) -> Vec<u32> {
    looked.warrant_for(raw).remnants().iter().map(|remnant| remnant.pid.get()).collect()
}

#[test]
fn what_is_left_of_a_dead_workers_tree_is_ended_at_once() {
    let mut world = interrupted();
    let looked = world.look();
    assert_eq!(remnants(&looked, 200), [300], "301 is gone");
    assert_eq!(looked.warrant_for(200).worker(), None);
    assert_eq!(looked.warrant_for(200).remnants_of(), Some(identity(200)));
    assert_eq!(world.ledger.unfinished.len(), 1, "until it is done");
}

#[test]
fn a_copy_of_a_worker_that_is_kept_again_is_listed_with_it() {
    let mut world = interrupted();
    world.worker(200, "x", 100);
    world.worker(300, "x", 1);
    let looked = world.rows([attached("b")]).look();
    assert_eq!(looked.fate_of_worker(200), "keep: unknown-state", "it may be the worker of b");
    assert_eq!(looked.why_worker(300), looked.why_worker(200));
    let looked = world.rows([]).look();
    assert_eq!(looked.fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
    assert_eq!(looked.fate_of_worker(300), "wait: parentless-worker, 0s of 60s", "b may have had it");
}

/// The worker is gone, and session `b` has come meanwhile: nothing tells which worker that has.
#[test]
fn a_copy_that_may_be_the_worker_of_a_session_that_came_is_kept_with_that_doubt_and_has_a_grace_of_its_own() {
    let mut world = asked();
    world.worker(301, "a", 1);
    let looked = world.rows([attached("b")]).look();
    assert!(looked.why_worker(301).contains("the worker of session \"b\" isn't known"), "{looked:?}");
    assert_eq!(remnants(&looked, 200), [300], "a helper is no session's worker");
    let looked = world.rows([without_worker(attached("b"))]).look();
    assert_eq!(looked.fate_of_worker(301), "wait: parentless-worker, 0s of 60s", "{looked:?}");
    assert_eq!(world.look_after(60).fate_of_worker(301), "reap: parentless-worker, after 60s");
}

#[test]
fn what_is_above_or_below_a_worker_that_may_be_anothers_waits_and_is_not_forgotten() {
    let mut in_hand = interrupted();
    in_hand.worker(301, "y", 300);
    let mut new = interrupted();
    new.worker(302, "y", 300);
    let mut above = interrupted();
    above.worker(302, "y", 1);
    above.process(300, 302, "node mcp.js");
    for (mut world, worker, reason) in
        [(in_hand, 301, "protected"), (new, 302, "protected"), (above, 302, "unknown-state")]
    {
        let looked = world.rows([attached("b")]).look();
        let fates = [200, worker].map(|raw| looked.fate_of_worker(raw));
        assert_eq!(fates, [format!("keep: {reason}"), "keep: unknown-state".into()]);
        world.die(worker, 1);
        world.process(300, 1, "node mcp.js");
        assert_eq!(remnants(&world.look(), 200), [300]);
    }
}

#[test]
fn what_covers_a_session_or_its_worker_covers_what_is_left_of_them() {
    let mut asked = interrupted();
    asked.ledger.unfinished[0].asked = Some(id("a"));
    let mut seen = World::new();
    seen.worker(200, "k", 100);
    seen.process(300, 200, "node mcp.js");
    seen.rows([with_key(with_worker(detached("a"), 200), "k")]).look();
    seen.ledger.unfinished = interrupted().ledger.unfinished;
    seen.die(200, 1);
    seen.rows([]);
    for (mut world, key) in [(asked, "a"), (seen, "k")] {
        let looked = world.look();
        let of_it = |judged: &&Judged| judged.subject.worker_pid() == Some(pid(200));
        let judged = looked.0.gateways[0].judged.iter().find(of_it).expect("it is judged");
        assert_eq!(judged.key.as_deref(), Some(key));
    }
}

/// Another gateway gives no table, and may have it there.
#[test]
fn a_worker_that_may_be_another_gateways_is_no_remnant_and_is_judged_by_itself() {
    let mut world = interrupted();
    world.gateway("other", 110);
    world.worker(301, "d", 1);
    let looked = world.refused("other").look();
    assert_eq!(remnants(&looked, 200), [300]);
    assert_eq!(looked.fate_of_worker(301), "keep: table-not-trusted");
}

/// It looks like a worker, and goes with no session while that one is kept.
#[test]
fn what_looks_like_a_worker_and_is_left_of_a_session_that_is_kept_is_listed_with_its_reason() {
    let mut world = interrupted();
    world.ledger.unfinished[0].asked = Some(id("a"));
    world.worker(301, "x", 1);
    world.rows([Session { turn: gibberish(), ..without_worker(detached("a")) }]);
    let looked = world.look();
    assert_eq!(looked.why_worker(301), looked.why("a"));
}

#[test]
fn once_nothing_is_left_it_is_forgotten() {
    let mut world = interrupted();
    world.die(300, 1);
    assert_eq!(world.fate_of_worker(200), "not judged");
    assert!(world.ledger.unfinished.is_empty());
}

#[test]
fn another_process_with_the_same_pid_is_not_what_was_left() {
    let mut world = interrupted();
    world.process(300, 1, "node mcp.js").identity.start_ticks += 1;
    assert_eq!(world.fate_of_worker(200), "not judged");
}

#[test]
fn a_table_that_is_down_is_no_reason_to_leave_it() {
    assert_eq!(remnants(&interrupted().unreachable("gw").look(), 200), [300]);
}

#[test]
fn where_the_gateway_is_process_1_what_is_left_is_its_child_by_now() {
    let mut world = interrupted();
    world.process(300, 100, "node mcp.js");
    assert_eq!(remnants(&world.look(), 200), [300]);
}

#[test]
fn a_worker_among_it_that_is_the_gateways_child_is_judged_like_any_other() {
    let mut world = interrupted();
    world.worker(300, "b", 100);
    let looked = world.look();
    assert_eq!(looked.fate_of_worker(300), "wait: ownerless-worker, 0s of 60s");
    assert_eq!(looked.fate_of_worker(200), "not judged");
}

#[test]
fn nobody_who_is_wanted_or_protected_is_a_remnant() {
    let mut named = interrupted();
    named.worker(300, "b", 1);
    named.rows([Session { worker: Told::Known(Some(pid(300))), ..attached("b") }]);
    let mut others = interrupted();
    others.process(300, 1, "node mcp.js").uid = 0;
    let mut own = interrupted();
    own.seen.processes.own_line.push(pid(300));
    let mut above = interrupted();
    above.gateway("inner", 310);
    above.process(310, 300, "gatewayd");
    for mut world in [named, others, own, above] {
        assert_eq!(world.fate_of_worker(200), "not judged");
    }
}

#[test]
fn while_the_worker_lives_and_is_an_orphan_the_rest_goes_with_it() {
    let mut world = interrupted();
    world.worker(200, "a", 100);
    world.ledger.unfinished[0].members.push(identity(200));
    assert_eq!(world.fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
    let looked = world.look_after(60);
    assert_eq!(remnants(&looked, 200), [300]);
    assert_eq!(looked.warrant_for(200).remnants_of(), None, "the worker itself goes first");
}

#[test]
fn a_worker_that_is_in_hand_is_judged_though_no_gateway_is_above_it() {
    let mut world = interrupted();
    world.worker(200, "a", 1);
    world.ledger.unfinished[0].members.push(identity(200));
    assert_eq!(world.fate_of_worker(200), "wait: parentless-worker, 0s of 60s");
}

#[test]
fn what_is_both_seen_below_the_worker_and_left_of_its_teardown_goes_once() {
    let mut world = interrupted();
    world.worker(200, "a", 100);
    world.process(300, 200, "node mcp.js");
    world.look();
    world.process(300, 1, "node mcp.js");
    assert_eq!(remnants(&world.look_after(60), 200), [300]);
}

#[test]
fn a_copy_of_a_worker_that_is_let_be_is_judged_by_itself() {
    let mut world = interrupted();
    world.worker(200, "a", 1).uid = 0;
    world.worker(300, "a", 1);
    let why = "protected: process 200 runs as user 0, not as 1000 (see worker.user)";
    assert_eq!(world.look().why_worker(200), why);
    assert_eq!(world.fate_of_worker(300), "wait: parentless-worker, 0s of 60s");
    assert_eq!(world.look_after(60).fate_of_worker(300), "reap: parentless-worker, after 60s");
}

#[test]
fn while_the_worker_lives_and_may_be_one_of_two_sessions_the_rest_is_wanted() {
    let mut world = interrupted();
    world.worker(200, "a", 100);
    world.rows([attached("a"), Session { key: Told::Known("a".into()), ..attached("b") }]);
    assert!(world.is_of_a_session(200));
    assert!(world.ledger.unfinished.is_empty());
}

/// The reaper was killed in the middle of a teardown; its gateway is back, or had said in vain that it closed the session, and goes on with it.
#[test]
fn what_a_gateway_that_is_back_goes_on_with_is_wanted() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.process(300, 200, "node mcp.js");
    world.rows([attached("a")]).look();
    world.die(200, 1);
    world.ledger.unfinished = interrupted().ledger.unfinished;
    let mut closed = world.clone();
    let looked = closed.rows([]).look();
    assert_eq!((remnants(&looked, 200), looked.fate_of_worker(300)), (vec![300], "not judged".into()));
    let mut begun_with_the_worker = world.clone();
    begun_with_the_worker.ledger.unfinished[0].members.push(identity(200));
    for world in [&mut world, &mut begun_with_the_worker] {
        assert_eq!(world.look().reaped(), [""; 0]);
        assert!(world.ledger.unfinished.is_empty());
    }
    assert_eq!(world.rows([]).look_after(60).fate_of_worker(300), "wait: ownerless-worker, 0s of 60s");
}

#[test]
fn what_strayed_from_a_worker_that_is_wanted_again_goes_with_it_later() {
    let mut world = interrupted();
    world.worker(200, "a", 100);
    world.rows([with_worker(attached("a"), 200)]).look();
    assert!(world.ledger.unfinished.is_empty());
    world.process(300, 200, "node mcp.js");
    world.look();
    world.ledger.unfinished = interrupted().ledger.unfinished;
    world.process(300, 1, "node mcp.js");
    assert_eq!(world.look().reaped(), [""; 0]);
    assert!(world.ledger.unfinished.is_empty());
    world.die(200, 1);
    world.rows([]).look();
    assert_eq!(world.look_after(60).fate_of_worker(300), "reap: ownerless-worker, after 60s");
}

#[test]
fn once_its_session_is_wanted_again_so_is_the_rest() {
    let mut world = interrupted();
    world.worker(200, "a", 100);
    world.rows([Session { worker: Told::Known(Some(pid(200))), ..attached("a") }]).look();
    assert!(world.ledger.unfinished.is_empty());
}

#[test]
fn while_nobody_can_say_whether_its_worker_is_wanted_it_is_not_forgotten() {
    let mut world = interrupted();
    world.worker(200, "a", 100);
    world.unreachable("gw").look();
    assert_eq!(world.ledger.unfinished.len(), 1);
    world.rows([Session { worker: Told::Known(Some(pid(200))), turn: gibberish(), ..detached("a") }]).look();
    assert_eq!(world.ledger.unfinished.len(), 1);
}

/// The gateway had been asked to close the session, and the reaper was killed before it heard the answer.
fn asked() -> World {
    let mut world = interrupted();
    world.ledger.unfinished[0].asked = Some(id("a"));
    world
}

#[test]
fn if_the_gateway_refused_to_close_the_session_the_rest_is_wanted() {
    let mut world = asked();
    assert_eq!(world.rows([attached("a")]).look().reaped(), Vec::<String>::new());
    assert!(world.ledger.unfinished.is_empty());
}

#[test]
fn if_the_gateway_never_heard_of_it_the_rest_goes_with_the_session() {
    let mut world = asked();
    assert_eq!(world.rows([detached("a")]).look().reaped(), Vec::<String>::new());
    let looked = world.look_after(20);
    let warrant = looked.warrant("a");
    assert_eq!((warrant.remnants(), warrant.remnants_of()), (&[identity(300)][..], Some(identity(200))));
}

#[test]
fn if_the_gateway_closed_the_session_the_rest_is_ended_at_once() {
    assert_eq!(remnants(&asked().look(), 200), [300]);
}

#[test]
fn while_the_gateway_cant_say_whether_it_closed_the_session_nothing_is_ended() {
    let mut world = asked();
    assert_eq!(world.unreachable("gw").fate_of_worker(200), "keep: table-not-trusted");
    assert_eq!(world.ledger.unfinished.len(), 1);
}

/// Worker 200 of session `a` had helper 300 below it; its close was not answered, and the worker is gone. `key`: what its row was called.
fn unanswered(key: &str) -> World {
    let mut world = World::new();
    world.worker(200, "k", 100);
    world.process(300, 200, "node mcp.js");
    world.rows([with_key(with_worker(detached("a"), 200), key)]).look();
    world.ledger.unfinished = asked().ledger.unfinished;
    world.die(200, 1);
    world
}

/// The conversation goes on under another id, with another worker.
#[test]
fn what_is_left_of_a_session_that_has_another_id_by_now_stays_with_it() {
    let mut world = unanswered("k");
    let mut gone = world.clone();
    assert_eq!(remnants(&gone.rows([]).look(), 200), [300], "the close has worked");
    world.worker(201, "k", 100);
    let looked = world.rows([with_key(with_worker(attached("b"), 201), "k")]).look();
    assert!(looked.reaped().is_empty(), "{:?}", looked.reaped());
    assert!(world.ledger.unfinished.is_empty(), "it is the session's");
    assert!(world.look_after(3_600).reaped().is_empty());
}

#[test]
fn what_is_left_of_a_session_that_another_gateway_has_by_now_has_a_grace() {
    let mut world = unanswered("k");
    world.gateway("other", 110);
    world.table("other").sessions = vec![without_worker(with_key(attached("b"), "k"))];
    assert_eq!(world.rows([]).look().fate_of_worker(300), "wait: ownerless-worker, 0s of 60s");
}

/// By a name that only its row had.
#[test]
fn what_is_held_of_an_unfinished_teardown_is_held_at_every_look() {
    let mut world = unanswered("talk");
    let scope = Scope::Like { gateway: None, session: None, key: Some("talk".into()) };
    world.seen.forbidden = Vetoes(vec![Veto { scope, until: None, words: "for now".into() }]);
    world.rows([]);
    for _ in 0..3 {
        assert_eq!(world.look_after(60).fate_of_worker(200), "keep: held");
    }
}

/// An earlier version didn't write down which gateways may have started the worker: only that of a session is known.
#[test]
fn what_keeps_a_worker_for_a_gateway_that_may_have_started_it_keeps_what_is_left_of_its_teardown() {
    let either = || vec!["gw".into(), "other".into()];
    let cases = [
        (OrphanKind::ParentlessWorker, either(), true),
        (OrphanKind::ParentlessWorker, Vec::new(), true),
        (OrphanKind::ParentlessWorker, vec!["gw".into()], false),
        (OrphanKind::DetachedSession, Vec::new(), false),
    ];
    for (orphan, may_be_of, is_kept) in cases {
        let mut world = interrupted();
        world.gateway("other", 110);
        let begun = &mut world.ledger.unfinished[0];
        (begun.orphan, begun.may_be_of) = (orphan, may_be_of.clone());
        let mut by_hand = world.clone();
        world.rules[1].policy.dry_run = true;
        let looked = world.look();
        let warrant = looked.warrant_for(200);
        assert_eq!((warrant.is_told(), warrant.may_be_of()), (is_kept, &*may_be_of), "{orphan}");
        assert_eq!(world.ledger.unfinished.len(), 1);
        let scope = Scope::Like { gateway: Some("other".into()), session: None, key: None };
        by_hand.seen.forbidden = Vetoes(vec![Veto { scope, until: None, words: "trial".into() }]);
        assert_eq!(by_hand.look().fate_of_worker(200) == "keep: held", is_kept, "{orphan}");
    }
}
