//! The keys of `[policy]`, which may also stand under a gateway and then win there.

use crate::domain::policy::Policy;

use super::section::Section;

/// Nobody runs as many sessions; what is larger is a slip of the finger.
const MOST_REAPS: usize = 1_000_000;

/// More connections at once are a load test.
const MOST_CLOSES: usize = 1_000;

/// The policy of a table; where it is silent, that of `above`.
pub(super) fn read(section: &Section<'_>, above: &Policy) -> Policy {
    let duration = |key, above| section.duration(key).unwrap_or(above);
    Policy {
        grace: duration("grace", above.grace),
        close_on_disconnect_grace: duration("close_on_disconnect_grace", above.close_on_disconnect_grace),
        worker_grace: duration("worker_grace", above.worker_grace),
        close_timeout: duration("close_timeout", above.close_timeout),
        term_timeout: duration("term_timeout", above.term_timeout),
        max_reaps: section
            .count(
                "max_reaps",
                1..=MOST_REAPS,
                "a whole number from 1 to 1000000 (to reap nothing, write dry_run = true)",
            )
            .unwrap_or(above.max_reaps),
        closes_at_once: section
            .count("closes_at_once", 1..=MOST_CLOSES, "a whole number from 1 to 1000")
            .unwrap_or(above.closes_at_once),
        dry_run: section.flag("dry_run").unwrap_or(above.dry_run),
    }
}
