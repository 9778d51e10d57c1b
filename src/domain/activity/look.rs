//! What one look at a worker shows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Above what a worker takes at rest, and far below the least that one at work takes.
const BUSY_PER_SECOND: Duration = Duration::from_millis(2);

/// One look at one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Its main thread.
    pub main: MainThread,
    /// How many threads it has.
    pub threads: u32,
    /// The processor time of all threads that it has now.
    pub ran: Duration,
    /// How many connections it has to others, over a network or loopback. One that the other side has closed is none any more.
    pub connections: u32,
    /// How many children it has.
    pub children: u32,
    /// How many of them are commands: they don't talk to it over stdin, as its servers do.
    #[serde(default)]
    pub commands: u32,
}

/// The main thread, by the kernel's own account, which is exact where the ticks of `utime` and `stime` miss half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainThread {
    /// It sleeps and can be woken (`S`).
    pub asleep: bool,
    /// How long it ever ran.
    pub ran: Duration,
    /// How often it was ever switched, by its own will or not.
    pub switches: u64,
}

/// What shows that a worker is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Its main thread is awake.
    Awake,
    /// Its main thread ran since the earlier look.
    MainThreadRan,
    /// It has a connection.
    Connected {
        /// So often.
        connections: u32,
    },
    /// It runs commands, however long each of them does nothing.
    Commands {
        /// So many.
        commands: u32,
    },
    /// It has more threads than it has at rest.
    MoreThreads {
        /// So many now.
        threads: u32,
        /// So many at rest.
        at_rest: u32,
    },
    /// It has more children than it has at rest.
    MoreChildren {
        /// So many now.
        children: u32,
        /// So many at rest.
        at_rest: u32,
    },
    /// Its threads took more processor time since the earlier look than at rest.
    Ran {
        /// So much.
        ran: Duration,
        /// In so long.
        within: Duration,
    },
}

/// What a worker has while it does nothing: its own, since one with an MCP server has more of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtRest {
    /// Threads.
    pub threads: u32,
    /// Children.
    pub children: u32,
}

/// What a worker began after it had started, as far as it is there still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Later {
    /// Threads.
    pub threads: u32,
    /// Children.
    pub children: u32,
}

/// What a worker begins within so long of its own start it has at rest, too: its watchdog, its servers.
pub const STARTING: Duration = Duration::from_secs(60);

impl AtRest {
    /// Of what it has more than that.
    pub(super) fn more_than(self, at_rest: Self) -> Option<Work> {
        if self.threads > at_rest.threads {
            return Some(Work::MoreThreads { threads: self.threads, at_rest: at_rest.threads });
        }
        (self.children > at_rest.children)
            .then_some(Work::MoreChildren { children: self.children, at_rest: at_rest.children })
    }
}

impl Activity {
    /// What one look shows, where there was none before.
    pub fn work_now(&self) -> Option<Work> {
        if !self.main.asleep {
            return Some(Work::Awake);
        }
        if self.connections > 0 {
            return Some(Work::Connected { connections: self.connections });
        }
        (self.commands > 0).then_some(Work::Commands { commands: self.commands })
    }

    /// What shows that it works now, or ran since the earlier look, `within` before.
    pub(super) fn ran_since(&self, earlier: &Self, within: Duration) -> Option<Work> {
        if let Some(work) = self.work_now() {
            return Some(work);
        }
        if self.main != earlier.main {
            return Some(Work::MainThreadRan);
        }
        // A thread that ended takes its time along; what the others took is a lower bound.
        let ran = self.ran.saturating_sub(earlier.ran);
        let allowed = BUSY_PER_SECOND.mul_f64(within.as_secs_f64().max(1.0));
        (ran > allowed).then_some(Work::Ran { ran, within })
    }

    pub(super) fn has(&self) -> AtRest {
        AtRest { threads: self.threads, children: self.children }
    }
}
