//! What a run has seen: the process tree at one instant, the table at another. And the same as production's own types, at a time of its own.

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::observation::{GatewayObservation, Observation};
use gateway_reaper::domain::process::{Process, ProcessIdentity, ProcessView};
use gateway_reaper::domain::table::{Listener, Session, SessionTable, TableView, Told, Transport, Turn};
use gateway_reaper::domain::time::Awake;
use gateway_reaper::domain::veto::Vetoes;

use super::memory::Memory;
use super::world::{Age, Name, Token};

/// A unit of time.
pub(crate) const TICK: std::time::Duration = std::time::Duration::from_secs(10);
/// When everything happens, for production's code: far enough from the boot for the oldest age.
const NOW: u32 = 100;

/// The gateway's process and the workers, each with its parent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Look {
    pub(crate) process: Token,
    pub(crate) workers: Vec<(Name, Option<Token>)>,
}

/// A session table. What it says of time was true when it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Table {
    pub(crate) process: Token,
    pub(crate) run: Token,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Row {
    pub(crate) name: Name,
    pub(crate) is_attached: bool,
    pub(crate) is_running: bool,
    pub(crate) detached_for: Option<Age>,
    pub(crate) idle_for: Option<Age>,
    pub(crate) activity: Option<Token>,
    pub(crate) has_worker: bool,
    /// The truth, which no table tells.
    pub(crate) orphan_for: Option<Age>,
}

/// So long ago.
pub(crate) fn ago(age: Age) -> Awake {
    Awake::from_nanos(0) + TICK * (NOW - u32::from(age))
}

/// How long ago.
pub(crate) fn age(at: Awake) -> Age {
    let ticks = ago(0).since(at).as_nanos() / TICK.as_nanos();
    Age::try_from(ticks).unwrap().min(super::world::LONG)
}

pub(crate) fn id(name: Name) -> String {
    format!("s{}.{}", name.place, name.opening)
}

pub(crate) fn name(id: &str) -> Name {
    let (place, opening) = id[1..].split_once('.').unwrap();
    Name { place: place.parse().unwrap(), opening: opening.parse().unwrap() }
}

pub(crate) fn run_name(run: Token) -> String {
    format!("run {run}")
}

pub(crate) fn run(name: &str) -> Token {
    name["run ".len()..].parse().unwrap()
}

fn process(raw: u32, start_ticks: u64) -> ProcessIdentity {
    ProcessIdentity { pid: Pid::new(raw.into()).unwrap(), start_ticks, inode: None }
}

pub(crate) fn gateway(token: Token) -> ProcessIdentity {
    process(10 + u32::from(token), token.into())
}

pub(crate) fn token_of(gateway: ProcessIdentity) -> Token {
    Token::try_from(gateway.start_ticks).unwrap()
}

pub(crate) fn worker(name: Name) -> ProcessIdentity {
    process(1000 * (1 + u32::from(name.place)) + u32::from(name.opening), 500)
}

pub(crate) fn name_of(worker: ProcessIdentity) -> Name {
    let raw = worker.pid.get();
    Name { place: u8::try_from(raw / 1000 - 1).unwrap(), opening: Token::try_from(raw % 1000).unwrap() }
}

impl Look {
    /// What is remembered is asked after.
    fn view(&self, memory: Option<&Memory>) -> ProcessView {
        let seen = |identity: ProcessIdentity, parent: Option<Pid>, argv: &str| Process {
            namespace: None,
            identity,
            parent,
            group: identity.pid.get(),
            session: identity.pid.get(),
            comm: "python".into(),
            uid: 1000,
            zombie: false,
            kernel: false,
            argv: Some(argv.into()),
            rss_bytes: None,
        };
        let mut all =
            vec![seen(process(1, 0), None, "init"), seen(gateway(self.process), Some(Pid::INIT), "gateway")];
        all.extend(self.workers.iter().map(|(name, parent)| {
            let parent = parent.map_or(Pid::INIT, |process| gateway(process).pid);
            seen(worker(*name), Some(parent), &format!("worker {}", id(*name)))
        }));
        let processes: std::collections::BTreeMap<_, _> =
            all.into_iter().map(|process| (process.identity.pid, process)).collect();
        let asked = memory.into_iter().flat_map(Memory::processes).map(|process| process.pid);
        let gone = asked.filter(|pid| !processes.contains_key(pid)).collect();
        ProcessView { processes, gone, init_is_init: true, ..ProcessView::default() }
    }
}

fn row(row: &Row) -> Session {
    let ticks = |age: Age| TICK * u32::from(age);
    Session {
        id: id(row.name).into(),
        key: Told::Absent,
        transport: Told::Known(if row.is_attached { Transport::Attached } else { Transport::Detached }),
        turn: Told::Known(if row.is_running { Turn::Running } else { Turn::Idle }),
        detached_for: row.detached_for.map(ticks),
        idle_for: row.idle_for.map(ticks),
        activity: row.activity.map(|token| token.to_string().into()),
        close_on_disconnect: Told::Absent,
        holds: Told::Absent,
        worker: Told::Known(row.has_worker.then(|| worker(row.name).pid)),
        shown: Default::default(),
    }
}

/// What a run that remembers this has seen. No table: the gateway could not be asked.
pub(crate) fn observe(
    memory: Option<&Memory>,
    look: &Look,
    table: Option<&Table>,
    asked: Age,
) -> Observation {
    let processes = look.view(memory);
    let found = match table {
        Some(table) => Some(gateway(table.process)),
        None => memory.and_then(|memory| memory.process).map(gateway),
    };
    let process = found.filter(|process| processes.alive(process).is_some());
    let table = match table {
        Some(table) => TableView::Current(SessionTable {
            gateway_pid: Some(gateway(table.process).pid),
            instance: Some(run_name(table.run).into()),
            sessions: table.rows.iter().map(row).collect(),
            listener: Listener::Verified,
        }),
        None => TableView::unreachable("no answer"),
    };
    let gateway = GatewayObservation { name: "gw".into(), table, process, asked: ago(asked) };
    Observation {
        boot: "boot".into(),
        processes,
        gateways: vec![gateway],
        unobserved: std::time::Duration::ZERO,
        forbidden: Vetoes::default(),
    }
}
