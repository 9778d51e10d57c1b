//! Never signalled, whatever a table says. (What a row names as its worker has a page of its own.)

use gateway_reaper::domain::process::Process;

use crate::world::*;

/// The verdict on worker 200, a child of the gateway and of no session, when it was seen for long enough.
fn fate(change: impl FnOnce(&mut World)) -> String {
    let mut world = World::new();
    world.worker(200, "nobody", 100);
    change(&mut world);
    world.look();
    world.look_after(60).fate_of_worker(200)
}

const REAP: &str = "reap: ownerless-worker, after 60s";

#[test]
fn an_ordinary_worker_isnt_protected() {
    assert_eq!(fate(|_| {}), REAP);
}

#[test]
fn the_reaper_and_its_ancestors() {
    assert_eq!(fate(|world| world.seen.processes.own_line.insert(1, pid(200))), "keep: protected");
}

#[test]
fn a_gateway() {
    let is_gateway = |world: &mut World| {
        world.gateway("other", 110);
        world.of("other").process = Some(identity(200));
    };
    assert_eq!(fate(is_gateway), "keep: protected");
}

#[test]
fn whatever_a_table_says_is_its_gateway() {
    let is_said = |world: &mut World| {
        world.gateway("other", 110);
        world.table("other").gateway_pid = Some(pid(200));
    };
    assert_eq!(fate(is_said), "keep: protected");
}

#[test]
fn a_gateway_that_is_remembered_and_not_found_in_this_run() {
    let mut world = World::new();
    world.gateway("other", 199);
    let argv = "python3 -m worker --serve";
    world.process(199, 100, argv);
    world.look();
    world.of("other").process = None;
    assert_eq!(world.look_after(60).fate_of_worker(199), "keep: protected");
}

#[test]
fn a_kernel_thread() {
    assert_eq!(fate(|world| world.worker(200, "nobody", 100).kernel = true), "keep: protected");
}

#[test]
fn another_users_process_unless_configured() {
    let others = |world: &mut World| world.worker(200, "nobody", 100).uid = 33;
    assert_eq!(fate(others), "keep: protected");
    let configured = |world: &mut World| {
        others(world);
        world.rules[0].worker_uid = 33;
    };
    assert_eq!(fate(configured), REAP);
}

#[test]
fn being_protected_doesnt_count_as_being_an_orphan() {
    let mut world = World::new();
    let worker = world.worker(200, "nobody", 100).clone();
    world.look();
    *world.worker(200, "nobody", 100) = Process { uid: 33, ..worker.clone() };
    world.look_after(30);
    *world.worker(200, "nobody", 100) = worker;
    assert_eq!(world.look_after(30).fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
}

/// The teardown asks the warrant again, once it holds a process.
#[test]
fn a_warrant_covers_none_of_them() {
    let mut world = World::new();
    world.worker(200, "nobody", 100);
    world.look();
    let looked = world.look_after(60);
    let limits = looked.warrant_for(200).limits();
    for raw in [1, 80, 90, 100] {
        assert!(limits.protects_pid(pid(raw)).is_some(), "{raw}");
    }
    let worker = world.worker(200, "nobody", 100).clone();
    assert_eq!(limits.protects_worker(&worker), None);
    assert!(limits.protects(&Process { uid: 0, ..worker.clone() }).is_some());
    assert!(limits.protects(&Process { kernel: true, ..worker.clone() }).is_some());
    let other = Process { argv: Some("vi".into()), ..worker };
    assert_eq!(limits.protects(&other), None, "a descendant may have any argv");
    assert!(limits.protects_worker(&other).is_some(), "a worker may not");
}
