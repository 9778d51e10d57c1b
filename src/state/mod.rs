//! The state directory: the ledger, the journal of unfinished teardowns, the audit log, and the lock that keeps a second run out.
//!
//! Nothing in here is synced to disk. A crash of the reaper loses nothing that was written, and what a crash of the *machine* could lose
//! means nothing afterwards: awake time and process identities belong to one boot.

pub mod audit;
pub(crate) mod files;
pub mod holds;
pub mod journal;
pub mod ledger_file;
pub mod lock;
pub mod log;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::named_file::{self, Trust};
use crate::text::in_full;

/// The state directory that a command without a configuration has for leftovers, in the one of everything else.
pub const LEFTOVERS: &str = "leftovers";

/// The state directory can't be used. Nothing has been done.
#[derive(Debug, Error)]
pub enum StateError {
    /// Another run holds the lock.
    #[error(
        "another run holds {}{}; nothing was done",
        lock.display(),
        holder.as_ref().map(|holder| format!(": {holder}")).unwrap_or_default()
    )]
    Busy {
        /// The lock file.
        lock: PathBuf,
        /// Who holds it: process, command, since when; `None`: the file doesn't say (yet).
        holder: Option<Box<str>>,
    },
    /// The directory or a file in it can't be used.
    #[error(
        "can't {what} {}: {answer}; nothing was done. The directory is set by [state] dir, $STATE_DIRECTORY or $XDG_STATE_HOME",
        path.display()
    )]
    Unusable {
        /// Its path.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The system's answer. It stands in the message, before the remedy, so it is no source.
        answer: io::Error,
    },
    /// Others could write into it, and so shorten a grace.
    #[error("the state directory {} {why}; nothing was done", path.display())]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What helps.
        remedy: String,
    },
}

impl StateError {
    /// What to do about it.
    pub fn remedy(&self) -> &str {
        match self {
            Self::Busy { .. } => "wait until that run is over",
            Self::Unusable { .. } => "make it usable to the reaper's user, or set another dir under [state]",
            Self::NotPrivate { remedy, .. } => remedy,
        }
    }
}

/// Makes the directory if it isn't there, and checks that only this user can write into it.
///
/// # Errors
/// It can't be made, belongs to another user, or others may write into it.
pub fn open(dir: &Path, own_uid: u32) -> Result<(), StateError> {
    let unusable = |what| move |answer| StateError::Unusable { path: dir.to_owned(), what, answer };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(unusable("make the state directory"))?;
    examine(dir, own_uid)
}

/// Checks that only this user can write into a directory that is there. Changes nothing.
///
/// # Errors
/// It belongs to another user, others may write into it, or it can't be looked at.
pub fn examine(dir: &Path, own_uid: u32) -> Result<(), StateError> {
    let unusable = |what| move |answer| StateError::Unusable { path: dir.to_owned(), what, answer };
    let metadata = std::fs::metadata(dir).map_err(unusable("look at the state directory"))?;
    let not_private =
        |why: String, remedy: String| Err(StateError::NotPrivate { path: dir.to_owned(), why, remedy });
    if metadata.uid() != own_uid {
        let why = format!("belongs to user {}, not to {own_uid}", metadata.uid());
        return not_private(why, "run as its owner, or give the directory to the reaper's user".into());
    }
    if metadata.mode() & 0o022 != 0 {
        let why = format!("can be written by others (mode {:o}): chmod go-w it", metadata.mode() & 0o777);
        return not_private(why, format!("chmod go-w {}", dir.display()));
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    named_file::check_folder(parent, &Trust::named()).or_else(|refusal| {
        let why = format!("can be exchanged for another: {}", in_full(&refusal));
        not_private(why, "what it says".into())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn own_uid(dir: &Path) -> u32 {
        std::fs::metadata(dir).unwrap().uid()
    }

    #[test]
    fn a_directory_that_is_not_there_is_made_and_is_ours_alone() {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("made/for/us");
        open(&dir, own_uid(above.path())).unwrap();
        assert_eq!(std::fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_directory_that_others_may_write_into_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for (mode, is_private) in
            [(0o755, true), (0o700, true), (0o720, false), (0o702, false), (0o777, false)]
        {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            match open(dir.path(), own_uid(dir.path())) {
                Ok(()) => assert!(is_private, "{mode:o}"),
                Err(StateError::NotPrivate { why, .. }) => {
                    assert!(!is_private && why.contains(&format!("(mode {mode:o})")), "{mode:o}: {why}");
                }
                Err(other) => panic!("{mode:o}: {other}"),
            }
        }
    }

    #[test]
    fn a_directory_that_is_another_users_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = open(dir.path(), own_uid(dir.path()) + 1).unwrap_err();
        assert!(
            matches!(&refused, StateError::NotPrivate { why, .. } if why.starts_with("belongs to user")),
            "{refused}"
        );
    }

    #[test]
    fn a_file_in_its_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "").unwrap();
        let refused = open(&path, own_uid(dir.path())).unwrap_err();
        assert!(matches!(refused, StateError::Unusable { .. }), "{refused}");
    }
}
