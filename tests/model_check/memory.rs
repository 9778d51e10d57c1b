//! A ledger in the terms of the small world, and back.

use std::collections::BTreeMap;

use gateway_reaper::domain::ids::SessionId;
use gateway_reaper::domain::ledger::{
    Bond, GatewayMemory, GatewayRun, Ledger, SessionClock, WorkerClock, WorkerMemory,
};
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::process::ProcessIdentity;

use super::snapshot::{age, ago, gateway, id, name, name_of, run, run_name, token_of, worker};
use super::world::{Age, Name, Token};

/// What is remembered of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Memory {
    pub(crate) process: Option<Token>,
    pub(crate) run: Option<Token>,
    pub(crate) sessions: Vec<Clock>,
    pub(crate) restart: Vec<Name>,
    /// In use at the last look at a table, which was so long ago.
    pub(crate) in_use: Vec<Name>,
    /// At the last look nothing was there of it.
    pub(crate) gone: bool,
    pub(crate) looked: Option<Age>,
    /// When the gateway's own clocks started at the latest, since there is no table any more that says so.
    pub(crate) started: Vec<(Name, Age)>,
    pub(crate) workers: Vec<Known>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Clock {
    pub(crate) name: Name,
    pub(crate) since: Age,
    pub(crate) activity: Option<Token>,
    pub(crate) claims_after: Option<Age>,
    /// The gateway's own clocks never started later than that.
    pub(crate) started: Option<Age>,
    /// What its row named when that was last there.
    pub(crate) worker: Option<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Known {
    pub(crate) name: Name,
    pub(crate) tie: Tie,
    pub(crate) clock: Option<(OrphanKind, Age)>,
}

/// What ties a worker to its gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tie {
    Child(Token),
    None,
}

impl Memory {
    /// Failures only say who comes first where there is a quota, and here is none.
    pub(crate) fn of(ledger: &Ledger) -> Self {
        let Some(memory) = ledger.gateways.values().next() else { return Self::default() };
        let known = |worker: &WorkerMemory| Known {
            name: name_of(worker.identity),
            tie: match worker.bond {
                Bond::Child(parent) => Tie::Child(token_of(parent)),
                Bond::None => Tie::None,
            },
            clock: worker.clock.map(|clock| (clock.kind, age(clock.since))),
        };
        let clock = |(id, clock): (&SessionId, &SessionClock)| Clock {
            name: name(id.as_str()),
            since: age(clock.since),
            activity: clock.activity.as_deref().map(|token| token.parse().unwrap()),
            claims_after: clock.claims_after.map(age),
            started: clock.started.map(age),
            worker: clock.worker.map(name_of),
        };
        assert!(memory.former.is_empty(), "a process that is gone is remembered: {:?}", memory.former);
        Self {
            process: memory.process.map(token_of),
            run: memory.run.as_ref().map(|known| match known {
                GatewayRun::Instance(instance) => run(instance.as_str()),
                GatewayRun::Process(process) => {
                    panic!("every table names its run, and not process {process}")
                }
            }),
            sessions: memory.sessions.iter().map(clock).collect(),
            restart: memory.restart.iter().map(|id| name(id.as_str())).collect(),
            in_use: memory.in_use.iter().map(|id| name(id.as_str())).collect(),
            gone: memory.gone,
            looked: memory.looked.map(age),
            started: memory.started.iter().map(|(id, at)| (name(id.as_str()), age(*at))).collect(),
            workers: memory.workers.iter().map(known).collect(),
        }
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let known = |known: &Known| WorkerMemory {
            identity: worker(known.name),
            bond: match known.tie {
                Tie::Child(process) => Bond::Child(gateway(process)),
                Tie::None => Bond::None,
            },
            clock: known.clock.map(|(kind, since)| WorkerClock { kind, since: ago(since), failures: 0 }),
            account: None,
            shell: None,
            activity: None,
            session: None,
        };
        let clock = |clock: &Clock| {
            let remembered = SessionClock {
                started: clock.started.map(ago),
                since: ago(clock.since),
                activity: clock.activity.map(|token| token.to_string().into()),
                claims_after: clock.claims_after.map(ago),
                worker: clock.worker.map(worker),
                failures: 0,
            };
            (id(clock.name).into(), remembered)
        };
        let memory = GatewayMemory {
            // Whether a close had an effect changes what is told, and nothing that is done. Tables that have clocks have no activity here.
            closes: BTreeMap::new(),
            activity: BTreeMap::new(),
            process: self.process.map(gateway),
            // A gateway begins again when its process is gone.
            former: Vec::new(),
            run: self.run.map(|run| GatewayRun::Instance(run_name(run).into())),
            sessions: self.sessions.iter().map(clock).collect(),
            restart: self.restart.iter().map(|name| id(*name).into()).collect(),
            in_use: self.in_use.iter().map(|name| id(*name).into()).collect(),
            gone: self.gone,
            looked: self.looked.map(ago),
            started: self.started.iter().map(|(name, since)| (id(*name).into(), ago(*since))).collect(),
            workers: self.workers.iter().map(known).collect(),
            // Nothing is ever below a worker here.
            families: Vec::new(),
        };
        Ledger { boot: Some("boot".into()), gateways: [("gw".into(), memory)].into(), ..Ledger::default() }
    }

    /// All that are remembered.
    pub(crate) fn processes(&self) -> impl Iterator<Item = ProcessIdentity> {
        let workers = self.workers.iter().map(|known| worker(known.name));
        workers.chain(self.process.map(gateway))
    }

    pub(crate) fn age(&mut self) {
        let older = |age: &mut Age| *age = super::world::LONG.min(*age + 1);
        for clock in &mut self.sessions {
            older(&mut clock.since);
            clock.claims_after.as_mut().map(older);
            clock.started.as_mut().map(older);
        }
        self.looked.as_mut().map(older);
        self.started.iter_mut().for_each(|(_, since)| older(since));
        for (_, since) in self.workers.iter_mut().filter_map(|known| known.clock.as_mut()) {
            older(since);
        }
    }
}
