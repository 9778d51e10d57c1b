//! The demo gateway keeps the session-table contract, leaks as it should, and leaves nothing behind.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod leftovers;
mod misbehaving;
mod reap;
#[path = "../support/gateway.rs"]
mod support;
mod table;
mod workers;

use std::time::Duration;

use gateway_reaper::demo::flavour::Flavour;
use gateway_reaper::demo::protocol::{NewSession, WorkerSpec};
use serde_json::{Value, json};

/// Long enough for something that must not happen to happen.
const SHORTLY: Duration = Duration::from_millis(100);

/// A session with a worker of this flavour.
fn of(flavour: Flavour) -> NewSession {
    support::session_with(WorkerSpec { flavour, ..WorkerSpec::default() })
}

/// The gateway's way to say no to a reap.
fn kept(reason: &str) -> Value {
    json!({ "outcome": "kept", "reason": reason })
}
