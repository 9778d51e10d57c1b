//! "Never live work, nothing leaked", shown by running worlds that no hand-written test would think of through the real decision, ledger
//! and teardown. `SIMULATION_SEEDS=n` runs so many worlds, `SIMULATION_FROM=seed` begins at that one; `SIMULATION_LIST=1`
//! lists all that fail instead of telling the story of the first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

#[path = "simulation/mod.rs"]
#[allow(dead_code, reason = "the scenarios use the rest")]
mod simulation;

use std::sync::atomic::{AtomicU64, Ordering};

use simulation::{plan, shrink, sim};

/// Worlds of the everyday suite.
const EVERYDAY: u64 = 20_000;

fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "the edge of a test: how many worlds, and from which on")]
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_world_loses_live_work_or_leaks() {
    let from = number("SIMULATION_FROM").unwrap_or(0);
    let to = from + number("SIMULATION_SEEDS").unwrap_or(EVERYDAY);
    let lists = number("SIMULATION_LIST").is_some();
    let next = AtomicU64::new(from);
    let (acts, runs) = (AtomicU64::new(0), AtomicU64::new(0));
    let failed = AtomicU64::new(u64::MAX);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= to || seed > failed.load(Ordering::Relaxed) {
                        return;
                    }
                    let end = sim::live(&plan::of_seed(seed), false);
                    acts.fetch_add(end.acts, Ordering::Relaxed);
                    runs.fetch_add(end.runs, Ordering::Relaxed);
                    match end.breach {
                        Some(breach) if lists => println!("seed {seed}: {breach}"),
                        Some(_) => drop(failed.fetch_min(seed, Ordering::Relaxed)),
                        None => {}
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert!(failed == u64::MAX, "{}", shrink::report(&plan::of_seed(failed)));
    let (acts, runs) = (acts.into_inner(), runs.into_inner());
    println!("{} worlds, {runs} runs, {acts} acts", to - from);
    if to - from >= 1000 {
        assert!(acts > to - from, "{acts} acts in {} worlds: nothing much was tried", to - from);
    }
}
