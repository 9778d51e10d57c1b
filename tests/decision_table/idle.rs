//! `idle-worker` and `unattended-worker`: workers that do nothing, which an operator asked to have ended. Their sessions stay.

use std::time::Duration;

use gateway_reaper::domain::activity::{Account, Activity, Later, MainThread};
use gateway_reaper::domain::outside::{Clients, LOOK_EVERY, Outside};
use gateway_reaper::domain::policy::WithoutTable;
use gateway_reaper::domain::table::{Answer, NoTable, Session, TableView, Told, Turn};
use gateway_reaper::domain::time::Awake;
use gateway_reaper::reap::event::Recheck;
use gateway_reaper::sweep::recheck::Again;

use crate::world::*;

/// What a worker shows whose main thread was switched so often.
fn activity(switches: u64) -> Activity {
    let main = MainThread { asleep: true, ran: Duration::from_millis(5), switches };
    Activity { main, threads: 1, ran: main.ran, connections: 0, children: 0, commands: 0 }
}

/// The worker is looked at, and has done nothing since the last look.
fn rests(world: &mut World, raw: u32) {
    shows(world, raw, activity(1));
}

fn works(world: &mut World, raw: u32) {
    shows(world, raw, Activity { connections: 1, ..activity(1) });
}

fn shows(world: &mut World, raw: u32, activity: Activity) {
    let now = world.now;
    let accounts = &mut world.seen.processes.accounts;
    match accounts.get_mut(&identity(raw)) {
        Some(account) => drop(account.look(activity, now)),
        None => drop(
            accounts.insert(identity(raw), Account::new(activity, Later { threads: 0, children: 0 }, now)),
        ),
    }
}

/// A world in which worker 200 of an attached session rests, and idle workers are ended after a minute.
fn attended() -> World {
    let mut world = World::new();
    world.policy().idle_worker = Some(secs(60));
    world.worker(200, "a", 100);
    world.rows([with_worker(attached("a"), 200)]);
    rests(&mut world, 200);
    world
}

/// A minute goes by in which the worker rests and is looked at.
fn a_minute(world: &mut World) -> Looked {
    world.look();
    world.pass(60);
    rests(world, 200);
    world.look()
}

#[test]
fn a_worker_that_did_nothing_for_that_long_is_ended_and_its_session_stays() {
    let mut world = attended();
    assert_eq!(world.fate_of_worker(200), "wait: idle-worker, 0s of 60s");
    let looked = a_minute(&mut world);
    assert_eq!(looked.fate_of_worker(200), "reap: idle-worker, after 60s");
    assert_eq!(looked.fate("a"), "keep: attached");
    assert_eq!(looked.warrant_for(200).worker(), Some(identity(200)));
    assert!(looked.warrant_for(200).session().is_none(), "never the session");
}

#[test]
fn whatever_its_session_does_and_another_run_of_its_gateway_start_its_grace_again() {
    let did = |activity: &str| Session { activity: Some(activity.into()), ..with_worker(attached("a"), 200) };
    let after = |change: &dyn Fn(&mut World)| {
        let mut world = attended();
        world.rows([did("one")]).look();
        world.pass(60);
        rests(&mut world, 200);
        change(&mut world);
        world.fate_of_worker(200)
    };
    assert_eq!(after(&|_| {}), "reap: idle-worker, after 60s");
    let again = "wait: idle-worker, 0s of 60s";
    assert_eq!(after(&|world| _ = world.rows([did("another")])), again);
    assert_eq!(after(&|world| world.table("gw").instance = Some("gw run 2".into())), again);
}

#[test]
fn the_first_signal_always_needs_another_look() {
    let mut world = attended();
    let looked = a_minute(&mut world);
    assert_eq!(looked.warrant_for(200).valid_until(), world.now);
}

/// It heeds no SIGTERM, and does something as it is about to be killed.
#[test]
fn a_signalled_worker_that_only_works_is_ended_and_one_whose_session_goes_on_is_let_be() {
    let after = |change: fn(&mut World)| {
        let mut world = attended();
        let warrant = a_minute(&mut world).warrant_for(200).clone();
        world.pass(10);
        change(&mut world);
        match Again::new(&world.seen, &world.peek().0).judge(&warrant, Some(&[identity(200)])) {
            Recheck::Stands { .. } => Ok(()),
            Recheck::Lapsed { why } | Recheck::Unknown { why } => Err(why),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(after(|world| rests(world, 200)), Ok(()));
    assert_eq!(after(|world| works(world, 200)), Ok(()));
    fn running(world: &mut World) {
        rests(world, 200);
        let row = Session { turn: Told::Known(Turn::Running), ..attached("a") };
        world.rows([with_worker(row, 200)]);
    }
    let goes_on = || Err("session \"a\" goes on with it".into());
    assert_eq!(after(running), goes_on());
    let obscure = |world: &mut World| {
        rests(world, 200);
        world.rows([with_worker(Session { holds: gibberish(), ..attached("a") }, 200)]);
    };
    assert_eq!(after(obscure), goes_on(), "what is not understood may hold it");
}

#[test]
fn it_is_off_until_it_is_asked_for() {
    let mut world = attended();
    world.policy().idle_worker = None;
    assert_eq!(a_minute(&mut world).fate_of_worker(200), "not judged");
}

#[test]
fn anything_it_does_starts_the_grace_again() {
    let mut world = attended();
    world.look();
    world.pass(59);
    works(&mut world, 200);
    assert_eq!(world.fate_of_worker(200), "not judged");
    world.pass(30);
    rests(&mut world, 200);
    assert_eq!(world.fate_of_worker(200), "wait: idle-worker, 0s of 60s");
}

#[test]
fn anything_its_session_does_starts_the_grace_again() {
    let busy = |session: Session| {
        [
            Session { turn: Told::Known(Turn::Running), ..session.clone() },
            Session { turn: Told::Known(Turn::Waiting), ..session.clone() },
            Session { turn: Told::Known(Turn::Starting), ..session.clone() },
            Session { turn: Told::Absent, ..session.clone() },
            Session { holds: Told::Known(vec!["approval".into()]), ..session.clone() },
            Session { holds: gibberish(), ..session.clone() },
            Session { transport: gibberish(), ..session },
        ]
    };
    for row in busy(with_worker(attached("a"), 200)) {
        let mut world = attended();
        world.look();
        world.pass(59);
        rests(&mut world, 200);
        let idle = world.table("gw").sessions.clone();
        world.rows([row.clone()]);
        assert_eq!(world.fate_of_worker(200), "not judged", "{row:?}");
        world.rows(idle);
        world.pass(1);
        rests(&mut world, 200);
        assert_eq!(world.fate_of_worker(200), "wait: idle-worker, 0s of 60s", "{row:?}");
    }
}

#[test]
fn what_was_not_looked_at_is_not_known_to_rest() {
    let mut world = attended();
    world.look();
    world.pass(60);
    world.seen.processes.accounts.clear();
    assert_eq!(world.fate_of_worker(200), "not judged");
}

#[test]
fn only_the_worker_that_the_row_names_is_ended_so() {
    let mut world = attended();
    world.rows([attached("a")]);
    assert_eq!(a_minute(&mut world).fate_of_worker(200), "not judged", "found by its key");
    let mut world = attended();
    world.rows([with_worker(attached("a"), 200), with_worker(attached("b"), 200)]);
    assert_eq!(a_minute(&mut world).fate_of_worker(200), "not judged", "of two rows");
    let mut world = attended();
    world.worker(210, "b", 200);
    world.rows([with_worker(attached("a"), 200), with_worker(attached("b"), 210)]);
    assert_eq!(a_minute(&mut world).fate_of_worker(200), "not judged", "with another's worker below it");
}

#[test]
fn one_that_is_due_with_its_session_is_no_case_of_its_own() {
    let mut world = attended();
    world.rows([with_worker(detached("a"), 200)]);
    let looked = a_minute(&mut world);
    assert_eq!(looked.fate("a"), "reap: detached-session, after 60s");
    assert_eq!(looked.fate_of_worker(200), "not judged");
}

/// A world whose gateway publishes no table, with worker 200, which rests. No client has been connected since the beginning.
fn unattended() -> World {
    let mut world = World::new();
    world.policy().without_table = WithoutTable::Workers;
    world.worker(200, "a", 100);
    let began = world.now;
    clients(&mut world, Clients::Nobody, Some(began));
    rests(&mut world, 200);
    world
}

fn clients(world: &mut World, clients: Clients, nobody_since: Option<Awake>) {
    outside(world, Outside { gateway: Some(pid(100)), clients, nobody_since });
}

fn outside(world: &mut World, outside: Outside) {
    let why = "no plugin".into();
    let missing = NoTable { why, answer: Answer::Untrusted, listed: Box::default(), outside: Some(outside) };
    world.of("gw").table = TableView::Not(missing);
}

#[test]
fn a_worker_that_rests_while_no_client_is_connected_is_ended_where_that_is_asked_for() {
    let mut world = unattended();
    assert_eq!(world.fate_of_worker(200), "wait: unattended-worker, 0s of 60s");
    let looked = a_minute(&mut world);
    assert_eq!(looked.fate_of_worker(200), "reap: unattended-worker, after 60s");
    assert!(looked.warrant_for(200).session().is_none(), "never a session");
    let mut world = unattended();
    world.policy().without_table = WithoutTable::Report;
    assert_eq!(a_minute(&mut world).fate_of_worker(200), "keep: table-not-trusted");
}

#[test]
fn a_client_keeps_every_worker_and_starts_the_grace_again() {
    for there in [Clients::Connected(1), Clients::Unknown("hidden".into())] {
        let mut world = unattended();
        world.look();
        world.pass(59);
        rests(&mut world, 200);
        clients(&mut world, there, None);
        assert_eq!(world.fate_of_worker(200), "keep: table-not-trusted");
        world.pass(1);
        rests(&mut world, 200);
        let now = world.now;
        clients(&mut world, Clients::Nobody, Some(now));
        assert_eq!(world.fate_of_worker(200), "wait: unattended-worker, 0s of 60s");
    }
}

#[test]
fn a_worker_at_work_is_held() {
    let mut world = unattended();
    world.look();
    world.pass(60);
    works(&mut world, 200);
    let looked = world.look();
    assert_eq!(looked.why_worker(200), "held by what was seen: worker-busy");
    world.pass(60);
    rests(&mut world, 200);
    assert_eq!(world.fate_of_worker(200), "wait: unattended-worker, 0s of 60s");
}

#[test]
fn a_worker_whose_command_ran_already_when_it_was_first_looked_at_is_held() {
    let mut world = unattended();
    world.seen.processes.accounts.clear();
    let with_a_command = Activity { children: 1, commands: 1, ..activity(1) };
    for _ in 0..60 {
        world.pass(60);
        shows(&mut world, 200, with_a_command);
        clients(&mut world, Clients::Nobody, Some(Awake::from_nanos(0)));
        assert_eq!(world.look().why_worker(200), "held by what was seen: worker-busy");
    }
}

#[test]
fn looks_more_than_a_minute_apart_are_single_points() {
    let mut world = unattended();
    world.look();
    for _ in 0..3 {
        world.pass(61);
        rests(&mut world, 200);
        assert_eq!(world.fate_of_worker(200), "wait: unattended-worker, 0s of 60s");
    }
}

#[test]
fn a_run_of_its_own_has_seen_nothing_of_the_time_before() {
    let mut world = unattended();
    world.look();
    world.pass(60);
    rests(&mut world, 200);
    let now = world.now;
    clients(&mut world, Clients::Nobody, Some(now));
    assert_eq!(world.fate_of_worker(200), "wait: unattended-worker, 0s of 60s");
}

#[test]
fn only_a_child_of_the_process_that_listens_is_unattended() {
    let mut world = unattended();
    world.seen.processes.processes.get_mut(&pid(200)).expect("it").parent = Some(pid(80));
    assert_ne!(a_minute(&mut world).fate_of_worker(200), "reap: unattended-worker, after 60s");
    for listens in [None, Some(pid(80))] {
        let mut world = unattended();
        let nobody_since = Some(world.now);
        outside(&mut world, Outside { gateway: listens, clients: Clients::Nobody, nobody_since });
        assert_eq!(a_minute(&mut world).fate_of_worker(200), "keep: table-not-trusted");
    }
}

#[test]
fn the_worker_of_another_gateways_row_is_that_rows() {
    let mut world = unattended();
    world.gateway("other", 300);
    world.table("other").sessions = vec![with_worker(attached("a"), 200)];
    assert_eq!(a_minute(&mut world).fate_of_worker(200), "not judged");
}

#[test]
fn an_idle_worker_without_a_table_is_ended_while_clients_are_connected() {
    let mut world = unattended();
    world.policy().without_table = WithoutTable::Report;
    world.policy().idle_worker = Some(secs(60));
    clients(&mut world, Clients::Connected(3), None);
    assert_eq!(world.fate_of_worker(200), "wait: idle-worker, 0s of 60s");
    assert_eq!(a_minute(&mut world).fate_of_worker(200), "reap: idle-worker, after 60s");
}

#[test]
fn where_only_processor_time_tells_the_grace_clock_tells_for_how_long() {
    let mut world = attended();
    world.seen.processes.accounts.clear();
    world.seen.processes.resting.insert(pid(200));
    assert_eq!(world.fate_of_worker(200), "wait: idle-worker, 0s of 60s");
    assert_eq!(world.look_after(60).fate_of_worker(200), "reap: idle-worker, after 60s");
    world.seen.processes.resting.clear();
    assert_eq!(world.fate_of_worker(200), "not judged");
    world.seen.processes.resting.insert(pid(200));
    assert_eq!(world.look_after(1).fate_of_worker(200), "wait: idle-worker, 0s of 60s");
}

#[test]
fn one_that_could_not_be_ended_queues_behind_another() {
    let mut world = attended();
    world.policy().max_reaps = 1;
    world.worker(201, "b", 100);
    world.rows([with_worker(attached("a"), 200), with_worker(attached("b"), 201)]);
    rests(&mut world, 201);
    world.look();
    world.pass(60);
    rests(&mut world, 200);
    rests(&mut world, 201);
    assert_eq!(world.look().fate_of_worker(200), "reap: idle-worker, after 60s");
    world.ledger.failed(&"gw".into(), None, Some(identity(200)));
    let looked = world.look();
    assert_eq!(looked.fate_of_worker(200), "deferred: idle-worker, after 60s");
    assert_eq!(looked.fate_of_worker(201), "reap: idle-worker, after 60s");
}

#[test]
fn what_rests_on_looks_is_looked_at_again_soon() {
    assert_eq!(unattended().look().0.next_look(), Some(LOOK_EVERY));
    assert_eq!(attended().look().0.next_look(), None, "this one counts by itself");
}
