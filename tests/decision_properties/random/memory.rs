//! Random memory of a world: of this boot or another, of the past and seldom of the future.

use gateway_reaper::domain::ids::{BootId, GatewayName};
use gateway_reaper::domain::ledger::{
    Bond, GatewayMemory, GatewayRun, Ledger, SessionClock, SessionOf, WorkerClock, WorkerMemory,
};
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::process::{PidfdInode, ProcessIdentity};
use gateway_reaper::domain::time::Awake;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{IDS, NOW, WORKERS};
use crate::world::*;

/// A point in time of memory; seldom one of the future.
fn moment() -> impl Strategy<Value = Awake> {
    select(vec![900, 940, 980, 981, 995, NOW, NOW + 5]).prop_map(|at| Awake::from_nanos(0) + secs(at))
}

fn session_clock() -> impl Strategy<Value = SessionClock> {
    let activity = option::of(select(vec!["1", "2"]));
    let started = option::weighted(0.3, moment());
    // Mostly the very process that has this PID.
    let worker = option::weighted(0.3, (select(WORKERS.collect::<Vec<_>>()), proptest::bool::weighted(0.8)));
    (moment(), activity, option::weighted(0.3, moment()), started, worker, 0..2u32).prop_map(
        |(since, activity, claims_after, started, worker, failures)| SessionClock {
            worker: worker.map(|(raw, is_it)| {
                let it = identity(raw);
                if is_it { it } else { ProcessIdentity { start_ticks: 7, ..it } }
            }),
            started,
            since,
            activity: activity.map(Into::into),
            claims_after,
            failures,
        },
    )
}

/// What ties a worker to its gateway, its clock, whether it's this very process, and whose worker it was.
type RandomWorker = (Bond, Option<WorkerClock>, bool, Option<(&'static str, &'static str)>);

fn worker_memory() -> impl Strategy<Value = RandomWorker> {
    let bond = prop_oneof![
        4 => select(vec![100, 110, 70]).prop_map(|gateway| Bond::Child(identity(gateway))),
        3 => Just(Bond::None),
    ];
    let kinds = [OrphanKind::OwnerlessWorker, OrphanKind::SupersededWorker, OrphanKind::ParentlessWorker];
    let clock = (select(kinds.to_vec()), moment(), 0..2u32);
    let clock = clock.prop_map(|(kind, since, failures)| WorkerClock { kind, since, failures });
    let session = option::weighted(0.5, (select(vec!["gw", "other"]), select(IDS.to_vec())));
    (bond, option::of(clock), proptest::bool::weighted(0.9), session)
}

/// What is remembered of one gateway.
#[derive(Debug, Clone)]
pub(super) struct RandomMemory {
    process: Option<u32>,
    former: Vec<u32>,
    run: Option<&'static str>,
    sessions: Vec<Option<SessionClock>>,
    restart: Vec<&'static str>,
    in_use: Vec<&'static str>,
    gone: bool,
    looked: Option<Awake>,
    workers: Vec<Option<RandomWorker>>,
}

pub(super) fn memory(own: u32) -> impl Strategy<Value = RandomMemory> {
    let run =
        option::weighted(0.9, prop_oneof![8 => Just("run 1"), 1 => Just("run 2"), 1 => Just("process")]);
    let process = option::weighted(0.8, select(vec![own, own, 120]));
    let former = prop_oneof![3 => Just(Vec::new()), 1 => subsequence(vec![61, 70, 75, 100, 110], 1..3)];
    let process = (process, former, prop::bool::weighted(0.3));
    let sessions = vec(option::weighted(0.7, session_clock()), IDS.len());
    let workers = vec(option::weighted(0.5, worker_memory()), WORKERS.len());
    let restart = subsequence(IDS.to_vec(), 0..IDS.len());
    let in_use = (subsequence(IDS.to_vec(), 0..IDS.len()), option::weighted(0.8, moment()));
    (process, run, sessions, restart, in_use, workers).prop_map(
        |((process, former, gone), run, sessions, restart, (in_use, looked), workers)| RandomMemory {
            process,
            former,
            run,
            sessions,
            restart,
            in_use,
            gone,
            looked,
            workers,
        },
    )
}

pub(super) fn remember(world: &World, memories: (RandomMemory, RandomMemory, bool)) -> Ledger {
    let mut ledger = Ledger {
        boot: Some(if memories.2 { world.seen.boot.clone() } else { BootId::from("another boot") }),
        ..Ledger::default()
    };
    let mut taken = Vec::new();
    for (name, memory) in [("gw", memories.0), ("other", memories.1)] {
        let run = memory.run.map(|run| match run {
            "process" => GatewayRun::Process(identity(100)),
            run => GatewayRun::Instance(run.into()),
        });
        let mut remembered = GatewayMemory {
            process: memory.process.map(identity),
            former: memory.former.into_iter().map(identity).collect(),
            run,
            gone: memory.gone,
            looked: memory.looked,
            ..GatewayMemory::default()
        };
        for (session, clock) in IDS.into_iter().zip(memory.sessions) {
            match clock {
                Some(clock) => drop(remembered.sessions.insert(id(session), clock)),
                None if memory.restart.contains(&session) => drop(remembered.restart.insert(id(session))),
                None if memory.in_use.contains(&session) => drop(remembered.in_use.insert(id(session))),
                None => {}
            }
        }
        for (raw, worker) in WORKERS.zip(memory.workers) {
            let Some((bond, clock, is_this, session)) = worker else { continue };
            let seen = world.seen.processes.get(pid(raw)).map(|process| process.identity);
            let other = ProcessIdentity { inode: PidfdInode::new(9), ..identity(raw) };
            let identity = seen.filter(|_| is_this).unwrap_or(other);
            if !taken.contains(&identity) {
                taken.push(identity);
                remembered.workers.push(WorkerMemory {
                    identity,
                    bond,
                    clock,
                    account: None,
                    shell: None,
                    activity: None,
                    session: session.map(|(gateway, session)| SessionOf {
                        gateway: Some(gateway.into())
                            .filter(|gateway: &GatewayName| gateway.as_str() != name),
                        id: id(session),
                        earlier_run: session == "c",
                    }),
                });
            }
        }
        ledger.gateways.insert(name.into(), remembered);
    }
    ledger
}
