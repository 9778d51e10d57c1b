//! The lock against a second run on the same state directory. It also keeps the number of the ledger that was written last, so that a
//! ledger that was put back from a copy is not taken for it.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{StateError, files};

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
        let unusable = |what, source| StateError::Unusable { path: path.clone(), what, source };
        let file = files::open_or_make(&path).map_err(|source| unusable("open", source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(StateError::Busy { lock: path }),
            Err(TryLockError::Error(source)) => Err(unusable("lock", source)),
        }
    }

    /// The number of the ledger written last; `None` if it was never written.
    pub(super) fn sequence(&self) -> io::Result<Option<u64>> {
        Ok(parse(&files::read_open(&self.file)?))
    }

    pub(super) fn set_sequence(&self, sequence: u64) -> io::Result<()> {
        // Of one length, so that a shorter number never leaves digits of a longer one behind.
        self.file.write_all_at(format!("{sequence:020}\n").as_bytes(), 0)
    }
}

/// The same number, for somebody who only looks.
pub(super) fn sequence_of(dir: &Path) -> io::Result<Option<u64>> {
    Ok(files::read(&dir.join("lock"))?.as_deref().and_then(parse))
}

fn parse(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_a_second_run_out_until_the_first_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        assert!(matches!(Lock::take(dir.path()), Err(StateError::Busy { .. })));
        drop(first);
        Lock::take(dir.path()).unwrap();
    }

    #[test]
    fn it_keeps_the_number_of_the_last_ledger_whatever_that_was_before() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Lock::take(dir.path()).unwrap().sequence().unwrap(), None);
        assert_eq!(sequence_of(dir.path()).unwrap(), None);
        for number in [12_345, 6, u64::MAX] {
            let lock = Lock::take(dir.path()).unwrap();
            lock.set_sequence(number).unwrap();
            assert_eq!(lock.sequence().unwrap(), Some(number));
            assert_eq!(sequence_of(dir.path()).unwrap(), Some(number));
        }
    }
}
