//! Whether a client is connected, where a dashboard without the plugin is all there is: clients of every kind, proxies and network
//! namespaces, each with a real worker that must not be ended while one may be there, and must be once none is.
//!
//! The everyday ones play before a small stand-in for a dashboard, each in a PID and network namespace of its own; the long ones before a
//! real Hermes. The program is the compiled binary, and `watch` looks at short intervals with a short grace.
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

mod at_work;
mod connected;
mod cost;
mod namespaces;
#[allow(dead_code, reason = "shared with the tests of the command line")]
#[path = "../cli/place.rs"]
mod place;
#[allow(dead_code, reason = "shared with the tests of the command line")]
#[path = "../cli/privileges.rs"]
mod privileges;
mod proxies;
mod real;
#[allow(dead_code, reason = "shared with the tests of live work")]
#[path = "../live_work/reapers.rs"]
mod reapers;
#[allow(dead_code, unused_macros, unused_imports, reason = "shared with the tests of Hermes")]
#[path = "../hermes/releases.rs"]
mod releases;
#[allow(dead_code, reason = "shared with the tests of the command line")]
#[path = "../cli/running.rs"]
mod running;
mod scene;
#[allow(dead_code, reason = "shared with the tests of live work")]
#[path = "../live_work/stage.rs"]
mod stage;
