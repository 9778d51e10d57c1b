//! What a worker's own account shows of its work, and what looks at it say of one that rests.
//!
//! Measured on Hermes workers of each release, at rest for ten minutes, with an MCP child too: the main thread doesn't run at all and isn't
//! switched, while a watchdog and an MCP client's keep-alive take at most 0.21 ms of processor time in a second. Every use moves the main
//! thread. A `/background` job runs in another thread while the main thread rests: one or two threads more, a connection to its model, and
//! 17 to 49 ms of processor time in a second.

use std::time::Duration;

/// Above what a worker takes at rest, and far below the least that one at work takes.
const BUSY_PER_SECOND: Duration = Duration::from_millis(2);

/// One look at one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Its main thread.
    pub main: MainThread,
    /// How many threads it has.
    pub threads: u32,
    /// The processor time of all threads that it has now.
    pub ran: Duration,
    /// How many connections it has to others, over a network or loopback.
    pub connections: u32,
}

/// The main thread, by the kernel's own account, which is exact where the ticks of `utime` and `stime` miss half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// It is connected to somebody.
    Connected {
        /// So often.
        connections: u32,
    },
    /// It has more threads than it has at rest.
    MoreThreads {
        /// So many now.
        threads: u32,
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

impl Activity {
    /// What one look shows, where there was none before.
    pub fn work_now(&self) -> Option<Work> {
        if !self.main.asleep {
            return Some(Work::Awake);
        }
        (self.connections > 0).then_some(Work::Connected { connections: self.connections })
    }

    /// What shows that it works, or worked since the earlier look, `within` before. `at_rest`: how many threads it has then, where known.
    pub fn work_since(&self, earlier: &Self, within: Duration, at_rest: Option<u32>) -> Option<Work> {
        if let Some(work) = self.work_now() {
            return Some(work);
        }
        if self.main != earlier.main {
            return Some(Work::MainThreadRan);
        }
        if let Some(at_rest) = at_rest.filter(|at_rest| self.threads > *at_rest) {
            return Some(Work::MoreThreads { threads: self.threads, at_rest });
        }
        // A thread that ended takes its time along; what the others took is a lower bound.
        let ran = self.ran.saturating_sub(earlier.ran);
        let allowed = BUSY_PER_SECOND.mul_f64(within.as_secs_f64().max(1.0));
        (ran > allowed).then_some(Work::Ran { ran, within })
    }

    /// How many threads it has at rest, by this look and those before: the fewest that were ever seen while its main thread stood still.
    /// While it starts it has fewer, but then its main thread runs.
    pub fn threads_at_rest(&self, earlier: &Self, before: Option<u32>) -> Option<u32> {
        if self.main != earlier.main || !self.main.asleep {
            return before;
        }
        Some(before.map_or(self.threads, |before| before.min(self.threads)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at_rest() -> Activity {
        let main = MainThread { asleep: true, ran: Duration::from_millis(700), switches: 90 };
        Activity { main, threads: 3, ran: Duration::from_millis(800), connections: 0 }
    }

    #[test]
    fn one_that_does_nothing_rests() {
        let now = at_rest();
        assert_eq!(now.work_now(), None);
        assert_eq!(now.work_since(&now, MINUTE, Some(3)), None);
        // Its watchdog and an MCP client's keep-alive.
        let later = Activity { ran: now.ran + Duration::from_micros(210) * 60, ..now };
        assert_eq!(later.work_since(&now, MINUTE, Some(3)), None);
    }

    #[test]
    fn any_use_is_seen() {
        let before = at_rest();
        let main = |main: MainThread| Activity { main, ..before };
        let ran = main(MainThread { ran: before.main.ran + Duration::from_micros(330), ..before.main });
        assert_eq!(ran.work_since(&before, MINUTE, Some(3)), Some(Work::MainThreadRan));
        let switched = main(MainThread { switches: 91, ..before.main });
        assert_eq!(switched.work_since(&before, MINUTE, Some(3)), Some(Work::MainThreadRan));
        let awake = main(MainThread { asleep: false, ..before.main });
        assert_eq!(awake.work_now(), Some(Work::Awake));
        assert_eq!(awake.work_since(&before, MINUTE, Some(3)), Some(Work::Awake));
    }

    #[test]
    fn a_job_in_another_thread_is_seen_by_each_of_its_signs() {
        let before = at_rest();
        let threads = Activity { threads: 4, ..before };
        assert_eq!(
            threads.work_since(&before, MINUTE, Some(3)),
            Some(Work::MoreThreads { threads: 4, at_rest: 3 })
        );
        assert_eq!(threads.work_since(&before, MINUTE, None), None, "how many it has at rest isn't known");
        let connected = Activity { connections: 1, ..before };
        assert_eq!(connected.work_now(), Some(Work::Connected { connections: 1 }));
        let ran = Duration::from_millis(17) * 60;
        let busy = Activity { ran: before.ran + ran, ..before };
        assert_eq!(busy.work_since(&before, MINUTE, Some(3)), Some(Work::Ran { ran, within: MINUTE }));
        // A thread that ended took its time along.
        let fewer = Activity { ran: Duration::from_millis(750), threads: 2, ..before };
        assert_eq!(fewer.work_since(&before, MINUTE, Some(3)), None);
    }

    #[test]
    fn what_it_has_at_rest_is_learnt_only_from_looks_at_which_it_stood_still() {
        let starting = Activity { threads: 1, ..at_rest() };
        let mut now = at_rest();
        now.main.switches += 1;
        assert_eq!(now.threads_at_rest(&starting, None), None, "it was starting");
        let with_a_job = Activity { threads: 5, ..now };
        let known = with_a_job.threads_at_rest(&now, None);
        assert_eq!(known, Some(5));
        assert_eq!(now.threads_at_rest(&with_a_job, known), Some(3));
        assert_eq!(with_a_job.threads_at_rest(&now, Some(3)), Some(3));
    }
}
