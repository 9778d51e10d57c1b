//! The one pure function that condemns. It returns *everything it considered*: who is kept and why, who waits and how long, who is
//! reaped, who is deferred; and what to remember of it.
//!
//! Don't know is never no: a table that isn't current, a field that isn't understood, a process that isn't in view or a parent that may
//! be a gateway each keep what depends on them.

mod clock;
mod context;
mod parentless;
mod quota;
mod remnants;
mod sessions;
mod workers;

use context::Context;

use super::ids::GatewayName;
use super::ledger::{GatewayMemory, Ledger};
use super::observation::Observation;
use super::policy::Rules;
use super::process::ProcessIdentity;
use super::time::Awake;
use super::verdict::Judged;

/// What was decided for all gateways.
#[derive(Debug)]
pub struct Decision {
    /// By gateway, in the order of the configuration.
    pub gateways: Vec<GatewayPlan>,
    /// The memory for the next run.
    pub ledger: Ledger,
}

/// What was decided for one gateway.
#[derive(Debug)]
pub struct GatewayPlan {
    /// Its name.
    pub name: GatewayName,
    /// Its process, where one is known.
    pub process: Option<ProcessIdentity>,
    /// Everybody who was considered.
    pub judged: Vec<Judged>,
}

/// Judges every session and worker that was seen. `rules` has an entry for each gateway that was seen, in the same order; a gateway
/// without one is left out.
pub fn decide(seen: &Observation, memory: &Ledger, rules: &[Rules], now: Awake) -> Decision {
    let context = Context::new(seen, memory, rules, now);
    let mut ledger =
        Ledger { boot: Some(seen.boot.clone()), whole_look: memory.whole_look, ..Ledger::default() };
    let mut gateways = Vec::with_capacity(seen.gateways.len());
    for scene in context.scenes() {
        let mut remembered = GatewayMemory {
            process: scene.gateway.process.or(scene.memory.process),
            run: scene.run().or_else(|| scene.memory.run.clone()),
            ..GatewayMemory::default()
        };
        let mut found = sessions::judge(&scene, &mut remembered);
        found.extend(workers::judge(&scene, &mut remembered));
        found.extend(parentless::judge(&scene, &mut remembered));
        remembered.workers.sort_by_key(|worker| worker.identity);
        ledger.unfinished.extend(remnants::judge(&scene, &mut found));
        let judged = quota::sign(&scene, found);
        gateways.push(GatewayPlan {
            name: scene.gateway.name.clone(),
            process: scene.gateway.process,
            judged,
        });
        ledger.gateways.insert(scene.gateway.name.clone(), remembered);
    }
    Decision { gateways, ledger }
}
