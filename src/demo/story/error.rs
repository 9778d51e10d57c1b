//! Why a story couldn't be told to its end.

use std::error::Error;
use std::fmt;
use std::io;

use crate::demo::client::ClientError;
use crate::demo::launch::LaunchError;

/// A story that couldn't be told to its end.
#[derive(Debug)]
pub enum StoryError {
    /// The gateway didn't start.
    Launch(LaunchError),
    /// A process could not be held by pidfd.
    Hold(io::Error),
    /// A client and the gateway didn't get on.
    Client(ClientError),
    /// Signals couldn't be listened to.
    Signals(io::Error),
    /// The reaper gave up.
    Reaper(Box<dyn Error>),
    /// SIGINT or SIGTERM came; everything has been cleaned up.
    Interrupted,
    /// Processes could not be ended.
    LeftOver(Vec<String>),
}

impl fmt::Display for StoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launch(_) => f.write_str("the demo could not begin"),
            Self::Hold(_) => {
                f.write_str("a process of the demo could not be held by pidfd (Linux 5.4 or newer is needed)")
            }
            Self::Client(_) => f.write_str("a client of the demo failed"),
            Self::Signals(_) => f.write_str("the demo could not listen to signals"),
            Self::Reaper(_) => f.write_str("the reaper gave up"),
            Self::Interrupted => f.write_str("interrupted; nothing of the demo is left"),
            Self::LeftOver(processes) => write!(f, "could not end processes {}", processes.join(", ")),
        }
    }
}

impl Error for StoryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Launch(error) => Some(error),
            Self::Hold(error) | Self::Signals(error) => Some(error),
            Self::Client(error) => Some(error),
            Self::Reaper(error) => Some(&**error),
            Self::Interrupted | Self::LeftOver(_) => None,
        }
    }
}

impl From<ClientError> for StoryError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}
