//! What holds of every decision, shown on random worlds, some of which can't be.
#![expect(clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

#[path = "../support/world.rs"]
mod world;

mod history;
mod laws;
mod oracle;
mod random;
