//! Plays a teardown on the stage: warrants that the real decision made, and the events one after the other.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use gateway_reaper::config::defaults;
use gateway_reaper::domain::decide::decide;
use gateway_reaper::domain::ids::{BootId, Pid, SessionId};
use gateway_reaper::domain::ledger::{Bond, GatewayMemory, Ledger, Unfinished, WorkerMemory};
use gateway_reaper::domain::observation::{GatewayObservation, Observation};
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::policy::{Policy, Rules, WorkerMatch};
use gateway_reaper::domain::process::{Process, ProcessIdentity, ProcessView, Said};
use gateway_reaper::domain::table::{
    CloseAnswer, Listener, Session, SessionTable, TableView, Told, Transport, Turn,
};
use gateway_reaper::domain::time::Awake;
use gateway_reaper::domain::verdict::Verdict;
use gateway_reaper::domain::veto::Vetoes;
use gateway_reaper::domain::warrant::Warrant;
use gateway_reaper::reap::event::{CloseRequest, Event, Next, Place, Recheck, Then};
use gateway_reaper::reap::outcome::{Ending, Outcome};
use gateway_reaper::reap::teardown::Teardown;
use gateway_reaper::reap::world::Hands;

use crate::stage::{Actor, FakeKernel, FakeRecord, Log, Manner, NOW, gateway, ms, pid};

/// Another look finds that all is as it was.
pub(crate) fn stands(until: Awake) -> Recheck {
    Recheck::Stands { until, claimed: Arc::default() }
}

pub(crate) const USER: u32 = 1000;
pub(crate) const GATEWAY: u32 = 100;

/// Who plays, and who is due.
pub(crate) struct Cast {
    pub(crate) actors: BTreeMap<u32, Actor>,
    sessions: Vec<Session>,
    closes: BTreeMap<SessionId, u32>,
    pub(crate) unfinished: Vec<Unfinished>,
    pub(crate) policy: Policy,
    pub(crate) worker_match: &'static str,
    /// Nothing can be marked.
    pub(crate) is_unmarkable: bool,
}

impl Cast {
    /// A gateway, a shell and the reaper; nobody is due.
    pub(crate) fn new() -> Self {
        let policy = Policy {
            grace: Duration::ZERO,
            close_on_disconnect_grace: Duration::ZERO,
            worker_grace: Duration::ZERO,
            close_timeout: ms(10_000),
            term_timeout: ms(5_000),
            ..defaults::policy()
        };
        let mut cast = Self {
            actors: BTreeMap::new(),
            sessions: Vec::new(),
            closes: BTreeMap::new(),
            unfinished: Vec::new(),
            policy,
            worker_match: r"worker (?P<session>\S+)",
            is_unmarkable: false,
        };
        cast.actor(1, 0, "init");
        cast.actor(80, 1, "bash");
        cast.actor(90, 80, "gateway-reaper once");
        cast.actor(GATEWAY, 1, "gateway");
        cast
    }

    /// A process in the gateway's session and group, of one byte for each of its PID.
    pub(crate) fn actor(&mut self, raw: u32, parent: u32, argv: &str) -> &mut Actor {
        let process = Process {
            namespace: None,
            identity: ProcessIdentity { pid: pid(raw), start_ticks: u64::from(raw), inode: None },
            parent: Pid::new(parent.into()),
            group: GATEWAY,
            session: GATEWAY,
            comm: "comm".into(),
            uid: USER,
            zombie: false,
            kernel: false,
            argv: Some(argv.into()),
            rss_bytes: Some(raw.into()),
        };
        let actor = Actor { process, manner: Manner::Obedient, alive: true, mark: None, forks: None };
        self.actors.entry(raw).insert_entry(actor).into_mut()
    }

    /// One that a tree starts as it ends, and that init has adopted before any look.
    pub(crate) fn stray(&mut self, raw: u32, argv: &str) -> &mut Actor {
        let actor = self.actor(raw, 1, argv);
        actor.process.identity.start_ticks = NOW;
        actor
    }

    /// A worker of nobody.
    pub(crate) fn worker(&mut self, raw: u32) -> &mut Actor {
        self.actor(raw, GATEWAY, &format!("worker {raw}"))
    }

    /// A detached session with this worker.
    pub(crate) fn session(&mut self, id: &str, raw: u32) -> &mut Actor {
        self.sessions.push(Session {
            id: id.into(),
            key: Told::Absent,
            transport: Told::Known(Transport::Detached),
            turn: Told::Known(Turn::Idle),
            detached_for: None,
            idle_for: None,
            activity: None,
            close_on_disconnect: Told::Absent,
            holds: Told::Absent,
            worker: Told::Known(Some(pid(raw))),
            shown: Default::default(),
        });
        self.actor(raw, GATEWAY, &format!("worker {id}"))
    }

    /// A client is attached to the session that was added last.
    pub(crate) fn attach_last(&mut self) {
        self.sessions.last_mut().unwrap().transport = Told::Known(Transport::Attached);
    }

    /// The row of the session that was added last names this process.
    pub(crate) fn name_in_last(&mut self, raw: u32) {
        self.sessions.last_mut().unwrap().worker = Told::Known(Some(pid(raw)));
    }

    /// The gateway said before that it closed this session, and listed it again each time.
    pub(crate) fn closed_before(&mut self, id: &str, times: u32) {
        self.closes.insert(id.into(), times);
    }

    /// What an earlier run left unfinished: members of a worker that is gone.
    pub(crate) fn left_unfinished(&mut self, worker: u32, members: &[u32]) {
        let identity = |raw: u32| ProcessIdentity { pid: pid(raw), start_ticks: u64::from(raw), inode: None };
        self.unfinished.push(Unfinished {
            gateway: gateway(),
            orphan: OrphanKind::OwnerlessWorker,
            asked: None,
            worker: identity(worker),
            members: members.iter().copied().map(identity).collect(),
            stopping: false,
            may_be_of: Vec::new(),
        });
    }

    fn warrants(&self) -> Vec<(Warrant, Duration)> {
        let processes = self.actors.iter().map(|(raw, actor)| (pid(*raw), actor.process.clone()));
        let view = ProcessView {
            processes: processes.collect(),
            own_line: vec![pid(90), pid(80), pid(1)],
            init_is_init: true,
            ..ProcessView::default()
        };
        let table = SessionTable {
            gateway_pid: Some(pid(GATEWAY)),
            instance: Some("run 1".into()),
            sessions: self.sessions.clone(),
            listener: Listener::Verified,
        };
        let process = view.get(pid(GATEWAY)).map(|process| process.identity);
        let observed = GatewayObservation {
            name: gateway(),
            table: TableView::Current(table),
            process,
            asked: Awake::from_nanos(1),
        };
        let boot = BootId::from("boot");
        // What was there when it said so.
        let named =
            self.sessions.iter().filter_map(Session::named_worker).filter(|_| !self.closes.is_empty());
        let workers = named.filter_map(|pid| view.get(pid)).map(|process| WorkerMemory {
            identity: process.identity,
            bond: Bond::None,
            clock: None,
            account: None,
            shell: None,
            activity: None,
            session: None,
        });
        let of_gateway = GatewayMemory {
            closes: self.closes.clone(),
            workers: workers.collect(),
            ..GatewayMemory::default()
        };
        let memory = Ledger {
            boot: Some(boot.clone()),
            gateways: [(gateway(), of_gateway)].into(),
            unfinished: self.unfinished.clone(),
            ..Ledger::default()
        };
        let seen = Observation {
            boot,
            processes: view,
            gateways: vec![observed],
            unobserved: Duration::ZERO,
            forbidden: Vetoes::default(),
        };
        let rules = Rules {
            gateway: gateway(),
            policy: self.policy.clone(),
            worker_match: WorkerMatch::new(self.worker_match).ok(),
            worker_uid: USER,
            takes_workers_back: true,
            describes_process: false,
            workers: gateway_reaper::domain::policy::Workers::Matching,
        };
        let decision = decide(&seen, &memory, &[rules], Awake::from_nanos(1));
        let judged = decision.gateways.into_iter().flat_map(|plan| plan.judged);
        judged
            .filter_map(|judged| match judged.verdict {
                Verdict::Reap { warrant, waited } => Some((*warrant, waited)),
                _ => None,
            })
            .collect()
    }

    /// Everybody takes their place. What happens between the decision and the teardown is up to the test.
    pub(crate) fn rehearse(self) -> Play {
        let warrants = self.warrants();
        let processes = self.actors.values().map(|actor| &actor.process);
        let said = |it: &Process| (it.identity, Said { argv: it.argv.clone(), marks: None });
        let said = processes.map(said).collect();
        let log = Log::default();
        let mut kernel = FakeKernel::new(self.actors, &log);
        if self.is_unmarkable {
            kernel.free_marks = 0;
        }
        let record = FakeRecord::new(&log, &kernel.lag);
        Play {
            kernel,
            record,
            log,
            warrants,
            said,
            teardown: None,
            requests: Vec::new(),
            rechecks: Vec::new(),
            keeps_questions: false,
            left_of_closed: Vec::new(),
            waits: Vec::new(),
            deadline: None,
            then: Then::Begin,
        }
    }

    /// The victims of another gateway come after these.
    pub(crate) fn rehearse_with(self, other: Self) -> Play {
        let warrants = other.warrants();
        let mut play = self.rehearse();
        play.kernel.actors.extend(other.actors);
        play.warrants.extend(warrants);
        play
    }

    /// The curtain rises.
    pub(crate) fn begin(self) -> Play {
        self.rehearse().begin()
    }
}

/// A teardown under way.
pub(crate) struct Play {
    pub(crate) kernel: FakeKernel,
    pub(crate) record: FakeRecord,
    log: Log,
    warrants: Vec<(Warrant, Duration)>,
    /// What all said when they were judged.
    said: HashMap<ProcessIdentity, Said>,
    teardown: Option<Teardown<ProcessIdentity>>,
    pub(crate) requests: Vec<CloseRequest>,
    /// Victims for which another look was asked for.
    pub(crate) rechecks: Vec<usize>,
    /// Such questions of closed sessions are left to the test, too.
    pub(crate) keeps_questions: bool,
    /// What was left of closed sessions when another look was asked for.
    pub(crate) left_of_closed: Vec<Vec<u32>>,
    waits: Vec<Place>,
    deadline: Option<Awake>,
    then: Then,
}

impl Play {
    /// Nothing is begun yet.
    pub(crate) fn open(&mut self) {
        self.teardown = Some(Teardown::new(std::mem::take(&mut self.warrants)).knowing(&self.said));
    }

    pub(crate) fn begin(mut self) -> Self {
        self.open();
        self.tell(Event::Begin);
        self.settle();
        while self.then == Then::Begin {
            self.tell(Event::Begin);
            self.settle();
        }
        self
    }

    pub(crate) fn tell(&mut self, event: Event) {
        let mut hands = Hands { kernel: &mut self.kernel, record: &mut self.record };
        let next = self.teardown.as_mut().unwrap().handle(event, &mut hands);
        let Next { close, wait_for, recheck, deadline, then } = next;
        self.requests.extend(close);
        self.waits.extend(wait_for);
        (self.deadline, self.then) = (deadline, then);
        for question in recheck {
            let is_of_closed = question.under_way.is_some();
            let left = question.under_way.into_iter();
            self.left_of_closed.extend(left.map(|left| left.iter().map(|it| it.pid.get()).collect()));
            if is_of_closed && !self.keeps_questions {
                // As nearly always: nobody else has what is left of a closed session.
                let verdict = stands(Awake::from_nanos(u64::MAX));
                self.tell(Event::Rechecked { victim: question.victim, verdict });
            } else {
                self.rechecks.push(question.victim);
            }
        }
    }

    /// Tells of every exit, as the runtime does.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 1_000, "there are always more exits");
            let (teardown, kernel) = (self.teardown.as_ref().unwrap(), &self.kernel);
            let has_exited = |place: &Place| {
                let Some(held) = teardown.held(*place) else { return true };
                !kernel.is_there(held) && !kernel.unaskable.contains(&held.pid.get())
            };
            let Some(first) = self.waits.iter().position(has_exited) else { break };
            let victim = self.waits.remove(first).victim;
            self.tell(Event::Exited { victims: vec![victim] });
        }
    }

    pub(crate) fn answer(&mut self, answer: CloseAnswer) -> &mut Self {
        self.answer_for(0, answer)
    }

    pub(crate) fn answer_for(&mut self, victim: usize, answer: CloseAnswer) -> &mut Self {
        self.tell(Event::Answered { victim, answer });
        self.settle();
        self
    }

    /// What another look found for the only victim.
    pub(crate) fn recheck(&mut self, verdict: Recheck) -> &mut Self {
        let victim = self.rechecks.remove(0);
        self.tell(Event::Rechecked { victim, verdict });
        self.settle();
        self
    }

    /// A process ends by itself.
    pub(crate) fn exits(&mut self, raw: u32) -> &mut Self {
        self.kernel.end(raw);
        self.settle();
        self
    }

    /// Time goes by; whatever is waited for until then is heard of in time.
    pub(crate) fn pass(&mut self, span: Duration) -> &mut Self {
        let end = self.kernel.now + span;
        while let Some(deadline) = self.deadline().filter(|deadline| *deadline <= end) {
            self.kernel.now = self.kernel.now.max(deadline);
            self.tell(Event::Tick);
            self.settle();
            assert!(self.deadline().is_none_or(|next| next > deadline), "a deadline that is met is over");
        }
        self.kernel.now = end;
        self
    }

    pub(crate) fn deadline(&self) -> Option<Awake> {
        self.deadline
    }

    /// What was done since the last time.
    pub(crate) fn done(&mut self) -> String {
        self.log.take().join(", ")
    }

    /// Whose exit is waited for: of all victims, and of this one alone.
    pub(crate) fn waited_for(&self, victim: usize) -> [Vec<u32>; 2] {
        let teardown = self.teardown.as_ref().unwrap();
        let pid_of = |place: &Place| teardown.held(*place).unwrap().pid.get();
        let of_all = self.waits.iter().map(pid_of).collect();
        [of_all, self.waits.iter().filter(|place| place.victim == victim).map(pid_of).collect()]
    }

    /// The worker of the warrant of a victim.
    pub(crate) fn condemned(&self, victim: usize) -> Option<u32> {
        let warrant = self.teardown.as_ref().unwrap().warrant(victim)?;
        warrant.worker().map(|worker| worker.pid.get())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.then == Then::Done
    }

    pub(crate) fn endings(&mut self) -> Vec<Ending> {
        assert!(self.is_over(), "so far: {}", self.done());
        self.teardown.take().unwrap().into_endings().into_iter().map(Option::unwrap).collect()
    }

    pub(crate) fn ending(&mut self) -> Ending {
        let mut endings = self.endings();
        assert_eq!(endings.len(), 1);
        endings.remove(0)
    }

    /// Why it failed.
    pub(crate) fn failure(&mut self) -> String {
        match self.ending().outcome {
            Outcome::Failed { why } => why.into(),
            other => panic!("it didn't fail: {other:?}"),
        }
    }
}
