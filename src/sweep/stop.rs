//! The word that a run is to end, from a signal, at whatever point it is.

use std::sync::Arc;

use tokio::sync::watch::Sender;

/// Set once; every clone sees it.
#[derive(Debug, Clone)]
pub struct Stop(Arc<Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(Sender::new(false)))
    }
}

impl Stop {
    /// Tells the run to end. Nothing new is begun, and what is under way is ended: within `term_timeout` and a second, and where a session is
    /// closed and its worker has until `close_timeout` to exit, that long after it. What isn't done by then is left to the next run.
    pub fn tell(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was told.
    pub fn is_told(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is told.
    pub(super) async fn told(&self) {
        // The sender lives as long as this does, so there is always an answer.
        let mut told = self.0.subscribe();
        let _ = told.wait_for(|told| *told).await.map(drop);
    }
}
