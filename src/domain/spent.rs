//! What a worker's tree spent of a processor between two looks, and whether that is work.
//!
//! Measured on Jupyter kernels: at rest at most 0.02 % of a core, a silent thread that computes 4 %, a child at work 8 %. A kernel's clock
//! has 10 ms, so that in a short span a tick alone would be work: what a span of `LEAST` allows is always allowed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::policy::CpuShare;
use super::time::Awake;

/// A shorter span is judged as if it were this long.
const LEAST: Duration = Duration::from_secs(10);
/// After so long the comparison begins anew, so that work isn't measured against a night of rest.
pub const RENEWED_AFTER: Duration = Duration::from_secs(60);

/// The processor time that a tree had used at an earlier look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// When that was.
    pub at: Awake,
    /// So much, in milliseconds.
    used_ms: u64,
    /// When it was last seen to have worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worked: Option<Awake>,
}

impl Spent {
    /// A first look.
    pub fn new(at: Awake, used: Duration) -> Self {
        Self { at, used_ms: u64::try_from(used.as_millis()).unwrap_or(u64::MAX), worked: None }
    }

    /// It works, as something else shows.
    #[must_use]
    pub fn working(self) -> Self {
        Self { worked: Some(self.at), ..self }
    }

    /// Whether the tree worked since, by another look. It did, too, if it has used less than before: something of it has ended. A look that
    /// comes so soon after one that saw it work that it can tell nothing says the same.
    pub fn look(&mut self, at: Awake, used: Duration, rest: CpuShare) -> bool {
        let now = Self::new(at, used);
        let span = at.since(self.at);
        let worked = match now.used_ms.checked_sub(self.used_ms) {
            Some(more) => Duration::from_millis(more) > rest.of(span.max(LEAST)),
            None => true,
        };
        let before = self.worked.filter(|_| !worked);
        if worked || span >= RENEWED_AFTER {
            *self = now;
        }
        self.worked = if worked { Some(at) } else { before.filter(|before| at.since(*before) < LEAST) };
        self.worked.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_A_PERCENT: CpuShare = CpuShare::of_ten_thousand(50);

    fn at(seconds: u64) -> Awake {
        Awake::from_nanos(0) + Duration::from_secs(seconds)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn one_that_rests_never_works_however_often_it_is_looked_at() {
        let mut spent = Spent::new(at(0), ms(1000));
        // Three ticks in a minute, at any look of it.
        for (second, used) in
            [(1, 1010), (2, 1010), (10, 1020), (59, 1030), (60, 1030), (61, 1040), (120, 1060)]
        {
            assert!(!spent.look(at(second), ms(used), HALF_A_PERCENT), "{second}");
        }
    }

    #[test]
    fn a_silent_thread_works_at_any_interval() {
        for interval in [2, 5, 60, 300] {
            let mut spent = Spent::new(at(0), ms(0));
            // 4 % of a core.
            for look in 1..20 {
                assert!(
                    spent.look(at(look * interval), ms(look * interval * 40), HALF_A_PERCENT),
                    "{interval}"
                );
            }
        }
    }

    #[test]
    fn little_work_is_seen_once_it_is_more_than_a_tick() {
        let mut spent = Spent::new(at(0), ms(0));
        let works = |second| spent.look(at(second), ms(second * 10), HALF_A_PERCENT);
        // 1 % of a core, looked at every second: six ticks are more than the 50 ms that 10 s allow.
        let seen: Vec<u64> = (1..=12)
            .filter_map({
                let mut works = works;
                move |second| works(second).then_some(second)
            })
            .collect();
        assert_eq!(seen, [6, 7, 8, 9, 10, 11, 12]);
    }

    #[test]
    fn work_after_a_night_of_rest_is_not_measured_against_the_night() {
        let mut spent = Spent::new(at(0), ms(0));
        assert!(!spent.look(at(30_000), ms(0), HALF_A_PERCENT));
        assert!(spent.look(at(30_005), ms(200), HALF_A_PERCENT));
    }

    #[test]
    fn what_has_ended_has_worked() {
        let mut spent = Spent::new(at(0), ms(500));
        assert!(spent.look(at(5), ms(100), HALF_A_PERCENT));
        assert!(spent.look(at(14), ms(100), HALF_A_PERCENT));
        assert!(!spent.look(at(15), ms(100), HALF_A_PERCENT));
    }
}
