//! The one careful way to open a file that is named: a configuration, a token, a PID file.
//!
//! Another user's file must not change what the reaper does, must not hang it, and must not be read with its rights. So a file is opened
//! step by step along its path. Every folder and every link on the way, and the file itself, belong to a trusted user and can be written by
//! trusted users only. The file is a regular one; it is opened without waiting and read up to a limit.

mod refusal;
mod trust;
mod walk;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use self::refusal::{Kind, Refusal};
pub use self::trust::Trust;

/// The content of a named file. No more than `limit` bytes of it are read.
///
/// # Errors
/// It isn't there, isn't a regular file, is larger, or a user who isn't trusted could have written it.
pub fn read(path: &Path, limit: u64, trust: &Trust) -> Result<Vec<u8>, Refusal> {
    let file = open(path, trust)?;
    let mut bytes = Vec::new();
    // Bounded while reading: a file may grow, and those of /proc have no size.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Refusal::Unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(Refusal::TooLarge { limit });
    }
    Ok(bytes)
}

/// A named file, open for reading.
///
/// # Errors
/// As for [`read`].
pub fn open(path: &Path, trust: &Trust) -> Result<File, Refusal> {
    walk::to_file(path, trust)
}

/// Checks that no user who isn't trusted can put another folder in the place of this one.
///
/// # Errors
/// One can.
pub fn check_folder(path: &Path, trust: &Trust) -> Result<(), Refusal> {
    walk::to_folder(path, trust)
}
