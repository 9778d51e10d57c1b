//! What stands in a small world besides its tables: up to three workers, each with its evidence, and two gateways.

use gateway_reaper::domain::ledger::{Bond, GatewayMemory, WorkerMemory};

use crate::random::{Pattern, Random};
use crate::world::*;

/// The PID of the first worker.
pub(super) const FIRST: u32 = 200;
const SHELL: u32 = 150;
/// A process that may be anything.
const STRANGER: u32 = 61;
/// A gateway that is gone.
const FORMER: u32 = 70;

/// What is odd about a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Odd {
    Plain,
    Zombie,
    Kernel,
    OtherUser,
    /// In another PID namespace.
    Elsewhere,
    /// Its PID namespace can't be read.
    Unreadable,
}

impl Odd {
    pub(super) const ALL: [Self; 6] =
        [Self::Plain, Self::Zombie, Self::Kernel, Self::OtherUser, Self::Elsewhere, Self::Unreadable];
}

/// What a worker is below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Under {
    Gateway,
    Other,
    Init,
    Stranger,
    /// In a shell that was started to run it, under init.
    Shell,
    /// Below a child of its gateway that is no such shell.
    Helper,
    /// The worker of this number is above it.
    Above(u32),
}

/// The gateway that an earlier look saw a worker below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeenBelow {
    None,
    Gateway,
    Former,
}

/// When a worker was started. The gateways are of 1000 and 1100.
pub(super) const OLD: u64 = 500;
pub(super) const BETWEEN: u64 = 1_050;
pub(super) const YOUNG: u64 = 2_000;

/// A worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Worker {
    pub(super) under: Under,
    pub(super) seen_below: SeenBelow,
    pub(super) started: u64,
    pub(super) key: Option<&'static str>,
    pub(super) odd: Odd,
}

impl Worker {
    pub(super) const PLAIN: Self = Self {
        under: Under::Init,
        seen_below: SeenBelow::None,
        started: YOUNG,
        key: Some("a"),
        odd: Odd::Plain,
    };
}

/// Everything but the tables.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) workers: Vec<Worker>,
    /// Whether there is a second gateway.
    pub(super) has_other: bool,
    /// Whether the gateways' processes are there.
    pub(super) are_there: [bool; 2],
    /// Whether the first gateway is in another PID namespace, that of workers that are elsewhere.
    pub(super) is_contained: bool,
    /// Whether the kinds of gateway take workers of an earlier run back.
    pub(super) take_back: bool,
}

impl Scene {
    /// No worker is below a gateway that isn't there, and none is older than the one that it is below.
    pub(super) fn can_be(&self) -> bool {
        self.workers.iter().all(|worker| match worker.under {
            Under::Gateway | Under::Helper => self.are_there[0],
            Under::Other => self.has_other && self.are_there[1],
            Under::Above(above) => self.workers[above as usize].started <= worker.started,
            Under::Init | Under::Stranger | Under::Shell => true,
        })
    }

    pub(super) fn build(&self) -> Random {
        let mut world = World::new();
        world.policy().grace = secs(0);
        world.policy().worker_grace = secs(0);
        world.process(STRANGER, 1, "supervisord").session = STRANGER;
        world.in_one_namespace();
        if self.has_other {
            world.gateway("other", 110);
            world.elsewhere(110, Some(HERE));
            world.rules[1].policy = world.rules[0].policy.clone();
        }
        if self.is_contained {
            world.elsewhere(100, Some(ELSEWHERE));
        }
        for rules in &mut world.rules {
            rules.takes_workers_back = self.take_back;
        }
        for (number, worker) in (FIRST..).zip(&self.workers) {
            add(&mut world, number, worker);
        }
        self.remember(&mut world);
        for (index, gateway) in [100, 110].into_iter().enumerate() {
            if !self.are_there[index] {
                world.die(gateway, 1);
            }
        }
        let patterns = vec![Pattern::Keyed; world.rules.len()];
        Random { world, patterns }
    }

    fn remember(&self, world: &mut World) {
        let of = |seen_below| match seen_below {
            SeenBelow::None => None,
            SeenBelow::Gateway => Some(identity(100)),
            SeenBelow::Former => Some(identity(FORMER)),
        };
        let mut memory = GatewayMemory::default();
        for (number, worker) in (FIRST..).zip(&self.workers) {
            let seen = world.seen.processes.get(pid(number)).map(|process| process.identity);
            if let (Some(gateway), Some(identity)) = (of(worker.seen_below), seen) {
                memory.process = Some(gateway);
                let bond = Bond::Child(gateway);
                memory.workers.push(WorkerMemory {
                    identity,
                    bond,
                    clock: None,
                    account: None,
                    shell: None,
                    activity: None,
                    session: None,
                });
            }
        }
        if !memory.workers.is_empty() {
            world.ledger.boot = Some(world.seen.boot.clone());
            world.ledger.gateways.insert("gw".into(), memory);
        }
    }
}

fn add(world: &mut World, number: u32, worker: &Worker) {
    let argv = match worker.key {
        Some("a") => "python3 -m worker --session-key a",
        Some("b") => "python3 -m worker --session-key b",
        Some(_) => "python3 -m worker --session-key c",
        None => "python3 -m worker",
    };
    let parent = match worker.under {
        Under::Gateway => 100,
        Under::Other => 110,
        Under::Init => 1,
        Under::Stranger => STRANGER,
        Under::Shell => {
            world.process(SHELL, 1, &format!("sh -c {argv}; true")).namespace = Some(HERE);
            SHELL
        }
        Under::Helper => {
            world.process(SHELL, 100, "env wrapper").namespace = Some(HERE);
            SHELL
        }
        Under::Above(above) => FIRST + above,
    };
    let process = world.process(number, parent, argv);
    process.identity.start_ticks = worker.started;
    process.namespace = Some(HERE);
    match worker.odd {
        Odd::Plain => {}
        Odd::Zombie => process.zombie = true,
        Odd::Kernel => process.kernel = true,
        Odd::OtherUser => process.uid = 0,
        Odd::Elsewhere => process.namespace = Some(ELSEWHERE),
        Odd::Unreadable => process.namespace = None,
    }
}
