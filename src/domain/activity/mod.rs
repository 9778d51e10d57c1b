//! What a worker's own account shows of its work, and what looks at it say of one that rests.
//!
//! Measured on Hermes workers of each release, at rest for ten minutes, with an MCP child too: the main thread doesn't run at all and isn't
//! switched, while a watchdog and an MCP client's keep-alive take at most 0.21 ms of processor time in a second. Every use moves the main
//! thread. A `/background` job runs in another thread while the main thread rests: one or two threads more, a connection to its model, and
//! 17 to 49 ms of processor time in a second; while it waits for a command of its own, far less, and no connection.

mod account;
mod look;
mod watched;

pub use account::Account;
pub use look::{Activity, AtRest, Later, MainThread, STARTING, Work};
pub use watched::Watched;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Activity, MainThread};

    pub(super) const MINUTE: Duration = Duration::from_secs(60);

    pub(super) fn at_rest() -> Activity {
        let main = MainThread { asleep: true, ran: Duration::from_millis(700), switches: 90 };
        Activity {
            main,
            threads: 3,
            ran: Duration::from_millis(800),
            connections: 0,
            children: 1,
            commands: 0,
        }
    }
}
