//! A world to decide on, in a line or two: PID 1 is init, 80 a shell, 90 the reaper, 100 the gateway `gw`, whose table is current and empty.
//!
//! A higher PID is a younger process, unless a test says otherwise. [`World::look`] is one run: it decides, and remembers.
#![allow(dead_code, reason = "every test binary uses its own part of this")]

use std::sync::OnceLock;
use std::time::Duration;

use gateway_reaper::config::defaults;
use gateway_reaper::domain::decide::{Decision, decide};
use gateway_reaper::domain::ids::{BootId, Pid, SessionId};
use gateway_reaper::domain::ledger::Ledger;
use gateway_reaper::domain::observation::{GatewayObservation, Observation};
use gateway_reaper::domain::policy::{Policy, Rules, WorkerMatch};
use gateway_reaper::domain::process::{PidNamespace, Process, ProcessIdentity, ProcessView};
use gateway_reaper::domain::table::{Listener, Session, SessionTable, TableView, Told, Transport, Turn};
use gateway_reaper::domain::time::Awake;
use gateway_reaper::domain::verdict::{Subject, Verdict};
use gateway_reaper::domain::veto::Vetoes;
use gateway_reaper::domain::warrant::Warrant;

pub(crate) const USER: u32 = 1000;
/// The reaper's PID namespace, where a test has any.
pub(crate) const HERE: PidNamespace = PidNamespace::Inode(7);
/// Another one.
pub(crate) const ELSEWHERE: PidNamespace = PidNamespace::Inode(8);
const PATTERN: &str = r"python3 -m worker(?: --session-key (?P<session>\S+))?";

pub(crate) fn pid(raw: u32) -> Pid {
    Pid::new(raw.into()).expect("a PID")
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The identity that a process of this PID has unless a test says otherwise.
pub(crate) fn identity(raw: u32) -> ProcessIdentity {
    ProcessIdentity { pid: pid(raw), start_ticks: u64::from(raw) * 10, inode: None }
}

/// A row that is an orphan's: detached, idle, no holds.
pub(crate) fn detached(id: &str) -> Session {
    Session {
        id: id.into(),
        key: Told::Absent,
        transport: Told::Known(Transport::Detached),
        turn: Told::Known(Turn::Idle),
        detached_for: None,
        idle_for: None,
        activity: None,
        close_on_disconnect: Told::Absent,
        holds: Told::Absent,
        worker: Told::Absent,
        shown: Default::default(),
    }
}

/// A row of a session in use.
pub(crate) fn attached(id: &str) -> Session {
    Session { transport: Told::Known(Transport::Attached), ..detached(id) }
}

/// A row that says of itself that it has no worker now.
pub(crate) fn without_worker(row: Session) -> Session {
    Session { worker: Told::Known(None), ..row }
}

/// A row that names this process as its worker.
pub(crate) fn with_worker(row: Session, raw: u32) -> Session {
    Session { worker: Told::Known(Some(pid(raw))), ..row }
}

/// A row whose worker carries this key.
pub(crate) fn with_key(row: Session, key: &str) -> Session {
    Session { key: Told::Known(key.into()), ..row }
}

/// Something that this version doesn't understand.
pub(crate) fn gibberish<T>() -> Told<T> {
    Told::NotUnderstood("\"gibberish\"".into())
}

pub(crate) fn policy() -> Policy {
    Policy {
        grace: secs(20),
        close_on_disconnect_grace: secs(0),
        worker_grace: secs(60),
        close_timeout: secs(10),
        term_timeout: secs(5),
        ..defaults::policy()
    }
}

fn worker_match() -> &'static WorkerMatch {
    static MATCH: OnceLock<WorkerMatch> = OnceLock::new();
    MATCH.get_or_init(|| WorkerMatch::new(PATTERN).expect("a pattern"))
}

pub(crate) fn rules(gateway: &str) -> Rules {
    Rules {
        gateway: gateway.into(),
        policy: policy(),
        worker_match: Some(worker_match().clone()),
        worker_uid: USER,
        takes_workers_back: true,
        describes_process: false,
        workers: gateway_reaper::domain::policy::Workers::Matching,
    }
}

/// All that a decision is made of.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) seen: Observation,
    pub(crate) rules: Vec<Rules>,
    pub(crate) ledger: Ledger,
    pub(crate) now: Awake,
}

impl World {
    pub(crate) fn new() -> Self {
        let processes = ProcessView {
            own_line: vec![pid(90), pid(80), pid(1)],
            init_is_init: true,
            ..ProcessView::default()
        };
        let seen = Observation {
            boot: BootId::from("this boot"),
            processes,
            gateways: Vec::new(),
            unobserved: Duration::ZERO,
            forbidden: Vetoes::default(),
        };
        let now = Awake::from_nanos(0) + secs(1_000);
        let mut world = Self { seen, rules: Vec::new(), ledger: Ledger::default(), now };
        let init = world.process(1, 0, "/sbin/init");
        (init.comm, init.uid) = ("systemd".into(), 0);
        world.process(80, 1, "bash");
        world.process(90, 80, "gateway-reaper once");
        world.gateway("gw", 100);
        world
    }

    /// Any process.
    pub(crate) fn process(&mut self, raw: u32, parent: u32, argv: &str) -> &mut Process {
        let parent = Pid::new(parent.into());
        let session = parent.and_then(|parent| self.seen.processes.get(parent)).map_or(raw, |it| it.session);
        let process = Process {
            namespace: None,
            identity: identity(raw),
            parent,
            group: session,
            session,
            comm: argv.split([' ', '/']).next().unwrap_or_default().into(),
            uid: USER,
            zombie: false,
            kernel: false,
            argv: Some(argv.into()),
            rss_bytes: None,
        };
        self.end(raw);
        self.seen.processes.gone.remove(&pid(raw));
        self.seen.processes.processes.entry(pid(raw)).or_insert(process)
    }

    /// A worker of the session with this key.
    pub(crate) fn worker(&mut self, raw: u32, key: &str, parent: u32) -> &mut Process {
        self.process(raw, parent, &format!("python3 -m worker --session-key {key}"))
    }

    /// Every process so far, and the reaper, are in one PID namespace.
    pub(crate) fn in_one_namespace(&mut self) -> &mut Self {
        self.seen.processes.own_namespace = Some(HERE);
        for process in self.seen.processes.processes.values_mut() {
            process.namespace = Some(HERE);
        }
        self
    }

    /// The process is in another PID namespace (`None`: which one can't be read).
    pub(crate) fn elsewhere(&mut self, raw: u32, namespace: Option<PidNamespace>) {
        self.seen.processes.processes.get_mut(&pid(raw)).expect("a process").namespace = namespace;
    }

    /// The process is gone, and known to be. Its children go to `heir`.
    pub(crate) fn die(&mut self, raw: u32, heir: u32) {
        self.end(raw);
        self.seen.processes.gone.insert(pid(raw));
        for child in self.seen.processes.processes.values_mut() {
            if child.parent == Some(pid(raw)) {
                child.parent = Some(pid(heir));
            }
        }
        for gateway in &mut self.seen.gateways {
            gateway.process = gateway.process.filter(|process| process.pid != pid(raw));
        }
    }

    /// The process isn't in view any more.
    pub(crate) fn end(&mut self, raw: u32) {
        self.seen.processes.processes.remove(&pid(raw));
    }

    /// Another gateway of the configuration, in a session of its own, its table current and empty.
    pub(crate) fn gateway(&mut self, name: &str, raw: u32) {
        let process = self.process(raw, 1, "gatewayd");
        (process.session, process.group) = (raw, raw);
        let table = table_of(name);
        self.rules.push(rules(name));
        self.seen.gateways.push(GatewayObservation {
            name: name.into(),
            table: TableView::Current(table),
            process: Some(identity(raw)),
            asked: self.now,
        });
    }

    /// The observation of a gateway.
    pub(crate) fn of(&mut self, gateway: &str) -> &mut GatewayObservation {
        self.seen.gateways.iter_mut().find(|seen| seen.name.as_str() == gateway).expect("a gateway")
    }

    /// The current table of a gateway; if there was none, a new one of its first run.
    pub(crate) fn table(&mut self, gateway: &str) -> &mut SessionTable {
        let seen = self.of(gateway);
        if seen.table.current().is_none() {
            seen.table = TableView::Current(table_of(gateway));
        }
        match &mut seen.table {
            TableView::Current(table) => table,
            _ => unreachable!("it was made current"),
        }
    }

    /// The rows of `gw`'s table.
    pub(crate) fn rows(&mut self, rows: impl IntoIterator<Item = Session>) -> &mut Self {
        self.table("gw").sessions = rows.into_iter().collect();
        self
    }

    pub(crate) fn unreachable(&mut self, gateway: &str) -> &mut Self {
        self.of(gateway).table = TableView::nothing_listens("connection refused");
        self
    }

    pub(crate) fn refused(&mut self, gateway: &str) -> &mut Self {
        self.of(gateway).table = TableView::refused("not JSON");
        self
    }

    pub(crate) fn policy(&mut self) -> &mut Policy {
        &mut self.rules[0].policy
    }

    /// Awake time goes by.
    pub(crate) fn pass(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now + secs(seconds);
        self
    }

    /// Decides, and remembers nothing.
    pub(crate) fn peek(&self) -> Looked {
        let mut seen = self.seen.clone();
        for gateway in &mut seen.gateways {
            gateway.asked = self.now;
        }
        Looked(decide(&seen, &self.ledger, &self.rules, self.now))
    }

    /// One run.
    pub(crate) fn look(&mut self) -> Looked {
        let looked = self.peek();
        self.ledger = looked.0.ledger.clone();
        looked
    }

    /// Time goes by, then one run.
    pub(crate) fn look_after(&mut self, seconds: u64) -> Looked {
        self.pass(seconds).look()
    }

    /// One run, and the verdict on a session.
    pub(crate) fn fate(&mut self, session: &str) -> String {
        self.look().fate(session)
    }

    /// One run, and the verdict on a worker that belongs to no listed session.
    pub(crate) fn fate_of_worker(&mut self, raw: u32) -> String {
        self.look().fate_of_worker(raw)
    }

    /// One run, and whether a worker is a session's.
    pub(crate) fn is_of_a_session(&mut self, raw: u32) -> bool {
        self.look().is_of_a_session(raw)
    }
}

/// What one run decided.
#[derive(Debug)]
pub(crate) struct Looked(pub(crate) Decision);

impl Looked {
    fn verdict(&self, whose: impl Fn(&Subject) -> bool) -> Option<&Verdict> {
        let mut judged = self.0.gateways.iter().flat_map(|gateway| &gateway.judged);
        let verdict = judged.find(|judged| whose(&judged.subject)).map(|judged| &judged.verdict);
        assert!(!judged.any(|judged| whose(&judged.subject)), "judged twice: {self:?}");
        verdict
    }

    fn of_session(&self, session: &str) -> Option<&Verdict> {
        self.verdict(|subject| matches!(subject, Subject::Session { id, .. } if id.as_str() == session))
    }

    fn of_worker(&self, raw: u32) -> Option<&Verdict> {
        let is = |identity: &ProcessIdentity| identity.pid == pid(raw);
        self.verdict(|subject| matches!(subject, Subject::Worker { identity, .. } if is(identity)))
    }

    pub(crate) fn fate(&self, session: &str) -> String {
        told(self.of_session(session))
    }

    pub(crate) fn fate_of_worker(&self, raw: u32) -> String {
        told(self.of_worker(raw))
    }

    /// Whether a worker is a session's: judged with it; or kept, because it wouldn't be ended with it.
    pub(crate) fn is_of_a_session(&self, raw: u32) -> bool {
        self.of_worker(raw).is_none() || self.why_worker(raw).contains(": it is of session ")
    }

    /// Why a session is kept, in the words of the report.
    pub(crate) fn why(&self, session: &str) -> String {
        why(self.of_session(session))
    }

    /// Why a worker is kept, in the words of the report.
    pub(crate) fn why_worker(&self, raw: u32) -> String {
        why(self.of_worker(raw))
    }

    /// The warrant for a session.
    pub(crate) fn warrant(&self, session: &str) -> &Warrant {
        warrant(self.of_session(session))
    }

    /// The warrant for a worker.
    pub(crate) fn warrant_for(&self, raw: u32) -> &Warrant {
        warrant(self.of_worker(raw))
    }

    /// The worker that goes with a session whose reap was decided.
    pub(crate) fn goes_along(&self, session: &str) -> Option<u32> {
        self.warrant(session).worker().map(|worker| worker.pid.get())
    }

    /// All who are to be reaped, in the order of the report.
    pub(crate) fn reaped(&self) -> Vec<String> {
        let judged = self.0.gateways.iter().flat_map(|gateway| &gateway.judged);
        let reaped = judged.filter(|judged| matches!(judged.verdict, Verdict::Reap { .. }));
        reaped.map(|judged| judged.subject.id()).collect()
    }
}

fn told(verdict: Option<&Verdict>) -> String {
    match verdict {
        None => "not judged".into(),
        Some(Verdict::Keep(keep)) => format!("keep: {}", keep.reason()),
        Some(Verdict::Wait { orphan, waited, remaining }) => {
            format!("wait: {orphan}, {}s of {}s", waited.as_secs_f64(), (*waited + *remaining).as_secs_f64())
        }
        Some(Verdict::Reap { warrant, waited }) => {
            format!("reap: {}, after {}s", warrant.orphan(), waited.as_secs_f64())
        }
        Some(Verdict::Deferred { orphan, waited }) => {
            format!("deferred: {orphan}, after {}s", waited.as_secs_f64())
        }
    }
}

fn why(verdict: Option<&Verdict>) -> String {
    match verdict {
        Some(Verdict::Keep(keep)) => keep.to_string(),
        other => panic!("not kept: {}", told(other)),
    }
}

fn warrant(verdict: Option<&Verdict>) -> &Warrant {
    match verdict {
        Some(Verdict::Reap { warrant, .. }) => warrant,
        other => panic!("not to be reaped: {}", told(other)),
    }
}

/// The id of a session.
pub(crate) fn id(text: &str) -> SessionId {
    text.into()
}

/// An empty table of a gateway's first run, from a listener that is known.
fn table_of(gateway: &str) -> SessionTable {
    let instance = Some(format!("{gateway} run 1").into());
    SessionTable { instance, listener: Listener::Verified, ..SessionTable::default() }
}
