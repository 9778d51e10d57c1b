//! What was seen below a worker and is not below it any more: it goes with its session or its worker, or once both are gone; and what is
//! another's by then stays.

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::policy::{WorkerMatch, Workers};
use gateway_reaper::domain::table::{Session, Told};
use gateway_reaper::domain::veto::{Scope, Veto, Vetoes};

use crate::world::*;

/// Worker 200 of session `a` with helper 300 below it, seen once.
fn seen(row: Session) -> World {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.process(300, 200, "node mcp.js");
    world.rows([with_worker(row, 200)]).look();
    world
}

/// The same; the worker is gone, and init has adopted its helper.
fn left(row: Session) -> World {
    let mut world = seen(row.clone());
    world.die(200, 1);
    world.rows([without_worker(row)]);
    world
}

fn goes(looked: &Looked, session: &str) -> Vec<Pid> {
    let warrant = looked.warrant(session);
    warrant.worker().into_iter().chain(warrant.remnants().iter().copied()).map(|it| it.pid).collect()
}

#[test]
fn a_helper_that_init_adopted_goes_with_its_workers_session() {
    let mut world = seen(attached("a"));
    world.process(300, 1, "node mcp.js");
    assert_eq!(world.look().fate_of_worker(300), "not judged", "it is its session's");
    world.rows([with_worker(detached("a"), 200)]).look();
    assert_eq!(goes(&world.look_after(20), "a"), [pid(200), pid(300)]);
}

#[test]
fn it_goes_with_a_worker_that_nobody_owns() {
    let mut world = seen(attached("a"));
    world.process(300, 1, "node mcp.js");
    world.rows([]).look();
    let looked = world.look_after(60);
    assert_eq!(looked.warrant_for(200).remnants(), [identity(300)]);
    assert_eq!(looked.warrant_for(200).remnant(), None, "the audit log names the worker");
}

#[test]
fn what_is_left_of_a_worker_stays_with_its_session_and_goes_with_it() {
    let mut kept = left(attached("a"));
    assert_eq!(kept.look_after(3_600).fate_of_worker(300), "not judged");
    let mut due = left(detached("a"));
    let looked = due.look_after(20);
    assert_eq!(goes(&looked, "a"), [pid(300)]);
    assert_eq!(looked.warrant("a").remnants_of(), Some(identity(200)));
    // Once its session is gone, too, nobody wants it.
    assert_eq!(kept.rows([]).look_after(3_600).fate_of_worker(300), "wait: ownerless-worker, 0s of 60s");
}

#[test]
fn it_does_not_go_with_a_session_where_it_may_be_anothers_or_nothing_tells_that_it_is_its_own() {
    let mut obscure = left(detached("a"));
    let row = Session { worker: Told::NotUnderstood("7".into()), ..attached("b") };
    obscure.rows([without_worker(detached("a")), row]);
    let mut contradicted = left(detached("a"));
    contradicted.table("gw").gateway_pid = Some(pid(101));
    let mut of_two = left(detached("a"));
    let twin = Session { key: Told::Known("a".into()), ..without_worker(attached("b")) };
    of_two.rows([without_worker(detached("a")), twin]);
    for mut world in [obscure, contradicted, of_two] {
        world.look();
        assert!(goes(&world.look_after(3_600), "a").is_empty());
    }
}

#[test]
fn what_is_left_of_a_worker_that_nobody_owned_is_ended_after_a_grace_of_its_own() {
    let mut world = left(detached("a"));
    world.rows([]);
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "wait: ownerless-worker, 0s of 60s");
    let looked = world.look_after(60);
    assert_eq!(looked.fate_of_worker(300), "reap: ownerless-worker, after 60s");
    let warrant = looked.warrant_for(300);
    assert_eq!((warrant.worker(), warrant.remnants()), (None, &[identity(300)][..]));
    assert_eq!((warrant.remnants_of(), warrant.failures()), (Some(identity(200)), 0));
    assert_eq!(warrant.remnant(), Some(identity(300)), "the audit log names it, and not the dead worker");
    for family in &mut world.ledger.gateways.get_mut(&"gw".into()).expect("memory").families {
        family.clock.as_mut().expect("a clock").failures = 2;
    }
    assert_eq!(world.look().warrant_for(300).failures(), 2);
}

#[test]
fn its_grace_is_longer_by_what_nobody_looked_and_starts_again_with_a_run_of_the_gateway() {
    let mut world = left(detached("a"));
    world.rows([]).look();
    world.pass(59).seen.unobserved = secs(30);
    assert_eq!(world.look().fate_of_worker(300), "wait: ownerless-worker, 29s of 60s");
    world.seen.unobserved = secs(0);
    world.table("gw").instance = Some("gw run 2".into());
    assert_eq!(world.look().fate_of_worker(300), "wait: ownerless-worker, 0s of 60s");
}

#[test]
fn without_a_table_what_is_left_is_in_doubt_until_its_gateway_is_gone() {
    let mut world = left(detached("a"));
    world.unreachable("gw");
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "keep: table-not-trusted");
    world.refused("gw");
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "keep: table-not-trusted");
    world.die(100, 1);
    world.unreachable("gw");
    assert_eq!(world.look().fate_of_worker(300), "wait: parentless-worker, 0s of 60s");
    assert_eq!(world.look_after(60).fate_of_worker(300), "reap: parentless-worker, after 60s");
}

#[test]
fn a_row_whose_worker_isnt_known_may_have_what_is_left() {
    let mut world = left(detached("a"));
    world.rows([attached("b")]);
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "keep: unknown-state");
}

#[test]
fn what_is_another_owners_by_now_is_left_to_it() {
    let mut below_anothers = left(detached("a"));
    below_anothers.worker(210, "b", 100);
    below_anothers.process(300, 210, "node mcp.js");
    let mut became_a_worker = left(detached("a"));
    became_a_worker.worker(300, "b", 100);
    for world in [&mut below_anothers, &mut became_a_worker] {
        world.rows([attached("b")]).look();
        assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
        // Nor does it go with its former session.
        world.rows([without_worker(detached("a")), attached("b")]).look();
        assert!(goes(&world.look_after(3_600), "a").is_empty());
    }
}

#[test]
fn what_has_a_gateway_or_a_worker_below_it_is_kept_and_named() {
    let mut above_anothers = left(detached("a"));
    above_anothers.worker(310, "b", 300);
    above_anothers.rows([attached("b")]);
    let mut above_a_gateway = left(detached("a"));
    above_a_gateway.gateway("inner", 310);
    above_a_gateway.process(310, 300, "gatewayd");
    above_a_gateway.rows([]);
    let mut above_nobodys = left(detached("a"));
    above_nobodys.worker(310, "x", 300);
    above_nobodys.rows([]);
    let worlds =
        [(above_anothers, "protected"), (above_a_gateway, "protected"), (above_nobodys, "unknown-state")];
    for (mut world, reason) in worlds {
        world.look();
        assert_eq!(world.look_after(3_600).fate_of_worker(300), format!("keep: {reason}"));
    }
}

#[test]
fn another_users_is_kept_and_named() {
    let mut world = left(detached("a"));
    world.rows([]);
    world.process(300, 1, "node mcp.js").uid = 0;
    let why = "protected: process 300 runs as user 0, not as 1000 (see worker.user)";
    assert_eq!(world.look_after(3_600).why_worker(300), why);
}

#[test]
fn what_has_the_same_pid_by_now_is_not_what_was_seen() {
    let mut world = left(detached("a"));
    world.rows([]);
    world.process(300, 1, "node mcp.js").identity.start_ticks += 1;
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
}

#[test]
fn while_nothing_says_that_the_worker_is_gone_its_helpers_wait() {
    let mut world = seen(detached("a"));
    world.end(200);
    world.process(300, 1, "node mcp.js");
    world.rows([]);
    for _ in 0..2 {
        assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
    }
    world.seen.processes.gone.insert(pid(200));
    assert_eq!(world.look().fate_of_worker(300), "wait: ownerless-worker, 0s of 60s");
}

#[test]
fn a_tree_of_leftovers_is_judged_by_its_head() {
    let mut world = seen(detached("a"));
    world.process(301, 300, "chrome");
    world.process(302, 200, "another");
    world.look();
    world.die(200, 1);
    world.rows([]).look();
    let looked = world.look_after(60);
    assert_eq!(looked.reaped(), ["300", "302"]);
    assert_eq!(looked.warrant_for(300).remnants(), [identity(300), identity(301)]);
}

#[test]
fn what_is_gone_is_forgotten() {
    let mut world = left(detached("a"));
    world.die(300, 1);
    world.rows([]).look();
    assert!(world.ledger.gateways[&"gw".into()].families.is_empty());
}

#[test]
fn what_is_left_of_a_worker_that_may_be_another_programs_is_kept_and_named() {
    let mut world = World::new();
    world.rules[0].workers = Workers::LeadersOfGone;
    world.worker(200, "a", 100).session = 200;
    world.process(300, 200, "make -j8");
    world.look();
    world.die(200, 1);
    world.look();
    let why = "unknown state: it was below worker 200, which is gone, and whose that was isn't known";
    assert_eq!(world.look_after(3_600).why_worker(300), why);
}

#[test]
fn what_is_left_of_a_worker_that_a_gateway_without_a_process_named_is_kept_and_named() {
    // The numbers of a gateway in a container mean other processes here.
    let mut world = World::new();
    world.of("gw").process = None;
    world.process(60, 1, "supervisord");
    world.worker(200, "b", 60);
    world.process(300, 200, "node mcp.js");
    world.rows([with_worker(attached("a"), 200)]).look();
    world.die(200, 1);
    world.rows([]).look();
    let why = "unknown state: its gateway's process isn't known in this run";
    assert_eq!(world.look_after(3_600).why_worker(300), why);
}

#[test]
fn what_is_left_of_a_worker_is_kept_while_a_server_that_leaves_things_on_purpose_is_there() {
    let mut world = World::new();
    world.rules[0].workers = Workers::LeadersOfGone;
    world.worker(200, "a", 100).session = 200;
    world.process(300, 200, "make -j8");
    world.rows([with_worker(attached("a"), 200)]).look();
    world.die(200, 1);
    world.rows([]).look();
    let why =
        "unknown state: its worker is gone and its gateway isn't: it may have been left there on purpose";
    assert_eq!(world.look_after(3_600).why_worker(300), why);
    world.seen.processes.at_work.insert(pid(300));
    assert_eq!(world.look().fate_of_worker(300), "keep: held");
    world.seen.processes.at_work.clear();
    world.die(100, 1);
    let wait = world.look().fate_of_worker(300);
    assert!(wait.starts_with("wait: "), "the server is gone: {wait}");
    assert!(world.look_after(3_600).fate_of_worker(300).starts_with("reap: "));
}

#[test]
fn in_doubt_it_is_still_of_the_session_that_the_last_table_told() {
    let mut world = seen(attached("a"));
    world.refused("gw").look();
    world.die(200, 1);
    world.rows([without_worker(attached("a"))]).look();
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
}

/// The gateway is down while worker 200 of session `a` ends, and goes on with that session afterwards.
fn assert_goes_on_with_what_is_left(world: &mut World) {
    world.unreachable("gw").die(100, 1);
    assert_eq!(world.look().fate_of_worker(200), "wait: parentless-worker, 0s of 60s");
    world.die(200, 1);
    world.look();
    let gateway = world.process(100, 1, "gatewayd").identity;
    world.of("gw").process = Some(gateway);
    world.rows([without_worker(attached("a"))]);
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
}

#[test]
fn what_is_left_of_a_worker_is_its_sessions_still_when_a_restarted_gateway_goes_on_with_that() {
    let mut world = seen(attached("a"));
    assert_goes_on_with_what_is_left(&mut world);
}

#[test]
fn what_one_gateway_remembers_of_a_worker_whose_gateway_was_down_is_the_sessions_of_that_one() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.unreachable("other").die(110, 1);
    world.worker(200, "a", 1);
    world.process(300, 200, "node mcp.js");
    assert_eq!(world.look().fate_of_worker(200), "wait: parentless-worker, 0s of 60s");
    world.die(200, 1);
    world.look();
    world.of("other").process = Some(world.process(110, 1, "gatewayd").identity);
    world.table("other").sessions = vec![without_worker(attached("a"))];
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
    world.table("other").sessions.clear();
    let wait = world.look_after(3_600).fate_of_worker(300);
    assert!(wait.starts_with("wait: "), "once its session is gone it has a grace like any other: {wait}");
}

#[test]
fn what_is_left_of_a_worker_that_was_there_before_its_row_is_that_rows() {
    let mut by_key = seen(attached("other"));
    by_key.rows([]).look();
    let mut by_pid = World::new();
    by_pid.worker(200, "an older key", 100);
    by_pid.process(300, 200, "node mcp.js");
    by_pid.rows([]).look();
    for (world, row) in
        [(&mut by_key, without_worker(attached("a"))), (&mut by_pid, with_worker(attached("a"), 200))]
    {
        world.pass(5);
        world.die(200, 1);
        assert_eq!(world.rows([row]).look().fate_of_worker(300), "not judged", "it is its session's");
        assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
        // Once its session is gone it has a grace like any other.
        assert_eq!(world.rows([]).look_after(3_600).fate_of_worker(300), "wait: ownerless-worker, 0s of 60s");
    }
}

#[test]
fn what_is_left_of_a_parentless_worker_has_the_longest_grace_of_all_gateways() {
    let mut world = seen(attached("a"));
    world.gateway("other", 110);
    world.rules[0].policy.worker_grace = secs(5);
    world.worker(200, "b", 1);
    world.rows([]).look();
    world.die(200, 1);
    assert_eq!(world.look().fate_of_worker(300), "wait: parentless-worker, 0s of 60s");
}

/// A worker that became something else is a worker no more, and lives.
#[test]
fn while_a_worker_that_does_not_look_like_one_any_more_lives_its_helpers_wait() {
    let mut world = seen(attached("a"));
    world.process(200, 100, "idle");
    world.process(300, 1, "node mcp.js");
    world.rows([]).look();
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
}

#[test]
fn a_worker_is_gone_that_is_dead_and_not_yet_waited_for_or_whose_pid_another_process_has() {
    let mut dead = seen(attached("a"));
    dead.worker(200, "a", 100).zombie = true;
    let mut another = seen(attached("a"));
    another.process(200, 100, "vi notes").identity.start_ticks += 1;
    for mut world in [dead, another] {
        world.process(300, 1, "node mcp.js");
        world.rows([]).look();
        assert_eq!(world.look_after(60).fate_of_worker(300), "reap: ownerless-worker, after 60s");
    }
}

#[test]
fn a_kernel_thread_is_no_helper() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.process(300, 200, "kworker").kernel = true;
    world.rows([with_worker(attached("a"), 200)]).look();
    world.die(200, 1);
    assert_eq!(world.rows([]).look().fate_of_worker(300), "not judged");
}

#[test]
fn what_is_not_in_view_is_remembered() {
    let mut world = seen(attached("a"));
    world.end(300);
    world.look();
    world.die(200, 1);
    world.look();
    world.process(300, 1, "node mcp.js");
    world.rows([]).look();
    assert_eq!(world.look_after(60).fate_of_worker(300), "reap: ownerless-worker, after 60s");
}

#[test]
fn what_is_left_of_a_sessions_worker_is_none_of_another_gateways_session_with_the_same_key() {
    let mut world = left(attached("a"));
    world.gateway("other", 110);
    world.table("other").sessions = vec![without_worker(attached("a"))];
    world.rows([]).look();
    assert_eq!(world.look_after(60).fate_of_worker(300), "reap: ownerless-worker, after 60s");
}

/// The key of its conversation is another by then: nothing but memory tells whose it is.
#[test]
fn what_is_left_of_a_worker_of_a_gateway_that_was_down_is_still_of_the_session_that_its_last_table_told() {
    let mut world = World::new();
    world.worker(200, "older", 100);
    world.process(300, 200, "node mcp.js");
    let row = || with_worker(attached("a"), 200);
    world.rows([row()]).look();
    assert_goes_on_with_what_is_left(&mut world);
}

#[test]
fn what_is_left_of_a_worker_that_no_gateway_was_there_to_tell_of_is_kept_and_named() {
    let mut world = World::new();
    world.unreachable("gw").die(100, 1);
    world.worker(200, "a", 1);
    world.process(300, 200, "node mcp.js");
    assert_eq!(world.look().fate_of_worker(200), "wait: parentless-worker, 0s of 60s");
    world.die(200, 1);
    world.look();
    let why = "unknown state: it was below worker 200, which is gone, and whose that was isn't known";
    assert_eq!(world.look_after(3_600).why_worker(300), why);
}

/// What a search by group or session finds is let be where it was seen below another session's worker.
#[test]
fn what_was_seen_below_a_worker_is_its_own_and_no_others_also_once_its_gateway_is_gone() {
    let mut world = seen(attached("a"));
    world.worker(201, "b", 100);
    world.process(301, 201, "node mcp.js");
    world.rows([with_worker(attached("a"), 200), with_worker(attached("b"), 201)]).look();
    world.unreachable("gw").die(100, 1);
    world.look();
    let looked = world.look_after(60);
    let limits = looked.warrant_for(200).limits();
    let is_anothers = |raw| limits.is_of_another_session(identity(raw));
    assert_eq!([200, 300, 301].map(is_anothers), [false, false, true]);
    let is_another =
        |raw| limits.is_another_worker(world.seen.processes.get(pid(raw)).unwrap().argv.as_deref().unwrap());
    assert_eq!([200, 300, 201].map(is_another), [false, false, true]);
}

/// Two dashboards list one conversation; which of them its worker was of isn't told by its key alone. The worker is gone.
fn of_two() -> World {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "k", 1);
    world.process(300, 200, "node mcp.js");
    world.table("other").sessions = vec![with_key(attached("b"), "k")];
    world.rows([with_key(detached("a"), "k")]).look();
    world.die(200, 1);
    world.table("other").sessions = vec![without_worker(with_key(attached("b"), "k"))];
    world.rows([without_worker(with_key(detached("a"), "k"))]).look();
    world
}

#[test]
fn what_two_gateways_sessions_had_goes_with_neither_as_long_as_one_is_listed() {
    let mut world = of_two();
    assert_eq!(goes(&world.look_after(3_600), "a"), []);
    world.rows([]).look();
    let why = "unknown state: it may be of session \"b\" of gateway other";
    assert_eq!(world.look_after(3_600).why_worker(300), why);
    let mut unread = world.clone();
    unread.refused("other").look();
    let why = "its gateway's table can't be trusted: it may be of gateway other, which gives no table";
    assert_eq!(unread.look_after(3_600).why_worker(300), why);
    world.table("other").sessions = vec![];
    assert_eq!(world.look().fate_of_worker(300), "wait: ownerless-worker, 0s of 60s");
    assert_eq!(world.look_after(60).fate_of_worker(300), "reap: ownerless-worker, after 60s");
}

/// An earlier version didn't write down whether it was one gateway's alone.
#[test]
fn what_was_remembered_without_saying_whether_two_gateways_had_it_may_be_both_s() {
    let mut world = of_two();
    for family in &mut world.ledger.gateways.get_mut(&"gw".into()).expect("memory").families {
        (family.is_alone, family.names) = (false, vec![]);
    }
    world.rows([]).look();
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "keep: unknown-state");
}

/// Only the row has said what the conversation is called.
#[test]
fn what_is_left_of_a_worker_stays_with_the_session_that_has_the_key_of_its_row() {
    let mut world = World::new();
    world.process(200, 100, "python3 -m worker");
    world.process(300, 200, "node mcp.js");
    world.rows([with_key(with_worker(detached("a"), 200), "talk")]).look();
    world.die(200, 1);
    world.process(201, 100, "python3 -m worker");
    world.rows([with_key(with_worker(attached("b"), 201), "talk")]).look();
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
    world.rows([]).look();
    assert_eq!(world.look_after(60).fate_of_worker(300), "reap: ownerless-worker, after 60s");
}

/// Worker 200 is below no gateway, and either of two may have started it; `other` is so. It is gone, and has left 300.
fn left_by_either(other: impl Fn(&mut World)) -> World {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "z", 1);
    world.process(300, 200, "node mcp.js");
    other(&mut world);
    world.look();
    world.die(200, 1);
    world.look();
    world
}

fn on_trial(world: &mut World) {
    world.rules[1].policy.dry_run = true;
}

#[test]
fn what_keeps_a_worker_for_a_gateway_that_may_have_started_it_keeps_what_it_has_left() {
    let is_told = |world: &mut World| world.look_after(3_600).warrant_for(300).is_told();
    assert!(!is_told(&mut left_by_either(|_| {})));
    assert!(is_told(&mut left_by_either(on_trial)));
    let mut of_gw_alone = left_by_either(|world| {
        world.process(200, 100, "python3 -m worker --session-key z");
        on_trial(world);
    });
    assert!(!is_told(&mut of_gw_alone), "the other one has nothing to do with it");
    let mut kept = left_by_either(|world| {
        let scope = Scope::Like { gateway: Some("other".into()), session: None, key: None };
        world.seen.forbidden = Vetoes(vec![Veto { scope, until: None, words: "trial".into() }]);
    });
    assert_eq!(kept.look_after(3_600).fate_of_worker(300), "keep: held");
    let mut unread = left_by_either(|_| {});
    assert_eq!(unread.refused("other").look_after(3_600).fate_of_worker(300), "keep: table-not-trusted");
}

#[test]
fn what_was_left_by_a_worker_of_which_an_earlier_version_wrote_down_no_gateway_may_be_of_any() {
    let mut world = left_by_either(on_trial);
    for family in &mut world.ledger.gateways.get_mut(&"gw".into()).expect("memory").families {
        family.may_be_of.clear();
    }
    assert!(world.look_after(3_600).warrant_for(300).is_told());
}

/// The same as [`seen`]; another gateway takes the helper, which init has adopted, for a worker of its own.
fn taken_by_another(pattern: &str) -> World {
    let mut world = seen(attached("a"));
    world.gateway("other", 110);
    world.rules[1].worker_match = Some(WorkerMatch::new(pattern).expect("a pattern"));
    world.look();
    world.process(300, 1, "node mcp.js");
    world
}

#[test]
fn what_was_seen_below_a_sessions_worker_is_that_sessions_whatever_another_gateway_takes_it_for() {
    let mut world = taken_by_another("node mcp.js");
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
    let mut due = world.clone();
    due.rows([with_worker(detached("a"), 200)]).look();
    assert_eq!(goes(&due.look_after(20), "a"), [pid(200), pid(300)]);
    world.refused("gw");
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "keep: table-not-trusted");
}

#[test]
fn so_it_is_once_that_worker_is_gone_as_long_as_the_session_is_listed() {
    let mut world = taken_by_another("node mcp.js");
    world.look();
    world.die(200, 1);
    world.rows([without_worker(attached("a"))]);
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
    let mut due = world.clone();
    due.rows([without_worker(detached("a"))]).look();
    assert_eq!(goes(&due.look_after(20), "a"), [pid(300)]);
    let mut unread = world.clone();
    unread.refused("gw");
    assert_eq!(unread.look_after(3_600).fate_of_worker(300), "keep: table-not-trusted");
    world.rows([]).look();
    assert_eq!(world.look_after(60).fate_of_worker(300), "reap: parentless-worker, after 60s");
}

#[test]
fn what_a_gateway_takes_for_a_worker_and_its_table_does_not_name_is_no_sessions_once_its_worker_is_gone() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(300, "b", 200);
    world.rows([with_worker(attached("a"), 200)]).look();
    world.worker(300, "b", 1);
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged", "it is a helper of a's");
    world.die(200, 1);
    world.rows([without_worker(attached("a"))]).look();
    assert_eq!(world.look_after(60).fate_of_worker(300), "reap: parentless-worker, after 60s");
}

#[test]
fn a_helper_that_a_row_claims_by_now_is_that_rows() {
    let mut world = taken_by_another(r"node (?P<session>\S+)");
    world.look();
    world.table("other").sessions = vec![with_key(attached("b"), "mcp.js")];
    world.rows([with_worker(detached("a"), 200)]).look();
    assert_eq!(goes(&world.look_after(20), "a"), [pid(200)]);
}

/// A gateway that is the first process of a container adopts what is left below it.
#[test]
fn a_helper_that_the_gateway_has_adopted_is_its_sessions_too() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.process(250, 200, "sh");
    world.worker(300, "b", 250);
    world.rows([with_worker(attached("a"), 200)]).look();
    world.die(250, 100);
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
    world.rows([with_worker(detached("a"), 200)]).look();
    assert_eq!(goes(&world.look_after(20), "a"), [pid(200), pid(300)]);
}

/// A worker forks, and the fork starts a helper and exits.
#[test]
fn a_helper_of_a_fork_that_is_gone_is_its_sessions_as_long_as_that_has_its_worker() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(210, "a", 200);
    world.worker(300, "b", 210);
    world.rows([with_worker(attached("a"), 200)]).look();
    world.die(210, 1);
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
    assert_eq!(world.look_after(3_600).fate_of_worker(300), "not judged");
    // What has started another one since knows nothing of it.
    world.die(200, 1);
    world.worker(400, "a", 100);
    world.rows([with_worker(attached("a"), 400)]).look();
    assert_eq!(world.look_after(60).fate_of_worker(300), "reap: parentless-worker, after 60s");
}

#[test]
fn a_helper_that_was_seen_between_its_fork_and_its_exec_is_no_worker_that_has_changed() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(300, "a", 200);
    world.rows([with_worker(attached("a"), 200)]).look();
    world.process(300, 200, "node mcp.js");
    assert_eq!(world.look().fate_of_worker(300), "not judged");
    world.process(300, 1, "node mcp.js");
    assert_eq!(world.look().fate_of_worker(300), "not judged");
    world.rows([with_worker(detached("a"), 200)]).look();
    assert_eq!(goes(&world.look_after(20), "a"), [pid(200), pid(300)]);
}

/// Worker 200 of session `a`, and below it 210 of session `b`, which is attached; both found by their keys, and seen once. Then 210 executes
/// something else.
fn changed_below_anothers() -> World {
    let mut world = World::new();
    world.worker(200, "a", 100);
    world.worker(210, "b", 200);
    world.rows([detached("a"), attached("b")]).look();
    world.process(210, 200, "idle");
    world
}

#[test]
fn what_was_the_worker_of_a_session_and_looks_like_none_any_more_keeps_what_it_is_below() {
    let mut world = changed_below_anothers();
    let looked = world.look_after(3_600);
    let why = "protected: process 200 has process 210 under it, a gateway or a listed session's worker";
    assert_eq!(looked.why("a"), why);
    assert_eq!(looked.fate_of_worker(210), "keep: unknown-state", "it is listed, too");
    // Once its session is gone, it is of what it is below.
    world.rows([detached("a")]).look();
    assert_eq!(world.look_after(20).goes_along("a"), Some(200));
}

#[test]
fn what_is_below_it_goes_with_its_own_session() {
    let mut world = changed_below_anothers();
    world.process(300, 210, "node mcp.js");
    world.look();
    world.die(210, 1);
    world.look();
    assert_eq!(goes(&world.look_after(20), "a"), [pid(200)]);
    world.end(200);
    world.rows([detached("b")]).look();
    assert_eq!(goes(&world.look_after(20), "b"), [pid(300)]);
}
