//! Random worlds: small, so that PIDs, keys and ids meet each other often, and none of what can't be is left out.

mod memory;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::policy::{Policy, WorkerMatch};
use gateway_reaper::domain::table::{Session, TableView, Told, Transport, Turn};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::world::*;
use memory::{RandomMemory, memory, remember};

pub(crate) const IDS: [&str; 4] = ["a", "b", "c", "d"];
const WORKERS: std::ops::Range<u32> = 200..207;
const NOW: u64 = 1_000;

/// How a gateway's workers are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    Keyed,
    Keyless,
    None,
}

/// A world, with what can't be read off it again.
#[derive(Clone)]
pub(crate) struct Random {
    pub(crate) world: World,
    /// By gateway, in the order of the configuration.
    pub(crate) patterns: Vec<Pattern>,
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let World { seen, rules, ledger, now } = &self.world;
        for process in seen.processes.processes.values() {
            writeln!(f, "{process:?}")?;
        }
        for (gateway, rules) in seen.gateways.iter().zip(rules) {
            writeln!(f, "{gateway:#?} {:?}", rules.policy)?;
        }
        let (init, patterns) = (seen.processes.init_is_init, &self.patterns);
        write!(f, "{ledger:#?} {patterns:?} at {} s, init is init: {init}", now.as_nanos() / 1_000_000_000)
    }
}

fn told<T: Clone + std::fmt::Debug>(
    known: impl Strategy<Value = T>,
    weights: [u32; 3],
) -> impl Strategy<Value = Told<T>> {
    prop_oneof![
        weights[0] => known.prop_map(Told::Known),
        weights[1] => Just(Told::Absent),
        weights[2] => Just(gibberish()),
    ]
}

fn seconds() -> impl Strategy<Value = u64> {
    select(vec![0, 5, 19, 20, 21, 60, 90])
}

fn some_pid() -> impl Strategy<Value = Pid> {
    prop_oneof![
        12 => WORKERS.prop_map(pid),
        2 => select(vec![1, 80, 90, 100, 110, 150, 250]).prop_map(pid),
    ]
}

pub(crate) fn row(id: &'static str) -> impl Strategy<Value = Session> {
    let transport = prop_oneof![4 => Just(Transport::Detached), 1 => Just(Transport::Attached)];
    let turns = select(vec![Turn::Running, Turn::Waiting, Turn::Starting]);
    let turn = prop_oneof![5 => Just(Turn::Idle), 1 => turns];
    let holds = prop_oneof![3 => Just(Vec::new()), 1 => Just(vec!["approval".into()])];
    let state = (told(transport, [20, 1, 1]), told(turn, [20, 1, 1]), told(holds, [6, 6, 1]));
    let clocks = (option::weighted(0.4, seconds()), option::weighted(0.4, seconds()));
    let activity = option::of(select(vec!["1", "2"]));
    let quick = told(proptest::bool::weighted(0.5), [4, 10, 1]);
    let worker = (told(select(vec!["a", "b", "x"]), [4, 6, 1]), told(some_pid(), [10, 8, 1]));
    (state, clocks, activity, quick, worker).prop_map(move |(state, clocks, activity, quick, worker)| {
        Session {
            id: id.into(),
            transport: state.0,
            turn: state.1,
            holds: state.2,
            detached_for: clocks.0.map(secs),
            idle_for: clocks.1.map(secs),
            activity: activity.map(Into::into),
            close_on_disconnect: quick,
            key: worker.0.into_key(),
            worker: match worker.1 {
                Told::Known(pid) => Told::Known(Some(pid)),
                Told::Absent => Told::Absent,
                Told::NotUnderstood(words) => Told::NotUnderstood(words),
            },
        }
    })
}

trait IntoKey {
    fn into_key(self) -> Told<gateway_reaper::domain::ids::WorkerKey>;
}

impl IntoKey for Told<&'static str> {
    fn into_key(self) -> Told<gateway_reaper::domain::ids::WorkerKey> {
        match self {
            Told::Known(key) => Told::Known(key.into()),
            Told::Absent => Told::Absent,
            Told::NotUnderstood(what) => Told::NotUnderstood(what),
        }
    }
}

fn rows() -> impl Strategy<Value = Vec<Session>> {
    let all: Vec<_> = IDS.into_iter().map(|id| option::weighted(0.6, row(id))).collect();
    all.prop_map(|rows| rows.into_iter().flatten().collect())
}

#[derive(Debug, Clone)]
struct RandomGateway {
    process: Option<u32>,
    said: Option<u32>,
    instance: Option<&'static str>,
    /// `None`: not current.
    rows: Option<Vec<Session>>,
    pattern: Pattern,
    policy: Policy,
}

fn gateway(own: u32) -> impl Strategy<Value = RandomGateway> {
    let process = prop_oneof![
        14 => Just(Some(own)),
        3 => Just(None),
        1 => select(vec![1, 90, 100, 200]).prop_map(Some),
    ];
    let said = prop_oneof![8 => Just(None), 8 => Just(Some(own)), 1 => select(vec![110, 201]).prop_map(Some)];
    let instance = option::weighted(0.8, select(vec!["run 1", "run 2"]));
    let rows = option::weighted(0.85, rows());
    let pattern =
        prop_oneof![8 => Just(Pattern::Keyed), 1 => Just(Pattern::Keyless), 1 => Just(Pattern::None)];
    let policy =
        (select(vec![0, 20]), select(vec![0, 5]), select(vec![0, 20, 60]), select(vec![0, 1, 2, 100]));
    let policy = policy.prop_map(|(grace, quick, worker, max_reaps)| Policy {
        grace: secs(grace),
        close_on_disconnect_grace: secs(quick),
        worker_grace: secs(worker),
        max_reaps,
        ..policy_of_tests()
    });
    (process, said, instance, rows, pattern, policy).prop_map(
        |(process, said, instance, rows, pattern, policy)| RandomGateway {
            process,
            said,
            instance,
            rows,
            pattern,
            policy,
        },
    )
}

fn policy_of_tests() -> Policy {
    crate::world::policy()
}

#[derive(Debug, Clone)]
struct RandomProcess {
    parent: u32,
    argv: Option<&'static str>,
    session: Option<u32>,
    start_ticks: u64,
    odd: u8,
}

fn process() -> impl Strategy<Value = RandomProcess> {
    let parent = prop_oneof![
        10 => Just(100),
        4 => Just(110),
        8 => select(vec![1, 60, 61, 70, 150]),
        2 => WORKERS,
    ];
    let argv = prop_oneof![
        12 => select(vec!["a", "b", "c", "x"]).prop_map(|key| Some(match key {
            "a" => "python3 -m worker --session-key a",
            "b" => "python3 -m worker --session-key b",
            "c" => "python3 -m worker --session-key c",
            _ => "python3 -m worker --session-key x",
        })),
        2 => Just(Some("python3 -m worker")),
        1 => Just(Some("tail python3 -m worker --session-key a")),
        1 => Just(None),
    ];
    let session = prop_oneof![3 => Just(None), 1 => select(vec![70, 71]).prop_map(Some)];
    let start_ticks = select(vec![500, 990, 1_000, 1_050, 1_100, 2_000, 2_001]);
    (parent, argv, session, start_ticks, 0..40u8).prop_map(|(parent, argv, session, start_ticks, odd)| {
        RandomProcess { parent, argv, session, start_ticks, odd }
    })
}

/// Any world with one gateway or two.
pub(crate) fn random() -> impl Strategy<Value = Random> {
    let gateways = (gateway(100), option::weighted(0.5, gateway(110)));
    let processes = vec(option::weighted(0.8, process()), WORKERS.len());
    let memories = (memory(), memory(), proptest::bool::weighted(0.9));
    (gateways, processes, memories, proptest::bool::weighted(0.7))
        .prop_map(|(gateways, processes, memories, init)| build(gateways, processes, memories, init))
}

fn build(
    gateways: (RandomGateway, Option<RandomGateway>),
    processes: Vec<Option<RandomProcess>>,
    memories: (RandomMemory, RandomMemory, bool),
    init_is_init: bool,
) -> Random {
    let mut world = World::new();
    world.seen.processes.init_is_init = init_is_init;
    for (raw, parent, argv, comm) in [
        (60, 1, "/usr/lib/systemd/systemd --user", "systemd"),
        (61, 1, "supervisord", "supervisord"),
        (150, 100, "env wrapper", "env"),
    ] {
        world.process(raw, parent, argv).comm = comm.into();
    }
    world.seen.processes.gone.extend([70, 71, 120].map(pid));
    world.process(110, 1, "gatewayd");
    let mut patterns = Vec::new();
    for (name, own, gateway) in [("gw", 100, Some(gateways.0)), ("other", 110, gateways.1)] {
        let Some(gateway) = gateway else { continue };
        if name != "gw" {
            world.gateway(name, own);
        }
        let rules = world.rules.last_mut().expect("rules");
        rules.policy = gateway.policy;
        match gateway.pattern {
            Pattern::Keyed => {}
            Pattern::Keyless => rules.worker_match = WorkerMatch::new("python3 -m worker").ok(),
            Pattern::None => rules.worker_match = None,
        }
        patterns.push(gateway.pattern);
        match gateway.rows {
            Some(rows) => {
                let table = world.table(name);
                table.sessions = rows;
                table.gateway_pid = gateway.said.map(pid);
                table.instance = gateway.instance.map(Into::into);
            }
            None => world.of(name).table = TableView::unreachable("down"),
        }
        world.of(name).process = gateway.process.map(identity);
    }
    for (raw, process) in WORKERS.zip(processes) {
        let Some(random) = process else { continue };
        let process = world.process(raw, random.parent, random.argv.unwrap_or_default());
        process.argv = random.argv.map(Into::into);
        process.identity.start_ticks = random.start_ticks;
        if let Some(session) = random.session {
            (process.session, process.group) = (session, session);
        }
        match random.odd {
            0 => process.zombie = true,
            1 => process.kernel = true,
            2 => process.uid = 0,
            _ => {}
        }
    }
    world.ledger = remember(&world, memories);
    Random { world, patterns }
}
