//! A world of any size: a gateway with so many sessions, a tenth of them with a worker, all of them seen once before.

use std::fmt::Write;
use std::time::Duration;

use gateway_reaper::config::defaults;
use gateway_reaper::domain::decide::decide;
use gateway_reaper::domain::ids::{BootId, GatewayName, Pid, SessionId};
use gateway_reaper::domain::ledger::Ledger;
use gateway_reaper::domain::observation::{GatewayObservation, Observation};
use gateway_reaper::domain::policy::{Rules, WorkerMatch};
use gateway_reaper::domain::process::{PidfdInode, Process, ProcessIdentity, ProcessView};
use gateway_reaper::domain::table::{Listener, Session, SessionTable, TableView, Told, Transport, Turn};
use gateway_reaper::domain::time::Awake;
use gateway_reaper::domain::veto::Vetoes;

const GATEWAY: u64 = 100;
const FIRST_WORKER: u64 = 1000;

/// What a decision is made of.
pub(crate) struct Crowd {
    pub(crate) seen: Observation,
    pub(crate) memory: Ledger,
    pub(crate) rules: [Rules; 1],
    pub(crate) now: Awake,
}

impl Crowd {
    /// A third of the sessions is attached, a third in a turn, a third detached and inside its grace.
    pub(crate) fn of(sessions: usize) -> Self {
        let name = GatewayName::from("crowd");
        let rules = [Rules {
            gateway: name.clone(),
            policy: defaults::policy(),
            worker_match: WorkerMatch::new(r"worker --session-key (?P<session>\S+)").ok(),
            worker_uid: 1000,
            takes_workers_back: true,
            describes_process: false,
            workers: gateway_reaper::domain::policy::Workers::Matching,
        }];
        let gateway = process(GATEWAY, 1, "gateway");
        let mut view = ProcessView { init_is_init: true, ..ProcessView::default() };
        view.processes.insert(gateway.identity.pid, gateway.clone());
        let mut table = SessionTable {
            gateway_pid: Some(gateway.identity.pid),
            listener: Listener::Verified,
            ..SessionTable::default()
        };
        for index in 0..sessions {
            let mut session = session(index);
            if index % 10 == 0 {
                let worker = process(
                    FIRST_WORKER + index as u64,
                    GATEWAY,
                    &format!("worker --session-key {}", session.id),
                );
                session.worker = Told::Known(Some(worker.identity.pid));
                view.processes.insert(worker.identity.pid, worker);
            }
            table.sessions.push(session);
        }
        let table = TableView::Current(table);
        let now = Awake::from_nanos(3_600_000_000_000);
        let gateways = vec![GatewayObservation { name, table, process: Some(gateway.identity), asked: now }];
        let mut seen = Observation {
            boot: BootId::from("boot"),
            processes: view,
            gateways,
            unobserved: Duration::ZERO,
            forbidden: Vetoes::default(),
        };
        let memory = decide(&seen, &Ledger::default(), &rules, now).ledger;
        let now = now + Duration::from_secs(5);
        seen.gateways[0].asked = now;
        Self { seen, memory, rules, now }
    }
}

fn session(index: usize) -> Session {
    let (transport, turn) = match index % 3 {
        0 => (Transport::Attached, Turn::Idle),
        1 => (Transport::Detached, Turn::Running),
        _ => (Transport::Detached, Turn::Idle),
    };
    Session {
        id: SessionId::from(format!("{:08x}", index.wrapping_mul(0x9E37_79B1) & 0xffff_ffff)),
        key: Told::Absent,
        transport: Told::Known(transport),
        turn: Told::Known(turn),
        detached_for: None,
        idle_for: None,
        activity: Some(format!("{index}").into()),
        close_on_disconnect: Told::Known(false),
        holds: Told::Known(Vec::new()),
        worker: Told::Absent,
        shown: Default::default(),
    }
}

fn process(pid: u64, parent: u64, argv: &str) -> Process {
    let pid = Pid::new(pid).unwrap();
    Process {
        namespace: None,
        identity: ProcessIdentity {
            pid,
            start_ticks: pid.get().into(),
            inode: PidfdInode::new(pid.get().into()),
        },
        parent: Pid::new(parent),
        group: pid.get(),
        session: pid.get(),
        comm: "worker".into(),
        uid: 1000,
        zombie: false,
        kernel: false,
        argv: Some(argv.into()),
        rss_bytes: Some(1 << 20),
    }
}

/// The JSON of a table of so many sessions.
pub(crate) fn table_json(sessions: usize) -> String {
    let mut json = String::from(r#"{"version":1,"gateway":{"pid":100,"instance":"one"},"sessions":["#);
    for index in 0..sessions {
        let comma = if index > 0 { "," } else { "" };
        let worker = FIRST_WORKER + index as u64;
        let _ = write!(
            json,
            r#"{comma}{{"id":"{index:08x}","key":"20261123_005036_{index:06x}","transport":"detached","detached_for_s":12.5,"turn":"idle","idle_for_s":30.1,"activity":"{index}","close_on_disconnect":false,"holds":[],"worker":{{"pid":{worker}}},"title":"passed over","tags":["a","b"]}}"#
        );
    }
    json + "]}"
}
