//! Tables that lie about workers: a row that names what can't be its worker is kept as `protected`, and nothing of it is signalled.

use gateway_reaper::domain::table::{Session, Told};

use crate::world::*;

fn naming(row: Session, raw: u32) -> Session {
    Session { worker: Told::Known(Some(pid(raw))), ..row }
}

/// The verdict on the detached session `a` that has named `raw` as its worker for long enough.
fn fate(world: &mut World, raw: u32) -> String {
    world.rows([naming(detached("a"), raw)]).look();
    let looked = world.look_after(3_600);
    match looked.fate("a") {
        kept if kept.starts_with("keep") => format!("{kept}: {}", looked.why("a")),
        other => other,
    }
}

#[test]
fn naming_pid_1() {
    assert_eq!(fate(&mut World::new(), 1), "keep: protected: protected: process 1 is init");
}

#[test]
fn naming_the_reaper_or_an_ancestor_of_it() {
    for raw in [80, 90] {
        let why = format!("process {raw} is the reaper itself or an ancestor of it");
        assert_eq!(fate(&mut World::new(), raw), format!("keep: protected: protected: {why}"));
    }
}

#[test]
fn naming_its_gateway_or_another() {
    let mut world = World::new();
    world.gateway("other", 110);
    for raw in [100, 110] {
        let why = format!("process {raw} is a gateway");
        assert_eq!(fate(&mut world, raw), format!("keep: protected: protected: {why}"));
    }
}

#[test]
fn naming_a_kernel_thread() {
    let mut world = World::new();
    world.worker(200, "a", 100).kernel = true;
    assert_eq!(fate(&mut world, 200), "keep: protected: protected: process 200 is a kernel thread");
}

#[test]
fn naming_another_users_process() {
    let mut world = World::new();
    world.worker(200, "a", 100).uid = 0;
    let why = "process 200 runs as user 0, not as 1000 (see worker.user)";
    assert_eq!(fate(&mut world, 200), format!("keep: protected: protected: {why}"));
    world.rules[0].worker_uid = 0;
    assert_eq!(fate(&mut world, 200), "reap: detached-session, after 3600s", "unless configured");
}

#[test]
fn naming_a_process_whose_argv_doesnt_match() {
    let mut world = World::new();
    let why = "process 200 is named as its worker but doesn't match worker.match";
    for argv in ["postgres", "vi python3 -m worker --session-key a"] {
        world.process(200, 100, argv);
        assert_eq!(fate(&mut world, 200), format!("keep: protected: protected: {why}"));
    }
    world.process(200, 100, "").argv = None;
    assert_eq!(fate(&mut world, 200), format!("keep: protected: protected: {why}"));
}

#[test]
fn naming_a_worker_that_isnt_under_its_gateway() {
    let mut world = World::new();
    world.process(70, 1, "gatewayd of nobody's configuration");
    world.worker(200, "theirs", 70);
    let why = "process 200 is named as its worker but isn't under its gateway";
    assert_eq!(fate(&mut world, 200), format!("keep: protected: protected: {why}"));
}

#[test]
fn naming_a_worker_of_another_gateway() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 110);
    let why = "process 200 is named as its worker but isn't under its gateway";
    assert_eq!(fate(&mut world, 200), format!("keep: protected: protected: {why}"));
}

#[test]
fn naming_another_sessions_worker() {
    let mut world = World::new();
    world.worker(200, "b", 100);
    world.rows([naming(detached("a"), 200), naming(attached("b"), 200)]).look();
    let looked = world.look_after(3_600);
    assert_eq!(looked.why("a"), "protected: process 200 is the worker of another session too");
    assert_eq!(looked.fate("b"), "keep: attached");
}

#[test]
fn naming_the_worker_that_carries_another_sessions_key() {
    let mut world = World::new();
    world.worker(200, "b", 100);
    for other in [attached("b"), naming(attached("b"), 201)] {
        world.rows([naming(detached("a"), 200), other]).look();
        let looked = world.look_after(3_600);
        assert_eq!(looked.why("a"), "protected: process 200 is the worker of another session too");
    }
}

#[test]
fn naming_what_runs_under_another_sessions_worker() {
    let mut world = World::new();
    world.process(200, 100, "python3 -m worker");
    world.process(201, 200, "python3 -m worker");
    world.rows([naming(detached("a"), 201), naming(attached("b"), 200)]).look();
    let looked = world.look_after(3_600);
    assert_eq!(looked.why("a"), "protected: process 201 is the worker of another session too");
}

#[test]
fn a_worker_under_a_wrapper_is_under_its_gateway() {
    let mut world = World::new();
    world.process(199, 100, "env PYTHONUNBUFFERED=1");
    world.process(200, 199, "python3 -m worker");
    fate(&mut world, 200);
    assert_eq!(world.peek().goes_along("a"), Some(200));
}

#[test]
fn a_worker_that_carries_a_key_of_nobody_may_be_of_a_session_that_isnt_listed_yet() {
    let mut world = World::new();
    world.worker(200, "b", 100);
    let row = Session { key: Told::Known("a".into()), ..naming(detached("a"), 200) };
    world.rows([row]).look();
    let looked = world.look_after(20);
    assert!(looked.fate("a").starts_with("reap"), "{}", looked.fate("a"));
    assert_eq!(looked.goes_along("a"), None, "it is left to its gateway");
    world.rows([]).look();
    assert_eq!(world.look_after(60).fate_of_worker(200), "reap: ownerless-worker, after 60s");
}

#[test]
fn a_row_without_a_key_doesnt_say_what_the_worker_it_names_carries() {
    let mut world = World::new();
    world.worker(200, "whatever", 100);
    fate(&mut world, 200);
    assert_eq!(world.peek().goes_along("a"), Some(200));
}

#[test]
fn a_worker_that_left_its_gateways_tree_has_to_say_itself_whose_it_is() {
    let mut world = World::new();
    world.worker(200, "a", 1);
    fate(&mut world, 200);
    assert_eq!(world.peek().goes_along("a"), Some(200));
    world.process(200, 1, "python3 -m worker");
    let why = "process 200 is named as its worker but isn't under its gateway";
    assert_eq!(fate(&mut world, 200), format!("keep: protected: protected: {why}"));
}

#[test]
fn a_named_process_that_isnt_there_is_nobody_to_signal() {
    let mut world = World::new();
    fate(&mut world, 200);
    assert_eq!(world.peek().goes_along("a"), None);
    world.worker(200, "a", 100).zombie = true;
    assert_eq!(world.peek().goes_along("a"), None);
}

#[test]
fn an_impostors_row_starts_its_grace_again() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([naming(detached("a"), 200)]).look();
    world.rows([naming(detached("a"), 1)]).look_after(10);
    world.rows([naming(detached("a"), 200)]);
    assert_eq!(world.look_after(10).fate("a"), "wait: detached-session, 0s of 20s");
}

#[test]
fn a_worker_with_another_sessions_worker_under_it_is_left_alone() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(201, "b", 200);
    world.rows([naming(detached("a"), 200), naming(attached("b"), 201)]).look();
    let why = "protected: process 200 has process 201 under it, a gateway or a listed session's worker";
    assert_eq!(world.look_after(60).why("a"), why);
    world.worker(200, "nobody's", 100);
    assert_eq!(world.look().why("a"), why, "closing the session may end both");
    world.worker(200, "a", 100);
    world.rows([naming(attached("b"), 201)]);
    assert_eq!(world.look().why_worker(200), why, "and when its session is gone");
    world.rows([]).look();
    assert_eq!(world.look_after(60).fate_of_worker(200), "reap: ownerless-worker, after 60s");
}

#[test]
fn a_worker_with_a_gateway_under_it_is_left_alone() {
    let mut world = World::new();
    world.worker(95, "a", 100);
    world.gateway("inner", 110);
    world.process(110, 95, "gatewayd");
    world.look();
    let looked = world.look_after(60);
    assert_eq!(looked.fate_of_worker(95), "keep: protected");
}

#[test]
fn where_a_row_names_a_worker_that_carries_a_foreign_key_what_carries_its_own_is_left_to_the_gateway() {
    let mut world = World::new();
    world.worker(200, "z", 100);
    world.worker(201, "a", 100);
    let row = with_key(naming(detached("a"), 200), "a");
    world.rows([row.clone()]).look();
    let looked = world.look_after(20);
    assert_eq!(
        (looked.reaped(), looked.goes_along("a")),
        (vec!["a".into()], None),
        "one of the two isn't its own"
    );
    assert_eq!(looked.warrant("a").remnants(), []);
    world.die(200, 100);
    assert_eq!(world.rows([row]).look_after(20).goes_along("a"), Some(201), "what it names is gone");
}

#[test]
fn a_worker_that_is_known_to_be_gone_is_not_shown_as_the_sessions() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    let shown = |world: &World| world.peek().0.gateways[0].judged[0].subject.worker_pid();
    world.rows([naming(attached("a"), 200)]);
    assert_eq!(shown(&world), Some(pid(200)));
    world.process(200, 100, "python3 -m worker --session-key a").zombie = true;
    assert_eq!(shown(&world), None, "a zombie");
    world.end(200);
    assert_eq!(shown(&world), Some(pid(200)), "nobody looked whether it is there");
    world.seen.processes.gone.insert(pid(200));
    assert_eq!(shown(&world), None);
}

/// Two servers list the same sessions, and one of them gives no table.
#[test]
fn naming_a_worker_of_its_key_that_may_be_another_gateways() {
    for parent in [110, 1] {
        let mut frozen = World::new();
        frozen.gateway("other", 110);
        frozen.worker(200, "a", parent);
        frozen.refused("other").of("other").process = None;
        let kept =
            "keep: protected: protected: process 200 is named as its worker but isn't under its gateway";
        assert_eq!(fate(&mut frozen, 200), kept, "under {parent}");
        frozen.table("other");
        assert_eq!(fate(&mut frozen, 200), "reap: detached-session, after 3600s", "it has no session");
    }
}

/// Its close is all there is, and its gateway ends the worker with it: that is said of the process by its number.
#[test]
fn what_a_row_names_and_nothing_proves_is_left_to_its_gateway_with_the_reason() {
    let left = |world: &mut World, row: Session| {
        world.rows([row]).look();
        let looked = world.look_after(3_600);
        assert_eq!(looked.goes_along("a"), None);
        looked.warrant("a").left_to_gateway().map(ToOwned::to_owned)
    };
    let says = |why: &str| {
        Some(format!("process 200, which its row names as its worker, is left to its gateway: {why}"))
    };
    let with_one = || {
        let mut world = World::new();
        world.worker(200, "b", 100);
        world
    };
    let row = || naming(with_key(detached("a"), "a"), 200);
    assert_eq!(left(&mut with_one(), row()), says("it carries another key than the row says"));
    let mut unknown = with_one();
    unknown.of("gw").process = None;
    assert_eq!(left(&mut unknown, row()), says("its gateway's process isn't known"));
    let mut unlike = with_one();
    unlike.rules[0].worker_match = None;
    assert_eq!(left(&mut unlike, row()), says("no worker.match says how its workers look"));
    let mut gone = with_one();
    gone.die(200, 1);
    assert_eq!(left(&mut gone, row()), None, "there is nothing to be left");
    assert_eq!(left(&mut with_one(), without_worker(detached("a"))), None);
    let mut proven = with_one();
    proven.rows([naming(with_key(detached("a"), "b"), 200)]).look();
    let looked = proven.look_after(3_600);
    assert_eq!((looked.goes_along("a"), looked.warrant("a").left_to_gateway()), (Some(200), None));
}

#[test]
fn a_worker_that_was_found_by_its_key_and_looks_like_none_any_more_is_left_to_its_gateway_and_named() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([detached("a")]).look();
    world.process(200, 100, "idle");
    let looked = world.look_after(3_600);
    let said = looked.warrant("a").left_to_gateway().unwrap_or_default().to_owned();
    assert_eq!(
        said,
        "process 200, which was its worker, is left to its gateway: it doesn't look like one any more"
    );
    assert_eq!(looked.fate_of_worker(200), "keep: unknown-state");
    world.end(200);
    assert_eq!(world.look().warrant("a").left_to_gateway(), None);
}

/// Two rows of one conversation, of which only that one says its worker whose client started it.
#[test]
fn a_worker_that_another_row_finds_by_its_key_is_kept_with_both() {
    let fate = |b: Session, workers: &[u32]| {
        let mut world = World::new();
        for raw in workers {
            world.worker(*raw, "k", 100);
        }
        world.rows([with_key(with_worker(detached("a"), 200), "k"), with_key(b, "k")]).look();
        let looked = world.look_after(20);
        let fate = looked.fate("a");
        if fate.starts_with("keep") { looked.why("a") } else { fate }
    };
    const REAPED: &str = "reap: detached-session, after 20s";
    assert_eq!(fate(attached("b"), &[200]), "protected: process 200 is the worker of another session too");
    assert_eq!(fate(without_worker(attached("b")), &[200]), REAPED, "it has none");
    assert_eq!(fate(attached("b"), &[200, 201]), REAPED, "it has another");
}
