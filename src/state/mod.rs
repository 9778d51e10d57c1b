//! The state directory: the ledger, the journal of what is in hand, the audit log, and the lock that keeps a second run out.
//!
//! Nothing in here is synced to disk. A crash of the reaper loses nothing that was written, and what a crash of the *machine* could lose
//! means nothing afterwards: awake time and process identities belong to one boot.

pub mod audit;
mod files;
pub mod journal;
pub mod ledger_file;
pub mod lock;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The state directory can't be used. Nothing has been done.
#[derive(Debug)]
pub enum StateError {
    /// Another run holds the lock.
    Busy {
        /// The lock file.
        lock: PathBuf,
    },
    /// The directory or a file in it can't be used.
    Unusable {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// Others could write into it, and so shorten a grace.
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy { lock } => write!(f, "another run holds {}; nothing was done", lock.display()),
            Self::Unusable { path, what, source } => write!(
                f,
                "can't {what} {}: {source}; nothing was done. The directory is set by [state] dir, $STATE_DIRECTORY or $XDG_STATE_HOME",
                path.display()
            ),
            Self::NotPrivate { path, why } => {
                write!(f, "the state directory {} {why}; nothing was done", path.display())
            }
        }
    }
}

/// The system's answer stands in the message, before the remedy, so it is not its source.
impl std::error::Error for StateError {}

/// Makes the directory if it isn't there, and sees to it that it is ours alone to write.
///
/// # Errors
/// It can't be made, is somebody else's, or others may write into it.
pub fn open(dir: &Path, own_uid: u32) -> Result<(), StateError> {
    let unusable = |what| move |source| StateError::Unusable { path: dir.to_owned(), what, source };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(unusable("make the state directory"))?;
    let metadata = std::fs::metadata(dir).map_err(unusable("look at the state directory"))?;
    let not_private = |why: String| Err(StateError::NotPrivate { path: dir.to_owned(), why });
    if !metadata.is_dir() {
        let source = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(unusable("use the state directory")(source));
    }
    if metadata.uid() != own_uid {
        return not_private(format!("belongs to user {}, not to {own_uid}", metadata.uid()));
    }
    if metadata.mode() & 0o022 != 0 {
        return not_private(format!(
            "can be written by others (mode {:o}): chmod go-w it",
            metadata.mode() & 0o777
        ));
    }
    Ok(())
}
