//! The real releases of Hermes, driven over their real WebSocket with a scripted model: what they leak, what is reaped, what is spared.
//!
//! Everyday: one story per release. The long ones are ignored and run with `--ignored` (or `--run-ignored all` in nextest).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test starts gateways, reads its environment and measures time"
)]

mod beside;
mod gateway;
mod hand;
mod install;
mod long;
mod model;
mod plugin_tests;
#[allow(dead_code, reason = "shared with tests that listen themselves")]
#[path = "../support/port.rs"]
mod port;
mod reaper;
mod releases;
mod returning;
mod rows;
mod rpc;
mod story;

use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until something is there.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
