//! Awake time: the only clock that decides.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in awake time: `CLOCK_MONOTONIC` since boot. It stands still while the machine sleeps and knows no wall-clock jumps
/// (hermes-agent #44183, #52089: grace counted through system sleep took live sessions). Only meaningful together with a
/// [`BootId`](super::ids::BootId).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Awake(u64);

impl Awake {
    /// From nanoseconds of awake time since boot.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds of awake time since boot.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// So much earlier; not before the machine was started.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Awake time that passed since `earlier`; nothing if `earlier` lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Awake {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}
