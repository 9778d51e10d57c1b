//! One session of the demo gateway, and what speaks against closing it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::demo::protocol::CloseManner;
use crate::domain::ids::{SessionId, WorkerKey};

/// One client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionId(pub(super) u64);

/// Whether a client is there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Transport {
    Attached(ConnectionId),
    Detached { since: Instant },
}

/// What the session is doing.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    Starting,
    Idle { since: Instant },
    Running { until: Option<Instant> },
    Waiting,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: WorkerKey,
    pub(super) transport: Transport,
    pub(super) turn: Turn,
    pub(super) close_on_disconnect: bool,
    pub(super) holds: BTreeSet<String>,
    /// PID of its worker, as long as the gateway has not seen it exit.
    pub(super) worker: Option<u32>,
    pub(super) close: CloseManner,
    activity: u64,
}

impl Session {
    pub(super) fn new(key: WorkerKey, client: ConnectionId, close: CloseManner) -> Self {
        Self {
            key,
            transport: Transport::Attached(client),
            turn: Turn::Starting,
            close_on_disconnect: false,
            holds: BTreeSet::new(),
            worker: None,
            close,
            activity: 0,
        }
    }

    /// Something happened in the session.
    pub(super) fn stir(&mut self) {
        self.activity += 1;
    }

    /// Brings the session up to `now`: a turn whose time is over has ended then, whether or not its table was read.
    pub(super) fn settle(&mut self, now: Instant) {
        if let Turn::Running { until: Some(end) } = self.turn
            && end <= now
        {
            self.turn = Turn::Idle { since: end };
            self.stir();
        }
    }

    /// Why the session may not be closed for being an orphan. The session must be settled.
    pub(super) fn kept_because(&self) -> Option<&'static str> {
        match (&self.transport, &self.turn) {
            (Transport::Attached(_), _) => Some("attached"),
            (_, Turn::Starting) => Some("starting"),
            (_, Turn::Running { .. }) => Some("mid-turn"),
            (_, Turn::Waiting) => Some("waiting"),
            (_, Turn::Idle { .. }) => (!self.holds.is_empty()).then_some("held"),
        }
    }

    /// Its row in the table. The session must be settled.
    pub(super) fn row(&self, id: &SessionId, now: Instant) -> Value {
        let mut row = json!({
            "id": id,
            "key": self.key,
            "activity": self.activity.to_string(),
            "close_on_disconnect": self.close_on_disconnect,
            "holds": self.holds,
        });
        match self.transport {
            Transport::Attached(_) => row["transport"] = json!("attached"),
            Transport::Detached { since } => {
                row["transport"] = json!("detached");
                row["detached_for_s"] = seconds(now - since);
            }
        }
        match self.turn {
            Turn::Starting => row["turn"] = json!("starting"),
            Turn::Running { .. } => row["turn"] = json!("running"),
            Turn::Waiting => row["turn"] = json!("waiting"),
            Turn::Idle { since } => {
                row["turn"] = json!("idle");
                row["idle_for_s"] = seconds(now - since);
            }
        }
        if let Some(pid) = self.worker {
            row["worker"] = json!({ "pid": pid });
        }
        row
    }
}

/// To the millisecond, as a gateway would write it.
fn seconds(span: Duration) -> Value {
    json!(span.as_millis() as f64 / 1000.0)
}
