//! Workers that rest, work, connect and end, seen by their own account.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use std::time::Duration;

use std::collections::HashSet;

use super::*;
use crate::config::defaults;
use crate::domain::ledger::{Bond, GatewayMemory, WorkerMemory};
use crate::domain::outside::{Clients, Outside};
use crate::domain::policy::{Policy, WorkerMatch, Workers};
use crate::domain::process::PidNamespace;
use crate::domain::table::{Answer, NoTable, SessionTable};
use crate::sources::gateway::table_json;

/// Rests until it is told to connect and to hang up, or to start a thread that waits and to end it.
const WORKER: &str = "import socket, sys, threading\n\
    print('r', end='', flush=True)\n\
    for line in sys.stdin:\n    \
        if line == 'connect\\n': it = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n    \
        elif line == 'hang up\\n': it.close()\n    \
        elif line == 'wait\\n': over = threading.Event(); it = threading.Thread(target=over.wait); it.start()\n    \
        elif line == 'end\\n': over.set(); it.join()\n    \
        print('d', end='', flush=True)\n";

struct Worker(Child);

impl Worker {
    #[expect(clippy::disallowed_methods, reason = "a test starts a worker of its own")]
    fn start(port: u16) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", WORKER, &port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut this = Self(command.spawn().unwrap());
        this.answer();
        this
    }

    fn answer(&mut self) {
        self.0.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    }

    fn does(&mut self, what: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{what}").unwrap();
        self.answer();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn table(rows: &str) -> SessionTable {
    table_json::parse(format!(r#"{{"version":1,"sessions":[{rows}]}}"#).as_bytes()).unwrap()
}

fn row(pid: u32, turn: &str, holds: &str) -> String {
    format!(r#"{{"id":"a","transport":"detached","turn":"{turn}","holds":{holds},"worker":{{"pid":{pid}}}}}"#)
}

fn rules(idle_worker: Option<Duration>) -> Rules {
    Rules {
        gateway: "gw".into(),
        policy: Policy { idle_worker, ..defaults::policy() },
        worker_match: WorkerMatch::new("python3 -c import").ok(),
        worker_uid: 0,
        takes_workers_back: false,
        describes_process: false,
        workers: Workers::Matching,
    }
}

/// A worker of this process.
fn process(identity: ProcessIdentity) -> Process {
    Process {
        identity,
        parent: Pid::new(std::process::id().into()),
        group: 0,
        session: 0,
        comm: "python3".into(),
        uid: 0,
        namespace: None,
        zombie: false,
        kernel: false,
        argv: Some("python3 -c import".into()),
        rss_bytes: None,
    }
}

fn look(at_work: &mut AtWork, table: TableView, rules: &Rules, view: &mut ProcessView) -> TableView {
    let mut gateway =
        GatewayObservation { name: "gw".into(), table, process: None, asked: clock::awake_now() };
    at_work.look_at_all(std::iter::once((&mut gateway, rules)), view);
    gateway.table
}

/// The holds of its session.
fn holds(at_work: &mut AtWork, row: &str) -> Vec<Box<str>> {
    let view = look(at_work, TableView::Current(table(row)), &rules(None), &mut ProcessView::default());
    view.current().unwrap().sessions[0].holds.known().cloned().unwrap_or_default()
}

fn holds_now(at_work: &mut AtWork, session: &str) -> Option<&'static str> {
    at_work.holds_now(&"gw".into(), &session.into())
}

/// What it did a moment ago is over after some looks.
fn comes_to_rest(at_work: &mut AtWork, row: &str) {
    for _ in 0..1000 {
        if holds(at_work, row).is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it never rests");
}

#[test]
fn a_worker_at_work_holds_its_session_and_one_at_rest_does_not() {
    works_and_rests(AtWork::default());
    let mut by_little = AtWork::default();
    by_little.look_by_little();
    works_and_rests(by_little);
}

fn works_and_rests(mut at_work: AtWork) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut worker = Worker::start(listener.local_addr().unwrap().port());
    let row = row(worker.0.id(), "idle", "[]");
    comes_to_rest(&mut at_work, &row);
    // Three looks: the first of them may have been the first that found it at rest.
    assert!((0..3).all(|_| holds(&mut at_work, &row).is_empty()));
    assert_eq!(holds_now(&mut at_work, "a"), None);

    worker.does("connect");
    let _accepted = listener.accept().unwrap();
    assert_eq!(holds_now(&mut at_work, "a"), Some(WORKER_BUSY), "since the table was read");
    for _ in 0..3 {
        assert_eq!(holds(&mut at_work, &row), [WORKER_BUSY.into()]);
        // Also to a reaper that never saw it before.
        assert_eq!(holds(&mut AtWork::default(), &row), [WORKER_BUSY.into()]);
    }
    worker.does("hang up");
    comes_to_rest(&mut at_work, &row);
}

#[test]
fn what_a_worker_of_an_attached_client_has_at_rest_is_known_when_the_client_leaves() {
    rests_while_its_client_is_there(AtWork::default());
    let mut by_little = AtWork::default();
    by_little.look_by_little();
    rests_while_its_client_is_there(by_little);
}

fn rests_while_its_client_is_there(mut at_work: AtWork) {
    let mut worker = Worker::start(1);
    let detached = row(worker.0.id(), "idle", "[]");
    let attached = detached.replace("detached", "attached");
    let busy = attached.replace("idle", "running");
    let pid = Pid::new(worker.0.id().into()).unwrap();
    let identity = Activities::open().unwrap().read_pid(pid, &HashSet::new()).unwrap().unwrap().0;
    let mut view = ProcessView { processes: [(pid, process(identity))].into(), ..ProcessView::default() };
    let mut looked = |row: &str| {
        let after = look(&mut at_work, TableView::Current(table(row)), &rules(None), &mut view);
        let holds = after.current().unwrap().sessions[0].holds.known().cloned().unwrap_or_default();
        (holds, view.accounts.get(&identity).copied())
    };
    assert_eq!(looked(&busy).1, None);
    while !looked(&attached).1.unwrap().knows_rest() {
        std::thread::sleep(Duration::from_millis(10));
    }
    worker.does("anything");
    let known = looked(&attached).1;
    assert_eq!(looked(&busy).1, known, "it isn't looked at any more");
    // One thread more than at rest, and it alone tells.
    worker.does("wait");
    std::thread::sleep(Duration::from_millis(50));
    for _ in 0..3 {
        assert_eq!(looked(&detached).0, [WORKER_BUSY.into()]);
    }
    worker.does("end");
    assert_eq!(looked(&attached).0, []);
    worker.does("anything");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(looked(&detached).0, [], "what it did while its client was there is of no matter");
}

#[test]
fn what_is_kept_anyway_is_not_looked_at_and_one_that_has_ended_holds_nothing() {
    let own = std::process::id();
    let mut at_work = AtWork::default();
    assert_eq!(holds(&mut at_work, &row(own, "idle", r#"["approval"]"#)), ["approval".into()]);
    assert!(holds(&mut at_work, &row(own, "running", "[]")).is_empty());
    assert!(at_work.accounts.is_empty());
    let mut gone = Worker::start(1);
    let pid = gone.0.id();
    drop(gone.0.stdin.take());
    gone.0.wait().unwrap();
    assert!(holds(&mut at_work, &row(pid, "idle", "[]")).is_empty());
    assert_eq!(holds_now(&mut at_work, "another"), None);
}

/// There its pid means another process, or none.
#[test]
fn what_a_worker_in_another_pid_namespace_does_cant_be_known() {
    let gateway = ProcessIdentity { pid: Pid::new(7).unwrap(), start_ticks: 0, inode: None };
    let holds_in = |namespace: u64, row: &str| {
        let (here, there) = (PidNamespace::Inode(1), PidNamespace::Inode(namespace));
        let process = Process { namespace: Some(there), ..process(gateway) };
        let mut view = ProcessView {
            processes: [(gateway.pid, process)].into(),
            own_namespace: Some(here),
            ..ProcessView::default()
        };
        let mut observed = GatewayObservation {
            name: "gw".into(),
            table: TableView::Current(table(row)),
            process: Some(gateway),
            asked: clock::awake_now(),
        };
        AtWork::default().look_at_all(std::iter::once((&mut observed, &rules(None))), &mut view);
        observed.table.current().unwrap().sessions[0].holds.known().cloned().unwrap_or_default()
    };
    let gone = row(u32::from(i16::MAX.unsigned_abs()) * 100, "idle", "[]");
    assert_eq!((holds_in(1, &gone), holds_in(2, &gone)), (vec![], vec![UNKNOWN_WORKER_BUSY.into()]));
    let of_none = gone.split(r#","worker""#).next().unwrap().to_owned() + "}";
    assert_eq!(holds_in(2, &of_none), [], "it has none");
}

#[test]
fn a_run_sees_what_a_worker_did_since_an_earlier_run() {
    let mut worker = Worker::start(1);
    let row = row(worker.0.id(), "idle", "[]");
    let mut at_work = AtWork::default();
    comes_to_rest(&mut at_work, &row);
    let (identity, account) = at_work.accounts.iter().next().unwrap();
    let memory = WorkerMemory {
        identity: *identity,
        bond: Bond::None,
        clock: None,
        account: Some(*account),
        shell: None,
        activity: None,
        session: None,
    };
    let gateway = GatewayMemory { workers: vec![memory], ..GatewayMemory::default() };
    let mut ledger = Ledger::default();
    ledger.gateways.insert("gw".into(), gateway);
    worker.does("anything");
    comes_to_rest(&mut AtWork::default(), &row);

    let mut later = AtWork::default();
    later.recall(&ledger, clock::awake_now());
    assert_eq!(holds(&mut later, &row), [WORKER_BUSY.into()]);
    comes_to_rest(&mut later, &row);
    let mut from_the_future = AtWork::default();
    from_the_future.recall(&ledger, account.at.before(Duration::from_secs(1)));
    assert!(from_the_future.accounts.is_empty());
}

#[test]
fn idle_workers_are_looked_at_only_where_that_is_asked_for() {
    let worker = Worker::start(1);
    let attached = row(worker.0.id(), "idle", "[]").replace("detached", "attached");
    let looked_at = |row: &str, idle| {
        let mut view = ProcessView::default();
        let table = TableView::Current(table(row));
        let after = look(&mut AtWork::default(), table.clone(), &rules(idle), &mut view);
        assert_eq!(after, table, "a client is there: it needs no hold");
        view.accounts.len()
    };
    let idle = Some(Duration::from_secs(60));
    assert_eq!((looked_at(&attached, None), looked_at(&attached, idle)), (0, 1));
    assert_eq!(looked_at(&attached.replace("idle", "running"), idle), 0);
    assert_eq!(looked_at(&attached.replace("[]", r#"["approval"]"#), idle), 0);
}

#[test]
fn without_a_table_the_workers_right_below_the_gateway_are_looked_at() {
    let worker = Worker::start(1);
    let own = Pid::new(std::process::id().into()).unwrap();
    let pid = Pid::new(worker.0.id().into()).unwrap();
    let process = process(ProcessIdentity { pid, start_ticks: 0, inode: None });
    let mut view = ProcessView { processes: [(pid, process)].into(), ..ProcessView::default() };
    let found = |view: &mut ProcessView, gateway, rules: &Rules| {
        let outside = Outside { gateway, clients: Clients::Nobody, nobody_since: None };
        let missing = NoTable {
            why: "".into(),
            answer: Answer::Untrusted,
            listed: Box::default(),
            outside: Some(outside),
        };
        look(&mut AtWork::default(), TableView::Not(missing), rules, view);
        view.accounts.keys().any(|process| process.pid.get() == worker.0.id())
    };
    let all = rules(None);
    assert!(found(&mut view, Some(own), &all));
    assert!(!found(&mut view, None, &all));
    assert!(!found(&mut view, Some(Pid::INIT), &all));
    let others = Rules { worker_match: WorkerMatch::new("of another kind").ok(), ..all };
    assert!(!found(&mut view, Some(own), &others));
}

/// In the middle of a run, while closes wait for their turn.
#[test]
fn what_is_known_of_a_worker_stays_where_another_look_gets_no_table() {
    let told = |id: &str| {
        let row = row(std::process::id(), "idle", "[]").replace(r#""id":"a""#, &format!(r#""id":"{id}""#));
        TableView::Current(table(&row))
    };
    let none = NoTable { why: "".into(), answer: Answer::Untrusted, listed: Box::default(), outside: None };
    let mut at_work = AtWork::default();
    let looked_at = |at_work: &mut AtWork, table: TableView| {
        let mut view = ProcessView::default();
        look(at_work, table, &rules(None), &mut view);
        view.accounts.len()
    };
    assert_eq!(looked_at(&mut at_work, told("a")), 1);
    assert_eq!(looked_at(&mut at_work, TableView::Not(none)), 0, "it wasn't looked at");
    let name = |id: &str| (GatewayName::from("gw"), SessionId::from(id));
    assert!(at_work.workers.contains_key(&name("a")));
    assert_eq!(at_work.accounts.len(), 1);
    looked_at(&mut at_work, told("b"));
    assert_eq!(at_work.workers.keys().collect::<Vec<_>>(), [&name("b")]);
}
