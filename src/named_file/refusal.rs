//! Why a named file is not read: its owner, its mode, and the remedy.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::users::Shown;

/// Why a named file is not read. The messages go behind the file's path.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The system doesn't let it be read, or it isn't there.
    #[error("can't be read")]
    Unreadable(#[source] io::Error),
    /// Something else is in its place.
    #[error("is {0}; expected a regular file")]
    NotAFile(Kind),
    /// It is too large to be what it is named as.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The most that is read.
        limit: u64,
    },
    /// The file belongs to a user who isn't trusted.
    #[error(
        "belongs to {}, mode {mode:03o}, and is not read for {}: chown it, if what is in it is to be trusted, or name another",
        Shown(*.owner), Shown(*.reader)
    )]
    Owner {
        /// Its owner.
        owner: u32,
        /// Its mode.
        mode: u32,
        /// The user that reads it.
        reader: u32,
    },
    /// Others may write the file.
    #[error("can be written by {} ({}, mode {mode:03o}): {} it, after a look at what is in it", by(*.mode), Shown(*.owner), remedy(*.mode))]
    Writable {
        /// Its owner.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
    /// A folder on the way belongs to a user who isn't trusted.
    #[error(
        "its folder {} belongs to {}, mode {mode:03o}, who can exchange what is in it: use a folder that is yours or root's",
        folder.display(), Shown(*.owner)
    )]
    FolderOwner {
        /// The folder.
        folder: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
    /// Others may write a folder on the way.
    #[error(
        "its folder {} can be written by {} ({}, mode {mode:03o}): {} it, or use a folder that is yours or root's",
        folder.display(), by(*.mode), Shown(*.owner), remedy(*.mode)
    )]
    FolderWritable {
        /// The folder.
        folder: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
    /// A link on the way belongs to a user who isn't trusted.
    #[error("leads through the link {}, which belongs to {}: name the file itself", link.display(), Shown(*.owner))]
    LinkOwner {
        /// The link.
        link: PathBuf,
        /// Its owner.
        owner: u32,
    },
}

/// What is in the place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A named pipe.
    Pipe,
    /// A device.
    Device,
    /// A socket.
    Socket,
    /// Something else.
    Other,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "a directory",
            Self::Pipe => "a pipe",
            Self::Device => "a device",
            Self::Socket => "a socket",
            Self::Other => "something else",
        })
    }
}

fn by(mode: u32) -> &'static str {
    if mode & 0o002 != 0 { "every user" } else { "its group" }
}

fn remedy(mode: u32) -> &'static str {
    if mode & 0o022 == 0o020 { "chmod g-w" } else { "chmod go-w" }
}
