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
mod rows;
mod scene;
mod sessions;
mod workers;

use context::Context;
use scene::Scene;

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
    let strays = context.strays();
    let mut ledger =
        Ledger { boot: Some(seen.boot.clone()), whole_look: memory.whole_look, ..Ledger::default() };
    let mut gateways = Vec::with_capacity(seen.gateways.len());
    for entry in &context.entries {
        let scene = Scene::new(&context, entry);
        let name = &scene.gateway.name;
        let mut remembered = GatewayMemory {
            process: scene.process.or_else(|| scene.memory?.process),
            run: scene
                .remembered_run()
                .filter(|_| scene.distrust().is_some())
                .or(scene.run())
                .map(Into::into),
            ..GatewayMemory::default()
        };
        let mut found = sessions::judge(&scene, &mut remembered);
        found.extend(workers::judge(&scene, &mut remembered));
        let strays = strays.get(name).map(Vec::as_slice).unwrap_or_default();
        found.extend(parentless::judge(&scene, strays, &mut remembered));
        remembered.workers.sort_by_key(|worker| worker.identity);
        let unfinished = memory.unfinished.iter().filter(|begun| begun.gateway == *name);
        ledger.unfinished.extend(remnants::judge(&scene, unfinished, &mut found));
        let judged = quota::sign(&scene, found);
        gateways.push(GatewayPlan { name: name.clone(), process: scene.process, judged });
        ledger.gateways.insert(name.clone(), remembered);
    }
    Decision { gateways, ledger }
}
