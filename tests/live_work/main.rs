//! Live work is never taken and nothing leaks: situations from public bug reports, played by real process families, each in a PID and
//! network namespace of its own. The program is the compiled binary; what it may do is what the interface and README say, and nothing here
//! knows how it decides.
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

mod adopted;
mod again;
mod containers;
mod copies;
mod frozen;
mod hermes;
mod hidden;
mod leaks;
mod nested;
#[allow(dead_code, reason = "shared with the tests of the command line")]
#[path = "../cli/place.rs"]
mod place;
#[allow(dead_code, reason = "shared with the tests of the command line")]
#[path = "../cli/privileges.rs"]
mod privileges;
mod reapers;
#[allow(dead_code, reason = "shared with the tests of the command line")]
#[path = "../cli/running.rs"]
mod running;
mod shared;
mod stage;
mod truth;
mod unknown;
