//! What a package carries besides the binary: the manual page, the completions, the units.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]
#![expect(clippy::disallowed_methods, reason = "the program under test is a process")]

mod journal;
mod man;
#[allow(dead_code, reason = "shared with tests that listen themselves")]
#[path = "../support/port.rs"]
mod port;
#[path = "../support/program.rs"]
mod program;
mod prometheus;
mod readme;
mod systemd;
