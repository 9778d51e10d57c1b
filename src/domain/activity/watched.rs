//! What two looks at a worker show, one after the other, and what it has at rest.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::look::{Activity, AtRest, Work};

/// A job that waits is connected to its model or has a command, but for one whose model told it to come back later: for that Hermes waits
/// ten minutes at most. Threads that stay for much longer and do nothing are a pool's.
const QUIET_IS_REST: Duration = Duration::from_secs(30 * 60);
/// A job may also wait for a server of its worker, for as long as the server's configuration allows. Hermes itself gives up a session
/// without a client after so long.
const QUIET_WITH_SERVERS_IS_REST: Duration = Duration::from_secs(6 * 3600);

/// What is remembered of a worker between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// The last look.
    pub last: Activity,
    /// What it has at rest, once that was seen.
    pub at_rest: Option<AtRest>,
    /// For how long it showed no sign of work but, maybe, more threads or children than at rest, and always the same.
    pub quiet_for: Duration,
}

impl Watched {
    /// After the first look.
    pub fn new(first: Activity) -> Self {
        Self { last: first, at_rest: None, quiet_for: Duration::ZERO }
    }

    /// What shows that it works, or worked since the last look, `within` before.
    pub fn look(&mut self, now: Activity, within: Duration) -> Option<Work> {
        let earlier = std::mem::replace(&mut self.last, now);
        if let Some(work) = now.ran_since(&earlier, within) {
            self.quiet_for = Duration::ZERO;
            return Some(work);
        }
        let has = now.has();
        self.quiet_for = if has == earlier.has() { self.quiet_for + within } else { Duration::ZERO };
        // The fewest that were ever seen while it stood still. While it starts it has fewer, but then its main thread runs.
        let fewest = self.at_rest.map_or(has, |at_rest| AtRest {
            threads: at_rest.threads.min(has.threads),
            children: at_rest.children.min(has.children),
        });
        let is_rest = if has.children == 0 { QUIET_IS_REST } else { QUIET_WITH_SERVERS_IS_REST };
        // The newer releases keep the threads of a job that has ended.
        let at_rest = if self.quiet_for >= is_rest { has } else { fewest };
        self.at_rest = Some(at_rest);
        has.more_than(at_rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::activity::MainThread;
    use crate::domain::activity::tests::{MINUTE, at_rest};

    /// One that was seen at rest.
    fn watched() -> Watched {
        let mut watched = Watched::new(at_rest());
        assert_eq!(watched.look(at_rest(), MINUTE), None);
        assert_eq!(watched.at_rest, Some(AtRest { threads: 3, children: 1 }));
        watched
    }

    #[test]
    fn one_that_does_nothing_rests() {
        let mut watched = watched();
        assert_eq!(at_rest().work_now(), None);
        // Its watchdog and an MCP client's keep-alive.
        let later = Activity { ran: at_rest().ran + Duration::from_micros(210) * 60, ..at_rest() };
        assert_eq!(watched.look(later, MINUTE), None);
        let most = Activity { ran: later.ran + Duration::from_millis(2) * 60, ..later };
        assert_eq!(watched.look(most, MINUTE), None, "no more than is allowed");
    }

    #[test]
    fn any_use_is_seen() {
        let main = |main: MainThread| Activity { main, ..at_rest() };
        let before = at_rest().main;
        let ran = main(MainThread { ran: before.ran + Duration::from_micros(330), ..before });
        assert_eq!(watched().look(ran, MINUTE), Some(Work::MainThreadRan));
        assert_eq!(
            watched().look(main(MainThread { switches: 91, ..before }), MINUTE),
            Some(Work::MainThreadRan)
        );
        let awake = main(MainThread { asleep: false, ..before });
        assert_eq!(awake.work_now(), Some(Work::Awake));
        assert_eq!(watched().look(awake, MINUTE), Some(Work::Awake));
    }

    #[test]
    fn a_job_in_another_thread_is_seen_by_each_of_its_signs() {
        let threads = Activity { threads: 4, ..at_rest() };
        assert_eq!(watched().look(threads, MINUTE), Some(Work::MoreThreads { threads: 4, at_rest: 3 }));
        let children = Activity { children: 2, ..at_rest() };
        assert_eq!(watched().look(children, MINUTE), Some(Work::MoreChildren { children: 2, at_rest: 1 }));
        let connected = Activity { connections: 1, ..at_rest() };
        assert_eq!(connected.work_now(), Some(Work::Connected { connections: 1 }));
        assert_eq!(watched().look(connected, MINUTE), Some(Work::Connected { connections: 1 }));
        let command = Activity { commands: 1, ..at_rest() };
        assert_eq!(command.work_now(), Some(Work::Commands { commands: 1 }), "also at the very first look");
        assert_eq!(watched().look(command, MINUTE), Some(Work::Commands { commands: 1 }));
        let ran = Duration::from_millis(17) * 60;
        let busy = Activity { ran: at_rest().ran + ran, ..at_rest() };
        assert_eq!(watched().look(busy, MINUTE), Some(Work::Ran { ran, within: MINUTE }));
        // A thread that ended took its time along.
        let fewer = Activity { ran: Duration::from_millis(750), threads: 2, ..at_rest() };
        assert_eq!(watched().look(fewer, MINUTE), None);
    }

    #[test]
    fn what_it_has_at_rest_is_learnt_only_from_looks_at_which_it_stood_still() {
        let mut watched = Watched::new(Activity { threads: 1, children: 0, ..at_rest() });
        let mut started = at_rest();
        started.main.switches += 1;
        assert_eq!(watched.look(started, MINUTE), Some(Work::MainThreadRan));
        assert_eq!(watched.at_rest, None);
        let with_a_job = Activity { threads: 5, ..started };
        assert_eq!(
            watched.look(with_a_job, MINUTE),
            None,
            "by its threads alone it can't be told: nothing is known yet"
        );
        assert_eq!(watched.look(started, MINUTE), None);
        assert_eq!(watched.look(with_a_job, MINUTE), Some(Work::MoreThreads { threads: 5, at_rest: 3 }));
    }

    #[test]
    fn threads_that_stay_and_do_nothing_for_long_are_its_own() {
        // A server may be at work for them for longer than anything else.
        for (children, minutes) in [(0, 30), (1, 360)] {
            let at_rest = Activity { children, ..at_rest() };
            let watched = || {
                let mut watched = Watched::new(at_rest);
                assert_eq!(watched.look(at_rest, MINUTE), None);
                watched
            };
            let kept = Activity { threads: 8, ..at_rest };
            let more = Some(Work::MoreThreads { threads: 8, at_rest: 3 });
            let mut stays = watched();
            for minute in 0..minutes {
                assert_eq!(stays.look(kept, MINUTE), more, "minute {minute}");
            }
            assert_eq!(stays.look(kept, MINUTE), None, "for {minutes} minutes");
            let again = Activity { threads: 9, ..kept };
            assert_eq!(stays.look(again, MINUTE), Some(Work::MoreThreads { threads: 9, at_rest: 8 }));
            // Anything it does in between starts that time again.
            let mut works = watched();
            for look in 0..2 * minutes {
                let kept = Activity { connections: u32::from(look % 20 == 0), ..kept };
                assert!(works.look(kept, MINUTE).is_some());
            }
        }
    }
}
