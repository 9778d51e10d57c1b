//! Files and directories below `/proc`, read whole, and what it means that one can't be read.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, RawDir, openat};
use rustix::io::Errno;

use super::error::ProcessesError;
use crate::domain::ids::Pid;

/// Far more than a `stat` line or most argvs need; grows where it must.
pub(super) const BUFFER: usize = 4096;
/// A thousand entries of a directory at a time.
pub(super) const LISTING: usize = 32 * 1024;
pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Reading below `/proc`, in three words.
pub(super) enum Reading<T> {
    Done(T),
    Vanished,
    Hidden,
}

/// For a process that could be read a moment ago: being refused now is an error, never an empty answer.
pub(super) fn seen<T>(what: &str, result: Result<T, Errno>) -> Result<Option<T>, ProcessesError> {
    match sort(what, result)? {
        Reading::Done(value) => Ok(Some(value)),
        Reading::Vanished => Ok(None),
        Reading::Hidden => {
            Err(ProcessesError::Read { what: format!("/proc/{what}").into(), source: Errno::ACCESS.into() })
        }
    }
}

pub(super) fn sort<T>(what: &str, result: Result<T, Errno>) -> Result<Reading<T>, ProcessesError> {
    match result {
        Ok(value) => Ok(Reading::Done(value)),
        Err(Errno::NOENT | Errno::SRCH) => Ok(Reading::Vanished),
        Err(Errno::ACCESS | Errno::PERM) => Ok(Reading::Hidden),
        Err(errno) => {
            Err(ProcessesError::Read { what: format!("/proc/{what}").into(), source: errno.into() })
        }
    }
}

pub(super) fn open_file(at: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    openat(at, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// A file the kernel writes in one go, as one line.
pub(super) fn read_line(at: impl AsFd, path: &str, buffer: &mut Vec<u8>) -> Result<(), Errno> {
    let file = open_file(at, path)?;
    buffer.clear();
    buffer.reserve(BUFFER);
    while rustix::io::read(&file, rustix::buffer::spare_capacity(buffer))? > 0 && !buffer.ends_with(b"\n") {
        buffer.reserve(BUFFER);
    }
    Ok(())
}

/// A whole file, if it isn't longer than `limit`.
pub(super) fn read_file(
    at: impl AsFd,
    path: &str,
    buffer: &mut Vec<u8>,
    limit: usize,
) -> Result<bool, Errno> {
    let file = open_file(at, path)?;
    buffer.clear();
    while buffer.len() < limit {
        buffer.reserve(BUFFER);
        if rustix::io::read(&file, rustix::buffer::spare_capacity(buffer))? == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What stands now in a file that was opened before: one call. `None`: its process is gone, or it is longer than one call gives.
pub(crate) fn read_again<'b>(file: &OwnedFd, buffer: &'b mut Vec<u8>) -> Option<&'b str> {
    buffer.clear();
    buffer.reserve(BUFFER);
    let read = rustix::io::pread(file, rustix::buffer::spare_capacity(buffer), 0).ok()?;
    // The kernel makes a page at a time.
    std::str::from_utf8(buffer).ok().filter(|_| read < BUFFER / 2)
}

/// The entries of a directory that are numbers.
pub(super) fn numbers(dir: &OwnedFd) -> Result<Vec<Pid>, Errno> {
    let mut pids = Vec::new();
    let mut listing = Vec::with_capacity(LISTING);
    let mut entries = RawDir::new(dir, listing.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        pids.extend(entry.file_name().to_str().ok().and_then(|name| Pid::new(name.parse().ok()?)));
    }
    Ok(pids)
}
