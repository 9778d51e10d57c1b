//! Faults from the system: whatever fails, and wherever the reaper dies, nobody is ended who shouldn't be, no act is done that isn't
//! written down, the failure is told, and the next clean run finishes what is due.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

mod churn;
mod closes;
mod daemons;
mod descriptors;
mod kernels;
mod killed;
mod reaper;
mod state_writes;
mod stopped;
mod strace;
#[path = "../support/gateway.rs"]
mod support;
mod told_to_end;
mod world;

use std::fmt::Display;

/// Where something is missing that a test needs: said, and in CI a failure.
fn not_run(what: impl Display) {
    #[expect(clippy::disallowed_methods, reason = "in CI nothing may be left out")]
    let in_ci = std::env::var_os("CI").is_some();
    assert!(!in_ci, "{what}");
    eprintln!("NOT RUN: {what}");
}

/// About `most` of these, evenly spread, the first and the last among them.
fn sample<T>(all: &[T], most: usize) -> Vec<&T> {
    let last = all.len().saturating_sub(1);
    let mut places: Vec<usize> = (0..most).map(|index| index * last / (most - 1).max(1)).collect();
    places.dedup();
    places.into_iter().filter_map(|place| all.get(place)).collect()
}
