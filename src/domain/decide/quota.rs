//! From what was found to what may be done: the grace, the quota, and the one place where warrants are made.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::world::Gateway;
use crate::domain::orphan::OrphanKind;
use crate::domain::policy::Policy;
use crate::domain::verdict::{Judged, Verdict};
use crate::domain::warrant::{GOOD_FOR, Warrant};

impl Gateway<'_> {
    /// A warrant for an orphan of this kind, which names nothing yet.
    pub(super) fn warrant(&self, orphan: OrphanKind) -> Warrant {
        let policy = &self.rules.policy;
        Warrant {
            gateway: self.seen.name.clone(),
            orphan,
            session: None,
            worker: None,
            remnants: Vec::new(),
            remnants_of: None,
            by_themselves: false,
            limits: self.limits.clone(),
            // What is idle now may be used in a moment.
            valid_until: self.seen.asked + if orphan.rests_on_a_moment() { Duration::ZERO } else { GOOD_FOR },
            close_timeout: policy.close_timeout,
            term_timeout: policy.term_timeout,
            failures: None,
            closes_without_effect: 0,
            is_told: policy.dry_run,
            may_be_of: vec![self.seen.name.clone()],
            without_worker: Arc::default(),
            left_to_gateway: None,
        }
    }
}

/// An orphan is due once its grace is over.
pub(super) fn after(grace: Duration, waited: Duration, warrant: Warrant) -> Verdict {
    match grace.checked_sub(waited) {
        Some(remaining) if !remaining.is_zero() => {
            Verdict::Wait { orphan: warrant.orphan, waited, remaining }
        }
        _ => Verdict::Reap { warrant: Box::new(warrant), waited },
    }
}

/// Puts off what is due beyond the quota of a run: first come those that failed least often, of these those who have waited longest. What
/// an earlier run condemned counts for nothing, nor does what is only told of.
pub(super) fn defer(policy: &Policy, judged: &mut [Judged]) {
    // A gateway on trial tells of what it would reap in a run; beside it, what only another one's trial has told of takes no place.
    let is_told = |warrant: &Warrant| {
        (warrant.is_told && !policy.dry_run) || (warrant.session.is_some() && !policy.closes_sessions())
    };
    let mut queue: Vec<(u32, Reverse<Duration>, usize)> = judged
        .iter()
        .enumerate()
        .filter_map(|(index, judged)| match &judged.verdict {
            Verdict::Reap { warrant, waited } if !is_told(warrant) => {
                Some((warrant.failures?, Reverse(*waited), index))
            }
            _ => None,
        })
        .collect();
    queue.sort_unstable();
    for (.., index) in queue.into_iter().skip(policy.max_reaps) {
        if let Verdict::Reap { warrant, waited } = &judged[index].verdict {
            judged[index].verdict = Verdict::Deferred { orphan: warrant.orphan, waited: *waited };
        }
    }
}
