//! Who owns a worker: the lines of the interface's table, the first that holds answers. Each makes an owner, nobody, or a doubt, and a doubt
//! keeps.

use gateway_reaper::domain::table::{Session, TableView};

use crate::world::*;
use gateway_reaper::domain::policy::Workers;

/// The worker is judged with its session, and not by itself.
const OWNED: &str = "not judged";
const OWNERLESS: &str = "wait: ownerless-worker, 0s of 60s";
const PARENTLESS: &str = "wait: parentless-worker, 0s of 60s";
const NOT_TRUSTED: &str = "keep: table-not-trusted";
const UNKNOWN: &str = "keep: unknown-state";

/// Session `a` has been due for long enough: what is ended with it, the worker first.
fn goes_with_a(world: &mut World, row: Session) -> Vec<u32> {
    world.rows([row]).look();
    let looked = world.look_after(3_600);
    let warrant = looked.warrant("a");
    warrant.worker().into_iter().chain(warrant.remnants().iter().copied()).map(|it| it.pid.get()).collect()
}

// Is named by a row.

#[test]
fn a_worker_that_a_row_names_is_kept_while_its_session_is_kept_and_reaped_with_it() {
    let mut world = World::new();
    world.worker(200, "old-key", 100);
    let row = |row: Session| with_worker(with_key(row, "a"), 200);
    assert_eq!(world.rows([row(attached("a"))]).fate_of_worker(200), OWNED);
    world.worker(200, "a", 100);
    assert_eq!(goes_with_a(&mut world, row(detached("a"))), [200]);
}

// Carries the key of a row that names another worker.

#[test]
fn a_worker_whose_row_names_a_younger_one_is_superseded() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "a", 100);
    assert_eq!(
        world.rows([with_worker(attached("a"), 201)]).fate_of_worker(200),
        "wait: superseded-worker, 0s of 60s"
    );
}

#[test]
fn a_younger_copy_of_the_worker_that_a_row_names_is_the_sessions_wherever_it_is() {
    for parent in [100, 1, 200] {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.worker(201, "a", parent);
        assert_eq!(
            world.rows([with_worker(attached("a"), 200)]).fate_of_worker(201),
            OWNED,
            "under {parent}"
        );
        assert_eq!(
            world.unreachable("gw").look_after(60).fate_of_worker(201),
            match parent {
                200 => UNKNOWN.replace("unknown-state", "table-not-trusted"),
                _ => NOT_TRUSTED.to_owned(),
            }
        );
    }
}

#[test]
fn a_daemonised_copy_is_ended_with_its_session() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "a", 1);
    assert_eq!(goes_with_a(&mut world, with_worker(detached("a"), 200)), [200, 201]);
}

/// Two sessions had one key, and one of them has got another since: whose worker this is a copy of nobody can tell.
#[test]
fn a_copy_of_a_live_sessions_worker_is_not_ended_with_another_session_of_the_key_that_it_carries() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "a", 100);
    world.worker(202, "a", 1);
    let rotated = with_key(with_worker(attached("b"), 200), "new-key");
    world.rows([with_worker(detached("a"), 201), rotated.clone()]).look();
    let looked = world.look_after(3_600);
    assert_eq!(looked.warrant("a").worker().map(|it| it.pid.get()), Some(201));
    assert_eq!(looked.warrant("a").remnants(), []);
    assert!(world.rows([rotated]).is_of_a_session(202));
}

#[test]
fn a_copy_of_the_worker_that_one_row_names_is_not_superseded_by_the_worker_of_another_row() {
    let mut world = World::new();
    for worker in [200, 201, 202] {
        world.worker(worker, "a", 100);
    }
    let rotated = with_key(with_worker(attached("b"), 200), "new-key");
    let resumed = with_worker(attached("a"), 202);
    assert!(world.rows([resumed, rotated]).is_of_a_session(201));
}

#[test]
fn only_a_worker_that_may_be_ended_as_the_rows_supersedes_another() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    let row = || with_worker(attached("a"), 201);
    world.process(201, 80, "python3 -m worker");
    assert!(world.clone().rows([row()]).is_of_a_session(200), "it is another process's child");
    world.worker(201, "a", 100).kernel = true;
    assert!(world.clone().rows([row()]).is_of_a_session(200), "it is a kernel thread");
    world.worker(201, "a", 100).uid = 0;
    assert!(world.clone().rows([row()]).is_of_a_session(200), "it is another user's");
}

#[test]
fn a_row_of_another_gateway_supersedes_nothing_that_a_gateway_without_a_table_may_have_started() {
    for (parent, orphan) in [(100, "superseded"), (1, "parentless")] {
        let mut world = World::new();
        world.gateway("other", 110);
        world.worker(200, "a", parent);
        world.worker(201, "a", 110);
        world.table("other").sessions = vec![with_worker(attached("a"), 201)];
        assert_eq!(world.clone().fate_of_worker(200), format!("wait: {orphan}-worker, 0s of 60s"));
        assert_eq!(
            world.refused("gw").fate_of_worker(200),
            NOT_TRUSTED,
            "it may have a row of that key, too"
        );
    }
}

#[test]
fn one_of_two_rows_with_the_same_key_that_names_a_younger_worker_is_not_enough() {
    let mut world = World::new();
    world.worker(200, "k", 100);
    world.worker(201, "k", 100);
    world.rows([with_worker(with_key(attached("a"), "k"), 201), with_key(attached("b"), "k")]);
    assert_eq!(world.fate_of_worker(200), OWNED, "it may be the worker of b");
}

/// Found by a random world: 204 isn't there, and 201 is a kernel thread below it with the argv of a worker.
#[test]
fn of_two_rows_with_one_key_that_name_an_absent_process_and_a_kernel_thread_one_is_closed_and_one_kept() {
    let mut world = World::new();
    world.worker(200, "k", 100);
    world.worker(201, "k", 204).kernel = true;
    let row = |id, raw| with_worker(with_key(detached(id), "k"), raw);
    world.rows([row("a", 204), row("b", 201)]).look();
    let looked = world.look_after(60);
    assert_eq!(looked.goes_along("a"), None, "200 may be the worker of either");
    assert_eq!(looked.why("b"), "protected: process 201 is a kernel thread");
    assert!(looked.is_of_a_session(200));
    assert_eq!(looked.fate_of_worker(201), OWNED, "it is told of with the row that names it");
}

/// It is told so by nothing but its age, so that has to be certain.
#[test]
fn a_worker_that_is_as_old_as_the_one_that_its_row_names_is_not_superseded() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    for key in ["a", "older"] {
        world.worker(201, key, 100).identity.start_ticks = identity(200).start_ticks;
        let fate = world.rows([with_worker(attached("a"), 201)]).fate_of_worker(200);
        assert_eq!(fate, OWNED, "201 carries {key}");
    }
}

#[test]
fn a_copy_of_a_worker_that_carries_another_key_than_its_row_says_is_not_ended_with_that() {
    let mut world = World::new();
    world.worker(200, "older", 100);
    world.worker(201, "older", 1);
    assert_eq!(goes_with_a(&mut world, with_worker(detached("a"), 200)), [200]);
}

/// The worker of session `b` isn't known: its key was `a` before, perhaps.
#[test]
fn what_carries_the_key_of_a_session_that_says_which_worker_it_has_may_be_anothers() {
    let goes = |row: Session, other: Session| {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.worker(201, "a", 1);
        world.worker(202, "a", 200);
        world.rows([row, other]).look();
        let looked = world.look_after(3_600);
        let warrant = looked.warrant("a");
        let all = warrant.worker().into_iter().chain(warrant.remnants().iter().copied());
        all.map(|it| it.pid.get()).collect::<Vec<_>>()
    };
    let missing = || attached("b");
    let known = || without_worker(attached("b"));
    assert_eq!(goes(with_worker(detached("a"), 200), known()), [200, 201, 202]);
    assert_eq!(goes(with_worker(detached("a"), 200), missing()), [200, 202], "what is below it is its own");
    assert_eq!(
        goes(with_worker(detached("a"), 209), known()),
        [200, 201, 202],
        "the one that it names is gone"
    );
    assert_eq!(goes(with_worker(detached("a"), 209), missing()), [0; 0], "two that may be it");
    assert_eq!(goes(without_worker(detached("a")), known()), [200, 201, 202]);
    assert_eq!(goes(without_worker(detached("a")), missing()), [0; 0], "it says that it has none");
}

/// The conversation of session `a` is compacted and has another key since; a client opened the old one again, as session `b`.
#[test]
fn the_worker_of_a_session_stays_its_own_when_another_session_gets_the_key_that_it_carries() {
    let mut world = World::new();
    world.worker(200, "old", 100);
    world.rows([with_key(attached("a"), "old")]).look();
    let compacted = || with_key(attached("a"), "new");
    let opened = |row: Session| with_key(row, "old");
    for row in [detached("b"), without_worker(detached("b")), with_worker(detached("b"), 209)] {
        let mut world = world.clone();
        world.rows([compacted(), opened(row)]).look();
        world.look_after(3_600);
        let looked = world.look();
        assert_eq!(looked.warrant("b").worker(), None);
        assert_eq!(looked.fate_of_worker(200), UNKNOWN);
        // It is known which one the session has now, or that it is gone.
        let others = [with_worker(compacted(), 201), without_worker(compacted()), attached("c")];
        for other in others {
            let mut world = world.clone();
            world.worker(201, "new", 100);
            world.rows([other, opened(detached("b"))]).look();
            assert_eq!(world.look_after(3_600).goes_along("b"), Some(200));
        }
    }
    let mut younger = world.clone();
    younger.worker(201, "old", 100);
    younger.rows([compacted(), with_worker(opened(attached("b")), 201)]);
    assert!(younger.clone().is_of_a_session(200), "a younger one doesn't supersede it");
    younger.ledger = gateway_reaper::domain::ledger::Ledger::default();
    assert_eq!(younger.fate_of_worker(200), "wait: superseded-worker, 0s of 60s", "nothing is remembered");
}

/// A client in session `a` goes on with the conversation of a session that is closed, and whose worker was left.
#[test]
fn the_worker_of_a_session_stays_its_own_when_the_session_gets_the_key_that_anothers_worker_carries() {
    let mut world = World::new();
    world.worker(200, "first", 100);
    world.worker(201, "second", 100);
    let gone_on = || with_key(attached("a"), "second");
    world.rows([with_key(attached("a"), "first"), with_key(attached("b"), "second")]).look();
    let mut closed = world.clone();
    for _ in 0..3 {
        let looked = closed.rows([gone_on()]).look_after(3_600);
        assert_eq!(looked.fate_of_worker(200), UNKNOWN);
        assert!(looked.is_of_a_session(201));
    }
    let why = closed.look().why_worker(200);
    assert!(why.contains("it was the worker of session \"a\", which has another key now"), "{why}");
    assert_eq!(
        closed.rows([with_worker(gone_on(), 201)]).fate_of_worker(200),
        OWNERLESS,
        "that is its worker"
    );

    // Another run of the gateway may give an id to another session.
    world.table("gw").instance = Some("another run".into());
    let mut takes_none_back = world.clone();
    takes_none_back.rules[0].takes_workers_back = false;
    assert_eq!(takes_none_back.rows([gone_on()]).fate_of_worker(200), OWNERLESS);
    takes_none_back.rules[0].takes_workers_back = true;
    assert_eq!(takes_none_back.fate_of_worker(200), OWNERLESS, "nor is it remembered after that");

    // Or goes on with that one.
    for _ in 0..3 {
        assert_eq!(world.rows([gone_on()]).look_after(3_600).fate_of_worker(200), UNKNOWN);
    }
    assert_eq!(world.rows([with_worker(gone_on(), 201)]).fate_of_worker(200), OWNERLESS);
}

/// Session `a` has worker 205, and gets the key `new`. What else carries that is no proof that 205 isn't its worker any more.
#[test]
fn the_worker_of_a_session_stays_its_own_when_what_carries_the_new_key_cannot_be_its_new_worker() {
    const REAPED: &str = "reap: ownerless-worker, after 7200s";
    let fate = |prepare: fn(&mut World)| {
        let mut world = World::new();
        world.gateway("other", 110);
        world.worker(205, "old", 100);
        prepare(&mut world);
        world.rows([with_key(attached("a"), "old")]).look();
        world.rows([with_key(attached("a"), "new")]);
        for _ in 0..3 {
            world.look_after(3_600);
        }
        world.fate_of_worker(205)
    };
    assert_eq!(fate(|world| _ = world.worker(210, "new", 100)), REAPED, "its new worker");
    assert_eq!(fate(|world| _ = world.worker(210, "new", 1)), REAPED, "its new worker, daemonised");
    assert_eq!(fate(|world| _ = world.worker(200, "new", 100)), UNKNOWN, "a leftover of that conversation");
    assert_eq!(fate(|world| _ = world.worker(210, "new", 110)), UNKNOWN, "another gateway's worker");
    assert_eq!(
        fate(|world| {
            world.worker(210, "new", 110);
            world.look();
            world.worker(210, "new", 1);
        }),
        UNKNOWN,
        "another gateway's worker, daemonised"
    );
    assert_eq!(
        fate(|world| {
            world.look();
            world.worker(210, "new", 110);
            world.refused("other").of("other").process = None;
        }),
        UNKNOWN,
        "a worker of another gateway, whose process isn't known just now"
    );
}

/// Conversations `one` and `two` are open in two tabs of session `a`, and each has a worker.
#[test]
fn a_session_that_goes_back_to_a_conversation_has_the_worker_of_that_and_not_the_other() {
    let mut world = World::new();
    world.worker(200, "one", 100);
    world.rows([with_key(attached("a"), "one")]).look();
    world.worker(201, "two", 100);
    assert_eq!(world.rows([with_key(attached("a"), "two")]).fate_of_worker(200), OWNERLESS);
    let looked = world.rows([with_key(attached("a"), "one")]).look();
    assert!(looked.is_of_a_session(200));
    assert_eq!(looked.fate_of_worker(201), OWNERLESS);
}

#[test]
fn what_carries_the_key_of_one_session_and_was_anothers_is_not_ended_below_what_it_runs_in() {
    let mut world = World::new();
    world.worker(200, "outer", 100);
    world.worker(201, "old", 200);
    let outer = |row: Session| with_worker(with_key(row, "outer"), 200);
    let rotated = || with_key(attached("a"), "new");
    world.worker(199, "new", 100);
    world.rows([outer(attached("outer")), with_worker(with_key(attached("a"), "old"), 201)]).look();
    let mut nobodys = world.clone();
    world.rows([outer(detached("outer")), rotated()]).look();
    assert_eq!(world.look_after(3_600).fate("outer"), "keep: protected");
    assert_eq!(world.fate_of_worker(201), UNKNOWN);
    let mut gone = world.clone();
    gone.rows([outer(detached("outer"))]).look();
    assert_eq!(goes_along_both(&gone.look_after(3_600)), [200], "its session is gone");
    nobodys.rows([rotated()]).look();
    assert_eq!(nobodys.look_after(3_600).fate_of_worker(200), "keep: protected");
}

fn goes_along_both(looked: &Looked) -> Vec<u32> {
    looked.goes_along("outer").into_iter().collect()
}

/// Its conversation was compacted before the gateway was restarted, and that has taken it back.
#[test]
fn a_worker_that_is_older_than_its_gateway_stays_that_of_a_session_which_is_listed_again_with_another_key() {
    let mut world = World::new();
    world.worker(200, "old", 100);
    world.rows([with_key(attached("a"), "old")]).look();
    world.rows([with_key(attached("a"), "new")]).look();
    world.die(100, 1);
    world.process(300, 1, "gatewayd");
    world.of("gw").process = Some(identity(300));
    world.table("gw").instance = Some("another run".into());
    for _ in 0..3 {
        assert_eq!(world.look_after(3_600).fate_of_worker(200), UNKNOWN);
    }
    let mut gone = world.clone();
    assert_eq!(gone.rows([attached("b")]).fate_of_worker(200), PARENTLESS, "its session is gone");
    world.worker(301, "new", 300);
    assert_eq!(world.fate_of_worker(200), PARENTLESS, "it has another worker");
    // What another run told is no proof: its session may be another one.
    let mut claimed = gone;
    claimed.rows([with_key(attached("a"), "new")]).look();
    claimed.worker(302, "old", 300);
    claimed.rows([with_key(detached("a"), "old"), attached("b")]).look();
    assert_eq!(claimed.look_after(3_600).warrant("a").worker(), None);
}

#[test]
fn the_worker_of_another_gateways_session_stays_its_own_when_the_session_gets_another_key() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "first", 110);
    world.worker(201, "second", 110);
    world.table("other").sessions = vec![with_key(attached("a"), "first"), with_key(attached("b"), "second")];
    world.look();
    world.table("other").sessions = vec![with_key(attached("a"), "second")];
    let why = world.look_after(3_600).why_worker(200);
    assert!(why.contains("it was the worker of session \"a\", which has another key now"), "{why}");
}

#[test]
fn what_a_daemonised_worker_carries_may_be_the_key_of_another_gateways_session_by_now() {
    let goes = |other: Session| {
        let mut world = World::new();
        world.gateway("other", 110);
        world.worker(200, "a", 1);
        world.table("other").sessions = vec![other];
        goes_with_a(&mut world, detached("a"))
    };
    assert_eq!(goes(attached("b")), [0; 0]);
    assert_eq!(goes(without_worker(attached("b"))), [200]);
}

#[test]
fn what_carries_the_key_of_a_row_that_says_it_has_no_worker_may_be_that_of_a_row_of_which_none_is_known() {
    let goes = |other: Session| {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.rows([without_worker(detached("a")), other]).look();
        let looked = world.look_after(3_600);
        (looked.warrant("a").worker(), looked.fate_of_worker(200))
    };
    assert_eq!(goes(without_worker(attached("b"))), (Some(identity(200)), OWNED.into()));
    assert_eq!(goes(attached("b")), (None, UNKNOWN.into()));
}

/// Workers fork, one of the forks is daemonised, and another session's worker hasn't begun yet.
#[test]
fn what_was_seen_below_the_one_worker_that_carries_a_key_makes_nothing_doubtful() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "a", 200);
    world.rows([detached("a"), attached("b")]).look();
    world.worker(201, "a", 1);
    let looked = world.look_after(3_600);
    assert_eq!(looked.warrant("a").worker(), Some(identity(200)));
    assert_eq!(looked.warrant("a").remnants(), [identity(201)]);
}

/// It forked, and one of the forks is daemonised: what it started is no other session's.
#[test]
fn what_was_seen_below_another_worker_than_the_one_that_carries_a_key_leaves_it_doubtful() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "x", 100);
    world.worker(202, "a", 201);
    let rows = || [without_worker(with_key(attached("x"), "x")), attached("b")];
    world.rows(rows()).look();
    world.worker(202, "a", 1);
    world.rows(rows().into_iter().chain([detached("a")])).look();
    assert_eq!(world.look_after(3_600).warrant("a").worker(), None);
}

#[test]
fn a_lost_worker_may_be_of_the_gateway_whose_process_it_was_below_and_of_the_one_that_had_it_in_its_table() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "x", 100);
    world.table("other").sessions = vec![attached("x")];
    world.look();
    world.table("other").sessions.clear();
    world.die(100, 1);
    world.process(120, 1, "gatewayd");
    world.refused("gw").of("gw").process = Some(identity(120));
    assert_eq!(world.fate_of_worker(200), NOT_TRUSTED);
    world.rows([]);
    assert_eq!(world.fate_of_worker(200), PARENTLESS);
}

#[test]
fn what_a_gateways_process_adopted_may_be_that_gateways_also_where_that_is_not_known_just_now() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "x", 100);
    world.look();
    world.die(100, 110);
    world.unreachable("gw").refused("other").of("other").process = None;
    assert_eq!(world.fate_of_worker(200), NOT_TRUSTED);
}

#[test]
fn what_is_below_a_gateway_may_be_the_worker_of_a_row_of_another_one_whose_process_is_not_known() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 110);
    world.worker(201, "lost", 110);
    world.rows([attached("a")]);
    assert_eq!(world.fate_of_worker(201), OWNERLESS, "no doubt is left of a row of a gateway elsewhere");
    world.of("gw").process = None;
    world.end(100);
    world.ledger = gateway_reaper::domain::ledger::Ledger::default();
    assert_eq!(world.fate_of_worker(201), OWNERLESS, "its worker is found");
    world.end(200);
    assert_eq!(world.fate_of_worker(201), UNKNOWN, "and it isn't now");
}

/// Tables of two tenants, say, that one process serves, and one of them wants another token.
#[test]
fn what_is_below_a_gateway_may_be_of_another_one_of_the_same_process_that_gives_no_table() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.end(110);
    world.of("other").process = None;
    world.worker(200, "a", 100);
    world.worker(201, "x", 100);
    let fates = |world: &mut World| {
        world.rows([detached("a")]).look();
        let looked = world.look_after(3_600);
        (looked.goes_along("a"), looked.fate_of_worker(201))
    };
    let mut refused = world.clone();
    assert_eq!(fates(refused.refused("other")), (None, NOT_TRUSTED.into()));
    let mut marked = refused.clone();
    let mark = gateway_reaper::domain::process::Mark::Session { gateway: "gw".into(), key: "a".into() };
    marked.seen.processes.marks.insert(pid(200), vec![mark]);
    assert_eq!(fates(&mut marked).0, Some(200), "its mark says whose it is");
    assert_eq!(
        fates(world.unreachable("other")),
        (Some(200), "reap: ownerless-worker, after 3600s".into()),
        "nothing listens at its address"
    );
}

/// It was seen below its own gateway: the other one, which gives no table, has not started it.
#[test]
fn what_was_seen_below_a_gateway_is_of_no_other_without_a_table() {
    let goes = |parent: u32| {
        let mut world = World::new();
        world.gateway("other", 110);
        world.worker(200, "a", parent);
        world.rows([detached("a")]).look();
        world.worker(200, "a", 1);
        world.refused("other");
        world.look_after(3_600).goes_along("a")
    };
    assert_eq!(goes(100), Some(200));
    assert_eq!(goes(1), None);
}

/// Workers fork, and another session's hasn't begun yet.
#[test]
fn what_is_below_the_one_worker_that_carries_a_key_makes_nothing_doubtful() {
    for row in [detached("a"), with_worker(detached("a"), 209)] {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.worker(201, "a", 200);
        world.rows([row, attached("b")]).look();
        let looked = world.look_after(3_600);
        assert_eq!(looked.warrant("a").worker(), Some(identity(200)));
        assert_eq!(looked.warrant("a").remnants(), [identity(201)]);
    }
}

#[test]
fn what_was_known_to_be_a_sessions_goes_with_it_also_where_anothers_worker_is_not_known() {
    let goes = |mut world: World, copy: u32| {
        world.worker(copy, "a", 1);
        world.rows([with_worker(detached("a"), 200), without_worker(attached("b"))]).look();
        world.rows([with_worker(detached("a"), 200), attached("b")]).look();
        let looked = world.look_after(3_600);
        looked.warrant("a").remnants().to_vec()
    };
    let mut world = World::new();
    world.worker(200, "a", 100);
    assert_eq!(goes(world, 201), [identity(201)]);

    let mut two = World::new();
    two.gateway("other", 110);
    two.worker(200, "a", 1);
    two.table("other").sessions = vec![without_worker(attached("b"))];
    two.rows([detached("a")]).look();
    two.table("other").sessions = vec![attached("b")];
    assert_eq!(two.look_after(3_600).warrant("a").worker(), Some(identity(200)));
}

#[test]
fn a_copy_below_the_worker_of_another_session_does_not_go_with_a_session_that_says_which_worker_it_has() {
    let goes = |row: Session| {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.worker(201, "b", 100);
        world.worker(202, "a", 201);
        world.rows([row, with_worker(attached("b"), 201)]).look();
        let looked = world.look_after(3_600);
        let warrant = looked.warrant("a");
        let all = warrant.worker().into_iter().chain(warrant.remnants().iter().copied());
        all.map(|it| it.pid.get()).collect::<Vec<_>>()
    };
    assert_eq!(goes(with_worker(detached("a"), 200)), [200]);
    assert_eq!(
        goes(without_worker(detached("a"))),
        [200],
        "what is a child of its gateway is another matter"
    );
    assert_eq!(goes(detached("a")), [200, 202], "it says nothing of its worker: a nested session's");
}

#[test]
fn a_copy_of_a_worker_that_is_gone_is_ended_with_its_session() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "a", 100);
    world.rows([with_worker(attached("a"), 200)]).look();
    world.die(200, 1);
    assert_eq!(goes_with_a(&mut world, with_worker(detached("a"), 200)), [201]);
}

// Carries the key of a listed row of any current table.

#[test]
fn a_worker_that_carries_a_listed_key_is_that_sessions_whatever_its_parent_is_and_however_old_it_is() {
    let mut world = World::new();
    world.process(60, 1, "supervisord");
    world.process(150, 100, "a wrapper");
    for (raw, parent) in [(200, 100), (200, 1), (200, 60), (200, 80), (200, 150), (99, 1), (99, 60)] {
        let mut world = world.clone();
        world.worker(raw, "a", parent);
        assert!(world.rows([attached("a")]).is_of_a_session(raw), "{raw} under {parent}");
        assert!(world.rows([without_worker(attached("a"))]).is_of_a_session(raw), "{raw} under {parent}");
    }
}

#[test]
fn a_worker_that_carries_a_key_of_another_gateways_table_is_that_sessions() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 1);
    world.table("other").sessions = vec![attached("a")];
    assert!(world.is_of_a_session(200));
    for change in [World::unreachable, World::refused] {
        assert!(change(&mut world.clone(), "gw").is_of_a_session(200));
    }
}

#[test]
fn a_worker_that_the_gateway_took_back_is_ended_with_its_session() {
    let mut world = World::new();
    world.worker(99, "a", 1);
    assert_eq!(goes_with_a(&mut world, detached("a")), [99]);
}

/// A worker without a gateway that sessions of two gateways may have: an attached one of `other`, and a due one of `gw`.
fn of_two() -> World {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 1);
    world.table("other").sessions = vec![with_key(attached("x"), "a")];
    world.rows([detached("a")]).look();
    assert_eq!(world.look_after(20).goes_along("a"), None, "both may have it");
    world
}

#[test]
fn a_worker_that_another_gateway_may_want_whose_table_is_missing_is_not_ended_with_the_session() {
    let mut world = of_two();
    world.refused("other");
    let looked = world.look_after(1);
    assert_eq!((looked.reaped(), looked.goes_along("a")), (vec!["a".into()], None));
    world.rows([]);
    assert_eq!(world.fate_of_worker(200), NOT_TRUSTED, "and is kept after it");
    world.rules[1].takes_workers_back = false;
    world.worker(109, "b", 1);
    world.rows([detached("b")]).look();
    assert_eq!(world.look_after(20).goes_along("b"), Some(109), "older than that, and never taken back");
}

#[test]
fn a_worker_that_was_of_a_gateway_that_is_gone_and_takes_workers_back_is_not_ended_with_another_ones_session()
{
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 110);
    world.table("other").sessions = vec![with_key(attached("x"), "a")];
    world.rows([detached("a")]).look();
    world.unreachable("other").die(110, 1);
    let looked = world.look_after(20);
    assert_eq!((looked.reaped(), looked.goes_along("a")), (vec!["a".into()], None));
    world.rules[1].takes_workers_back = false;
    assert_eq!(world.peek().goes_along("a"), Some(200), "nobody takes it back");
}

#[test]
fn a_gateway_that_is_gone_and_never_had_the_worker_takes_none_back() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.unreachable("other").die(110, 1);
    world.worker(200, "a", 1);
    world.rows([detached("a")]).look();
    assert_eq!(world.look_after(20).goes_along("a"), Some(200));
}

#[test]
fn a_worker_of_the_same_key_below_another_gateway_is_not_ended_with_the_session() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 110);
    assert_eq!(goes_with_a(&mut world, detached("a")), [0; 0]);
}

// Is below a process that is owned.

#[test]
fn a_worker_below_an_owned_one_is_of_that_owner() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.process(201, 200, "sh -c build");
    world.worker(202, "x", 201);
    world.process(203, 202, "python3 -m worker");
    let looked = world.rows([with_worker(attached("a"), 200)]).look();
    assert_eq!([looked.fate_of_worker(202), looked.fate_of_worker(203)], [OWNED, OWNED]);
}

/// Its gateway ends the worker with whatever is below it.
#[test]
fn a_session_is_not_closed_either_that_may_have_a_tree_with_another_owners_worker_in_it() {
    let fate = |outer: Session, prepare: fn(&mut World)| {
        let mut world = World::new();
        world.gateway("other", 110);
        world.worker(200, "a", 100);
        world.worker(202, "b", 200);
        world.rows([outer, attached("b")]);
        prepare(&mut world);
        world.look();
        world.look_after(3_600).fate("a")
    };
    let kept = "keep: protected";
    let closed = "reap: detached-session, after 3600s";
    let any_process = |world: &mut World| world.refused("other").of("other").process = None;
    assert_eq!(fate(detached("a"), any_process), kept, "its worker may be of a table that can't be read");
    let below_init = |world: &mut World| {
        world.worker(200, "a", 1);
        world.refused("other");
    };
    assert_eq!(fate(detached("a"), below_init), kept, "its gateway may have taken it back");
    let below_another = |world: &mut World| _ = world.worker(200, "a", 110);
    assert_eq!(fate(detached("a"), below_another), closed, "another gateway's");
    let bystander = |world: &mut World| _ = world.process(300, 1, "vi notes");
    assert_eq!(fate(with_worker(detached("a"), 300), bystander), kept, "what it names isn't its worker");
    let rotated = || with_key(detached("a"), "newer");
    assert_eq!(fate(rotated(), |_| ()), kept, "which worker it has isn't known");
    let of_one_gone = |world: &mut World| {
        let rows = world.table("gw").sessions.clone();
        world.rows(rows.iter().cloned().chain([with_key(attached("gone"), "a")])).look();
        world.rows(rows);
    };
    assert_eq!(fate(rotated(), of_one_gone), closed, "that was of a session which is gone");
    assert_eq!(fate(without_worker(rotated()), |_| ()), closed, "it says that it has none");
    assert_eq!(fate(rotated(), |world| _ = world.worker(200, "a", 110)), closed, "another gateway's");
    assert_eq!(fate(rotated(), |world| world.end(202)), closed, "nothing is below it");
    let of_a_third = |world: &mut World| {
        world.worker(300, "c", 100);
        world.worker(202, "b", 300);
        let rows = world.table("gw").sessions.clone();
        world.rows(rows.into_iter().chain([attached("c")]));
    };
    assert_eq!(fate(rotated(), of_a_third), closed, "what has another's below it is a third session's");
    let twice = |world: &mut World| world.of("other").process = Some(identity(100));
    assert_eq!(fate(detached("a"), twice), kept, "two tables of one process");
}

/// Init adopted it before any look: a job of a shell that is gone.
#[test]
fn a_worker_in_the_process_session_that_another_ones_worker_leads_is_of_that_owner() {
    let world = |prepare: fn(&mut World)| {
        let mut world = World::new();
        world.worker(200, "a", 100).session = 200;
        world.worker(201, "x", 1).session = 200;
        world.rows([attached("a")]);
        prepare(&mut world);
        world.look()
    };
    assert!(world(|_| ()).is_of_a_session(201));
    let why = world(|_| ()).why_worker(201);
    assert!(
        why.ends_with(
            "it is of session \"a\" of gateway gw, but isn't judged with it: it carries another key"
        ),
        "{why}"
    );
    let fate = |prepare| world(prepare).fate_of_worker(201);
    assert_eq!(fate(|world| _ = world.rows([])), PARENTLESS, "nobody's");
    let ended = |world: &mut World| {
        world.end(200);
        world.rows([without_worker(attached("a"))]);
    };
    assert_eq!(fate(ended), PARENTLESS, "it is gone");
    assert_eq!(fate(|world| world.worker(200, "a", 100).session = 100), PARENTLESS, "it leads none");
    let younger = |world: &mut World| world.worker(201, "x", 1).identity.start_ticks = 1999;
    assert_eq!(fate(younger), PARENTLESS, "it is older than what leads");
    let refused = |world: &mut World| _ = world.refused("gw");
    assert_eq!(fate(refused), NOT_TRUSTED);
    let gateway = |world: &mut World| {
        world.worker(100, "g", 1).session = 100;
        world.worker(201, "x", 1).session = 100;
        world.rows([with_worker(attached("a"), 200), with_key(attached("g"), "g")]);
    };
    assert_eq!(fate(gateway), PARENTLESS, "a gateway's own process session is no worker's");
}

#[test]
fn a_tree_with_another_owners_worker_in_it_is_never_ended() {
    let why = "protected: process 200 has process 202 under it, a gateway or a listed session's worker";
    for nested in [attached("b"), detached("b"), with_worker(attached("b"), 202)] {
        for outer in [detached("a"), with_worker(detached("a"), 200)] {
            let mut world = World::new();
            world.worker(200, "a", 100);
            world.process(201, 200, "sh -c hermes");
            world.worker(202, "b", 201);
            world.rows([outer, nested.clone()]).look();
            assert_eq!(world.look_after(60).why("a"), why);
            world.rows([nested.clone()]).look();
            assert_eq!(world.look_after(60).why_worker(200), why, "nor when it is nobody's");
        }
    }
}

#[test]
fn a_worker_below_whatever_a_row_names_is_that_rows() {
    for parent in [100, 1] {
        let mut world = World::new();
        world.process(200, parent, "node agent.js");
        world.worker(201, "x", 200);
        assert_eq!(
            world.rows([with_worker(attached("a"), 200)]).fate_of_worker(201),
            OWNED,
            "under {parent}"
        );
    }
}

/// Else one wrong row would own every worker of the machine.
#[test]
fn what_is_above_a_gateway_or_the_reaper_owns_nothing_though_a_row_names_it() {
    let mut world = World::new();
    world.process(60, 1, "supervisord");
    world.seen.processes.processes.get_mut(&pid(100)).expect("the gateway").parent = Some(pid(60));
    world.worker(201, "x", 60);
    world.worker(202, "x", 80);
    for named in [60, 80, 1] {
        let looked = world.rows([with_worker(attached("a"), named)]).look();
        assert_eq!([looked.fate_of_worker(201), looked.fate_of_worker(202)], [UNKNOWN, UNKNOWN], "{named}");
    }
}

#[test]
fn a_tree_with_workers_of_two_sessions_is_ended_with_neither() {
    for (own, other) in [(201, 202), (202, 201)] {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.worker(own, "a", 200);
        world.worker(other, "b", 200);
        world.rows([with_worker(detached("a"), 200), attached("b")]).look();
        let why = format!(
            "protected: process 200 has process {other} under it, a gateway or a listed session's worker"
        );
        assert_eq!(world.look_after(3_600).why("a"), why);
    }
}

#[test]
fn a_worker_below_one_that_nobody_owns_goes_with_it() {
    let mut world = World::new();
    world.worker(200, "x", 100);
    world.worker(201, "y", 200);
    let looked = world.look();
    assert_eq!([looked.fate_of_worker(200), looked.fate_of_worker(201)], [OWNERLESS, OWNED]);
}

/// Its worker may be the one below, and nothing else tells which it is.
#[test]
fn a_worker_below_one_that_nobody_owns_may_be_that_of_a_row_whose_worker_isnt_known() {
    let why = "protected: process 99 has process 200 under it, which may be another session's worker";
    for below in [99, 150] {
        let mut world = World::new();
        world.worker(99, "x", 1);
        world.process(150, 99, "sh -c hermes");
        world.worker(200, "y", below);
        world.rows([without_worker(attached("b"))]).look();
        assert_eq!(
            world.look_after(60).fate_of_worker(99),
            "reap: parentless-worker, after 60s",
            "b has none"
        );
        world.rows([attached("b")]).look();
        let looked = world.look_after(3_600);
        assert_eq!((looked.fate_of_worker(200), looked.why_worker(99)), (UNKNOWN.into(), why.into()));
        // A copy of it, also what it is just about to execute, is of its tree.
        world.worker(200, "x", below);
        assert_eq!(world.look().fate_of_worker(200), OWNED);
        // What is older than the gateway isn't the worker of any row of it that carries another key.
        world.worker(98, "y", below);
        world.end(200);
        assert_eq!(world.look().fate_of_worker(98), OWNED);
    }
}

#[test]
fn a_worker_below_anothers_may_be_of_a_gateway_whose_table_isnt_current() {
    let why = "protected: process 200 has process 201 under it, which may be another session's worker";
    for no_table in no_tables() {
        for row in [detached("d"), with_worker(detached("d"), 200)] {
            let mut world = World::new();
            world.gateway("other", 110);
            world.worker(200, "d", 100);
            world.worker(201, "y", 200);
            world.rows([row]).look();
            assert_eq!(world.look_after(60).goes_along("d"), Some(200), "the other one's table has no row");
            world.of("other").table = no_table.clone();
            let looked = world.look();
            assert_eq!((looked.fate_of_worker(201), looked.why("d")), (NOT_TRUSTED.into(), why.into()));
            // A copy of the worker is nobody else's.
            world.worker(201, "d", 200);
            assert_eq!(world.look_after(60).fate_of_worker(201), OWNED);
        }
    }
}

#[test]
fn a_worker_below_a_copy_of_one_that_nobody_owns_may_be_that_of_a_row_too() {
    let mut world = World::new();
    world.worker(99, "x", 1);
    world.worker(200, "x", 99);
    world.worker(201, "y", 200);
    let looked = world.rows([attached("b")]).look();
    assert_eq!([looked.fate_of_worker(200), looked.fate_of_worker(201)], [OWNED, UNKNOWN]);
}

#[test]
fn without_keys_nothing_says_that_a_worker_below_another_is_a_copy_of_it() {
    let mut world = World::new();
    world.process(99, 1, "python3 -m worker");
    world.process(200, 99, "python3 -m worker");
    assert_eq!(world.rows([attached("b")]).fate_of_worker(200), UNKNOWN);
}

/// What a worker that forks twice without exec leaves, where rows name PIDs alone.
#[test]
fn without_keys_what_looks_like_the_worker_that_a_row_names_may_be_a_copy_of_that() {
    let among = |worker: u32, other: u32, parent: u32| {
        let mut world = World::new();
        world.process(worker, 100, "python3 -m worker");
        world.process(other, parent, "python3 -m worker");
        world.rows([with_worker(attached("a"), worker)]);
        world
    };
    let mut copied = among(200, 201, 1);
    let looked = copied.look();
    assert_eq!(looked.fate_of_worker(201), UNKNOWN);
    let why = looked.why_worker(201);
    assert!(why.contains("may be a copy of the worker of session \"a\""), "{why}");
    copied.end(200);
    assert_eq!(copied.look().fate_of_worker(201), "wait: parentless-worker, 0s of 60s", "its worker is gone");

    assert_eq!(among(201, 200, 1).fate_of_worker(200), "wait: parentless-worker, 0s of 60s", "it is older");
    assert_eq!(
        among(200, 201, 100).fate_of_worker(201),
        "wait: ownerless-worker, 0s of 60s",
        "it is a child"
    );
    let mut left = among(200, 201, 100);
    left.look();
    left.process(201, 1, "python3 -m worker");
    assert_eq!(left.fate_of_worker(201), "wait: parentless-worker, 0s of 60s", "it was a child");
    // Its gateway may have adopted it.
    for (session, group, fate) in [
        (201, 201, OWNERLESS),
        (100, 100, OWNERLESS),
        (201, 100, OWNERLESS),
        (199, 199, UNKNOWN),
        (199, 201, UNKNOWN),
        (100, 200, UNKNOWN),
    ] {
        let mut adopted = among(200, 201, 100);
        let process = adopted.seen.processes.processes.get_mut(&pid(201)).unwrap();
        (process.session, process.group) = (session, group);
        assert_eq!(adopted.fate_of_worker(201), fate, "of session {session} and group {group}");
    }
    // What was a session's own is no copy of another's.
    let mut two = among(200, 201, 100);
    two.rows([with_worker(attached("a"), 200), with_worker(attached("b"), 201)]).look();
    two.process(201, 1, "python3 -m worker");
    two.ledger.gateways.values_mut().flat_map(|memory| &mut memory.workers).for_each(|worker| {
        worker.bond = gateway_reaper::domain::ledger::Bond::None;
    });
    assert_eq!(two.clone().rows([with_worker(attached("a"), 200)]).fate_of_worker(201), PARENTLESS);
    assert!(two.is_of_a_session(201));
    // A worker below the one that the row names is copied like that.
    let mut nested = World::new();
    nested.process(200, 100, "supervisor");
    nested.process(201, 200, "python3 -m worker");
    nested.process(202, 1, "python3 -m worker");
    assert_eq!(nested.rows([with_worker(attached("a"), 200)]).fate_of_worker(202), UNKNOWN);
    let mut another = among(200, 201, 1);
    another.worker(201, "b", 1);
    assert_eq!(another.fate_of_worker(201), "wait: parentless-worker, 0s of 60s", "it looks different");
}

#[test]
fn what_is_below_a_sessions_worker_is_that_sessions_where_no_other_table_is_missing() {
    let inside = || {
        let mut world = World::new();
        world.gateway("other", 110);
        world.worker(200, "d", 100);
        world.worker(201, "y", 200);
        world.rows([with_worker(attached("d"), 200)]);
        world
    };
    let mut contradicted = inside();
    contradicted.table("gw").gateway_pid = Some(pid(101));
    let mut of_both = inside();
    of_both.table("other").sessions = vec![with_worker(attached("e"), 200)];
    of_both.table("other").gateway_pid = Some(pid(101));
    let mut rotated = inside();
    rotated.worker(201, "d", 200);
    rotated.rows([with_worker(with_key(attached("d"), "rotated"), 200)]).refused("other");
    let mut leftovers = inside();
    leftovers.rules[1].workers = Workers::Leftovers;
    leftovers.refused("other");
    let mut another_pattern = inside();
    another_pattern.rules[1].worker_match = None;
    another_pattern.refused("other");
    let worlds = [contradicted, of_both, rotated, leftovers, another_pattern];
    for (index, mut world) in worlds.into_iter().enumerate() {
        assert_eq!(world.fate_of_worker(201), OWNED, "{index}");
    }
}

#[test]
fn what_is_below_a_sessions_worker_may_be_that_of_a_row_of_which_none_is_known() {
    let inside = || {
        let mut world = World::new();
        world.gateway("other", 110);
        world.worker(200, "d", 100);
        world.worker(201, "y", 200);
        world
    };
    let mut of_its_own_gateway = inside();
    of_its_own_gateway.rows([with_worker(detached("d"), 200), attached("e")]);
    let mut of_another = inside();
    of_another.rows([with_worker(detached("d"), 200)]);
    of_another.table("other").sessions = vec![attached("e")];
    for world in [&mut of_its_own_gateway, &mut of_another] {
        assert_eq!(world.fate_of_worker(201), UNKNOWN);
        let why = "protected: process 200 has process 201 under it, which may be another session's worker";
        assert_eq!(world.look_after(3_600).why("d"), why);
        // Its row named it, and has another key by now.
        world.worker(201, "d", 200);
        assert_eq!(world.look().fate_of_worker(201), OWNED, "a copy of its worker");
    }
    // As soon as that is known they go, the one with the other.
    of_its_own_gateway.worker(201, "y", 200);
    of_its_own_gateway.rows([with_worker(detached("d"), 200), without_worker(attached("e"))]).look();
    assert_eq!(of_its_own_gateway.look_after(3_600).goes_along("d"), Some(200));
}

#[test]
fn a_superseded_worker_below_one_with_an_owner_goes_with_that() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "b", 200);
    world.worker(210, "b", 100);
    world.rows([with_worker(detached("a"), 200), with_worker(attached("b"), 210)]).look();
    let looked = world.look_after(3_600);
    assert_eq!((looked.fate_of_worker(201), looked.goes_along("a")), (OWNED.into(), Some(200)));
}

#[test]
fn a_superseded_worker_that_lost_its_gateway_is_nobodys_wherever_it_is() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "b", 200);
    world.look();
    world.die(100, 1);
    world.process(300, 1, "gatewayd");
    world.of("gw").process = Some(identity(300));
    world.worker(310, "b", 300);
    world.rows([with_worker(attached("a"), 200), with_worker(attached("b"), 310)]);
    world.table("gw").gateway_pid = Some(pid(300));
    assert_eq!(world.fate_of_worker(201), PARENTLESS);
}

#[test]
fn what_a_gateway_started_below_a_worker_is_the_gateways() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.gateway("inner", 210);
    world.process(210, 200, "gatewayd");
    world.worker(211, "x", 210);
    let looked = world.rows([with_worker(attached("a"), 200)]).look();
    assert_eq!(looked.fate_of_worker(211), OWNERLESS);
}

#[test]
fn a_ring_of_parents_is_a_doubt() {
    let mut world = World::new();
    world.worker(200, "x", 201);
    world.worker(201, "x", 200);
    let looked = world.look();
    assert_eq!([looked.fate_of_worker(200), looked.fate_of_worker(201)], [UNKNOWN, UNKNOWN]);
}

// Is older than the gateway's process.

#[test]
fn older_than_the_gateway_and_of_no_row_it_is_of_an_earlier_run_when_the_table_is_current() {
    let mut world = World::new();
    world.worker(99, "x", 1);
    assert_eq!(world.rows([attached("a")]).fate_of_worker(99), PARENTLESS, "whatever worker a may have");
}

#[test]
fn of_the_same_hundredth_of_a_second_as_its_gateway_it_isnt_older() {
    let mut world = World::new();
    world.worker(200, "x", 1).identity.start_ticks = identity(100).start_ticks;
    world.refused("gw").rules[0].takes_workers_back = false;
    assert_eq!(world.fate_of_worker(200), NOT_TRUSTED);
    world.worker(200, "x", 1).identity.start_ticks = identity(100).start_ticks - 1;
    assert_eq!(world.fate_of_worker(200), PARENTLESS);
}

#[test]
fn older_than_the_gateway_that_is_its_parent_it_was_adopted_by_that() {
    let mut world = World::new();
    world.worker(99, "x", 100);
    assert_eq!(world.fate_of_worker(99), PARENTLESS);
    assert_eq!(world.refused("gw").fate_of_worker(99), NOT_TRUSTED);
    world.rules[0].takes_workers_back = false;
    assert_eq!(world.fate_of_worker(99), PARENTLESS, "a grace that needs no table");
}

#[test]
fn older_than_the_gateway_whose_table_is_not_current_it_may_have_been_taken_back() {
    for no_table in no_tables() {
        let mut world = World::new();
        world.worker(99, "x", 1);
        world.of("gw").table = no_table;
        assert_eq!(world.fate_of_worker(99), NOT_TRUSTED);
        world.rules[0].takes_workers_back = false;
        assert_eq!(world.fate_of_worker(99), PARENTLESS, "of a kind that never takes a worker back");
        world.worker(200, "y", 1);
        assert_eq!(world.fate_of_worker(200), NOT_TRUSTED, "a younger one may be of this run");
    }
}

// May have been started by a gateway whose table isn't current, or that isn't known to be gone.

fn no_tables() -> [TableView; 4] {
    [
        TableView::refused("401"),
        TableView::unreachable("no answer within 5 s"),
        TableView::nothing_listens("connection refused"),
        TableView::listed([id("a")], "no table"),
    ]
}

#[test]
fn while_the_gateways_process_is_there_no_missing_table_means_that_it_is_gone() {
    for no_table in no_tables() {
        for parent in [100, 1] {
            let mut world = World::new();
            world.worker(200, "x", parent);
            world.of("gw").table = no_table.clone();
            world.look();
            assert_eq!(
                world.look_after(3_600).fate_of_worker(200),
                NOT_TRUSTED,
                "under {parent}, {no_table:?}"
            );
        }
    }
}

#[test]
fn a_gateway_is_gone_where_its_process_is_and_nothing_listens() {
    for no_table in no_tables() {
        let mut world = World::new();
        world.worker(200, "x", 100);
        world.look();
        world.die(100, 1);
        let nothing_listens = no_table == TableView::nothing_listens("connection refused");
        world.of("gw").table = no_table.clone();
        let expected = if nothing_listens { PARENTLESS } else { NOT_TRUSTED };
        assert_eq!(world.fate_of_worker(200), expected, "{no_table:?}: another run may answer");
    }
}

#[test]
fn a_daemonised_worker_that_was_never_seen_before_waits_for_the_gateway_that_may_have_started_it() {
    let mut world = World::new();
    world.worker(200, "x", 1);
    world.of("gw").process = None;
    for no_table in no_tables() {
        let nothing_listens = no_table == TableView::nothing_listens("connection refused");
        world.of("gw").table = no_table;
        assert_eq!(world.clone().fate_of_worker(200), if nothing_listens { PARENTLESS } else { NOT_TRUSTED });
    }
}

#[test]
fn one_of_several_gateways_that_may_have_started_it_is_enough_to_keep_it() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "x", 1);
    assert_eq!(world.fate_of_worker(200), PARENTLESS);
    assert_eq!(world.refused("other").fate_of_worker(200), NOT_TRUSTED);
}

#[test]
fn a_gateway_that_listed_it_at_the_last_look_may_have_started_it_wherever_it_stands() {
    for parent in [100, 1] {
        let mut world = World::new();
        world.gateway("other", 110);
        world.worker(200, "x", 100);
        world.table("other").sessions = vec![attached("x")];
        assert!(world.is_of_a_session(200));
        world.worker(200, "x", parent);
        assert_eq!(world.refused("other").look_after(60).fate_of_worker(200), NOT_TRUSTED, "under {parent}");
        assert_eq!(
            world.look_after(60).fate_of_worker(200),
            NOT_TRUSTED,
            "nor is that forgotten while it is in doubt"
        );
        world.table("other").sessions.clear();
        assert!(world.look_after(60).fate_of_worker(200).starts_with("wait: "), "until the table says so");
    }
}

// A row neither names its worker, nor says null, nor is found by its key.

#[test]
fn a_row_of_which_the_worker_is_not_known_makes_every_ownerless_worker_a_doubt_that_names_it() {
    let why = "the worker of session \"a\" isn't known (it names none, and no worker carries its key): this may be it";
    for parent in [100, 1] {
        let mut world = World::new();
        world.worker(200, "x", parent);
        assert_eq!(world.rows([attached("a")]).look().why_worker(200), format!("unknown state: {why}"));
        let ownerless = if parent == 100 { OWNERLESS } else { PARENTLESS };
        assert_eq!(
            world.rows([without_worker(attached("a"))]).fate_of_worker(200),
            ownerless,
            "it says null"
        );
        assert_eq!(
            world.clone().rows([with_worker(attached("a"), 300)]).look_after(1).fate_of_worker(200),
            ownerless.replace("0s of", "1s of"),
            "it names one"
        );
        world.worker(201, "a", 100);
        assert_eq!(
            world.rows([attached("a")]).look_after(2).fate_of_worker(200),
            ownerless.replace("0s of", "2s of"),
            "it is found by its key"
        );
    }
}

/// It may run below another session's worker, where nothing is looked at before something is due.
#[test]
fn where_a_rows_worker_is_not_found_it_is_looked_for_below_all_workers_of_its_gateway() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "x", 100);
    world.rows([attached("a"), attached("b")]);
    let looked = world.look();
    assert_eq!(looked.fate_of_worker(201), UNKNOWN);
    assert_eq!(looked.0.to_look_below(), [200, 201].map(pid));
    world.worker(202, "b", 200);
    let looked = world.look();
    assert_eq!(looked.fate_of_worker(201), OWNERLESS);
    assert_eq!(looked.0.to_look_below(), [], "it is found");
    let row = with_worker(attached("b"), 202);
    assert_eq!(world.rows([attached("a"), row]).look().0.to_look_below(), [], "it is named");
}

#[test]
fn a_row_that_is_not_understood_makes_every_ownerless_worker_a_doubt() {
    for row in
        [Session { worker: gibberish(), ..attached("a") }, Session { key: gibberish(), ..attached("a") }]
    {
        let mut world = World::new();
        world.worker(200, "x", 100);
        world.worker(201, "a", 100);
        assert_eq!(world.rows([row]).fate_of_worker(200), UNKNOWN);
    }
}

#[test]
fn a_row_that_names_what_can_not_be_its_worker_makes_every_ownerless_worker_a_doubt() {
    let mut world = World::new();
    world.worker(200, "x", 100);
    world.process(201, 100, "vi notes");
    world.process(202, 100, "sh -c python3 -m worker --session-key z; true");
    world.worker(203, "z", 202);
    world.process(204, 100, "vi notes").uid = 0;
    world.worker(205, "y", 100);
    let mut fate = |rows: &[Session]| world.rows(rows.to_vec()).look().fate_of_worker(200);
    let names = |raw| with_worker(attached("a"), raw);
    for never in [201, 100, 90, 1] {
        assert_eq!(fate(&[names(never)]), UNKNOWN, "{never}");
    }
    assert_eq!(fate(&[names(205), with_worker(attached("b"), 205)]), UNKNOWN, "another row names it, too");
    for (may_be, why) in [
        (202, "its worker runs in that shell"),
        (204, "its argv is hidden"),
        (205, "it is one"),
        (300, "it is gone"),
    ] {
        assert_eq!(fate(&[names(may_be)]), OWNERLESS, "{why}");
    }
    let by_key = [with_key(names(201), "y")];
    assert_eq!(fate(&by_key), OWNERLESS, "it is found by its key");
    let twice = [with_key(names(205), "y"), with_worker(without_worker(attached("b")), 205)];
    let why = world.rows(twice).look().why_worker(200);
    assert!(why.contains("session \"b\""), "205 says that it is of a, and b has another: {why}");
}

#[test]
fn keys_that_are_not_what_the_argv_carries_keep_every_worker() {
    let mut world = World::new();
    for (raw, key) in [(200, "old-a"), (201, "old-b"), (202, "old-c")] {
        world.worker(raw, key, 100);
    }
    world.rows(["a", "b", "c"].map(attached)).look();
    let looked = world.look_after(3_600);
    assert_eq!([200, 201, 202].map(|raw| looked.fate_of_worker(raw)), [UNKNOWN; 3]);
}

#[test]
fn two_rows_with_one_key_and_one_worker_leave_one_of_them_without() {
    let mut world = World::new();
    world.worker(200, "x", 100);
    world.worker(201, "k", 100);
    let row = |id| with_key(attached(id), "k");
    assert_eq!(world.rows([row("a"), row("b")]).fate_of_worker(200), UNKNOWN);
    world.worker(202, "k", 100);
    assert_eq!(world.fate_of_worker(200), OWNERLESS);
}

#[test]
fn a_worker_that_another_row_names_is_not_found_by_the_key_it_carries() {
    let mut world = World::new();
    world.worker(200, "x", 100);
    world.worker(201, "k", 100);
    world.rows([with_key(attached("a"), "k"), with_worker(attached("b"), 201)]);
    assert_eq!(world.fate_of_worker(200), UNKNOWN, "201 is the worker of b, and 200 may be that of a");
}

#[test]
fn a_row_of_another_gateway_that_may_not_have_started_it_raises_no_doubt() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "x", 100);
    world.table("other").sessions = vec![attached("b")];
    let mut daemonised = world.clone();
    assert_eq!(world.fate_of_worker(200), OWNERLESS, "it is a child of gw");
    world.worker(200, "x", 1);
    assert_eq!(world.fate_of_worker(200), PARENTLESS, "it was seen below gw");
    daemonised.worker(200, "x", 1);
    assert_eq!(daemonised.fate_of_worker(200), UNKNOWN, "either may have started it");
}

// None of these: nobody.

#[test]
fn a_wrapper_that_was_started_for_the_worker_alone_stands_for_it() {
    let wrapper = "sh -c python3 -m worker --session-key x; true";
    let mut world = World::new();
    world.process(199, 1, wrapper);
    world.worker(200, "x", 199);
    assert_eq!(
        world.clone().fate_of_worker(200),
        PARENTLESS,
        "the gateway that started it is gone, and init has the wrapper"
    );
    world.process(199, 100, wrapper);
    assert_eq!(world.clone().fate_of_worker(200), OWNERLESS, "it is the gateway's child");
    world.process(199, 1, "sh -c nohup something else");
    assert_eq!(world.fate_of_worker(200), UNKNOWN, "this one may be a gateway");
}

#[test]
fn a_wrapped_worker_belongs_to_the_session_whose_key_it_carries() {
    let mut world = World::new();
    world.process(199, 100, "sh -c python3 -m worker --session-key a; true");
    world.worker(200, "a", 199);
    assert_eq!(goes_with_a(&mut world, detached("a")), [200]);
}

#[test]
fn a_wrapper_that_its_row_names_stands_for_the_one_worker_in_it() {
    let shell = "sh -c python3 -m worker --session-key a; true";
    let row = || with_worker(detached("a"), 199);
    let mut world = World::new();
    world.process(199, 100, shell);
    world.worker(200, "a", 199);
    assert_eq!(goes_with_a(&mut world.clone(), row()), [200], "the shell itself is no worker");
    let mut two = world.clone();
    two.worker(201, "a", 199);
    let fate = |mut world: World, rows: [Session; 2]| {
        world.rows(rows).look();
        world.look_after(3_600).fate("a")
    };
    let other = || attached("other");
    assert_eq!(fate(two, [row(), other()]), "keep: protected", "which of two is its worker isn't known");
    let rows = [with_key(row(), "b"), with_key(other(), "a")];
    assert_eq!(fate(world, rows), "keep: protected", "it carries another row's key");
}

/// A restarted gateway took it back: the shell was adopted, and no look saw what is in it.
#[test]
fn where_a_row_names_a_shell_its_worker_is_looked_for_in_that_shell() {
    let mut world = World::new();
    world.process(60, 1, "a program that adopts");
    world.process(199, 60, "sh -c python3 -m worker --session-key b; true");
    world.worker(201, "x", 100);
    // What another names is gone: nothing is to be looked at there.
    world.rows([with_worker(attached("b"), 199), with_worker(attached("c"), 300)]);
    let looked = world.look();
    assert_eq!(looked.fate_of_worker(201), UNKNOWN);
    assert_eq!(looked.0.to_look_below(), [199, 201].map(pid));
    world.worker(200, "b", 199);
    let looked = world.look();
    assert_eq!(looked.fate_of_worker(201), OWNERLESS);
    assert_eq!(looked.0.to_look_below(), []);
}

#[test]
fn the_worker_in_a_shell_that_a_row_names_is_not_ended_with_it_where_another_gateways_row_has_its_key() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.process(199, 100, "sh -c python3 -m worker --session-key a; true");
    world.worker(200, "a", 199);
    assert_eq!(goes_with_a(&mut world.clone(), with_worker(detached("a"), 199)), [200]);
    world.table("other").sessions = vec![attached("a")];
    world.rows([with_worker(detached("a"), 199)]).look();
    let looked = world.look_after(3_600);
    let gw = &looked.0.gateways[0];
    let warrants: Vec<_> =
        looked.0.warrants().filter(|(_, warrant, _)| *warrant.gateway() == gw.name).collect();
    for (_, warrant, _) in warrants {
        assert_eq!((warrant.worker(), warrant.remnants()), (None, &[][..]));
    }
}

#[test]
fn every_process_that_matches_and_is_not_judged_with_its_session_is_listed() {
    let mut world = World::new();
    world.process(60, 1, "a program that is no gateway of ours");
    for (raw, parent) in [(200, 100), (201, 1), (202, 60), (203, 80), (204, 100), (205, 100)] {
        world.worker(raw, "x", parent);
    }
    world.worker(204, "x", 100).kernel = true;
    world.worker(205, "x", 100).uid = 0;
    let looked = world.look();
    let fates = [200, 201, 202, 203, 204, 205].map(|raw| looked.fate_of_worker(raw));
    assert_eq!(fates, [OWNERLESS, PARENTLESS, UNKNOWN, UNKNOWN, "keep: protected", "keep: protected"]);
}

/// A gateway that talks to the worker through a pipe doesn't notice.
#[test]
fn what_ran_in_the_shell_that_a_row_names_is_that_rows_also_once_the_shell_is_gone() {
    let mut world = World::new();
    world.process(150, 100, "sh -c python3 -m worker --session-key x; true");
    world.worker(200, "x", 150);
    world.rows([with_worker(attached("a"), 150)]).look();
    world.die(150, 1);
    let looked = world.look_after(3_600);
    assert_eq!(looked.fate("a"), "keep: attached");
    assert!(looked.why_worker(200).starts_with("unknown state: it is of session \"a\" of gateway gw"));
    assert!(world.look_after(3_600).is_of_a_session(200), "it is remembered");
    // As soon as the row says anything else it is nobody's.
    world.rows([without_worker(attached("a"))]).look();
    assert_eq!(world.look_after(60).fate_of_worker(200), "reap: parentless-worker, after 60s");
}

/// Worker 200 of session `a`, which its row names, has a copy of itself below it, and another one that was forked twice and seen only after the
/// worker had written over its argv. The conversation has another key by now.
#[test]
fn a_copy_of_a_worker_that_looks_like_none_any_more_may_be_of_the_row_that_names_that() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(205, "a", 200);
    world.rows([with_worker(attached("a"), 200)]).look();
    world.process(200, 100, "renamed");
    world.worker(210, "a", 1);
    world.rows([with_worker(with_key(attached("a"), "new"), 200)]).look();
    assert_eq!(world.look_after(3_600).fate_of_worker(210), "keep: unknown-state");
    world.rows([]).look();
    assert_eq!(world.look_after(60).fate_of_worker(210), "reap: parentless-worker, after 60s");
}

/// Its workers are forks of it, and `worker.match` takes it, too.
#[test]
fn what_has_a_fork_below_it_and_no_key_may_be_the_gateway_that_is_not_found_at_its_address() {
    let world = |above: &str, below: &str| {
        let mut world = World::new();
        world.process(200, 1, above);
        world.process(201, 200, below);
        world.die(100, 1);
        world.unreachable("gw");
        world
    };
    const ARGV: &str = "python3 -m worker";
    const DUE: &str = "reap: parentless-worker, after 60s";
    let after = |mut world: World| {
        world.look();
        world.look_after(60)
    };
    let kept = after(world(ARGV, ARGV));
    assert_eq!([200, 201].map(|pid| kept.fate_of_worker(pid)), [UNKNOWN; 2]);
    let why = kept.why_worker(200);
    assert!(why.contains("it may be gateway gw itself") && why.contains("process 201 below it"), "{why}");

    assert_eq!(after(world(ARGV, "python3 -m worker --x")).fate_of_worker(200), DUE, "no fork");
    let keyed = "python3 -m worker --session-key a";
    assert_eq!(after(world(keyed, keyed)).fate_of_worker(200), DUE, "a key is a worker's");
    let mut dead = world(ARGV, ARGV);
    dead.process(201, 200, ARGV).zombie = true;
    assert_eq!(after(dead).fate_of_worker(200), DUE);
    let mut described = world(ARGV, ARGV);
    described.rules[0].describes_process = true;
    assert_eq!(after(described).fate_of_worker(200), DUE, "what is none isn't taken for one");
    // It was seen below its gateway.
    let mut was_a_child = World::new();
    was_a_child.process(200, 100, ARGV);
    was_a_child.process(201, 200, ARGV);
    was_a_child.rows([]).look();
    was_a_child.die(100, 1);
    was_a_child.unreachable("gw");
    assert_eq!(after(was_a_child).fate_of_worker(200), DUE);
    // The other gateway is gone, this one tells its own process.
    let mut current = World::new();
    current.process(200, 1, ARGV);
    current.process(201, 200, ARGV);
    assert_eq!(after(current).fate_of_worker(200), DUE);
}

/// What a gateway started may have started the worker and left: `nohup worker &` in a shell, a program that becomes a daemon.
#[test]
fn a_worker_that_no_gateway_was_seen_to_have_started_may_be_of_a_row_that_names_what_is_gone() {
    const WHY: &str = "unknown state: the worker of session \"a\" isn't known (it names process 300, which is gone and may have started its \
                       worker): this may be it";
    let names_one_gone = || with_worker(attached("a"), 300);
    let world = |parent: u32, row: Session| {
        let mut world = World::new();
        world.worker(200, "x", parent);
        world.seen.processes.gone.insert(pid(300));
        world.rows([row]).look();
        world
    };
    assert_eq!(world(1, names_one_gone()).look_after(60).why_worker(200), WHY);
    let mut waits = world(1, names_one_gone());
    waits.process(300, 100, "sh").zombie = true;
    assert_eq!(waits.look_after(60).why_worker(200), WHY, "its gateway hasn't waited for it");
    const REAPED: &str = "reap: ownerless-worker, after 60s";
    let reaped = |mut world: World| world.look_after(60).fate_of_worker(200);
    assert_eq!(reaped(world(100, names_one_gone())), REAPED, "the gateway has started it");
    const PARENTLESS_REAPED: &str = "reap: parentless-worker, after 60s";
    assert_eq!(reaped(world(1, without_worker(attached("a")))), PARENTLESS_REAPED, "it has none");
    // By its key the worker of that row is found.
    let mut found = world(1, names_one_gone());
    found.worker(201, "a", 100);
    found.look();
    assert_eq!(reaped(found), PARENTLESS_REAPED);
    // It was the worker of a session that is gone.
    let mut was_anothers = World::new();
    was_anothers.worker(200, "x", 1);
    was_anothers.rows([attached("x")]).look();
    was_anothers.seen.processes.gone.insert(pid(300));
    was_anothers.rows([names_one_gone()]).look();
    assert_eq!(reaped(was_anothers), PARENTLESS_REAPED);
    // It is older than the gateway's process: of an earlier run.
    let mut older = World::new();
    older.process(200, 1, "python3 -m worker --session-key x").identity.start_ticks = 1;
    older.seen.processes.gone.insert(pid(300));
    older.rows([names_one_gone()]).look();
    assert_eq!(reaped(older), PARENTLESS_REAPED);
}

/// The two had one key when they were started, each by a launcher that exits; then one of them got another.
#[test]
fn one_of_several_that_carry_a_sessions_key_may_be_of_a_row_that_names_what_is_gone() {
    let world = |a: Session, parents: &[u32], other: Session| {
        let mut world = World::new();
        for (raw, parent) in (200..).zip(parents) {
            world.worker(raw, "a", *parent);
        }
        world.seen.processes.gone.extend([pid(300), pid(301)]);
        world.rows([a, other]).look();
        world.look_after(20)
    };
    let goes = |looked: &Looked| {
        let warrant = looked.warrant("a");
        let goes = warrant.worker().into_iter().chain(warrant.remnants().iter().copied());
        goes.map(|it| it.pid.get()).collect::<Vec<_>>()
    };
    let launched = || with_worker(detached("a"), 300);
    let other = || with_worker(with_key(attached("b"), "new"), 301);
    let both = world(launched(), &[1, 1], other());
    assert_eq!(goes(&both), [0_u32; 0]);
    for raw in [200, 201] {
        let why = both.why_worker(raw);
        let may_be = "the worker of session \"b\" isn't known (its row names a process that is gone), and this may be it";
        assert!(why.ends_with(may_be), "{why}");
    }
    assert_eq!(goes(&world(launched(), &[1], other())), [200], "there is one alone");
    assert_eq!(goes(&world(launched(), &[1, 1], without_worker(attached("b")))), [200, 201], "it has none");
    assert_eq!(goes(&world(launched(), &[100, 1], other())), [200], "its gateway has started one");
    assert_eq!(
        goes(&world(with_worker(detached("a"), 200), &[1, 1], other())),
        [200],
        "it says which it has"
    );
    assert_eq!(
        goes(&world(without_worker(detached("a")), &[1], other())),
        [0; 0],
        "it says that it has none"
    );
    assert_eq!(goes(&world(without_worker(detached("a")), &[100], other())), [200]);
}
