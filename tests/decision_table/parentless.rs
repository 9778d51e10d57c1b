//! `parentless-worker`: a worker whose gateway process is gone; seen reparented, or now under init or a subreaper that is not a gateway.

use gateway_reaper::domain::table::{Session, TableView, Told};

use crate::world::*;

const WAIT: &str = "wait: parentless-worker, 0s of 60s";
const REAP: &str = "reap: parentless-worker, after 60s";

/// A world whose gateway had worker 200, which was seen, and is gone now; 200 went to `heir`.
fn orphaned(heir: u32) -> World {
    let mut world = World::new();
    world.process(60, 1, "supervisord");
    world.worker(200, "a", 100);
    world.look();
    world.die(100, heir);
    world.unreachable("gw");
    world
}

#[test]
fn seen_reparented() {
    let mut world = orphaned(60);
    assert_eq!(world.fate_of_worker(200), WAIT);
    let looked = world.look_after(60);
    assert_eq!(looked.fate_of_worker(200), REAP);
    assert_eq!(looked.warrant_for(200).worker(), Some(identity(200)));
}

#[test]
fn seen_reparented_while_its_gateway_was_not_known() {
    let mut world = World::new();
    world.process(60, 1, "supervisord");
    world.worker(200, "a", 100);
    world.look();
    world.of("gw").process = None;
    let why = "unknown state: its gateway's process isn't known in this run";
    assert_eq!(world.look().why_worker(200), why, "its parent is still there");
    world.die(100, 60);
    assert_eq!(world.fate_of_worker(200), WAIT);
}

/// A world whose gateway was seen, and whose table then no longer says which process it is; worker 200 is its child, or so it seems.
fn born_of_one_that_is_not_known() -> World {
    let mut world = World::new();
    world.process(60, 1, "supervisord");
    world.look();
    world.of("gw").process = None;
    world.worker(200, "x", 100);
    world
}

#[test]
fn born_while_its_gateway_was_not_known() {
    let mut world = born_of_one_that_is_not_known();
    assert_eq!(world.fate_of_worker(200), "keep: unknown-state", "its parent is still there");
    world.unreachable("gw").die(100, 60);
    assert_eq!(world.fate_of_worker(200), WAIT);
    assert_eq!(world.look_after(60).fate_of_worker(200), REAP);
}

/// One that left the tree of `other` and was adopted by `gw`, which is above it and not known in this run.
#[test]
fn listed_by_another_gateway_than_the_one_that_adopted_it() {
    let mut world = born_of_one_that_is_not_known();
    world.gateway("other", 110);
    world.table("other").sessions = vec![Session { worker: Told::Known(Some(pid(200))), ..attached("x") }];
    assert_eq!(world.fate_of_worker(200), "not judged");
    world.unreachable("other").die(100, 60);
    assert_eq!(world.fate_of_worker(200), "keep: table-not-trusted");
}

#[test]
fn born_of_another_that_has_the_gateways_pid_now() {
    let mut world = born_of_one_that_is_not_known();
    world.process(100, 1, "sh").identity.start_ticks += 1;
    assert_eq!(
        world.fate_of_worker(200),
        "keep: unknown-state",
        "its parent is another process than the gateway was"
    );
    world.die(100, 60);
    assert_eq!(world.fate_of_worker(200), "keep: unknown-state", "it was never seen below a gateway");
}

#[test]
fn seen_reparented_and_named_by_a_table_in_between() {
    let mut world = World::new();
    world.process(60, 1, "supervisord");
    world.worker(200, "a", 100);
    world.look();
    world.of("gw").process = None;
    world.rows([Session { worker: Told::Known(Some(pid(200))), ..attached("a") }]).look();
    world.unreachable("gw").die(100, 60);
    assert_eq!(world.fate_of_worker(200), WAIT);
}

#[test]
fn seen_reparented_and_named_by_another_gateways_table_in_between() {
    let mut world = World::new();
    world.process(60, 1, "supervisord");
    world.gateway("other", 110);
    world.worker(200, "a", 100);
    world.look();
    world.of("gw").process = None;
    world.table("other").sessions = vec![Session { worker: Told::Known(Some(pid(200))), ..attached("a") }];
    assert_eq!(world.fate_of_worker(200), "not judged");
    world.table("other").sessions.clear();
    world.unreachable("gw").die(100, 60);
    assert_eq!(world.fate_of_worker(200), WAIT);
}

#[test]
fn under_init_and_never_seen_before() {
    let mut world = World::new();
    world.worker(99, "a", 1);
    assert_eq!(world.fate_of_worker(99), WAIT);
    assert_eq!(world.look_after(60).fate_of_worker(99), REAP);
}

#[test]
fn under_a_known_subreaper_and_never_seen_before() {
    let mut world = World::new();
    world.process(60, 1, "/usr/lib/systemd/systemd --user").comm = "systemd".into();
    world.worker(99, "a", 60);
    assert_eq!(world.fate_of_worker(99), WAIT);
}

/// What adopts is an ancestor, and older.
#[test]
fn older_than_its_parent_is_no_sign() {
    let mut world = World::new();
    world.process(60, 1, "supervisord").identity.start_ticks = 10_000;
    world.worker(99, "a", 60);
    assert_eq!(world.fate_of_worker(99), "keep: unknown-state");
}

/// Under a supervisor, in a session that neither it nor the supervisor leads; whose leader was looked for and is gone.
fn leaderless() -> World {
    let mut world = World::new();
    world.process(60, 1, "supervisord").session = 60;
    (world.worker(99, "a", 60).session, world.worker(99, "a", 60).group) = (60, 60);
    world.worker(99, "a", 60).session = 70;
    world.seen.processes.gone.insert(pid(70));
    world
}

#[test]
fn in_a_session_whose_leader_is_gone() {
    let mut world = leaderless();
    assert_eq!(world.fate_of_worker(99), WAIT);
    world.seen.processes.gone.clear();
    let kept = "keep: unknown-state";
    assert_eq!(world.look_after(1).fate_of_worker(99), kept, "the leader was not looked for");
    world.process(70, 60, "a shell").session = 70;
    assert_eq!(world.look_after(1).fate_of_worker(99), kept, "it is there");
    world.process(70, 60, "a shell").zombie = true;
    assert_eq!(
        world.look_after(1).fate_of_worker(99),
        WAIT,
        "it is dead, and its parent has yet to hear of it"
    );
}

#[test]
fn in_a_session_whose_leader_is_gone_while_a_gateway_is_not_known() {
    let mut world = leaderless();
    world.of("gw").process = None;
    let looked = world.look();
    assert_eq!(looked.fate_of_worker(99), "keep: unknown-state");
    let why =
        "its parent 60 (supervisord) may be a gateway: one of the configured gateways has no known process";
    assert_eq!(looked.why_worker(99), format!("unknown state: {why}"));
}

#[test]
fn in_a_container_process_1_may_be_the_gateway_itself() {
    let mut world = World::new();
    world.seen.processes.init_is_init = false;
    world.process(1, 0, "python3 gateway.py");
    world.worker(99, "a", 1);
    world.of("gw").process = None;
    assert_eq!(world.fate_of_worker(99), "keep: unknown-state");
    world.of("gw").process = Some(identity(100));
    assert_eq!(world.fate_of_worker(99), WAIT, "each gateway is known to be another");
    world.of("gw").process = Some(identity(1));
    assert_eq!(world.fate_of_worker(99), "wait: ownerless-worker, 0s of 60s", "it is the gateway's child");
}

#[test]
fn under_an_ordinary_parent_nothing_says_that_its_gateway_is_gone() {
    let mut world = World::new();
    world.process(60, 1, "a gateway that nobody configured");
    world.worker(200, "a", 60);
    world.worker(201, "b", 80);
    let looked = world.look();
    for (worker, parent) in [(200, "60 (a)"), (201, "80 (bash)")] {
        let why = format!(
            "its parent {parent} is there and may be its gateway; it is no [[gateway]] of the configuration"
        );
        assert_eq!(looked.why_worker(worker), format!("unknown state: {why}"));
    }
}

#[test]
fn a_worker_below_one_whose_gateway_may_be_there_is_kept_like_it() {
    let mut world = leaderless();
    world.worker(99, "a", 60).session = 60;
    world.worker(200, "a", 99).session = 70;
    let looked = world.look();
    assert_eq!(
        (looked.fate_of_worker(99), looked.fate_of_worker(200)),
        ("keep: unknown-state".into(), "keep: unknown-state".into())
    );
}

#[test]
fn seen_reparented_it_waits_for_no_other_gateways_table() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 100);
    world.look();
    world.unreachable("gw").unreachable("other").die(100, 1);
    assert_eq!(world.fate_of_worker(200), WAIT);
}

#[test]
fn whatever_is_under_a_living_gateway_isnt_parentless() {
    let mut world = World::new();
    world.process(150, 100, "systemd --a-wrapper").comm = "systemd".into();
    world.worker(200, "a", 150);
    let why = "unknown state: it is under a gateway, but not its child: only a table can say whose it is";
    assert_eq!(world.look().why_worker(200), why);
}

#[test]
fn it_needs_no_table_where_nothing_listens_at_every_look_of_the_grace() {
    let mut world = orphaned(1);
    assert_eq!(world.fate_of_worker(200), WAIT);
    assert_eq!(world.look_after(30).fate_of_worker(200), "wait: parentless-worker, 30s of 60s");
    world.refused("gw");
    assert_eq!(world.look_after(1).fate_of_worker(200), "keep: table-not-trusted", "another run answers");
    world.unreachable("gw");
    assert_eq!(world.look_after(30).fate_of_worker(200), WAIT, "it starts again");
    assert_eq!(world.look_after(60).fate_of_worker(200), REAP);
}

/// One that takes workers back needs its time for it, and its first table may lack them.
#[test]
fn a_new_gateway_starts_its_grace_again_where_it_may_take_it_back() {
    for takes_back in [true, false] {
        let mut world = orphaned(1);
        world.rules[0].takes_workers_back = takes_back;
        world.look();
        world.process(300, 1, "gatewayd");
        world.table("gw").instance = Some("gw run 2".into());
        world.of("gw").process = Some(identity(300));
        let expected = if takes_back { WAIT } else { REAP };
        assert_eq!(world.look_after(60).fate_of_worker(200), expected);
        assert!(world.look_after(60).fate_of_worker(200).starts_with("reap: parentless"), "once");
    }
}

#[test]
fn where_its_gateways_process_ended_and_no_worker_is_taken_back_an_answer_says_nothing_new() {
    let mut world = orphaned(1);
    world.rules[0].takes_workers_back = false;
    world.look();
    world.table("gw").instance = None;
    assert_eq!(world.look_after(60).fate_of_worker(200), REAP);
}

/// It can't be one of that gateway's.
#[test]
fn another_gateway_that_comes_and_goes_doesnt_start_the_grace_of_a_worker_again() {
    let mut world = orphaned(1);
    world.gateway("other", 110);
    let (process, table) = (world.of("other").process, world.of("other").table.clone());
    for seconds in [0, 20, 20] {
        world.of("other").process = None;
        world.of("other").table = TableView::nothing_listens("connection refused");
        world.end(110);
        world.look_after(seconds);
        world.process(110, 1, "gatewayd");
        (world.of("other").process, world.of("other").table) = (process, table.clone());
        world.look();
    }
    assert_eq!(world.look_after(20).fate_of_worker(200), REAP);
}

/// Its process isn't known, so that where nothing listens it seems to be gone.
#[test]
fn where_the_same_run_of_its_gateway_answers_again_it_was_there_and_the_grace_starts_again() {
    for (takes_back, instance) in [(true, "gw run 1"), (false, "gw run 1"), (false, "gw run 2")] {
        let mut world = World::new();
        world.rules[0].takes_workers_back = takes_back;
        world.table("gw").instance = Some("gw run 1".into());
        world.of("gw").process = None;
        let before = world.of("gw").table.clone();
        world.worker(200, "x", 1);
        world.look();
        world.of("gw").table = TableView::nothing_listens("connection refused");
        assert_eq!(world.look_after(1).fate_of_worker(200), "wait: parentless-worker, 1s of 60s");
        world.of("gw").table = before;
        world.table("gw").instance = Some(instance.into());
        let expected = if instance == "gw run 1" { WAIT } else { REAP };
        assert_eq!(world.look_after(59).fate_of_worker(200), expected, "{takes_back}, {instance}");
        assert!(world.look_after(60).fate_of_worker(200).starts_with("reap: parentless"), "once");
    }
}

#[test]
fn a_worker_that_a_table_names_is_wanted_wherever_it_is() {
    let mut world = World::new();
    world.worker(200, "a", 1);
    world.rows([Session { worker: Told::Known(Some(pid(200))), ..attached("a") }]);
    assert_eq!(world.fate_of_worker(200), "not judged");
    world.rows([]);
    assert_eq!(world.look_after(60).fate_of_worker(200), WAIT);
}

#[test]
fn a_worker_whose_key_is_listed_without_a_pid_may_be_that_sessions() {
    let mut world = World::new();
    world.worker(200, "a", 1);
    assert_eq!(world.rows([attached("a")]).fate_of_worker(200), "not judged");
    world.of("gw").process = None;
    assert!(world.is_of_a_session(200), "also where the gateway's process isn't known");
}

#[test]
fn a_worker_that_is_older_than_the_gateway_and_carries_a_listed_key_was_taken_back() {
    let mut world = World::new();
    world.worker(99, "a", 1);
    assert_eq!(world.rows([attached("a")]).fate_of_worker(99), "not judged");
    assert_eq!(world.rows([with_worker(attached("b"), 99)]).fate_of_worker(99), "not judged");
}

#[test]
fn a_worker_that_is_older_than_the_gateway_is_of_an_earlier_run_when_its_table_is_current() {
    let mut world = World::new();
    world.worker(99, "a", 1);
    assert_eq!(world.rows([attached("b")]).fate_of_worker(99), WAIT, "whatever worker row b may have");
}

#[test]
fn a_worker_that_left_its_gateways_tree_waits_for_the_table() {
    let mut world = World::new();
    world.worker(200, "a", 1);
    world.rows([Session { worker: Told::Known(Some(pid(200))), ..attached("a") }]).look();
    let why = "its gateway's table can't be trusted: connection refused";
    assert_eq!(world.unreachable("gw").look_after(60).why_worker(200), why);
    world.of("gw").process = None;
    assert_eq!(world.look_after(60).why_worker(200), why, "nobody knows whether the gateway is gone");
    world.die(100, 1);
    assert_eq!(world.look_after(60).fate_of_worker(200), WAIT, "it is gone for certain");
}

#[test]
fn a_worker_that_a_living_gateway_may_have_started_waits_for_its_table() {
    let mut world = World::new();
    world.worker(200, "a", 1);
    assert_eq!(world.unreachable("gw").fate_of_worker(200), "keep: table-not-trusted");
}

#[test]
fn a_worker_that_a_row_may_mean_waits_until_it_is_understood() {
    let mut world = World::new();
    world.worker(200, "a", 1);
    world.process(201, 1, "python3 -m worker");
    world.rows([Session { worker: gibberish(), ..attached("b") }]);
    assert_eq!(world.fate_of_worker(200), "keep: unknown-state");
    world.rows([Session { key: gibberish(), ..attached("b") }]);
    assert_eq!(world.fate_of_worker(200), "keep: unknown-state");
    for raw in [200, 201] {
        let kept = world.rows([attached("b")]).look().why_worker(raw);
        assert!(
            kept.starts_with("unknown state: ") && kept.contains("session \"b\""),
            "it names the row: {kept}"
        );
        assert_eq!(world.rows([without_worker(attached("b"))]).fate_of_worker(raw), WAIT);
    }
}

#[test]
fn a_worker_off_the_tree_that_a_table_named_and_names_no_longer_is_kept_under_a_living_gateway() {
    let mut world = World::new();
    world.process(150, 100, "a wrapper");
    world.worker(200, "a", 150);
    world.rows([Session { worker: Told::Known(Some(pid(200))), ..attached("a") }]).look();
    let why = "unknown state: it is under a gateway, but not its child: only a table can say whose it is";
    assert_eq!(world.rows([]).look_after(60).why_worker(200), why);
}

#[test]
fn a_worker_that_any_table_lists_is_wanted_whatever_the_others_say() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 1);
    world.table("other").sessions = vec![attached("a")];
    assert!(world.unreachable("gw").is_of_a_session(200));
}

#[test]
fn nobody_who_is_protected_is_parentless() {
    let mut others = orphaned(1);
    others.worker(200, "a", 1).uid = 0;
    let mut above = orphaned(1);
    above.gateway("inner", 210);
    above.process(210, 200, "gatewayd");
    let why = [
        "process 200 runs as user 0, not as 1000 (see worker.user)",
        "process 200 has process 210 under it, a gateway or a listed session's worker",
    ];
    for (mut world, why) in [others, above].into_iter().zip(why) {
        world.look();
        assert_eq!(world.look_after(60).why_worker(200), format!("protected: {why}"));
    }
}

#[test]
fn a_worker_that_does_not_look_like_one_any_more_is_kept_and_listed_for_as_long_as_it_lives() {
    let mut world = World::new();
    world.worker(200, "a", 100);
    assert_eq!(world.look().fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
    world.process(200, 100, "idle");
    for _ in 0..2 {
        let why = "unknown state: it was a worker, and doesn't look like one any more";
        assert_eq!(world.look_after(60).why_worker(200), why);
    }
    world.worker(200, "a", 100);
    assert_eq!(world.look().fate_of_worker(200), "wait: ownerless-worker, 0s of 60s");
    world.die(200, 1);
    assert_eq!(world.look().fate_of_worker(200), "not judged");
}

#[test]
fn what_was_seen_below_a_gateway_that_is_there_and_forgotten_may_be_wanted() {
    let mut world = World::new();
    world.gateway("other", 110);
    world.worker(200, "a", 100);
    world.look();
    world.worker(200, "a", 1);
    let workers = std::mem::take(&mut world.ledger.gateways.get_mut(&"gw".into()).expect("memory").workers);
    world.ledger.gateways.get_mut(&"other".into()).expect("memory").workers = workers;
    world.ledger.gateways.remove(&"gw".into());
    world.of("gw").process = None;
    world.unreachable("gw");
    let why = "unknown state: its gateway's process isn't known in this run";
    for _ in 0..2 {
        assert_eq!(world.look_after(60).why_worker(200), why);
    }
    world.die(100, 1);
    assert_eq!(world.look().fate_of_worker(200), "wait: parentless-worker, 0s of 60s");
}

/// In a container what was put there from outside has no parent in view; that is all there is.
#[test]
fn seen_reparented_below_the_top_of_what_can_be_seen() {
    let mut world = orphaned(60);
    world.process(60, 0, "supervisord");
    assert_eq!(world.fate_of_worker(200), WAIT);
}

#[test]
fn with_a_parent_above_it_hidden_nothing_says_that_it_lost_its_gateway() {
    let mut world = orphaned(60);
    world.process(60, 59, "supervisord");
    assert_eq!(world.fate_of_worker(200), "keep: unknown-state");
}

/// A terminal multiplexer, or a gateway that isn't configured and was told how to start its workers.
#[test]
fn a_server_that_has_the_argv_of_a_worker_in_its_own_is_no_launcher_of_that() {
    for (argv, is_launcher) in [
        ("tmux new-session -d python3 -m worker --session-key a", false),
        ("SCREEN sh -c python3 -m worker --session-key a; true", false),
        ("/opt/gatewayd --worker-cmd python3 -m worker --session-key a", false),
        ("/usr/bin/timeout 1h python3 -m worker --session-key a", true),
        ("/usr/bin/python3 /usr/bin/poetry run python3 -m worker --session-key a", true),
        ("sh -c python3 -m worker --session-key a; true", true),
    ] {
        let mut world = World::new();
        world.process(300, 1, argv);
        world.worker(200, "a", 300);
        let fate = if is_launcher { "wait: parentless-worker, 0s of 60s" } else { "keep: unknown-state" };
        assert_eq!(world.fate_of_worker(200), fate, "{argv}");
    }
}
