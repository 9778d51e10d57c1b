//! A machine with a real systemd, on which the package is installed, lives through leaks and freezes, is upgraded and removed.
//!
//! Wants root, the package (`deploy/package`), and a small Debian, which it has made once: `.ci/long systemd` brings what is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]
#![expect(clippy::disallowed_methods, reason = "a machine is started, asked and ended by processes")]

mod gateway;
mod machine;
#[path = "../support/namespace_clients.rs"]
mod namespace_clients;
mod package;
mod service;
mod timer;
mod user;
