//! How a session and its worker are to be.

use serde::{Deserialize, Serialize};

use crate::demo::flavour::{Flavour, Leads};
use crate::domain::ids::WorkerKey;

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
