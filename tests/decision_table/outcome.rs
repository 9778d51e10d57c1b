//! What a decision says of itself besides verdicts: what may be ended, what an operator forbids, when something is due, and where to look
//! once more before anything is done.

use std::time::Duration;

use gateway_reaper::domain::ledger::Unfinished;
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::table::{Session, TableView, Told};
use gateway_reaper::domain::verdict::LastActive;
use gateway_reaper::domain::veto::{Scope, Veto, Vetoes};

use crate::world::*;

const BY_HAND: &str = "keep: held";

/// Sessions `a` and `b` are due, each with a worker of its own.
fn two_due() -> World {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "b", 100);
    world.rows([with_worker(detached("a"), 200), with_worker(detached("b"), 201)]).look();
    world.pass(20);
    world
}

fn forbids(scope: Scope) -> Vetoes {
    Vetoes(vec![Veto { scope, until: None, words: "for now".into() }])
}

fn session(name: &str) -> Vetoes {
    forbids(Scope::One { gateway: "gw".into(), name: name.into(), key: None, worker: None })
}

fn heeded(world: &World, vetoes: &Vetoes) -> Looked {
    let mut world = world.clone();
    world.seen.forbidden = vetoes.clone();
    world.peek()
}

fn by_hand(looked: &Looked) -> Vec<(String, Option<&str>)> {
    let judged = looked.0.gateways.iter().flat_map(|gateway| &gateway.judged);
    judged.map(|judged| (judged.subject.id(), judged.by_hand.as_deref())).collect()
}

#[test]
fn what_an_operator_forbids_is_kept_and_nothing_else() {
    let looked = heeded(&two_due(), &session("a"));
    assert_eq!((looked.fate("a"), looked.why("a")), (BY_HAND.into(), "by hand: for now".into()));
    assert_eq!(looked.reaped(), ["b"]);
    assert_eq!(by_hand(&looked), [("a".into(), Some("for now")), ("b".into(), None)]);
    assert_eq!(looked.0.paused, None);
    assert_eq!(heeded(&two_due(), &Vetoes::default()).reaped(), ["a", "b"]);
}

#[test]
fn a_pause_keeps_everything_and_is_told_once() {
    let looked = heeded(&two_due(), &forbids(Scope::All));
    assert_eq!([looked.fate("a"), looked.fate("b")], [BY_HAND, BY_HAND]);
    assert_eq!(looked.0.paused.as_deref(), Some("for now"));
    assert_eq!(by_hand(&looked), [("a".into(), None), ("b".into(), None)], "it is of neither alone");
}

#[test]
fn what_is_forbidden_after_a_decision_is_kept_all_the_same() {
    let world = two_due();
    let mut looked = world.peek();
    looked.0.heed(&session("a"));
    assert_eq!((looked.fate("a").as_str(), looked.reaped()), (BY_HAND, vec!["b".to_owned()]));
    looked.0.heed(&forbids(Scope::All));
    assert_eq!((looked.reaped(), looked.0.paused.as_deref()), (vec![], Some("for now")));
}

#[test]
fn what_is_kept_anyway_says_its_own_reason() {
    let mut world = two_due();
    world.rows([attached("a")]);
    let looked = heeded(&world, &session("a"));
    assert_eq!(looked.fate("a"), "keep: attached");
    assert!(by_hand(&looked).contains(&("a".into(), Some("for now"))));
}

/// The worker may be listed besides its session, under its own key.
#[test]
fn what_keeps_a_session_keeps_its_idle_worker() {
    let mut world = World::new();
    world.policy().idle_worker = Some(secs(60));
    for (raw, key) in [(200, "a"), (201, "b")] {
        world.worker(raw, key, 100);
        world.seen.processes.resting.insert(pid(raw));
    }
    let row = |id, raw| with_key(with_worker(attached(id), raw), if raw == 200 { "a" } else { "b" });
    world.rows([row("first", 200), row("second", 201)]).look();
    world.pass(60);
    assert_eq!(heeded(&world, &Vetoes::default()).reaped().len(), 2);
    let looked = heeded(&world, &session("first"));
    assert_eq!(looked.fate_of_worker(200), BY_HAND);
    assert_eq!(looked.fate_of_worker(201), "reap: idle-worker, after 60s");
}

#[test]
fn what_keeps_a_session_keeps_its_worker_once_the_gateway_is_gone() {
    let mut world = World::new();
    world.worker(200, "talk", 100);
    world.rows([with_key(detached("a"), "talk")]).look();
    world.unreachable("gw").die(100, 1);
    world.look();
    world.pass(60);
    assert_eq!(world.peek().fate_of_worker(200), "reap: parentless-worker, after 60s");
    let held = |name: &str, key: Option<&str>| {
        forbids(Scope::One {
            gateway: "gw".into(),
            name: name.into(),
            key: key.map(Into::into),
            worker: None,
        })
    };
    for veto in [held("a", Some("talk")), held("talk", None), held("200", None)] {
        assert_eq!(heeded(&world, &veto).fate_of_worker(200), BY_HAND, "{veto:?}");
    }
    assert_eq!(heeded(&world, &held("a", Some("other"))).reaped(), ["talk"]);
}

/// Its argv says nothing of the session: only that it was the session's worker ties it to that.
#[test]
fn a_worker_is_held_with_its_session_also_where_it_carries_no_key_of_that() {
    let held = Scope::One { gateway: "gw".into(), name: "a".into(), key: None, worker: Some(pid(200)) };
    let kept = Scope::Like {
        gateway: None,
        session: Some(gateway_reaper::domain::glob::Glob::from("a*")),
        key: None,
    };
    for scope in [held, kept] {
        let mut world = World::new();
        world.seen.forbidden = forbids(scope.clone());
        world.worker(200, "talk", 100);
        world.worker(201, "other", 100);
        world.rows([with_worker(detached("a"), 200), with_worker(detached("b"), 201)]).look();
        let remembered = &world.ledger.gateways[&"gw".into()].families;
        let workers: Vec<_> = remembered.iter().map(|family| family.worker.pid).collect();
        assert_eq!(workers, [pid(200)], "whose session it was, and of no other");
        world.unreachable("gw").die(100, 1);
        world.look();
        world.pass(60);
        let looked = world.peek();
        assert_eq!(looked.fate_of_worker(200), BY_HAND, "{scope:?}");
        assert_eq!(looked.reaped(), ["other"], "{scope:?}");
    }
}

/// Its argv carries no key, or another one than its row: only that it was the session's worker ties it to what the row was called.
#[test]
fn a_worker_and_what_is_left_of_it_are_kept_by_every_name_that_its_session_had() {
    let like = |session: Option<&str>, key: Option<&str>| Scope::Like {
        gateway: None,
        session: session.map(Into::into),
        key: key.map(Into::into),
    };
    let held = |name: &str| Scope::One { gateway: "gw".into(), name: name.into(), key: None, worker: None };
    for scope in [like(None, Some("proj-*")), like(Some("a"), None), like(None, Some("talk")), held("a")] {
        let mut world = World::new();
        world.seen.forbidden = forbids(scope.clone());
        world.worker(200, "talk", 100);
        world.process(300, 200, "node mcp.js");
        world.rows([with_key(with_worker(detached("a"), 200), "proj-1")]).look();
        let mut listed = world.clone();
        assert_eq!(listed.look_after(60).fate("a"), BY_HAND, "{scope:?}");
        let mut alive = world.clone();
        alive.rows([]).look();
        assert_eq!(alive.look_after(3_600).fate_of_worker(200), BY_HAND, "its row is gone: {scope:?}");
        world.die(200, 1);
        world.rows([]).look();
        assert_eq!(world.look_after(3_600).fate_of_worker(300), BY_HAND, "its worker, too: {scope:?}");
        world.seen.forbidden = Vetoes::default();
        assert_eq!(world.peek().reaped(), ["300"], "{scope:?}");
    }
}

/// Two gateways list its key; it is told of by the first.
#[test]
fn what_another_gateways_session_had_as_well_is_kept_with_that() {
    for scope in [
        Scope::One { gateway: "other".into(), name: "b".into(), key: None, worker: None },
        Scope::Like { gateway: None, session: Some("b".into()), key: None },
    ] {
        let mut world = World::new();
        world.gateway("other", 110);
        world.worker(200, "k", 1);
        world.process(300, 200, "node mcp.js");
        world.table("other").sessions = vec![with_key(detached("b"), "k")];
        world.seen.forbidden = forbids(scope.clone());
        world.rows([with_key(detached("a"), "k")]).look();
        world.die(200, 1);
        world.table("other").sessions = vec![];
        world.rows([]).look();
        assert_eq!(world.look_after(3_600).fate_of_worker(300), BY_HAND, "{scope:?}");
    }
}

/// A nested session, whose gateway is gone.
#[test]
fn what_is_held_doesnt_go_with_what_it_is_below() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "b", 200);
    world.rows([with_worker(attached("a"), 200), with_worker(attached("b"), 201)]).look();
    world.unreachable("gw").die(100, 1);
    world.look();
    world.pass(60);
    assert_eq!(world.peek().reaped(), ["a"], "with all that is below it");
    let looked = heeded(&world, &session("b"));
    let fates = [200, 201].map(|worker| looked.fate_of_worker(worker));
    assert_eq!(fates, ["keep: protected", BY_HAND]);
    assert_eq!(heeded(&world, &session("a")).fate_of_worker(200), BY_HAND);
    let all = heeded(&world, &forbids(Scope::All));
    assert_eq!(all.fate_of_worker(200), BY_HAND, "a pause says so itself");
}

/// Two gateways whose workers look alike, both gone before anything was known of them.
#[test]
fn what_one_gateway_may_have_started_is_kept_or_told_of_as_that_ones() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.unreachable("gw").unreachable("other").die(100, 1);
    world.die(110, 1);
    world.worker(200, "x", 1);
    world.look();
    world.pass(60);
    let is_told =
        |world: &World| world.peek().0.warrants().map(|(_, it, _)| it.is_told()).collect::<Vec<_>>();
    assert_eq!(is_told(&world), [false]);
    let keep = Scope::Like { gateway: Some("other".into()), session: None, key: None };
    assert_eq!(heeded(&world, &forbids(keep)).fate_of_worker(200), BY_HAND);
    world.rules[1].policy.dry_run = true;
    assert_eq!(is_told(&world), [true]);
}

#[test]
fn what_is_only_told_of_says_so() {
    let told = |change: fn(&mut gateway_reaper::domain::policy::Policy)| {
        let mut world = two_due();
        change(world.policy());
        world.peek().0.warrants().map(|(_, it, _)| it.is_told()).collect::<Vec<_>>()
    };
    assert_eq!(told(|_| ()), [false, false]);
    assert_eq!(told(|policy| policy.dry_run = true), [true, true]);
    assert_eq!(told(|policy| policy.closes_at_once = 0), [true, true]);
}

/// Without a key it was listed by its PID.
#[test]
fn what_keeps_a_worker_keeps_the_session_that_names_it_later() {
    let mut world = two_due();
    assert_eq!(heeded(&world, &session("200")).reaped(), ["b"]);
    world.rows([with_worker(attached("a"), 200)]);
    assert_eq!(heeded(&world, &session("200")).fate("a"), "keep: attached");
}

#[test]
fn there_is_one_warrant_for_each_that_is_due_and_it_says_where_that_is() {
    let mut world = two_due();
    world.table("gw").sessions.insert(0, attached("c"));
    let looked = world.peek();
    let places: Vec<_> =
        looked.0.warrants().map(|(at, it, waited)| (at.gateway, at.subject, it.orphan(), waited)).collect();
    let due = |subject| (0, subject, OrphanKind::DetachedSession, secs(20));
    assert_eq!(places, [due(1), due(2)]);
    let named = looked.0.warrants().map(|(at, warrant, _)| {
        let judged = &looked.0.gateways[at.gateway].judged[at.subject];
        (judged.subject.worker_pid(), warrant.worker().map(|worker| worker.pid))
    });
    for (listed, warranted) in named {
        assert_eq!(listed, warranted);
    }
}

#[test]
fn the_next_that_is_due_is_the_one_that_has_to_wait_least() {
    let mut world = World::new();
    world.rows([attached("a")]);
    assert_eq!(world.look().0.next_due(), None, "nothing waits");
    world.worker(200, "x", 100);
    world.rows([without_worker(detached("a"))]).look();
    assert_eq!(world.look_after(5).0.next_due(), Some(secs(15)), "before the worker's 55 s");
    assert_eq!(world.look_after(15).0.next_due(), Some(secs(40)), "what is due by now doesn't wait");
}

#[test]
fn before_a_worker_is_ended_it_is_looked_below_it() {
    let looked = two_due().peek();
    assert_eq!(looked.0.to_look_below(), [200, 201].map(pid));
    let mut waits = two_due();
    waits.rows([with_worker(attached("a"), 200), with_worker(attached("b"), 201)]);
    assert_eq!(waits.peek().0.to_look_below(), [], "nothing is due");
    assert_eq!(waits.peek().0.next_due(), None::<Duration>);
}

/// What isn't in view may have another session's worker below it by now.
#[test]
fn before_a_worker_or_a_session_is_ended_it_is_looked_below_what_was_seen_below_it() {
    let below = |row: fn(Session) -> Vec<Session>, dies: bool| {
        let mut world = World::new();
        for (worker, helper) in [(200, 300), (201, 301)] {
            world.worker(worker, if worker == 200 { "a" } else { "b" }, 100);
            world.process(helper, worker, "node mcp.js");
        }
        world.rows([attached("b")].into_iter().chain(row(attached("a")))).look();
        for helper in [300, 301] {
            world.end(helper);
        }
        if dies {
            world.die(200, 1);
        }
        world.rows([attached("b")].into_iter().chain(row(without_worker(detached("a"))))).look();
        let looked = world.look_after(60);
        assert_eq!(looked.reaped(), ["a"]);
        looked.0.to_look_below()
    };
    for below in [below(|row| vec![row], true), below(|_| Vec::new(), false)] {
        assert!(below.contains(&pid(300)), "{below:?}");
        assert!(!below.contains(&pid(301)), "that is of a session that stays: {below:?}");
    }
}

#[test]
fn a_session_is_listed_with_its_key_and_with_how_often_a_close_of_it_had_no_effect() {
    let mut world = World::new();
    world.rows([with_key(attached("a"), "talk"), with_key(detached("b"), "b"), detached("c")]).look();
    let memory = world.ledger.gateways.get_mut(&"gw".into()).expect("memory");
    memory.closes = [(id("b"), 2)].into();
    let listed = |looked: &Looked| {
        let judged = looked.0.gateways[0].judged.iter();
        judged.map(|it| (it.key.as_deref().map(str::to_owned), it.closes_without_effect)).collect::<Vec<_>>()
    };
    assert_eq!(listed(&world.peek()), [(Some("talk".into()), 0), (None, 2), (None, 0)]);
    world.of("gw").table = TableView::listed([id("a"), id("b")], "no table");
    assert_eq!(listed(&world.peek()), [(None, 0), (None, 2)], "also while there is no table");
}

#[test]
fn a_session_is_listed_with_its_grace_its_clients_and_when_it_was_last_active() {
    let mut world = World::new();
    let idle = Session { idle_for: Some(secs(7)), ..attached("a") };
    world.rows([idle, Session { close_on_disconnect: Told::Known(true), ..detached("b") }]);
    let looked = world.peek();
    let about: Vec<_> =
        looked.0.gateways[0].judged.iter().map(|it| (it.about.grace, it.about.last_active)).collect();
    assert_eq!(about, [(Some(secs(20)), Some(LastActive::Ago(secs(7)))), (Some(secs(0)), None)]);
}

/// It is not believed a second time.
#[test]
fn a_warrant_says_how_often_a_close_had_no_effect() {
    let mut world = two_due();
    world.ledger.gateways.get_mut(&"gw".into()).expect("memory").closes = [(id("b"), 2)].into();
    let looked = world.peek();
    assert_eq!(["a", "b"].map(|session| looked.warrant(session).closes_without_effect()), [0, 2]);
}

#[test]
fn what_keeps_a_session_keeps_what_is_left_of_its_worker_once_the_gateway_is_gone() {
    let mut world = World::new();
    world.worker(200, "talk", 100);
    world.process(300, 200, "make test");
    world.rows([with_key(with_worker(detached("a"), 200), "talk")]).look();
    world.unreachable("gw").die(100, 1);
    world.die(200, 1);
    world.look();
    world.pass(60);
    let by_hand =
        Scope::One { gateway: "gw".into(), name: "a".into(), key: Some("talk".into()), worker: None };
    let configured = Scope::Like { gateway: None, session: None, key: Some("talk".into()) };
    for scope in [by_hand, configured] {
        assert_eq!(heeded(&world, &forbids(scope)).fate_of_worker(300), BY_HAND);
    }
}

#[test]
fn what_is_unfinished_of_a_gateway_that_is_not_looked_at_is_remembered() {
    let mut world = World::new();
    world.process(300, 1, "deaf helper");
    world.seen.processes.gone.insert(pid(200));
    world.ledger.unfinished.push(Unfinished {
        gateway: "old name".into(),
        orphan: OrphanKind::DetachedSession,
        asked: None,
        worker: identity(200),
        members: vec![identity(200), identity(300)],
        stopping: false,
        may_be_of: Vec::new(),
    });
    world.look();
    assert_eq!(world.ledger.unfinished.len(), 1);
    world.die(300, 1);
    world.look();
    assert_eq!(world.ledger.unfinished.len(), 0, "nothing of it is left");
}

#[test]
fn a_session_that_another_run_of_the_gateway_took_up_again_was_closed() {
    let mut world = World::new();
    world.rows([detached("a")]).look();
    world.pass(20).look();
    world.ledger.closed(&"gw".into(), &"a".into());
    world.table("gw").instance = Some("gw run 2".into());
    assert_eq!(world.look().0.gateways[0].judged[0].closes_without_effect, 0);
}

/// Its conversation goes on in a new worker, and its client left again before the next look.
#[test]
fn a_session_that_was_resumed_in_a_new_worker_was_closed() {
    let closes = |row: fn(u32) -> Session, worker: u32| {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.worker(210, "other", 100);
        world.rows([row(200)]).look();
        world.pass(20).look();
        world.ledger.closed(&"gw".into(), &"a".into());
        if worker != 200 {
            world.end(200);
            world.worker(worker, "a", 100);
        }
        world.rows([row(worker)]).look().0.gateways[0].judged[0].closes_without_effect
    };
    let by_key_and_by_pid: [fn(u32) -> Session; 2] =
        [|_| detached("a"), |worker| with_worker(detached("a"), worker)];
    for row in by_key_and_by_pid {
        assert_eq!((closes(row, 200), closes(row, 201)), (1, 0));
    }
}
