//! A worker's account over all looks at it: since when it has done nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::look::{Activity, AtRest, Later, Work};
use super::watched::Watched;
use crate::domain::outside::LOOKS_APART;
use crate::domain::time::Awake;

/// Above what a worker at rest takes over a long time, in which single bursts make no difference: a job that polls takes 1.7 ms a second.
const BUSY_PER_SECOND_FOR_LONG: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(30);

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
    /// How many threads it had while something else than its main thread was connected, before it was seen at rest: a job's is among them.
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
        // A job has a thread of its own. What has none but its main thread was connected by that.
        let without_a_job =
            self.threads_at_work.map_or(has.threads, |threads| threads.saturating_sub(1).max(1));
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
        // A command may be the main thread's own, which waits for it.
        let is_job =
            now.main == self.watched.last.main && matches!(now.work_now(), Some(Work::Connected { .. }));
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
    use crate::domain::activity::MainThread;
    use crate::domain::activity::tests::{MINUTE, at_rest};

    const NONE_LATER: Later = Later { threads: 0, children: 0 };

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
        let (mut aside, mut has_less) = (account, account);
        aside.put_aside();
        assert_eq!(has_less.look(Activity { threads: 2, ..used(1) }, at(205)), None);
        assert_eq!(has_less.rests_since, account.rests_since);
        assert!(!aside.is_told_by(&account) && !has_less.is_told_by(&account));
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
    fn the_half_hour_after_which_threads_are_its_own_begins_again_when_it_was_aside() {
        let at = |minute: u64| Awake::from_nanos(0) + MINUTE * u32::try_from(minute).unwrap();
        let alone = Activity { children: 0, ..at_rest() };
        let mut account = Account::new(alone, NONE_LATER, at(0));
        assert_eq!(account.look(alone, at(1)), None);
        let more = Activity { threads: 4, ..alone };
        for minute in 2..30 {
            assert!(account.look(more, at(minute)).is_some());
        }
        account.put_aside();
        for minute in 40..70 {
            assert!(account.look(more, at(minute)).is_some(), "minute {minute}");
        }
        assert_eq!(account.look(more, at(70)), None);
    }

    #[test]
    fn a_child_that_only_sleeps_keeps_its_worker_from_being_ended_however_long_it_does() {
        let at = |seconds: u64| Awake::from_nanos(0) + Duration::from_secs(seconds);
        let mut account = Account::new(at_rest(), NONE_LATER, at(0));
        assert_eq!(account.look(at_rest(), at(60)), None);
        let with_a_command = Activity { children: 2, ..at_rest() };
        // Also once threads and children that stay and do nothing are taken for its own.
        for minute in 2..400 {
            let work = account.look(with_a_command, at(minute * 60));
            assert_eq!(
                (account.rests_since, work.is_none()),
                (None, minute >= 362),
                "minute {minute}: {work:?}"
            );
        }
        let end = at(400 * 60);
        assert_eq!(account.look(at_rest(), end), None);
        assert_eq!(account.rests_since, Some(end));
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
        let mut most = Account::new(polling(0, 1000), NONE_LATER, at(0));
        let half_a_minute = Duration::from_secs(30);
        for second in (5..600).step_by(5) {
            let shown = polls.look(polling(second, 1700), at(second));
            let busy = Work::Ran { ran: Duration::from_millis(51), within: half_a_minute };
            assert!(second != 30 || shown == Some(busy), "{shown:?}");
            assert!(polls.rests_since.is_none_or(|since| at(second).since(since) < half_a_minute));
            assert_eq!(rests.look(polling(second, 210), at(second)), None, "second {second}");
            assert_eq!(
                most.look(polling(second, 1000), at(second)),
                None,
                "a millisecond in each is allowed"
            );
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
        // What has no other thread rests with the main one.
        let alone = Activity { threads: 1, ..at_rest() };
        let at_its_model = Activity { connections: 1, ..alone };
        let mut account = Account::new(at_its_model, NONE_LATER, at(0));
        assert_eq!(account.look(at_its_model, at(1)), connected);
        assert_eq!(account.look(alone, at(2)), None);
        assert_eq!((account.rests_with(NONE_LATER), account.rests_since), (None, Some(at(2))));
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
