//! A process that carries a mark of a listed session is that session's, whatever its parent is; a mark by itself is no reason to end anything.

use gateway_reaper::domain::process::Mark;
use gateway_reaper::domain::table::Session;

use crate::world::*;

const BARE: &str = "python3 -m worker";

fn mark(world: &mut World, raw: u32, key: &str) {
    let mark = Mark::Session { gateway: "gw".into(), key: key.into() };
    world.seen.processes.marks.insert(pid(raw), vec![mark]);
}

/// Worker 200 of a listed session, by its mark alone; init adopted it.
fn marked(row: Session) -> World {
    let mut world = World::new();
    world.process(200, 1, BARE);
    world.rows([row]);
    mark(&mut world, 200, "a");
    world
}

#[test]
fn it_is_kept_with_its_session_and_goes_with_it() {
    let mut kept = marked(attached("a"));
    kept.look();
    let looked = kept.look_after(3600);
    assert_eq!(looked.fate("a"), "keep: attached");
    assert_eq!(looked.fate_of_worker(200), "not judged", "it is judged with its session");

    let mut due = marked(detached("a"));
    due.look();
    assert_eq!(due.look_after(20).warrant("a").worker(), Some(identity(200)));
}

#[test]
fn it_goes_with_its_session_also_beside_a_gateway_that_gives_no_table() {
    let mut world = marked(detached("a"));
    world.gateway("other", 110);
    world.refused("other").look();
    assert_eq!(world.look_after(20).goes_along("a"), Some(200));
}

#[test]
fn what_is_a_sessions_by_its_mark_is_no_second_worker_that_carries_its_key() {
    let mut world = marked(detached("a"));
    world.worker(201, "a", 100);
    world.rows([detached("a"), attached("b")]).look();
    assert_eq!(world.look_after(20).warrant("a").worker(), Some(identity(200)));
    assert_eq!(world.look().warrant("a").remnants(), [identity(201)]);
}

/// One `marker` for two gateways.
#[test]
fn what_is_marked_for_two_gateways_may_be_of_either() {
    let worker = |parent: u32, other: fn(&mut World)| {
        let mut world = marked(detached("a"));
        world.process(200, parent, BARE);
        world.gateway("other", 110);
        let marks = ["gw", "other"].map(|name| Mark::Session { gateway: name.into(), key: "a".into() });
        world.seen.processes.marks.insert(pid(200), marks.into());
        other(&mut world);
        world.look();
        world.look_after(20).warrant("a").worker()
    };
    assert_eq!(worker(1, |_| ()), Some(identity(200)), "the other has no session");
    assert_eq!(worker(1, |world| _ = world.refused("other")), None);
    assert_eq!(worker(1, |world| world.table("other").sessions = vec![attached("b")]), None);
    assert_eq!(worker(100, |world| _ = world.refused("other")), Some(identity(200)), "below its gateway");
    let any_process = |world: &mut World| {
        world.refused("other").of("other").process = None;
    };
    assert_eq!(worker(100, any_process), None, "the other may be the same process");
}

#[test]
fn a_worker_that_was_anothers_is_kept_with_that_one_also_where_its_mark_names_a_session() {
    let mut world = marked(detached("a"));
    world.process(200, 100, "python3 -m worker --session-key old");
    world.seen.processes.marks.clear();
    world.rows([with_worker(attached("b"), 200), detached("a")]).look();
    mark(&mut world, 200, "a");
    world.rows([with_key(attached("b"), "new"), detached("a")]).look();
    let looked = world.look_after(20);
    assert_eq!(looked.fate_of_worker(200), "keep: unknown-state");
    assert_eq!(looked.warrant("a").worker(), None);
}

#[test]
fn a_worker_below_another_gateway_is_not_known_to_be_of_the_row_whose_mark_it_bears() {
    let mut world = marked(attached("a"));
    world.gateway("other", 110);
    world.process(200, 110, BARE);
    world.worker(400, "lost", 100);
    assert_eq!(world.fate_of_worker(400), "keep: unknown-state");
}

#[test]
fn the_key_of_a_session_counts_as_well_as_its_id() {
    for name in ["a", "its-key"] {
        let mut world = marked(with_key(attached("a"), "its-key"));
        mark(&mut world, 200, name);
        world.look();
        assert_eq!(world.look_after(3600).fate_of_worker(200), "not judged", "{name}");
    }
}

#[test]
fn what_carries_the_key_of_one_session_and_the_mark_of_another_may_be_of_either() {
    for attached_one in ["a", "b"] {
        let mut world = marked(detached("a"));
        world.process(200, 100, "python3 -m worker --session-key b");
        world.rows(["a", "b"].map(|id| if id == attached_one { attached(id) } else { detached(id) }));
        world.look();
        let looked = world.look_after(20);
        assert_eq!(looked.fate(attached_one), "keep: attached");
        let other = if attached_one == "a" { "b" } else { "a" };
        assert_eq!(looked.warrant(other).worker(), None);
        assert_eq!(looked.fate_of_worker(200), "keep: unknown-state", "it isn't judged with {other}");
    }
}

#[test]
fn what_a_younger_worker_supersedes_by_its_key_is_the_session_s_whose_mark_it_bears() {
    let mut world = marked(with_key(attached("a"), "another-by-now"));
    world.worker(200, "b", 100);
    world.worker(201, "b", 100);
    world.rows([with_key(attached("a"), "another-by-now"), with_worker(attached("b"), 201)]);
    let mut of_its_own = world.clone();
    assert!(world.is_of_a_session(200));
    mark(&mut of_its_own, 200, "b");
    assert_eq!(
        of_its_own.fate_of_worker(200),
        "wait: superseded-worker, 0s of 60s",
        "its own session's mark"
    );
}

#[test]
fn what_looks_like_no_worker_goes_along_and_is_no_root() {
    let mut world = marked(detached("a"));
    world.process(300, 1, "mcp-server");
    mark(&mut world, 300, "a");
    world.look();
    let looked = world.look_after(20);
    let warrant = looked.warrant("a");
    assert_eq!(warrant.worker(), Some(identity(200)));
    assert_eq!(warrant.remnants(), [identity(300)]);
}

#[test]
fn a_tree_with_a_marked_process_of_a_live_session_is_never_ended() {
    let mut world = World::new();
    world.worker(200, "due", 100);
    world.process(300, 200, "vi notes");
    world.rows([detached("due"), attached("a")]);
    mark(&mut world, 300, "a");
    world.look();
    assert_eq!(world.look_after(20).fate("due"), "keep: protected");
}

#[test]
fn a_mark_of_no_listed_session_says_nothing() {
    let mut world = marked(attached("b"));
    world.process(300, 1, "mcp-server");
    mark(&mut world, 300, "gone");
    let looked = world.look();
    assert_eq!(looked.fate_of_worker(300), "not judged");
}

#[test]
fn a_row_whose_worker_is_marked_leaves_no_doubt_at_others() {
    let mut world = marked(attached("a"));
    world.worker(400, "lost", 100);
    assert_eq!(world.fate_of_worker(400), "wait: ownerless-worker, 0s of 60s");
    world.seen.processes.marks.clear();
    assert_eq!(world.fate_of_worker(400), "keep: unknown-state");
}

#[test]
fn what_bears_the_mark_of_one_worker_without_an_owner_goes_with_it() {
    let mut world = World::new();
    world.worker(200, "lost", 100);
    world.process(300, 1, "mcp-server");
    world.rows([]);
    for pid in [200, 300] {
        mark(&mut world, pid, "lost");
    }
    world.look();
    assert_eq!(world.look_after(60).warrant_for(200).remnants(), [identity(300)]);
}

#[test]
fn what_bears_the_mark_of_two_workers_goes_with_neither() {
    let mut world = World::new();
    world.worker(200, "lost", 100);
    world.worker(201, "lost", 100);
    world.process(300, 1, "mcp-server");
    world.rows([]);
    for pid in [200, 201, 300] {
        mark(&mut world, pid, "lost");
    }
    world.look();
    let looked = world.look_after(60);
    for worker in [200, 201] {
        assert_eq!(looked.warrant_for(worker).remnants(), []);
    }
}

/// A worker that was forked twice is under init, and its row isn't there any more.
fn marked_by_gateway(gateway: &str, marked: u32) -> World {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "x", 1);
    let mark = Mark::Gateway { gateway: gateway.into(), pid: pid(marked) };
    world.seen.processes.marks.insert(pid(200), vec![mark]);
    world
}

#[test]
fn a_worker_whose_mark_names_a_gateway_that_is_there_is_kept() {
    const PARENTLESS: &str = "wait: parentless-worker, 0s of 60s";
    for (gateway, process) in [("gw", 100), ("other", 110)] {
        let looked = marked_by_gateway(gateway, process).look();
        assert_eq!(looked.fate_of_worker(200), "keep: unknown-state", "{gateway}");
        let why = format!("its mark names gateway {gateway}, which is there");
        assert!(looked.why_worker(200).contains(&why), "{}", looked.why_worker(200));
    }
    assert_eq!(
        marked_by_gateway("gw", 110).fate_of_worker(200),
        PARENTLESS,
        "that is no process of this gateway"
    );
    assert_eq!(marked_by_gateway("third", 100).fate_of_worker(200), PARENTLESS, "that is no gateway");
    let mut reused = marked_by_gateway("gw", 100);
    reused.seen.processes.processes.get_mut(&pid(200)).expect("a worker").identity.start_ticks = 999;
    assert_eq!(reused.fate_of_worker(200), PARENTLESS, "what started it was another process with that PID");
    let mut child = marked_by_gateway("gw", 100);
    child.seen.processes.processes.get_mut(&pid(200)).expect("a worker").parent = Some(pid(100));
    assert_eq!(
        child.fate_of_worker(200),
        "wait: ownerless-worker, 0s of 60s",
        "its table says that it is of none"
    );
}

#[test]
fn a_mark_of_another_gateways_session_or_of_a_dead_process_says_nothing() {
    const MARKED: &str = "not judged";
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "x", 1);
    world.rows([without_worker(attached("a"))]);
    mark(&mut world, 200, "a");
    assert_eq!(world.clone().fate_of_worker(200), MARKED);
    let others = Mark::Session { gateway: "other".into(), key: "a".into() };
    world.seen.processes.marks.insert(pid(200), vec![others]);
    assert_eq!(world.fate_of_worker(200), "wait: parentless-worker, 0s of 60s");

    let mut dead = World::new();
    dead.worker(200, "x", 100).zombie = true;
    dead.worker(201, "y", 100);
    dead.rows([attached("a")]);
    mark(&mut dead, 200, "a");
    assert_eq!(dead.fate_of_worker(201), "keep: unknown-state", "the worker of a isn't known");
}

#[test]
fn a_worker_whose_mark_says_that_its_gateway_is_gone_is_parentless_wherever_it_was_adopted() {
    let mut world = World::new();
    world.process(60, 1, "supervisord");
    world.worker(200, "x", 60);
    assert_eq!(world.fate_of_worker(200), "keep: unknown-state");
    world.seen.processes.bereft.insert(pid(200));
    assert_eq!(world.fate_of_worker(200), "wait: parentless-worker, 0s of 60s");
}

#[test]
fn where_another_program_may_have_started_a_worker_only_its_mark_tells_that_its_server_is_gone() {
    let mut world = World::new();
    world.rules[0].workers = gateway_reaper::domain::policy::Workers::LeadersOfGone;
    world.worker(200, "x", 1).session = 200;
    assert_eq!(world.fate_of_worker(200), "keep: unknown-state");
    world.seen.processes.bereft.insert(pid(200));
    assert_eq!(world.fate_of_worker(200), "wait: parentless-worker, 0s of 60s");
    world.seen.processes.processes.get_mut(&pid(200)).expect("a worker").parent = Some(pid(100));
    assert_eq!(world.fate_of_worker(200), "keep: unknown-state", "it is a child of the server that is there");
}

/// Its gateway is killed, and its worker exits with that.
#[test]
fn a_marked_helper_that_was_seen_below_its_worker_is_what_that_has_left() {
    let seen = |helper: &str| {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.process(300, 200, "node mcp.js");
        mark(&mut world, 200, "a");
        mark(&mut world, 300, helper);
        world.rows([attached("a"), attached("b")]).look();
        world.die(200, 1);
        world.die(100, 1);
        world.unreachable("gw");
        world
    };
    // Also where it bears another session's: the gateway of both is gone.
    for helper in ["a", "b"] {
        let mut world = seen(helper);
        assert_eq!(world.look().fate_of_worker(300), "wait: parentless-worker, 0s of 60s");
        assert_eq!(world.look_after(60).fate_of_worker(300), "reap: parentless-worker, after 60s");
    }
}

/// Worker 200 of session `b` has started worker 210 of session `a`, which its row names; that one, and its helper 300, inherited the mark of `b`.
fn inherited(a: Session) -> World {
    let mut world = World::new();
    world.worker(200, "b", 100);
    world.worker(210, "a", 200);
    world.process(300, 210, "sleep 2222");
    for raw in [200, 210, 300] {
        mark(&mut world, raw, "b");
    }
    world.rows([with_worker(attached("b"), 200), with_worker(a, 210)]);
    world
}

#[test]
fn what_was_seen_below_another_sessions_worker_is_also_that_ones_whatever_mark_it_inherited() {
    let goes = |looked: &Looked, session: &str| {
        let warrant = looked.warrant(session);
        let goes = warrant.worker().into_iter().chain(warrant.remnants().iter().copied());
        goes.map(|it| it.pid).collect::<Vec<_>>()
    };
    let mut world = inherited(attached("a"));
    world.look();
    // Init adopts the two.
    world.process(210, 1, "python3 -m worker --session-key a");
    world.process(300, 1, "sleep 2222");
    world.rows([with_worker(detached("b"), 200), with_worker(attached("a"), 210)]).look();
    assert_eq!(goes(&world.look_after(20), "b"), [pid(200)]);
    // Once that session is due, too, nobody wants it.
    world.end(200);
    world.rows([with_worker(detached("a"), 210)]).look();
    assert_eq!(goes(&world.look_after(20), "a"), [pid(210), pid(300)]);
}

#[test]
fn what_was_seen_below_a_worker_that_nobody_owns_does_not_go_with_it_where_it_bears_a_sessions_mark() {
    let left = |marked: bool| {
        let mut world = World::new();
        world.worker(200, "x", 100);
        world.process(300, 200, "sleep 2222");
        world.worker(201, "b", 100);
        world.rows([with_worker(attached("b"), 201)]).look();
        world.process(300, 1, "sleep 2222");
        if marked {
            mark(&mut world, 300, "b");
        }
        world.look_after(60).warrant_for(200).remnants().to_vec()
    };
    assert_eq!(left(false), [identity(300)]);
    assert_eq!(left(true), []);
}
