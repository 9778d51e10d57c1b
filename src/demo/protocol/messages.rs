//! The messages: what a gateway and a worker say when they are ready, what a client asks and what it is answered.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::session::NewSession;
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
        /// The session.
        session: SessionId,
    },
    /// Start a turn.
    Prompt {
        /// The session.
        session: SessionId,
        /// How long the turn lasts; without it until [`Request::Finish`].
        for_ms: Option<u64>,
    },
    /// Start a turn that waits on a person's answer until [`Request::Finish`].
    Ask {
        /// The session.
        session: SessionId,
    },
    /// End the turn.
    Finish {
        /// The session.
        session: SessionId,
    },
    /// Give the gateway a reason to keep the session.
    Hold {
        /// The session.
        session: SessionId,
        /// The reason.
        name: String,
    },
    /// Take that reason away.
    Unhold {
        /// The session.
        session: SessionId,
        /// The reason.
        name: String,
    },
    /// Asks for an answer and nothing else.
    Ping,
}

impl Request {
    /// The session that it is about.
    pub(in crate::demo) fn session(&self) -> Option<&SessionId> {
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

/// What the gateway answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Reply {
    /// The session exists and is attached to this client.
    Created(Created),
    /// Done.
    Done,
    /// The answer to a ping.
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
