//! One deadline for all steps of an exchange together.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::error::{HttpProblem, Phase};

/// Stands in for a span that no clock can hold.
const FOREVER: Duration = Duration::from_secs(86_400 * 365);

/// When an exchange has to be over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    end: Instant,
    span: Duration,
}

impl Deadline {
    pub(super) fn after(span: Duration) -> Self {
        let now = Instant::now();
        let end = now.checked_add(span).unwrap_or_else(|| now + FOREVER);
        Self { end, span }
    }

    /// The step, unless the deadline comes first; once it has passed nothing counts any more.
    pub(super) async fn within<T>(
        self,
        phase: Phase,
        step: impl Future<Output = T>,
    ) -> Result<T, HttpProblem> {
        tokio::select! {
            biased;
            () = sleep_until(self.end) => Err(HttpProblem::TimedOut { phase, after: self.span }),
            done = step => Ok(done),
        }
    }
}
