//! The decision by size, with its allocations. It is linear: ten times the sessions take ten times as long.
#![allow(missing_docs, reason = "a benchmark")]
#![allow(clippy::unwrap_used, reason = "a benchmark that can't be set up has to stop")]
#![allow(dead_code, reason = "the other benchmarks use the rest")]

#[path = "../tests/support/crowd.rs"]
mod crowd;

use crowd::Crowd;
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use gateway_reaper::domain::decide::decide;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = [100, 1_000, 10_000, 100_000, 1_000_000], sample_count = 10, sample_size = 1)]
fn sessions(bencher: Bencher<'_, '_>, sessions: usize) {
    let crowd = Crowd::of(sessions);
    bencher
        .counter(ItemsCount::new(sessions))
        .bench_local(|| decide(&crowd.seen, &crowd.memory, &crowd.rules, crowd.now));
}
