use super::*;

/// A memory of one gateway, looked at then.
fn memory_at(seconds: u64, change: impl FnOnce(&mut GatewayMemory)) -> Ledger {
    let looked = Some(Awake::from_nanos(0) + Duration::from_secs(seconds));
    let mut gateway = GatewayMemory { looked, ..GatewayMemory::default() };
    change(&mut gateway);
    Ledger { looked, gateways: BTreeMap::from([("gw".into(), gateway)]), ..Ledger::default() }
}

fn session_clock(since: Awake, failures: u32) -> SessionClock {
    SessionClock { since, activity: None, claims_after: None, started: None, worker: None, failures }
}

fn worker_memory() -> WorkerMemory {
    WorkerMemory {
        identity: ProcessIdentity { pid: Pid::INIT, start_ticks: 1, inode: None },
        bond: Bond::None,
        clock: None,
        account: None,
        shell: None,
        activity: None,
        session: None,
    }
}

fn with_grace(memory: &mut GatewayMemory) {
    let since = Awake::from_nanos(0);
    let clock = session_clock(since, 0);
    memory.sessions.insert("a".into(), clock);
}

#[test]
fn the_time_of_a_look_is_written_once_a_minute() {
    let in_use = |memory: &mut GatewayMemory| {
        memory.in_use.insert("a".into());
    };
    let worker = |memory: &mut GatewayMemory| {
        let worker = ProcessIdentity { pid: Pid::new(7).unwrap(), start_ticks: 70, inode: None };
        let clock =
            WorkerClock { kind: OrphanKind::ParentlessWorker, since: Awake::from_nanos(0), failures: 0 };
        memory.families.push(FamilyMemory {
            worker,
            sessions: Vec::new(),
            names: Vec::new(),
            is_alone: false,
            may_be_of: Vec::new(),
            key: None,
            orphan: None,
            members: Vec::new(),
            clock: Some(clock),
        });
    };
    let is_told = |change: &dyn Fn(&mut GatewayMemory), seconds: u64| {
        memory_at(100 + seconds, change).is_told_by(&memory_at(100, change))
    };
    // A session that is listed from now on wasn't at the last look.
    let nothing = |_: &mut GatewayMemory| {};
    for change in [&with_grace as &dyn Fn(&mut GatewayMemory), &in_use, &worker, &nothing] {
        assert!(is_told(change, 0) && is_told(change, 60) && !is_told(change, 61));
    }
    let never = |change: &dyn Fn(&mut GatewayMemory)| Ledger { looked: None, ..memory_at(100, change) };
    assert!(!memory_at(100, with_grace).is_told_by(&never(&with_grace)));
    assert!(!never(&with_grace).is_told_by(&memory_at(100, with_grace)));
    assert!(never(&with_grace).is_told_by(&never(&with_grace)));
}

#[test]
fn each_look_at_a_session_in_use_is_written_where_another_process_takes_the_next_one() {
    let at = |seconds, has_each_look| {
        let in_use = |memory: &mut GatewayMemory| {
            memory.in_use.insert("a".into());
        };
        Ledger { has_each_look, ..memory_at(seconds, in_use) }
    };
    assert!(!at(101, true).is_told_by(&at(100, true)) && at(100, true).is_told_by(&at(100, true)));
    let none = |seconds| Ledger { has_each_look: true, ..memory_at(seconds, |_| {}) };
    assert!(none(160).is_told_by(&none(100)) && !none(161).is_told_by(&none(100)));
    // Where not each is written, the last look may have been a minute after the one that was.
    let looked = |ledger: Ledger, now: u64| {
        let read = ledger.as_read(Awake::from_nanos(0) + Duration::from_secs(now));
        let looked = read.gateways.into_values().find_map(|gateway| gateway.looked);
        looked.map(|at| at.since(Awake::from_nanos(0)).as_secs())
    };
    assert_eq!([looked(at(100, true), 130), looked(none(100), 130)], [Some(100), Some(130)]);
    assert_eq!([30, 90].map(|later| looked(at(100, false), 100 + later)), [Some(130), Some(160)]);
    assert_eq!(looked(at(100, false), 50), Some(100), "what is of the future stays so");
}

#[test]
fn what_changes_a_decision_is_written_at_once() {
    let empty = || memory_at(100, |_| {});
    let changes: [&dyn Fn(&mut GatewayMemory); 9] = [
        &with_grace,
        &|memory| memory.gone = true,
        &|memory| memory.run = Some(GatewayRun::Instance("run 2".into())),
        &|memory| {
            memory.restart.insert("a".into());
        },
        &|memory| {
            memory.in_use.insert("a".into());
        },
        &|memory| {
            memory.started.insert("a".into(), Awake::from_nanos(1));
        },
        &|memory| {
            memory.activity.insert("a".into(), "1".into());
        },
        &|memory| {
            memory.closes.insert("a".into(), 1);
        },
        &|memory| {
            memory.process =
                Some(ProcessIdentity { pid: Pid::new(7).unwrap(), start_ticks: 70, inode: None });
        },
    ];
    let worker_of =
        |session| memory_at(100, |memory| memory.workers = vec![WorkerMemory { session, ..worker_memory() }]);
    let session = || Some(SessionOf { gateway: None, id: "a".into(), earlier_run: false });
    assert!(worker_of(session()).is_told_by(&worker_of(session())));
    assert!(!worker_of(session()).is_told_by(&worker_of(None)));
    for (index, change) in changes.into_iter().enumerate() {
        assert!(!memory_at(100, change).is_told_by(&empty()), "{index}");
        assert!(!empty().is_told_by(&memory_at(100, change)), "{index}");
    }
    assert!(!Ledger { boot: Some("another".into()), ..empty() }.is_told_by(&empty()));
    assert!(!Ledger { whole_look: Some(Awake::from_nanos(1)), ..empty() }.is_told_by(&empty()));
    assert!(!Ledger { gateways: BTreeMap::new(), ..empty() }.is_told_by(&empty()));
    let passed_over = |count| (1..=count).filter_map(Pid::new).collect();
    assert!(Ledger { passed_over: passed_over(15), ..empty() }.is_told_by(&empty()));
    assert!(!Ledger { passed_over: passed_over(16), ..empty() }.is_told_by(&empty()));
}

#[test]
fn failures_are_written_down_only_where_there_are_any() {
    let written = |failures| {
        let since = Awake::from_nanos(1);
        let session = session_clock(since, failures);
        let worker = WorkerClock { kind: OrphanKind::OwnerlessWorker, since, failures };
        serde_json::to_string(&(session, worker)).unwrap()
    };
    assert!(!written(0).contains("failures"), "{}", written(0));
    assert_eq!(written(3).matches("\"failures\":3").count(), 2, "{}", written(3));
}

#[test]
fn where_every_grace_starts_again_nothing_but_the_clocks_is_forgotten() {
    let identity = ProcessIdentity { pid: Pid::INIT, start_ticks: 1, inode: None };
    let since = Awake::from_nanos(1);
    let running = WorkerClock { kind: OrphanKind::OwnerlessWorker, since, failures: 1 };
    let session = session_clock(since, 0);
    let memory = |clock: Option<WorkerClock>, session: Option<SessionClock>| {
        memory_at(100, |memory| {
            memory.restart = session.is_none().then(|| "a".into()).into_iter().collect();
            memory.restart.insert("b".into());
            memory.sessions = session.map(|session| ("a".into(), session)).into_iter().collect();
            memory.workers = vec![WorkerMemory { clock, ..worker_memory() }];
            memory.families = vec![FamilyMemory {
                worker: identity,
                sessions: vec!["a".into()],
                names: Vec::new(),
                is_alone: false,
                may_be_of: Vec::new(),
                key: None,
                orphan: None,
                members: vec![identity],
                clock,
            }];
        })
    };
    assert_eq!(memory(Some(running), Some(session)).with_graces_to_start_again(), memory(None, None));
}
