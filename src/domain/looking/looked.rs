//! When a look was taken, and how much of the time before the next one was not observed.

use std::time::Duration;

use crate::domain::time::Awake;

/// When a look began and when it was over.
#[derive(Debug, Clone, Copy)]
pub struct Looked {
    /// Before it looked at anything.
    pub began: Awake,
    /// After it had read the last table.
    pub ended: Awake,
}

impl Looked {
    /// Awake time between this look and the next one, and in that, which counts for no grace: there was no look, though one was due every
    /// `interval` (a stopped reaper, a frozen container); or the next one took longer than any table takes to be read.
    ///
    /// What one interval would have shown counts, so that a slow teardown of one orphan doesn't hold up all the others for good.
    #[must_use]
    pub fn unobserved_until(self, next: Self, interval: Duration, longest_read: Duration) -> Duration {
        too_long(next.began.since(self.ended), interval)
            + too_long(next.ended.since(next.began), interval.max(longest_read))
    }
}

fn too_long(span: Duration, allowed: Duration) -> Duration {
    if span > allowed * 2 { span.saturating_sub(allowed) } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_a_look_was_due_and_nobody_looked_counts_for_no_grace() {
        let at = |seconds| Awake::from_nanos(0) + Duration::from_secs(seconds);
        let unobserved = |began, ended| {
            let (last, next) =
                (Looked { began: at(9), ended: at(10) }, Looked { began: at(began), ended: at(ended) });
            last.unobserved_until(next, Duration::from_secs(2), Duration::from_secs(5)).as_secs()
        };
        assert_eq!(unobserved(12, 12), 0);
        assert_eq!(unobserved(14, 23), 0, "a slow gateway");
        assert_eq!(unobserved(15, 15), 3, "stopped between two looks");
        assert_eq!(unobserved(12, 66), 49, "stopped in the middle of this one");
    }
}
