//! From what was found to what may be done: the grace, the quota, and the one place where warrants are signed.

use std::cmp::Reverse;
use std::time::Duration;

use super::world::Gateway;
use crate::domain::orphan::OrphanKind;
use crate::domain::process::ProcessIdentity;
use crate::domain::verdict::{Judged, Keep, Subject, Verdict};
use crate::domain::warrant::{CloseOrder, GOOD_FOR, Terms, Warrant};

/// A subject and what was found of it.
pub(super) struct Found {
    pub(super) subject: Subject,
    rss_bytes: Option<u64>,
    pub(super) state: State,
}

pub(super) enum State {
    Keep(Keep),
    Wait {
        due: Due,
        waited: Duration,
        remaining: Duration,
    },
    Due {
        due: Due,
        waited: Duration,
        failures: u32,
    },
    /// Left over from an interrupted teardown: condemned before, so neither grace nor quota applies.
    Condemned {
        due: Due,
    },
}

/// An orphan, and what ending it would take.
pub(super) struct Due {
    pub(super) orphan: OrphanKind,
    pub(super) session: Option<CloseOrder>,
    pub(super) worker: Option<ProcessIdentity>,
    pub(super) remnants: Vec<ProcessIdentity>,
    /// The worker that they were seen under, where it is gone.
    pub(super) remnants_of: Option<ProcessIdentity>,
}

impl Found {
    pub(super) fn keep(subject: Subject, rss_bytes: Option<u64>, keep: Keep) -> Self {
        Self { subject, rss_bytes, state: State::Keep(keep) }
    }

    pub(super) fn orphan(
        subject: Subject,
        rss_bytes: Option<u64>,
        due: Due,
        waited: Duration,
        grace: Duration,
        failures: u32,
    ) -> Self {
        let state = match grace.checked_sub(waited) {
            Some(remaining) if !remaining.is_zero() => State::Wait { due, waited, remaining },
            _ => State::Due { due, waited, failures },
        };
        Self { subject, rss_bytes, state }
    }

    pub(super) fn condemned(subject: Subject, due: Due) -> Self {
        Self { subject, rss_bytes: None, state: State::Condemned { due } }
    }
}

/// Signs warrants for as many as the quota allows: first those that failed least often, of these those who have waited longest.
pub(super) fn sign(gateway: &Gateway<'_>, found: Vec<Found>) -> Vec<Judged> {
    let policy = &gateway.rules.policy;
    let mut queue: Vec<(u32, Reverse<Duration>, usize)> = found
        .iter()
        .enumerate()
        .filter_map(|(index, found)| match found.state {
            State::Due { waited, failures, .. } => Some((failures, Reverse(waited), index)),
            _ => None,
        })
        .collect();
    queue.sort_unstable();
    let mut deferred = vec![false; found.len()];
    for (.., index) in queue.into_iter().skip(policy.max_reaps) {
        deferred[index] = true;
    }
    let warrant = |due: Due| {
        Box::new(Warrant::new(Terms {
            gateway: gateway.seen.name.clone(),
            orphan: due.orphan,
            session: due.session,
            worker: due.worker,
            remnants: due.remnants,
            remnants_of: due.remnants_of,
            limits: gateway.limits.clone(),
            valid_until: gateway.seen.asked + GOOD_FOR,
            close_timeout: policy.close_timeout,
            term_timeout: policy.term_timeout,
        }))
    };
    let verdict = |state, deferred| match state {
        State::Keep(keep) => Verdict::Keep(keep),
        State::Wait { due, waited, remaining } => Verdict::Wait { orphan: due.orphan, waited, remaining },
        State::Due { due, waited, .. } if deferred => Verdict::Deferred { orphan: due.orphan, waited },
        State::Due { due, waited, .. } => Verdict::Reap { warrant: warrant(due), waited },
        State::Condemned { due } => Verdict::Reap { warrant: warrant(due), waited: Duration::ZERO },
    };
    found
        .into_iter()
        .zip(deferred)
        .map(|(found, deferred)| Judged {
            subject: found.subject,
            rss_bytes: found.rss_bytes,
            verdict: verdict(found.state, deferred),
        })
        .collect()
}
