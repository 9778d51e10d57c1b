//! A failing world made as small as it still fails: fewer events, fewer gateways' quirks, then its story.

use super::setup::default_gateway;
use super::sim::{End, Plan, live};

/// The smallest plan that still fails, and how it ends.
pub(crate) fn smallest(plan: &Plan) -> (Plan, End) {
    let mut best = plan.clone();
    let fails = |plan: &Plan| live(plan, false).breach.is_some();
    let mut size = best.events.len().div_ceil(2).max(1);
    loop {
        let mut from = 0;
        while from < best.events.len() {
            let mut smaller = best.clone();
            smaller.events.drain(from..(from + size).min(best.events.len()));
            if fails(&smaller) {
                best = smaller;
            } else {
                from += size;
            }
        }
        if size == 1 {
            break;
        }
        size = size.div_ceil(2);
    }
    let tame: [fn(&mut Plan); 10] = [
        |plan| plan.setup.races = 0,
        |plan| plan.setup.misses = 0,
        |plan| plan.setup.kernel_fails = 0,
        |plan| plan.setup.foreign_gateway = false,
        |plan| plan.setup.reapers.truncate(1),
        |plan| plan.setup.pid_max = 300,
        |plan| plan.setup.pidfs = true,
        |plan| plan.setup.init_is_init = true,
        |plan| plan.setup.gateways.truncate(1),
        |plan| {
            for gateway in &mut plan.setup.gateways {
                gateway.tells = default_gateway().tells;
                gateway.exit_ms = 20;
                gateway.waits_ms = 0;
            }
        },
    ];
    for simplify in tame {
        let mut simpler = best.clone();
        simplify(&mut simpler);
        if fails(&simpler) {
            best = simpler;
        }
    }
    best.setup.tells_keeps = true;
    let end = live(&best, true);
    (best, end)
}

/// The story of a failure, for people.
pub(crate) fn report(plan: &Plan) -> String {
    let (small, end) = smallest(plan);
    let breach = end.breach.unwrap_or_default();
    format!(
        "seed {}: {breach}\n\n{:#?}\n\n{}\n\nseed {}: {breach}\n(again: SIMULATION_FROM={} SIMULATION_SEEDS=1 cargo test --test simulation)",
        plan.seed,
        small.setup,
        end.story.join("\n"),
        plan.seed,
        plan.seed,
    )
}
