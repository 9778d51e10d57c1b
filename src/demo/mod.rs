//! The embedded demo gateway: a small real gateway with real worker processes, the clients that talk to it, and the story that the
//! `demo` command tells. The gateway publishes the same session table as any gateway, so the tests use it as one.
//!
//! ```text
//! story (the demo command, or a test)
//!   ├─ launch ──> gateway (a process of its own) ──> worker, worker, … ──> their children
//!   └─ client ──WebSocket──> gateway
//! ```
//!
//! The gateway leaks on purpose: a client that goes away leaves its session detached and its worker running, and nothing in the gateway
//! ever ends either. What keeps the demo itself from leaking is the *lifeline*: a pipe that the launcher holds and that every process of
//! the demo watches. When the launcher is gone, for whatever reason, all of them end.

mod argv;
pub mod client;
pub mod flavour;
pub mod gateway;
pub mod jupyter;
pub mod launch;
pub mod pinned;
pub mod protocol;
pub mod story;
pub mod worker;
