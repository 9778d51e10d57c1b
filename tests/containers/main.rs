//! The container image, and the shapes in which it runs beside a gateway: as they are written down, and for real.
//!
//! Wants root, podman with runc, and the static binary: `.ci/long containers` brings what is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]
#![expect(clippy::disallowed_methods, reason = "containers are started, asked and ended by processes")]

mod engine;
mod files;
#[path = "../support/namespace_clients.rs"]
mod namespace_clients;
#[path = "../support/program.rs"]
mod program;
mod shapes;
