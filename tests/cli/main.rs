//! The whole program, as the interface has it: all of stdout, stderr and the exit code.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the program under test is a process, and real processes take real time"
)]

mod asking;
mod audit;
mod cast;
mod configuration;
#[path = "../support/gateway.rs"]
mod demo_gateway;
mod families;
mod gateway;
mod held;
mod help;
mod idle;
mod json;
mod keep;
mod killed;
mod liars;
mod memories;
mod misnamed;
mod named_files;
mod namespaces;
mod place;
#[path = "../support/port.rs"]
mod port;
mod privileges;
mod questions;
mod report;
mod running;
mod screen;
mod screens;
mod serial;
mod service;
mod signals;
mod state;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod told;
mod top;
mod unseen;
mod waiting;
mod watch;
mod widths;
