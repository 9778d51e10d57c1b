//! Why a story couldn't be told to its end.

use std::io;

use thiserror::Error;

use crate::demo::client::ClientError;
use crate::demo::launch::LaunchError;

/// A story that couldn't be told to its end.
#[derive(Debug, Error)]
pub enum StoryError {
    /// The gateway didn't start.
    #[error("the demo could not begin")]
    Launch(#[source] LaunchError),
    /// A process could not be held by pidfd.
    #[error("a process of the demo could not be held by pidfd (Linux 5.4 or newer is needed)")]
    Hold(#[source] io::Error),
    /// A client and the gateway didn't get on.
    #[error("a client of the demo failed")]
    Client(#[from] ClientError),
    /// `demo --jupyter` without Jupyter.
    #[error(
        "no program called jupyter is in $PATH: install it (`pip install jupyter-server ipykernel`), or see the demo without --jupyter"
    )]
    NoJupyter,
    /// The Jupyter Server of the demo failed.
    #[error("the Jupyter Server of the demo: {0}")]
    Jupyter(String),
    /// Signals couldn't be listened to.
    #[error("the demo could not listen to signals")]
    Signals(#[source] io::Error),
    /// The reaper gave up.
    #[error("the reaper gave up")]
    Reaper(#[source] Box<dyn std::error::Error>),
    /// SIGINT or SIGTERM came; everything has been cleaned up.
    #[error("interrupted; nothing of the demo is left")]
    Interrupted,
    /// Processes could not be ended.
    #[error("could not end processes {}", .0.join(", "))]
    LeftOver(Vec<String>),
}
