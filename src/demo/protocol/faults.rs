//! What tests ask of a gateway that was started with `--admin`. No release has it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::session::WorkerSpec;
use crate::domain::ids::SessionId;

/// What tests may ask of a gateway that was started with `--admin`: `POST /admin`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum AdminRequest {
    /// Drop the session from the table and leave its worker running.
    Orphan {
        /// The session.
        session: SessionId,
    },
    /// Give the session another worker and leave the old one running. Answers with the new one's
    /// [`WorkerReady`](super::WorkerReady).
    Supersede {
        /// The session.
        session: SessionId,
        /// The new worker.
        worker: WorkerSpec,
    },
    /// Stop answering all requests but `/admin`.
    Freeze,
    /// Answer again.
    Thaw,
    /// Die at once, by SIGKILL, as in a crash.
    Crash,
    /// Take another instance id, as a restart would.
    ChangeInstance,
    /// From now on answer reap requests this way.
    ReapFault {
        /// The fault.
        fault: ReapFault,
    },
    /// Publish something else than the truth in one field of the table.
    Publish {
        /// The session whose row it is; without it a field of the table itself.
        session: Option<SessionId>,
        /// The field.
        field: String,
        /// What to publish. `null` is published as `null`.
        value: Value,
    },
}

/// A fault in the gateway's answer to the conditional reap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReapFault {
    /// None.
    #[default]
    None,
    /// The connection ends without an answer, and nothing is closed.
    NoAnswer,
    /// Never answers, keeps the connection open, and closes nothing.
    Hang,
    /// Answers 500 and closes nothing.
    Status500,
    /// Says that it has closed the session, and hasn't.
    AnswersWithoutClosing,
    /// Closes the session and ends the connection without an answer.
    ClosesWithoutAnswering,
}
