//! Workers that aren't listed by themselves, because they are judged with a session or with another worker: a person may name one.

use super::owners::{Owner, Owners};
use super::world::World;
use crate::domain::ids::{GatewayName, Pid, SessionId};
use crate::domain::ledger::Ledger;
use crate::domain::observation::Observation;
use crate::domain::policy::Rules;
use crate::domain::time::Awake;

/// A worker that is judged with another subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Along {
    /// The worker.
    pub worker: Pid,
    /// The key that its argv says.
    pub key: Option<Box<str>>,
    /// With what.
    pub with: With,
}

/// What a worker is judged with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum With {
    /// This gateway's session.
    Session(GatewayName, SessionId),
    /// The worker above it.
    Worker(Pid),
}

/// All of them, and the workers of sessions themselves. For the one that is asked for; no run needs it.
pub fn along(seen: &Observation, memory: &Ledger, rules: &[Rules], now: Awake) -> Vec<Along> {
    let memory = &memory.without(seen.unobserved, now);
    let world = World::new(seen, memory, rules, now);
    let owners = Owners::new(&world);
    let with = |pid: Pid| match owners.of(pid)? {
        Owner::Sessions(rows) => {
            let row = *rows.as_slice().first()?;
            let gateway = &world.gateways[row.gateway];
            Some(With::Session(gateway.seen.name.clone(), world.session(row).id.clone()))
        }
        Owner::Tree => {
            let mut above = world.ancestors(world.alive(pid)?).map(|above| above.identity.pid);
            above.find(|above| matches!(owners.of(*above), Some(Owner::Nobody(_)))).map(With::Worker)
        }
        Owner::Nobody(_) | Owner::Doubt(_) => None,
    };
    let found = owners.pids().filter_map(|worker| {
        let key = world.matching(worker).find_map(|gateway| world.gateways[gateway].key_of(worker));
        Some(Along { worker, key: key.map(Into::into), with: with(worker)? })
    });
    found.collect()
}
