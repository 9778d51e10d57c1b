//! What a look, a decision and a pause cost, as far as noise can't touch it: system calls, allocations, bytes. Times are for the benchmarks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

mod allocations;
mod bound;
#[path = "../support/crowd.rs"]
#[allow(dead_code, reason = "the benchmarks use the rest")]
mod crowd;
mod idle;
mod inside;
#[path = "../support/scene.rs"]
#[allow(dead_code, reason = "the benchmarks use the rest")]
mod scene;
mod size;
#[path = "../support/strace.rs"]
mod strace;
#[path = "../support/strangers.rs"]
mod strangers;
mod system_calls;
