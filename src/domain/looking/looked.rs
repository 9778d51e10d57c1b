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
    /// Awake time before the look that began then which counts for no grace: there was no look, though one was due every `interval` (a
    /// stopped reaper, a frozen container); or this look took longer than any table takes to be read.
    ///
    /// What one interval would have shown counts, so that a slow teardown of one orphan doesn't hold up all the others for good.
    #[must_use]
    pub fn unobserved_until(self, began: Awake, interval: Duration, longest_read: Duration) -> Duration {
        too_long(began.since(self.ended), interval)
            + too_long(self.ended.since(self.began), interval.max(longest_read))
    }
}

fn too_long(span: Duration, allowed: Duration) -> Duration {
    if span > allowed * 2 { span.saturating_sub(allowed) } else { Duration::ZERO }
}
