//! Reading a session table by size, with its allocations: one pass, and a cost per byte that stays the same.
#![allow(missing_docs, reason = "a benchmark")]
#![allow(clippy::unwrap_used, reason = "a benchmark that can't be set up has to stop")]
#![allow(dead_code, reason = "the other benchmarks use the rest")]

#[path = "../tests/support/crowd.rs"]
mod crowd;

use crowd::table_json;
use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher};
use gateway_reaper::sources::gateway::table_json::parse;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = [25, 1_000, 10_000, 100_000], sample_count = 10, sample_size = 1)]
fn rows(bencher: Bencher<'_, '_>, rows: usize) {
    let json = table_json(rows);
    bencher.counter(BytesCount::of_str(&json)).bench_local(|| parse(json.as_bytes()));
}
