//! Random worlds: small, so that PIDs, keys and ids meet each other often, and none of what can't be is left out.

mod memory;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::policy::{Policy, WorkerMatch};
use gateway_reaper::domain::process::PidNamespace;
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
        let view = &seen.processes;
        for process in view.processes.values() {
            let raw = |pid: Option<Pid>| pid.map_or(0, Pid::get);
            let odd =
                [(process.zombie, "zombie"), (process.kernel, "kernel"), (process.uid != USER, "other user")];
            let odd: Vec<_> = odd.into_iter().filter(|(is, _)| *is).map(|(_, what)| what).collect();
            let (pid, parent) = (process.identity, raw(process.parent));
            let argv = process.argv.as_deref().unwrap_or("-");
            let namespace = process.namespace;
            writeln!(
                f,
                "  {pid} under {parent}: {argv}; session {}, namespace {namespace:?} {odd:?}",
                process.session
            )?;
        }
        for (index, (gateway, rules)) in seen.gateways.iter().zip(rules).enumerate() {
            let (policy, pattern) = (&rules.policy, self.patterns[index]);
            let graces = [policy.grace, policy.close_on_disconnect_grace, policy.worker_grace];
            writeln!(
                f,
                "  gateway {} is {:?}, {pattern:?}, takes back: {}, described: {}, graces {graces:?}, {} at most",
                gateway.name,
                gateway.process,
                rules.takes_workers_back,
                rules.describes_process,
                policy.max_reaps
            )?;
            match &gateway.table {
                TableView::Not(missing) => writeln!(f, "    {missing:?}")?,
                TableView::Current(table) => {
                    writeln!(f, "    {:?} {:?}", table.gateway_pid, table.instance)?;
                    for row in &table.sessions {
                        writeln!(f, "    {row:?}")?;
                    }
                }
            }
        }
        writeln!(f, "  {ledger:?}")?;
        let own = view.own_namespace;
        let init = view.init_is_init;
        write!(
            f,
            "  at {} s, not observed {:?}, init is init: {init}, own namespace {own:?}",
            now.as_nanos() / 1_000_000_000,
            seen.unobserved
        )
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
    let worker =
        (told(select(vec!["a", "b", "x"]), [4, 6, 1]), told(option::weighted(0.6, some_pid()), [14, 6, 1]));
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
            worker: worker.1,
            shown: Default::default(),
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
    table: Result<Vec<Session>, TableView>,
    pattern: Pattern,
    policy: Policy,
    takes_workers_back: bool,
    describes_process: bool,
    namespace: Option<PidNamespace>,
}

/// What there may be instead of a current table.
fn no_table() -> impl Strategy<Value = TableView> {
    prop_oneof![
        1 => Just(TableView::refused("401")),
        1 => Just(TableView::unreachable("hangs")),
        3 => Just(TableView::nothing_listens("connection refused")),
        1 => Just(TableView::listed([id("a"), id("b")], "no table")),
    ]
}

/// The reaper's PID namespace, seldom another, seldom one that can't be read.
fn namespace() -> impl Strategy<Value = Option<PidNamespace>> {
    prop_oneof![30 => Just(Some(HERE)), 2 => Just(Some(ELSEWHERE)), 1 => Just(None)]
}

fn gateway(own: u32) -> impl Strategy<Value = RandomGateway> {
    let process = prop_oneof![
        14 => Just(Some(own)),
        3 => Just(None),
        1 => select(vec![1, 90, 100, 200]).prop_map(Some),
    ];
    let said = prop_oneof![8 => Just(None), 8 => Just(Some(own)), 1 => select(vec![110, 201]).prop_map(Some)];
    let instance = option::weighted(0.8, select(vec!["run 1", "run 2"]));
    let table = prop_oneof![3 => rows().prop_map(Ok), 1 => no_table().prop_map(Err)];
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
    let kind = (pattern, proptest::bool::weighted(0.7), proptest::bool::weighted(0.3), namespace());
    (process, said, instance, table, kind, policy).prop_map(
        |(
            process,
            said,
            instance,
            table,
            (pattern, takes_workers_back, describes_process, namespace),
            policy,
        )| RandomGateway {
            process,
            said,
            instance,
            table,
            pattern,
            policy,
            takes_workers_back,
            describes_process,
            namespace,
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
    namespace: Option<PidNamespace>,
}

fn process() -> impl Strategy<Value = RandomProcess> {
    let parent = prop_oneof![
        10 => Just(100),
        4 => Just(110),
        10 => select(vec![1, 60, 61, 70, 150, 160, 161]),
        3 => WORKERS,
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
    let all = (parent, argv, session, start_ticks, 0..40u8, namespace());
    all.prop_map(|(parent, argv, session, start_ticks, odd, namespace)| RandomProcess {
        parent,
        argv,
        session,
        start_ticks,
        odd,
        namespace,
    })
}

/// Any world with one gateway or two.
pub(crate) fn random() -> impl Strategy<Value = Random> {
    let gateways = (gateway(100), option::weighted(0.5, gateway(110)));
    let processes = vec(option::weighted(0.8, process()), WORKERS.len());
    let memories = (memory(100), memory(110), proptest::bool::weighted(0.9));
    let unobserved = prop_oneof![4 => Just(0), 1 => select(vec![1, 10, 2_000])];
    (gateways, processes, memories, proptest::bool::weighted(0.7), unobserved).prop_map(
        |(gateways, processes, memories, init, unobserved)| {
            let mut random = build(gateways, processes, memories, init);
            random.world.seen.unobserved = secs(unobserved);
            random
        },
    )
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
        (160, 100, "sh -c python3 -m worker --session-key a; true", "sh"),
        (161, 1, "sh -c python3 -m worker --session-key a; true", "sh"),
    ] {
        world.process(raw, parent, argv).comm = comm.into();
    }
    world.seen.processes.gone.extend([70, 71, 120].map(pid));
    world.process(110, 1, "gatewayd");
    let mut patterns = Vec::new();
    let mut namespaces = Vec::new();
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
        namespaces.push((own, gateway.namespace));
        rules.takes_workers_back = gateway.takes_workers_back;
        rules.describes_process = gateway.describes_process;
        match gateway.table {
            Ok(rows) => {
                let table = world.table(name);
                table.sessions = rows;
                table.gateway_pid = gateway.said.map(pid);
                table.instance = gateway.instance.map(Into::into);
            }
            Err(no_table) => world.of(name).table = no_table,
        }
        world.of(name).process = gateway.process.map(identity);
    }
    world.seen.processes.own_namespace = Some(HERE);
    for process in world.seen.processes.processes.values_mut() {
        process.namespace = Some(HERE);
    }
    for (own, namespace) in namespaces {
        world.seen.processes.processes.get_mut(&pid(own)).expect("a gateway").namespace = namespace;
    }
    for (raw, process) in WORKERS.zip(processes) {
        let Some(random) = process else { continue };
        // Rings of parents have a test of their own.
        let parent =
            if WORKERS.contains(&random.parent) && random.parent >= raw { 100 } else { random.parent };
        let process = world.process(raw, parent, random.argv.unwrap_or_default());
        process.argv = random.argv.map(Into::into);
        process.identity.start_ticks = random.start_ticks;
        process.namespace = random.namespace;
        if let Some(session) = random.session {
            // Some lead one, and others are in it.
            let session = match (session, raw) {
                (71, 200..=202) => raw,
                (71, _) => 201,
                (session, _) => session,
            };
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
