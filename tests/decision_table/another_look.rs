//! What another look says before the first signal: of an orphan, of a session whose gateway didn't answer, and of what is left of a closed one.

use gateway_reaper::domain::process::ProcessIdentity;
use gateway_reaper::domain::table::{Session, TableView, Told};
use gateway_reaper::domain::warrant::Warrant;
use gateway_reaper::reap::event::Recheck;
use gateway_reaper::sweep::recheck::Again;

use crate::world::*;

/// What it says, of a world that has changed since.
fn said(world: &World, warrant: &Warrant, closed: Option<&[ProcessIdentity]>) -> Result<(), String> {
    match Again::new(&world.seen, &world.peek().0).judge(warrant, closed) {
        Recheck::Stands { .. } => Ok(()),
        Recheck::Lapsed { why } => Err(why.into()),
        Recheck::Unknown { why } => Err(format!("unknown: {why}")),
        Recheck::Wanted { why } => Err(format!("wanted: {why}")),
        Recheck::Gone => Err("gone".into()),
    }
}

/// Of session `a`, whose gateway gave no answer to the close.
fn unanswered(rows: impl IntoIterator<Item = Session>) -> Result<(), String> {
    let mut world = World::new();
    world.rows([detached("a")]).look();
    let warrant = world.look_after(20).warrant("a").clone();
    world.rows(rows);
    said(&world, &warrant, None)
}

#[test]
fn a_session_whose_gateway_did_not_answer_is_what_the_table_says() {
    assert_eq!(unanswered([attached("b")]), Err("gone".into()));
    assert_eq!(unanswered([attached("a")]), Err("a client is attached".into()));
    assert_eq!(unanswered([detached("a")]), Ok(()), "it was not closed");
    let not_understood = Session { transport: gibberish(), ..detached("a") };
    assert_eq!(unanswered([not_understood]), Ok(()), "nor is it wanted, as far as is known");
}

/// Of a worker of nobody. `signalled`: what of it is to be killed.
fn ownerless_and(
    signalled: Option<&[ProcessIdentity]>,
    change: impl FnOnce(&mut World),
) -> Result<(), String> {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.look();
    let looked = world.look_after(60);
    let (_, warrant, _) = looked.0.warrants().next().expect("a warrant");
    change(&mut world);
    said(&world, warrant, signalled)
}

fn ownerless(change: impl FnOnce(&mut World)) -> Result<(), String> {
    ownerless_and(None, change)
}

#[test]
fn a_worker_that_is_the_same_orphan_still_may_be_ended() {
    assert_eq!(ownerless(|_| {}), Ok(()));
    assert_eq!(ownerless(|world| world.policy().max_reaps = 0), Ok(()), "deferred is due");
    let other_kind = Err("it looks like another kind of orphan now, so its grace starts again".into());
    let gone = |world: &mut World| {
        world.unreachable("gw").die(100, 1);
        world.policy().worker_grace = secs(0);
    };
    assert_eq!(ownerless(gone), other_kind);
    assert_eq!(
        ownerless(|world| {
            gone(world);
            world.policy().max_reaps = 0;
        }),
        other_kind,
        "nor is that one due"
    );
    let kept = ownerless(|world| _ = world.refused("gw")).expect_err("it is kept");
    assert!(kept.starts_with("its gateway's table can't be trusted"), "{kept}");
    let owned = Err("another look doesn't find it to be an orphan any more".into());
    assert_eq!(ownerless(|world| _ = world.rows([attached("a")])), owned);
}

#[test]
fn a_worker_that_was_signalled_is_killed_unless_it_is_or_may_be_a_sessions_by_then() {
    let signalled = |change: fn(&mut World)| ownerless_and(Some(&[identity(200)]), change);
    assert_eq!(signalled(|_| {}), Ok(()));
    assert_eq!(signalled(|world| world.unreachable("gw").die(100, 1)), Ok(()), "of nobody all the same");
    let owned = signalled(|world| _ = world.rows([attached("a")]));
    assert_eq!(owned, Err("process 200 is of session \"a\" by now".into()));
    let came = signalled(|world| _ = world.rows([attached("b")])).expect_err("it may be b's");
    assert_eq!(came, "which worker session \"b\" has isn't known: this may be it");
    let unread = signalled(|world| _ = world.refused("gw")).expect_err("whose it is can't be known");
    assert_eq!(unread, "unknown: whose it is by now can't be known: not JSON");
    let above = |world: &mut World| {
        world.gateway("other", 110);
        world.worker(201, "b", 200);
        world.table("other").sessions = vec![attached("b")];
    };
    assert_eq!(signalled(above), Err("process 201 is of session \"b\" by now".into()));
}

/// Session `a` is closed and not listed any more, its worker 200 is still there, with a child 201.
fn closed(change: impl FnOnce(&mut World)) -> Result<(), String> {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.process(201, 200, "helper");
    world.rows([with_worker(detached("a"), 200)]).look();
    let warrant = world.look_after(20).warrant("a").clone();
    world.pass(10).rows([]);
    change(&mut world);
    said(&world, &warrant, Some(&[identity(200), identity(201)]))
}

#[test]
fn what_no_other_session_has_may_be_ended() {
    assert_eq!(closed(|_| {}), Ok(()));
    assert_eq!(closed(|world| _ = world.rows([without_worker(attached("b"))])), Ok(()), "it has none");
    assert_eq!(
        closed(|world| _ = world.rows([with_worker(detached("a"), 200)])),
        Ok(()),
        "listed still, and not wanted"
    );
    let is_nested = |world: &mut World| {
        world.worker(150, "b", 100);
        world.worker(200, "a", 150);
        world.rows([attached("b")]);
    };
    assert_eq!(closed(is_nested), Ok(()), "below another session's worker it is still its own");
    assert_eq!(closed(|world| world.unreachable("gw").die(100, 1)), Ok(()), "its gateway is gone");
}

#[test]
fn what_is_left_of_a_closed_session_whose_row_is_there_and_not_understood_is_let_be() {
    let not_understood = Session { transport: gibberish(), ..with_worker(detached("a"), 200) };
    let why =
        closed(|world| _ = world.rows([not_understood])).expect_err("nobody knows whether it is wanted");
    assert!(why.contains("is not understood") && !why.starts_with("wanted"), "{why}");
}

#[test]
fn a_worker_that_another_session_has_by_now_is_let_be() {
    let why = |pid: u32| Err(format!("process {pid} is of session \"b\" by now"));
    assert_eq!(closed(|world| _ = world.rows([with_worker(attached("b"), 200)])), why(200));
    assert_eq!(closed(|world| _ = world.rows([with_key(attached("b"), "a")])), why(200), "by its key");
    let is_nested = |world: &mut World| {
        world.worker(201, "b", 200);
        world.rows([attached("b")]);
    };
    assert_eq!(closed(is_nested), why(201));
    let other = |world: &mut World| {
        world.gateway("other", 110);
        world.table("other").sessions = vec![with_worker(attached("b"), 200)];
    };
    assert_eq!(closed(other), why(200), "of any gateway");
}

/// What was below the worker is a part of its tree, also once that is gone.
#[test]
fn what_carries_another_sessions_key_and_has_lost_its_way_to_the_gateway_is_let_be() {
    let nested = |world: &mut World| {
        world.die(200, 1);
        world.worker(201, "b", 61);
        world.rows([attached("b")]);
    };
    assert_eq!(closed(nested), Err("process 201 is of session \"b\" by now".into()));
    let below = |world: &mut World| {
        world.process(202, 201, "bash");
        world.worker(203, "b", 202);
        world.rows([attached("b")]);
    };
    assert_eq!(closed(below), Err("process 203 is of session \"b\" by now".into()), "below the tree");
}

/// A conversation may be taken up again under another id while its first session is closed.
#[test]
fn a_worker_that_a_session_which_came_meanwhile_may_have_is_let_be() {
    let why = Err("which worker session \"b\" has isn't known: this may be it".to_owned());
    assert_eq!(closed(|world| _ = world.rows([attached("b")])), why);
    let not_understood = Session { worker: gibberish(), ..attached("b") };
    assert_eq!(closed(|world| _ = world.rows([not_understood])), why);
    let has_another = |world: &mut World| {
        world.worker(150, "b", 100);
        world.rows([attached("b")]);
    };
    assert_eq!(closed(has_another), Ok(()));
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.rows([with_worker(detached("a"), 200), attached("b")]).look();
    let warrant = world.look_after(20).warrant("a").clone();
    world.rows([attached("b")]);
    assert_eq!(said(&world, &warrant, Some(&[identity(200)])), Ok(()), "b was there when a had it");
    world.rows([attached("b"), attached("c")]);
    assert_eq!(said(&world, &warrant, Some(&[identity(201)])), Ok(()), "the worker is gone");
}

#[test]
fn a_copy_that_a_session_which_came_meanwhile_may_have_is_let_be_and_a_helper_is_not() {
    let copied = |left: u32, rows: fn() -> Vec<Session>| {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.worker(201, "a", 100);
        world.process(202, 201, "helper");
        world.rows([with_worker(detached("a"), 200)]).look();
        let warrant = world.look_after(20).warrant("a").clone();
        world.die(200, 1);
        world.rows(rows());
        said(&world, &warrant, Some(&[identity(left)]))
    };
    let why = Err("which worker session \"b\" has isn't known: this may be it".to_owned());
    assert_eq!(copied(201, || vec![attached("b")]), why);
    assert_eq!(copied(202, || vec![attached("b")]), Ok(()), "a helper");
    assert_eq!(copied(201, || vec![without_worker(attached("b"))]), Ok(()), "it has none");
}

/// Session `b` was listed without a worker all the time: its worker starts late.
#[test]
fn what_was_known_of_a_tree_or_was_forked_off_its_worker_stays_its_own_beside_a_session_without_a_worker() {
    let left = |raw: u32, rows: fn() -> Vec<Session>, change: fn(&mut World)| {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.worker(201, "a", 200);
        world.rows([with_worker(detached("a"), 200), attached("b")]).look();
        let warrant = world.look_after(20).warrant("a").clone();
        world.die(200, 1);
        world.rows(rows());
        change(&mut world);
        said(&world, &warrant, Some(&[identity(raw)]))
    };
    let rows = || vec![attached("b")];
    assert_eq!(left(201, rows, |_| {}), Ok(()), "it was there, and of session a");
    assert_eq!(left(202, rows, |world| _ = world.worker(202, "a", 1)), Ok(()), "a fork");
    let below = |world: &mut World| {
        world.worker(202, "a", 1);
        world.worker(203, "late", 202);
    };
    assert_eq!(left(202, rows, below), Ok(()), "what is below that is in doubt only as it is");
    let why = left(202, rows, |world| _ = world.worker(202, "late", 1)).expect_err("it may be b's");
    assert!(
        why.starts_with("whose process 202 is can't be known: unknown state: the worker of session"),
        "{why}"
    );
    let came = || vec![attached("b"), attached("c")];
    let why = Err("which worker session \"c\" has isn't known: this may be it".to_owned());
    assert_eq!(left(202, came, |world| _ = world.worker(202, "a", 1)), why);
}

#[test]
fn a_worker_that_may_be_that_of_a_session_which_has_lost_its_own_is_let_be() {
    let lost = |b: fn(&str) -> Session| {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.worker(300, "b", 100);
        world.rows([with_worker(detached("a"), 200), b("b")]).look();
        let warrant = world.look_after(20).warrant("a").clone();
        world.end(300);
        world.rows([Session { worker: Told::Absent, ..b("b") }]);
        said(&world, &warrant, Some(&[identity(200)]))
    };
    let why = Err("which worker session \"b\" has isn't known: this may be it".to_owned());
    assert_eq!(lost(|id| with_worker(attached(id), 300)), why);
    assert_eq!(lost(attached), why, "found by its key");
    assert_eq!(lost(detached), Ok(()), "it is due itself");
}

#[test]
fn a_tree_in_which_a_gateway_was_started_is_let_be() {
    let started = |world: &mut World| {
        world.gateway("other", 203);
        world.process(203, 201, "gatewayd");
        world.table("other").sessions = vec![without_worker(attached("b"))];
    };
    assert_eq!(closed(started), Err("process 203 is a gateway".into()));
}

#[test]
fn a_tree_in_which_the_worker_of_an_unreadable_table_was_started_is_let_be() {
    let started = |world: &mut World| {
        world.die(200, 1);
        world.gateway("other", 110);
        world.worker(203, "n", 201);
        world.refused("other");
    };
    let why = closed(started).expect_err("it may be that gateway's");
    assert!(
        why.starts_with("whose process 203 is can't be known: its gateway's table can't be trusted"),
        "{why}"
    );
}

/// The gateway goes on with what it closed, and nobody is there at this moment.
#[test]
fn a_session_that_did_something_after_its_close_keeps_its_worker() {
    let did = |activity: &str| Session { activity: Some(activity.into()), ..with_worker(detached("a"), 200) };
    let closed = |instance: &str, activity: &str| {
        let mut world = World::new();
        world.worker(200, "a", 100);
        world.rows([did("1")]).look();
        let warrant = world.look_after(20).warrant("a").clone();
        world.rows([did(activity)]);
        world.table("gw").instance = Some(instance.into());
        said(&world, &warrant, Some(&[identity(200)]))
    };
    let run = World::new().table("gw").instance.as_ref().map(ToString::to_string).unwrap_or_default();
    assert_eq!(closed(&run, "1"), Ok(()), "it is the same");
    let again = || Err("wanted: its grace has begun again".to_owned());
    assert_eq!(closed(&run, "2"), again());
    assert_eq!(closed("another run", "1"), again());
}

#[test]
fn a_session_that_is_listed_again_and_wanted_keeps_its_worker() {
    assert_eq!(
        closed(|world| _ = world.rows([with_worker(attached("a"), 200)])),
        Err("wanted: a client is attached".into())
    );
}

#[test]
fn without_a_table_it_cant_be_known_whether_a_session_has_it() {
    for no_table in [TableView::refused("401"), TableView::unreachable("no answer in time")] {
        let why = closed(|world| world.of("gw").table = no_table).expect_err("it is kept");
        assert!(
            why.starts_with(
                "unknown: its session is closed, and whose its worker is by now can't be known: "
            ),
            "{why}"
        );
    }
}
