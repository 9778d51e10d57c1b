//! The session table: what a gateway says of its sessions, already validated whole.
//!
//! A field that is missing or not understood is told apart from one that is known, because only what is known
//! may condemn ([`Told`]).

use std::time::Duration;

use super::ids::{Instance, Pid, SessionId, WorkerKey};

/// What a table says of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<T> {
    /// It says this.
    Known(T),
    /// It says nothing.
    Absent,
    /// It says something that this version doesn't understand; the text, shortened, for the report.
    NotUnderstood(Box<str>),
}

impl<T> Told<T> {
    /// The known value, if there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::NotUnderstood(_) => None,
        }
    }
}

/// Whether a client is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A client is connected.
    Attached,
    /// The client is gone; the session waits for it to come back.
    Detached,
}

/// What the session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// Nothing.
    Idle,
    /// In the middle of a turn.
    Running,
    /// Waiting on a person's answer.
    Waiting,
    /// Being built.
    Starting,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Unique id.
    pub id: SessionId,
    /// What the worker's argv carries for this session; `id` where the gateway gives none.
    pub key: Told<WorkerKey>,
    /// Attached or detached.
    pub transport: Told<Transport>,
    /// Mid-turn or not.
    pub turn: Told<Turn>,
    /// The gateway's own clock on how long the session has been detached. Values that can't be are dropped when the table is read.
    pub detached_for: Option<Duration>,
    /// The gateway's own clock on how long the session has been idle. Values that can't be are dropped when the table is read.
    pub idle_for: Option<Duration>,
    /// Opaque; changes whenever the session does anything.
    pub activity: Option<Box<str>>,
    /// The session asked to end with its transport.
    pub close_on_disconnect: Told<bool>,
    /// The gateway's reasons to keep it now. Known and empty means none.
    pub holds: Told<Vec<Box<str>>>,
    /// The worker process of this session.
    pub worker: Told<Pid>,
}

impl Session {
    /// The key that the worker's argv carries for this session.
    pub fn worker_key(&self) -> Option<&str> {
        match &self.key {
            Told::Known(key) => Some(key.as_str()),
            Told::Absent => Some(self.id.as_str()),
            Told::NotUnderstood(_) => None,
        }
    }
}

/// A whole, valid session table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SessionTable {
    /// The gateway's process, in the reaper's own PID namespace.
    pub gateway_pid: Option<Pid>,
    /// Identity of this run of the gateway.
    pub instance: Option<Instance>,
    /// The sessions; ids are unique.
    pub sessions: Vec<Session>,
}

/// What is known of a gateway's sessions in this run. An unreadable table is never an empty one.
#[derive(Debug, Clone, PartialEq)]
pub enum TableView {
    /// Read whole and valid, in this run.
    Current(SessionTable),
    /// The gateway could not be asked.
    Unreachable {
        /// What happened, and what to do about it.
        why: Box<str>,
    },
    /// The gateway answered, with something that is not to be trusted.
    Refused {
        /// What happened, and what to do about it.
        why: Box<str>,
    },
    /// The gateway answered, publishes no table, and could still say which sessions there are. Nothing else is known of them.
    Listed {
        /// Which.
        sessions: Box<[SessionId]>,
        /// Why there is no table, and what to do about it.
        why: Box<str>,
    },
}

impl TableView {
    /// The table, if it is current.
    pub fn current(&self) -> Option<&SessionTable> {
        match self {
            Self::Current(table) => Some(table),
            Self::Unreachable { .. } | Self::Refused { .. } | Self::Listed { .. } => None,
        }
    }
}

/// What a gateway answered to the conditional reap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseAnswer {
    /// Closed through the gateway's one teardown path.
    Reaped,
    /// Already gone: a success.
    Gone,
    /// No longer an orphan: its grace starts again.
    Kept {
        /// The gateway's reason (`attached`, `instance`, …).
        reason: Box<str>,
    },
    /// Anything else, or no answer: nothing may be assumed.
    Failed {
        /// What happened.
        why: Box<str>,
    },
}
