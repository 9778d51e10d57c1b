//! The lock against a second run on the same state directory. It also keeps the number of the ledger that was written last, so that a
//! ledger that was put back from a copy is not taken for it; whether a look came after it that could not be written down; and, on its second
//! line, who holds it.

use std::fs::{File, TryLockError};
use std::io::{self, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use super::{StateError, files};
use crate::text::excerpt;

/// The first line: twenty digits, so that a shorter number never leaves digits of a longer one behind.
const NUMBER_BYTES: u64 = 21;
/// Characters of a command line that a message shows.
const COMMAND_SHOWN: usize = 120;

/// After nineteen of the digits: a number that began as the nanoseconds of some uptime has no more.
const OUTDATED: char = '-';

/// The ledger that was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Last {
    /// Its number.
    pub(super) sequence: u64,
    /// A look came after it that could not be written down.
    pub(super) is_outdated: bool,
}

/// Held until dropped; the kernel lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock, without waiting.
    ///
    /// # Errors
    /// Another run holds it, or the file can't be used.
    pub fn take(dir: &Path) -> Result<Self, StateError> {
        let path = dir.join("lock");
        let unusable = |what, answer| StateError::Unusable { path: path.clone(), what, answer };
        let file = files::open_or_make(&path).map_err(|source| unusable("open", source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => {
                let holder = files::read_open(&file).ok().and_then(|bytes| holder(&bytes));
                Err(StateError::Busy { lock: path, holder })
            }
            Err(TryLockError::Error(source)) => Err(unusable("lock", source)),
        }
    }

    /// Writes down who holds the lock, for the runs that it keeps out. On a full disk that is left out.
    pub fn held_by(&self, command: &str, since: SystemTime) -> io::Result<()> {
        let since = humantime::format_rfc3339_seconds(since);
        let command = excerpt(command, COMMAND_SHOWN);
        let line = format!("process {} ({command}) since {since}\n", std::process::id());
        if self.file.metadata()?.len() < NUMBER_BYTES {
            // No number yet.
            self.file.write_all_at(format!("{:20}\n", "").as_bytes(), 0)?;
        }
        self.file.write_all_at(line.as_bytes(), NUMBER_BYTES)?;
        self.file.set_len(NUMBER_BYTES + line.len() as u64)
    }

    /// Whether the lock file is still where the next run will look for it.
    pub fn is_in_place(&self, dir: &Path) -> bool {
        files::is_at(&self.file, &dir.join("lock"))
    }

    /// The ledger written last; `None` if it was never written.
    pub(super) fn last(&self) -> io::Result<Option<Last>> {
        (&self.file).rewind()?;
        Ok(parse(&files::read_open(&self.file)?))
    }

    /// What was seen after the ledger that was written last is not known. This is written over what is there, so it needs no room.
    pub(super) fn set_outdated(&self) -> io::Result<()> {
        let Some(last) = self.last()? else { return Ok(()) };
        self.file.write_all_at(format!("{:019}{OUTDATED}\n", last.sequence).as_bytes(), 0)
    }

    pub(super) fn set_sequence(&self, sequence: u64) -> io::Result<()> {
        self.file.write_all_at(format!("{sequence:020}\n").as_bytes(), 0)
    }
}

/// The same, for a command that only reads.
pub(super) fn last_of(dir: &Path) -> io::Result<Option<Last>> {
    Ok(files::read(&dir.join("lock"))?.as_deref().and_then(parse))
}

fn parse(bytes: &[u8]) -> Option<Last> {
    let line = std::str::from_utf8(bytes.split(|byte| *byte == b'\n').next()?).ok()?.trim();
    let (number, is_outdated) = line.strip_suffix(OUTDATED).map_or((line, false), |number| (number, true));
    Some(Last { sequence: number.parse().ok()?, is_outdated })
}

/// The second line, which another user of this directory may have written.
fn holder(bytes: &[u8]) -> Option<Box<str>> {
    let line = bytes.split(|byte| *byte == b'\n').nth(1).filter(|line| !line.is_empty())?;
    Some(excerpt(&String::from_utf8_lossy(line), 2 * COMMAND_SHOWN))
}

/// Takes a lock that was held a moment ago.
#[cfg(test)]
pub(super) fn take(dir: &Path) -> Lock {
    let mut lock = None;
    crate::patience::eventually("the lock can be taken", || {
        lock = Lock::take(dir).ok();
        lock.is_some()
    });
    lock.unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience::eventually;

    #[test]
    fn it_keeps_a_second_run_out_until_the_first_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        assert!(matches!(Lock::take(dir.path()), Err(StateError::Busy { .. })));
        drop(first);
        eventually("it can be taken again", || Lock::take(dir.path()).is_ok());
    }

    #[test]
    fn it_names_who_holds_it_whatever_the_number_of_the_ledger() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        for command in ["gateway-reaper watch --interval 5s", "x", &format!("y\u{1b}\n{}", "z".repeat(500))] {
            lock.held_by(command, SystemTime::UNIX_EPOCH).unwrap();
            let Err(busy) = Lock::take(dir.path()) else { panic!() };
            assert!(busy.to_string().contains("process"), "before there is a ledger: {busy}");
            for number in [7, u64::MAX] {
                lock.set_sequence(number).unwrap();
                assert_eq!(last_of(dir.path()).unwrap().map(|last| last.sequence), Some(number));
                let Err(busy) = Lock::take(dir.path()) else { panic!() };
                let said = busy.to_string();
                let shown = excerpt(command, COMMAND_SHOWN);
                let holder = format!("process {} ({shown}) since 1970-01-01T00:00:00Z", std::process::id());
                assert!(
                    said.contains(&format!(
                        "another run holds {}: {holder}; nothing",
                        dir.path().join("lock").display()
                    )),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn a_lock_file_that_was_removed_or_replaced_is_not_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        assert!(lock.is_in_place(dir.path()));
        std::fs::remove_file(dir.path().join("lock")).unwrap();
        assert!(!lock.is_in_place(dir.path()));
        let another = Lock::take(dir.path()).unwrap();
        assert!(another.is_in_place(dir.path()) && !lock.is_in_place(dir.path()));
    }

    #[test]
    fn it_keeps_the_number_of_the_last_ledger_whatever_that_was_before() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Lock::take(dir.path()).unwrap().last().unwrap(), None);
        assert_eq!(last_of(dir.path()).unwrap(), None);
        for sequence in [12_345, 6, u64::MAX] {
            let lock = take(dir.path());
            lock.set_sequence(sequence).unwrap();
            let last = Some(Last { sequence, is_outdated: false });
            assert_eq!((lock.last().unwrap(), last_of(dir.path()).unwrap()), (last, last));
        }
    }

    #[test]
    fn that_a_look_could_not_be_written_down_is_kept_until_the_next_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        lock.set_outdated().unwrap();
        assert_eq!(lock.last().unwrap(), None, "there is no ledger yet");
        for sequence in [7, 1_000_000_007] {
            lock.set_sequence(sequence).unwrap();
            lock.held_by("gateway-reaper once", SystemTime::UNIX_EPOCH).unwrap();
            lock.set_outdated().unwrap();
            lock.set_outdated().unwrap();
            assert_eq!(last_of(dir.path()).unwrap(), Some(Last { sequence, is_outdated: true }));
            let Err(busy) = Lock::take(dir.path()) else { panic!() };
            assert!(busy.to_string().contains("(gateway-reaper once) since"), "{busy}");
        }
        lock.set_sequence(8).unwrap();
        assert_eq!(last_of(dir.path()).unwrap(), Some(Last { sequence: 8, is_outdated: false }));
    }
}
