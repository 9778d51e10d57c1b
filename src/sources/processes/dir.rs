//! The directory of one process, and its children.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, RawDir, SeekFrom, openat, readlinkat, seek, statat};

use super::error::ProcessesError;
use super::files::{DIRECTORY, LISTING, numbers, open_file, read_file, seen};
use crate::domain::ids::Pid;

/// The open directory of one process.
#[derive(Debug)]
pub(crate) struct ProcessDir {
    pub(super) pid: Pid,
    pub(super) fd: OwnedFd,
}

/// The children of some threads of a process.
#[derive(Debug)]
pub(crate) struct Children {
    /// Their PIDs.
    pub(crate) pids: Vec<Pid>,
    lists: Lists,
}

/// The lists in which children were found.
#[derive(Debug)]
enum Lists {
    /// That of one thread.
    Thread,
    /// Those of several: the directory of the threads, and those that were read.
    Threads(OwnedFd, Vec<Pid>),
    /// A table of all processes, which was read one by one.
    Table,
}

impl Children {
    /// Whether there were none, for certain. The kernel goes from one child to the next without a lock, and may leave one out beside others
    /// that exit; but that a thread has no first child is a single look under its lock. Only the children of a thread that has ended since
    /// may have gone to one that had been read.
    pub(crate) fn are_none(&self) -> bool {
        self.pids.is_empty()
            && match &self.lists {
                Lists::Thread => true,
                Lists::Threads(dir, read) => {
                    seek(dir, SeekFrom::Start(0)).is_ok() && numbers(dir).is_ok_and(|now| now == *read)
                }
                Lists::Table => false,
            }
    }

    /// As a table of all processes has them.
    pub(super) fn in_table(pids: Vec<Pid>) -> Self {
        Self { pids, lists: Lists::Table }
    }
}

/// Which threads' children to read. Adopted processes go to the main thread while it lives; forked ones belong to the thread that forked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    Main,
    All,
}

impl ProcessDir {
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// The directory itself.
    pub(super) fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.fd)
    }

    /// The number of its process, which is that of its main thread.
    pub(crate) fn number(&self) -> u32 {
        self.pid.get()
    }

    /// A file below it, to be read more than once. `None`: there is none, or the process is gone.
    pub(crate) fn open(&self, path: &str) -> Result<Option<OwnedFd>, ProcessesError> {
        seen(&format!("{}/{path}", self.pid), open_file(&self.fd, path))
    }

    /// What stands in a file below it. `None`: there is none, or the process is gone.
    pub(crate) fn text<'b>(
        &self,
        path: &str,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<&'b str>, ProcessesError> {
        let read = seen(&format!("{}/{path}", self.pid), read_file(&self.fd, path, buffer, usize::MAX))?;
        Ok(read.and_then(|_| std::str::from_utf8(buffer).ok()))
    }

    /// The numbers among the entries of a directory below it. `None`: there is none, or the process is gone.
    pub(crate) fn numbers(&self, path: &str) -> Result<Option<Vec<u32>>, ProcessesError> {
        let what = format!("{}/{path}", self.pid);
        let Some(dir) = seen(&what, openat(&self.fd, path, DIRECTORY, Mode::empty()))? else {
            return Ok(None);
        };
        let mut found = Vec::new();
        let mut listing = Vec::with_capacity(LISTING);
        let mut entries = RawDir::new(&dir, listing.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let Some(entry) = seen(&what, entry)? else { return Ok(None) };
            found.extend(entry.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()));
        }
        Ok(Some(found))
    }

    /// Whether the descriptor with this link below it is open for reading.
    pub(crate) fn reads(&self, path: &str) -> bool {
        let link = statat(&self.fd, path, AtFlags::SYMLINK_NOFOLLOW);
        link.is_ok_and(|link| link.st_mode & 0o400 != 0)
    }

    /// Where a link below it leads. `None`: there is none, or the process is gone.
    pub(crate) fn link(&self, path: &str) -> Result<Option<String>, ProcessesError> {
        let read = seen(&format!("{}/{path}", self.pid), readlinkat(&self.fd, path, Vec::new()))?;
        Ok(read.map(|target| target.to_string_lossy().into_owned()))
    }
}

/// The children of the main thread or of all, below a directory `task`.
pub(super) fn children(
    at: &OwnedFd,
    task: &str,
    pid: Pid,
    threads: Threads,
    buffer: &mut Vec<u8>,
) -> Result<Children, ProcessesError> {
    let what = format!("{pid}/task");
    let mut pids = Vec::new();
    let mut read = |at: &OwnedFd, file: &str, thread: Pid| {
        let read = read_file(at, file, buffer, usize::MAX);
        if seen(&format!("{what}/{thread}/children"), read)?.is_some() {
            let text = String::from_utf8_lossy(buffer);
            pids.extend(text.split_ascii_whitespace().filter_map(|pid| Pid::new(pid.parse().ok()?)));
        }
        Ok(())
    };
    if threads == Threads::Main {
        read(at, &format!("{task}/{pid}/children"), pid)?;
        return Ok(Children { pids, lists: Lists::Thread });
    }
    let Some(dir) = seen(&what, openat(at, task, DIRECTORY, Mode::empty()))? else {
        return Ok(Children { pids, lists: Lists::Thread });
    };
    let listed = seen(&what, numbers(&dir))?.unwrap_or_default();
    for &thread in &listed {
        read(&dir, &format!("{thread}/children"), thread)?;
    }
    Ok(Children { pids, lists: Lists::Threads(dir, listed) })
}

/// Whether a process has more threads than one: a directory for each, beside `.` and `..`. Cheaper than listing them.
pub(super) fn has_threads(dir: &ProcessDir) -> Result<bool, ProcessesError> {
    let links = seen(&format!("{}/task", dir.pid), statat(&dir.fd, "task", AtFlags::empty()))?;
    Ok(links.is_some_and(|links| links.st_nlink != 3))
}
