//! What a worker's own account shows of its work, and what looks at it say of one that rests.
//!
//! Measured on Hermes workers of each release, at rest for ten minutes, with an MCP child too: the main thread doesn't run at all and isn't
//! switched, while a watchdog and an MCP client's keep-alive take at most 0.21 ms of processor time in a second. Every use moves the main
//! thread. A `/background` job runs in another thread while the main thread rests: one or two threads more, a connection to its model, and
//! 17 to 49 ms of processor time in a second; while it waits for a command of its own, far less, and no connection.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::outside::LOOKS_APART;
use super::time::Awake;

/// Above what a worker takes at rest, and far below the least that one at work takes.
const BUSY_PER_SECOND: Duration = Duration::from_millis(2);
/// The same over a long time, in which single bursts of one at rest make no difference: a job that polls takes 1.7 ms.
const BUSY_PER_SECOND_FOR_LONG: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(30);
/// A job that waits is connected to its model or has a command, but for one whose model told it to come back later: for that Hermes waits
/// ten minutes at most. Threads that stay for much longer and do nothing are a pool's.
const QUIET_IS_REST: Duration = Duration::from_secs(30 * 60);
/// A job may also wait for a server of its worker, for as long as the server's configuration allows. Hermes itself gives up a session
/// without a client after so long.
const QUIET_WITH_SERVERS_IS_REST: Duration = Duration::from_secs(6 * 3600);

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
    fn more_than(self, at_rest: Self) -> Option<Work> {
        if self.threads > at_rest.threads {
            return Some(Work::MoreThreads { threads: self.threads, at_rest: at_rest.threads });
        }
        (self.children > at_rest.children)
            .then_some(Work::MoreChildren { children: self.children, at_rest: at_rest.children })
    }
}

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
    fn ran_since(&self, earlier: &Self, within: Duration) -> Option<Work> {
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

    fn has(&self) -> AtRest {
        AtRest { threads: self.threads, children: self.children }
    }
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

/// A worker's account over all looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    watched: Watched,
    /// The last look.
    pub at: Awake,
    /// Since when it did nothing. `None`: it was at work at the last look.
    pub rests_since: Option<Awake>,
    /// Since when no two looks were further apart than [`LOOKS_APART`].
    pub looked_at_since: Awake,
    /// The fewest children that it ever had at rest. One more may be a command that sleeps, however long that does nothing.
    #[serde(default)]
    least_children: Option<u32>,
    /// The processor time of its threads when it came to rest.
    #[serde(default)]
    ran_at_rest: Duration,
    /// It wasn't looked at for a while, in which it may have been in use.
    #[serde(default)]
    is_aside: bool,
    /// It was seen at rest.
    #[serde(default)]
    has_rested: bool,
    /// How many threads it had while something else than its main thread was at work, before it was seen at rest: a job's is among them.
    #[serde(default)]
    threads_at_work: Option<u32>,
}

impl Account {
    /// After the first look. `later`: what it began after its start may be of work that goes on, until that has been quiet for long.
    pub fn new(first: Activity, later: Later, at: Awake) -> Self {
        let at_rest = AtRest {
            threads: first.threads.saturating_sub(later.threads),
            children: first.children.saturating_sub(later.children),
        };
        let knows_more = later != Later { threads: 0, children: 0 };
        let watched = Watched { at_rest: knows_more.then_some(at_rest), ..Watched::new(first) };
        let rests_since = (first.work_now().is_none() && !knows_more).then_some(at);
        Self {
            watched,
            at,
            rests_since,
            looked_at_since: at,
            least_children: None,
            ran_at_rest: first.ran,
            is_aside: false,
            has_rested: false,
            threads_at_work: None,
        }
    }

    /// What the one look shows, where there was none before.
    pub fn work_now(&self) -> Option<Work> {
        let has = self.watched.last.has();
        self.watched.last.work_now().or_else(|| has.more_than(self.watched.at_rest?))
    }

    /// Whether nothing is known yet of what it has at rest.
    pub fn knows_no_rest(&self) -> bool {
        self.watched.at_rest.is_none()
    }

    /// It was seen at rest for the first time. `later`: what it has begun after its start, which may be of work that began since an earlier
    /// look and goes on, until that has been quiet for long. So may the threads that it had when an earlier look saw a job at work.
    pub fn rests_with(&mut self, later: Later) -> Option<Work> {
        let has = self.watched.last.has();
        let without_a_job = self.threads_at_work.map_or(has.threads, |threads| threads.saturating_sub(1));
        let at_rest = AtRest {
            threads: has.threads.saturating_sub(later.threads).min(without_a_job),
            children: has.children.saturating_sub(later.children),
        };
        let work = has.more_than(at_rest);
        if work.is_some() {
            (self.watched.at_rest, self.rests_since) = (Some(at_rest), None);
            self.least_children = Some(at_rest.children);
        }
        work
    }

    /// Whether it was seen at rest, so that the next look can tell what it has more than then.
    pub fn knows_rest(&self) -> bool {
        self.has_rested
    }

    /// It isn't looked at for now. What it does until the next look is of no matter; what it has at rest is kept.
    pub fn put_aside(&mut self) {
        self.is_aside = true;
    }

    /// What shows that it works, or worked since the last look.
    pub fn look(&mut self, now: Activity, at: Awake) -> Option<Work> {
        if std::mem::take(&mut self.is_aside) {
            self.watched = Watched { last: now, quiet_for: Duration::ZERO, ..self.watched };
            (self.at, self.looked_at_since, self.rests_since) = (at, at, None);
        }
        let within = at.since(self.at);
        self.at = at;
        if within > LOOKS_APART {
            self.looked_at_since = at;
        }
        let is_job = now.main == self.watched.last.main && now.work_now().is_some();
        if is_job && self.knows_no_rest() {
            self.threads_at_work = Some(self.threads_at_work.unwrap_or(now.threads).max(now.threads));
        }
        let work = self.watched.look(now, within).or_else(|| self.ran_for_long(now, at));
        if work.is_none() {
            self.has_rested = true;
            self.least_children = Some(self.least_children.unwrap_or(now.children).min(now.children));
        }
        let has_more = self.least_children.is_some_and(|least| now.children > least);
        if work.is_some() || has_more {
            self.rests_since = None;
        } else if self.rests_since.is_none() {
            (self.rests_since, self.ran_at_rest) = (Some(at), now.ran);
        }
        work
    }

    /// What it ran since it came to rest, if that is more than one at rest does.
    fn ran_for_long(&self, now: Activity, at: Awake) -> Option<Work> {
        let within = at.since(self.rests_since?);
        let ran = now.ran.saturating_sub(self.ran_at_rest);
        let allowed = BUSY_PER_SECOND_FOR_LONG.mul_f64(within.as_secs_f64());
        (within >= LONG && ran > allowed).then_some(Work::Ran { ran, within })
    }

    /// Whether who finds the other account loses nothing by not finding this one: it did nothing in between, and had already done nothing
    /// before. When it was looked at doesn't matter.
    pub fn is_told_by(&self, other: &Self) -> bool {
        let shown = |account: &Self| {
            let last = account.watched.last;
            (last.main, last.threads, last.children, last.commands, last.connections, account.watched.at_rest)
        };
        let known = |account: &Self| {
            (account.rests_since, account.is_aside, account.has_rested, account.threads_at_work)
        };
        shown(self) == shown(other) && known(self) == known(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const NONE_LATER: Later = Later { threads: 0, children: 0 };

    fn at_rest() -> Activity {
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

    #[test]
    fn an_account_says_since_when_it_did_nothing_and_since_when_it_was_looked_at_without_a_gap() {
        let at = |seconds: u64| Awake::from_nanos(0) + Duration::from_secs(seconds);
        let used = |switches: u64| {
            let main = MainThread { switches, ..at_rest().main };
            Activity { main, ..at_rest() }
        };
        let mut account = Account::new(used(1), NONE_LATER, at(0));
        assert_eq!(account.rests_since, Some(at(0)));
        assert_eq!(account.look(used(1), at(60)), None);
        assert_eq!((account.rests_since, account.looked_at_since), (Some(at(0)), at(0)));
        // The main thread's counts are exact: what they don't show between two looks didn't happen.
        let first = account;
        assert_eq!(account.look(used(1), at(200)), None);
        assert_eq!((account.rests_since, account.looked_at_since), (Some(at(0)), at(200)));
        assert!(account.is_told_by(&first));
        assert_eq!(account.look(used(2), at(210)), Some(Work::MainThreadRan));
        assert_eq!((account.rests_since, account.looked_at_since), (None, at(200)));
        assert!(!account.is_told_by(&first));
        assert_eq!(account.look(used(2), at(220)), None);
        assert_eq!(account.rests_since, Some(at(220)));
        assert_eq!(Account::new(Activity { connections: 1, ..used(1) }, NONE_LATER, at(0)).rests_since, None);
    }

    #[test]
    fn of_one_that_was_in_use_meanwhile_only_what_it_has_at_rest_is_compared() {
        let at = |seconds: u64| Awake::from_nanos(0) + Duration::from_secs(seconds);
        let mut account = Account::new(at_rest(), NONE_LATER, at(0));
        assert!(!account.knows_rest());
        assert_eq!(account.look(at_rest(), at(1)), None);
        assert!(account.knows_rest());
        account.put_aside();
        let main = MainThread { switches: 4000, ..at_rest().main };
        let with_a_job = Activity { main, threads: 4, ran: Duration::from_secs(9), ..at_rest() };
        let mut after_a_job = account;
        let work = Some(Work::MoreThreads { threads: 4, at_rest: 3 });
        // However long it was aside, what it has now isn't called its rest.
        assert_eq!(after_a_job.look(with_a_job, at(7200)), work);
        assert_eq!(after_a_job.look(with_a_job, at(7201)), work);
        let idle = Activity { threads: 3, ..with_a_job };
        assert_eq!(account.look(idle, at(7200)), None);
        assert_eq!((account.rests_since, account.looked_at_since), (Some(at(7200)), at(7200)));
        let used = Activity { main: MainThread { switches: 4001, ..main }, ..idle };
        assert_eq!(account.look(used, at(7210)), Some(Work::MainThreadRan));
    }

    #[test]
    fn a_child_that_only_sleeps_keeps_its_worker_from_being_ended_however_long_it_does() {
        let at = |seconds: u64| Awake::from_nanos(0) + Duration::from_secs(seconds);
        let mut account = Account::new(at_rest(), NONE_LATER, at(0));
        assert_eq!(account.look(at_rest(), at(60)), None);
        let with_a_command = Activity { children: 2, ..at_rest() };
        for minute in 2..40 {
            let work = account.look(with_a_command, at(minute * 60));
            assert_eq!(account.rests_since, None, "minute {minute}: {work:?}");
        }
        assert_eq!(account.look(at_rest(), at(2400)), None);
        assert_eq!(account.rests_since, Some(at(2400)));
    }

    #[test]
    fn a_job_that_only_polls_shows_itself_over_half_a_minute() {
        let at = |seconds: u64| Awake::from_nanos(0) + Duration::from_secs(seconds);
        let polling = |seconds: u64, micros: u64| Activity {
            ran: at_rest().ran + Duration::from_micros(micros * seconds),
            ..at_rest()
        };
        let mut polls = Account::new(polling(0, 1700), NONE_LATER, at(0));
        let mut rests = Account::new(polling(0, 210), NONE_LATER, at(0));
        let half_a_minute = Duration::from_secs(30);
        for second in (5..600).step_by(5) {
            let shown = polls.look(polling(second, 1700), at(second));
            let busy = Work::Ran { ran: Duration::from_millis(51), within: half_a_minute };
            assert!(second != 30 || shown == Some(busy), "{shown:?}");
            assert!(polls.rests_since.is_none_or(|since| at(second).since(since) < half_a_minute));
            assert_eq!(rests.look(polling(second, 210), at(second)), None, "second {second}");
        }
        assert_eq!(rests.rests_since, Some(at(0)));
    }

    #[test]
    fn what_it_began_after_a_look_that_saw_it_at_work_is_no_rest_either() {
        let at = |minute: u64| Awake::from_nanos(0) + MINUTE * u32::try_from(minute).unwrap();
        let ran = |switches: u64| Activity {
            main: MainThread { switches, ..at_rest().main },
            children: 0,
            ..at_rest()
        };
        let mut account = Account::new(ran(1), NONE_LATER, at(0));
        assert_eq!(account.look(ran(2), at(1)), Some(Work::MainThreadRan));
        assert!(account.knows_no_rest());
        let with_a_job = Activity { threads: 4, ..ran(2) };
        assert_eq!(account.look(with_a_job, at(2)), None);
        let more = Some(Work::MoreThreads { threads: 4, at_rest: 3 });
        assert_eq!(account.rests_with(Later { threads: 1, children: 0 }), more);
        assert!(!account.knows_no_rest() && account.rests_since.is_none());
        for minute in 3..31 {
            assert_eq!((account.look(with_a_job, at(minute)), account.rests_since), (more, None));
        }
        let mut rests = account;
        assert_eq!(rests.look(ran(2), at(31)), None);
        assert_eq!(rests.rests_since, Some(at(31)));
        // Nothing that it began later: it just rests.
        let mut account = Account::new(ran(1), NONE_LATER, at(0));
        assert_eq!(account.look(ran(1), at(1)), None);
        assert_eq!((account.rests_with(NONE_LATER), account.rests_since), (None, Some(at(0))));
    }

    #[test]
    fn a_job_that_was_seen_at_work_before_any_rest_is_no_rest_while_its_thread_is_there() {
        let at = |minute: u64| Awake::from_nanos(0) + MINUTE * u32::try_from(minute).unwrap();
        let with_a_job = Activity { threads: 4, ..at_rest() };
        let at_its_model = Activity { connections: 1, ..with_a_job };
        let connected = Some(Work::Connected { connections: 1 });
        let mut account = Account::new(at_its_model, NONE_LATER, at(0));
        assert_eq!(account.look(at_its_model, at(1)), connected);
        // It has gone on to a server that takes its time.
        assert!(account.knows_no_rest());
        assert_eq!(account.look(with_a_job, at(2)), None);
        let more = Some(Work::MoreThreads { threads: 4, at_rest: 3 });
        assert_eq!((account.rests_with(NONE_LATER), account.rests_since), (more, None));
        assert_eq!((account.look(with_a_job, at(3)), account.rests_since), (more, None));
        assert_eq!(account.look(at_rest(), at(4)), None);
        assert_eq!(account.rests_since, Some(at(4)));
        // Its main thread's own connection is none of a job.
        let main = MainThread { switches: 91, ..at_rest().main };
        let mut account = Account::new(at_rest(), NONE_LATER, at(0));
        assert_eq!(account.look(Activity { main, connections: 1, ..at_rest() }, at(1)), connected);
        assert_eq!(account.look(Activity { main, ..at_rest() }, at(2)), None);
        assert_eq!((account.rests_with(NONE_LATER), account.rests_since), (None, Some(at(2))));
    }

    #[test]
    fn what_it_began_later_is_no_rest_until_it_was_quiet_for_long() {
        let at = |minute: u64| Awake::from_nanos(0) + MINUTE * u32::try_from(minute).unwrap();
        let later = Later { threads: 2, children: 0 };
        let alone = Activity { children: 0, ..at_rest() };
        let mut account = Account::new(alone, later, at(0));
        let more = Some(Work::MoreThreads { threads: 3, at_rest: 1 });
        assert_eq!((account.work_now(), account.rests_since), (more, None));
        for minute in 1..30 {
            assert_eq!((account.look(alone, at(minute)), account.rests_since), (more, None));
        }
        assert_eq!((account.look(alone, at(30)), account.rests_since), (None, Some(at(30))));
        // A server that it started later.
        let server = Later { threads: 0, children: 1 };
        let mut account = Account::new(at_rest(), server, at(0));
        assert_eq!(account.work_now(), Some(Work::MoreChildren { children: 1, at_rest: 0 }));
        for minute in 1..=360 {
            assert_eq!(account.look(at_rest(), at(minute)).is_none(), minute == 360);
        }
        assert_eq!(account.rests_since, Some(at(360)));
        // Without them it rests at once.
        let mut account = Account::new(at_rest(), later, at(0));
        let without = Activity { threads: 1, ..at_rest() };
        assert_eq!((account.look(without, at(1)), account.rests_since), (None, Some(at(1))));
    }
}
