//! A host with a gateway and three of its workers, for what is read to be decided on.

use std::time::Duration;

use gateway_reaper::config::defaults;
use gateway_reaper::domain::decide::{Decision, decide};
use gateway_reaper::domain::ids::{BootId, Pid};
use gateway_reaper::domain::ledger::Ledger;
use gateway_reaper::domain::observation::{GatewayObservation, Observation};
use gateway_reaper::domain::policy::{Policy, Rules, WorkerMatch};
use gateway_reaper::domain::process::{Process, ProcessIdentity, ProcessView};
use gateway_reaper::domain::table::{SessionTable, TableView};
use gateway_reaper::domain::time::Awake;
use gateway_reaper::domain::veto::Vetoes;

pub(super) const BOOT: &str = "this boot";
pub(super) const GATEWAY: u32 = 100;
pub(super) const WORKERS: [(u32, &str); 3] = [(101, "a"), (102, "b"), (103, "c")];
/// Another gateway's worker, a shell, the reaper.
pub(super) const BYSTANDERS: [u32; 3] = [60, 80, 90];

pub(super) fn now() -> Awake {
    Awake::from_nanos(1_000_000_000_000)
}

fn process(pid: u32, parent: u32, argv: &str) -> (Pid, Process) {
    let pid = pid_of(pid);
    let process = Process {
        namespace: None,
        identity: ProcessIdentity { pid, start_ticks: u64::from(pid.get()), inode: None },
        parent: Pid::new(parent.into()),
        group: 100,
        session: 100,
        comm: "python3".into(),
        uid: 1000,
        zombie: false,
        kernel: false,
        argv: Some(argv.into()),
        rss_bytes: Some(1),
    };
    (pid, process)
}

fn pid_of(raw: u32) -> Pid {
    Pid::new(raw.into()).unwrap_or(Pid::INIT)
}

/// What is decided on this table and this memory, where every grace is over at first sight.
pub(super) fn decided(table: SessionTable, memory: &Ledger) -> Decision {
    let worker = |(pid, key): (u32, &str)| process(pid, GATEWAY, &format!("worker --session-key {key}"));
    let others = [
        process(1, 0, "init"),
        process(60, 1, "python3 worker --session-key other"),
        process(80, 1, "bash"),
        process(90, 80, "gateway-reaper once"),
        process(GATEWAY, 1, "gateway"),
    ];
    let processes = ProcessView {
        processes: others.into_iter().chain(WORKERS.map(worker)).collect(),
        own_line: [90, 80, 1].map(pid_of).to_vec(),
        init_is_init: true,
        ..ProcessView::default()
    };
    let process = processes.get(pid_of(GATEWAY)).map(|process| process.identity);
    let gateway =
        GatewayObservation { name: "gw".into(), table: TableView::Current(table), process, asked: now() };
    let seen = Observation {
        boot: BootId::from(BOOT),
        processes,
        gateways: vec![gateway],
        unobserved: Duration::ZERO,
        forbidden: Vetoes::default(),
    };
    let policy = Policy {
        grace: Duration::ZERO,
        close_on_disconnect_grace: Duration::ZERO,
        worker_grace: Duration::ZERO,
        close_timeout: Duration::from_secs(10),
        term_timeout: Duration::from_secs(5),
        ..defaults::policy()
    };
    let worker_match = WorkerMatch::new(r"worker --session-key (?P<session>\S+)").ok();
    let rules = [Rules {
        takes_workers_back: true,
        describes_process: false,
        workers: gateway_reaper::domain::policy::Workers::Matching,
        gateway: "gw".into(),
        policy,
        worker_match,
        worker_uid: 1000,
    }];
    decide(&seen, memory, &rules, now())
}
