//! The kind `jupyter` on the real releases: what is closed, what is kept, and why.
//!
//! Everyday: the quickest. The others are ignored and run with `--ignored`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test starts servers, reads its environment and measures time"
)]

mod beside;
mod breaking;
mod closing;
mod cost;
mod demo;
mod finding;
mod left;
mod live;
#[path = "../support/program.rs"]
mod program;
mod releases;
mod stage;
mod trees;
mod working;
