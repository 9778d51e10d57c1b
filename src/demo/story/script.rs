//! What the story is told beforehand, and what it tells the reaper.

use std::time::Duration;

use tokio::sync::watch;

use super::narrator::Narrator;
use crate::config::defaults;
use crate::domain::ids::SessionId;
use crate::domain::policy::Policy;

/// How fast the story goes.
#[derive(Debug, Clone)]
pub struct Script {
    /// What the reaper is to do; the story's waits follow from it.
    pub policy: Policy,
    /// How often the reaper looks.
    pub interval: Duration,
    /// How long all clients stay before the first leaves.
    pub prelude: Duration,
    /// How much longer than its policy the reaper may take before the story gives up on it.
    pub slack: Duration,
}

impl Default for Script {
    /// The demo's: short graces, so that it is over in about eight seconds.
    fn default() -> Self {
        Self {
            policy: Policy {
                grace: Duration::from_secs(3),
                close_on_disconnect_grace: Duration::ZERO,
                worker_grace: Duration::from_secs(3),
                close_timeout: Duration::from_secs(1),
                term_timeout: Duration::from_secs(1),
                ..defaults::policy()
            },
            interval: Duration::from_millis(250),
            prelude: Duration::from_secs(1),
            slack: Duration::from_secs(4),
        }
    }
}

/// What the story calls its sessions.
pub(super) type Names = Vec<(SessionId, &'static str)>;

/// What a reaper needs to work beside the demo gateway.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The url of the session table.
    pub table_url: String,
    /// The pattern for `worker.match`.
    pub worker_match: String,
    /// The gateway's process.
    pub gateway_pid: u32,
    /// What the reaper is to do.
    pub policy: Policy,
    /// How often it is to look.
    pub interval: Duration,
    /// Through whom it tells what it sees and does, as [`Who::Reaper`](super::Who::Reaper).
    pub narrator: Narrator,
    pub(super) names: watch::Receiver<Names>,
    pub(super) curtain: watch::Receiver<bool>,
}

impl Scene {
    /// Completes when the story is over and the reaper may finish what it has in hand and leave.
    pub async fn curtain(&self) {
        // An error is a stage that is gone, and that is a curtain too.
        let _ = self.curtain.clone().wait_for(|down| *down).await;
    }

    /// What the story calls a session.
    pub fn name_of(&self, session: &SessionId) -> Option<&'static str> {
        self.names.borrow().iter().find(|(id, _)| id == session).map(|(_, name)| *name)
    }
}
