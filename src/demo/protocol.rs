//! What clients and the demo gateway say to each other over WebSocket, and what tests may ask of the gateway: one JSON object each.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::flavour::{Flavour, Leads};
use crate::domain::ids::{Instance, SessionId, WorkerKey};

/// The one line of JSON that a gateway prints once it answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GatewayReady {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// Identity of this run.
    pub instance: Instance,
}

/// The one line of JSON that a worker prints once its family is complete and its signal handlers are in place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerReady {
    /// Its process.
    pub pid: u32,
    /// Its descendants, all of them.
    pub family: Vec<u32>,
}

/// What a client asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// Start a session with a worker of its own. Answered when the worker is up.
    Create(NewSession),
    /// Come back to a session, from whichever client had it.
    Resume {
        /// Which.
        session: SessionId,
    },
    /// Start a turn.
    Prompt {
        /// Which.
        session: SessionId,
        /// How long the turn lasts; without it until [`Request::Finish`].
        for_ms: Option<u64>,
    },
    /// Start a turn that waits on a person's answer until [`Request::Finish`].
    Ask {
        /// Which.
        session: SessionId,
    },
    /// End the turn.
    Finish {
        /// Which.
        session: SessionId,
    },
    /// Give the gateway a reason to keep the session.
    Hold {
        /// Which.
        session: SessionId,
        /// The reason.
        name: String,
    },
    /// Take that reason away.
    Unhold {
        /// Which.
        session: SessionId,
        /// The reason.
        name: String,
    },
    /// Is anybody there?
    Ping,
}

impl Request {
    /// The session that it is about.
    pub(super) fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Create(_) | Self::Ping => None,
            Self::Resume { session }
            | Self::Prompt { session, .. }
            | Self::Ask { session }
            | Self::Finish { session }
            | Self::Hold { session, .. }
            | Self::Unhold { session, .. } => Some(session),
        }
    }
}

/// How a new session is to be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewSession {
    /// What the worker's argv carries; the gateway makes one up if there is none.
    pub key: Option<WorkerKey>,
    /// The session asks to end with its transport. This gateway doesn't do that by itself: it leaks.
    pub close_on_disconnect: bool,
    /// Its worker.
    pub worker: WorkerSpec,
    /// How the gateway ends its worker; without it, as the gateway was told at its start.
    pub close: Option<CloseManner>,
}

/// How a worker is to be.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerSpec {
    /// Its behaviour and its family.
    pub flavour: Flavour,
    /// Megabytes of memory that it holds.
    pub memory_mb: usize,
    /// What the end of its stdin, the pipe from the gateway, means to it.
    pub at_end_of_input: AtEndOfInput,
    /// What it leads.
    pub leads: Leads,
}

/// What the end of its stdin means to a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AtEndOfInput {
    /// It exits.
    #[default]
    Exit,
    /// It lives on, also when its gateway is gone.
    LiveOn,
}

/// How the gateway ends the worker of a session that it closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloseManner {
    /// Closes its stdin and sends SIGTERM; never more.
    Ends,
    /// Not at all: the session is gone and the worker runs on.
    Lazy,
}

/// What the gateway answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Reply {
    /// The session exists and is attached to this client.
    Created(Created),
    /// Done.
    Done,
    /// Somebody is there.
    Pong,
    /// Not done.
    Refused {
        /// Why.
        why: String,
    },
}

/// A new session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Created {
    /// Its id.
    pub session: SessionId,
    /// What its worker's argv carries.
    pub key: WorkerKey,
    /// Its worker.
    pub worker: WorkerReady,
}

/// What tests may ask of a gateway that was started with `--admin`: `POST /admin`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum AdminRequest {
    /// Drop the session from the table and leave its worker running.
    Orphan {
        /// Which.
        session: SessionId,
    },
    /// Give the session another worker and leave the old one running. Answers with the new one's [`WorkerReady`].
    Supersede {
        /// Which.
        session: SessionId,
        /// The new worker.
        worker: WorkerSpec,
    },
    /// Stop answering everybody but the admin.
    Freeze,
    /// Answer again.
    Thaw,
    /// Die at once, without a word, as by a crash.
    Crash,
    /// Take another instance id, as a restart would.
    ChangeInstance,
    /// From now on answer reap requests this way.
    ReapFault {
        /// Which way.
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
