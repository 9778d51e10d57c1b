//! "Never live work, nothing leaked", shown by running worlds that no hand-written test would think of through the real decision, ledger
//! and teardown. `SIMULATION_SEEDS=n` runs so many worlds, `SIMULATION_FROM=seed` begins at that one, in
//! `SIMULATION_BARE=n` of a hundred gateways tell little. All of them
//! are lived through, also past a failure: each that fails is listed, and the story of the first is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

#[path = "simulation/mod.rs"]
#[allow(dead_code, reason = "the scenarios use the rest")]
mod simulation;

use std::collections::BTreeMap;
use std::sync::Mutex;
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
    let bare = number("SIMULATION_BARE").unwrap_or(plan::BARE);
    let next = AtomicU64::new(from);
    let (acts, runs) = (AtomicU64::new(0), AtomicU64::new(0));
    let failed = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= to {
                        return;
                    }
                    let end = sim::live(&plan::of_seed(seed, bare), false);
                    acts.fetch_add(end.acts, Ordering::Relaxed);
                    runs.fetch_add(end.runs, Ordering::Relaxed);
                    if let Some(breach) = end.breach {
                        println!("seed {seed}: {breach}");
                        failed.lock().unwrap().insert(seed, breach);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    if let Some(first) = failed.keys().next() {
        let all: Vec<String> = failed.iter().map(|(seed, breach)| format!("seed {seed}: {breach}")).collect();
        let story = shrink::report(&plan::of_seed(*first, bare));
        panic!("{story}\n\n{} of {} worlds fail:\n{}", all.len(), to - from, all.join("\n"));
    }
    let (acts, runs) = (acts.into_inner(), runs.into_inner());
    println!("{} worlds, {runs} runs, {acts} acts", to - from);
    if to - from >= 1000 {
        assert!(acts > to - from, "{acts} acts in {} worlds: nothing much was tried", to - from);
    }
}
