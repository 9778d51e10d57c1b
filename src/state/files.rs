//! Opening and replacing files in the state directory: private, never through a link, never half written.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Larger than any memory this tool writes for a million sessions; a bound on what a foreign file can cost.
const MOST_BYTES: u64 = 1 << 30;

/// Through no link. A pipe in the place of a file must not block the run until its other end is opened.
fn flags() -> i32 {
    i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(flags());
    options
}

fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// Opens for reading and writing, made if it isn't there.
pub(super) fn open_or_make(path: &Path) -> io::Result<File> {
    open(options().read(true).write(true).create(true).truncate(false), path)
}

/// Whether this open file is the one that has this path now.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Opens for appending (and to see where), made if it isn't there.
pub(super) fn open_to_append(path: &Path) -> io::Result<File> {
    open(options().read(true).append(true).create(true), path)
}

/// Opens for reading.
pub(super) fn open_to_read(path: &Path) -> io::Result<File> {
    open(options().read(true), path)
}

/// The whole file; `None` if there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match open_to_read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    read_open(&file).map(Some)
}

pub(super) fn read_open(file: &File) -> io::Result<Vec<u8>> {
    read_at_most(MOST_BYTES, file)
}

fn read_at_most(most: u64, file: &File) -> io::Result<Vec<u8>> {
    let announced = file.metadata()?.len();
    if announced > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than anything this tool writes"));
    }
    // Set aside at once: otherwise it is read in bits, the first of 32 bytes. One more, so that the end is seen without growing.
    let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0).saturating_add(1));
    // This tool writes only under the lock; what is added meanwhile is not from it, and is not read.
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Replaces the file in one step: a reader sees the old one or the new one, whole.
///
/// Nothing is synced: after a power failure another boot begins, and every clock starts again.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_after(path, bytes, || Ok(()))
}

/// The same, with something to be done before it: once the new file is written, and only then.
pub(super) fn replace_after(
    path: &Path,
    bytes: &[u8],
    before: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    replace_and_leave(path, bytes, before)?;
    match std::fs::remove_file(spare(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The same for a file that is written every few seconds: the old one is left beside it, and is the next new one. A file that is made and
/// removed each time costs ext4 a search among all those that were removed in the last minutes, as much as a quarter of a poll.
pub(crate) fn replace_often(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_and_leave(path, bytes, || Ok(()))
}

fn replace_and_leave(path: &Path, bytes: &[u8], before: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let new = spare(path);
    let written = write_new(&new, bytes).and_then(|()| before());
    written.and_then(|()| put_in_place(&new, path)).inspect_err(|_| {
        // On a full disk half a file would take up space that is needed.
        let _ = std::fs::remove_file(&new);
    })
}

fn spare(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// What was in it is written over and not cut off first: a file that was empty for a moment ext4 writes out at once.
fn write_new(new: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = open(options().write(true).create(true).truncate(false), new)?;
    let before = file.metadata()?.len();
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    file.write_all(bytes)?;
    if before > length { file.set_len(length) } else { Ok(()) }
}

/// Where it can be, the two change places: a rename over a file makes ext4 and btrfs write out what is in it first, and on a busy disk that
/// takes as long as a sync.
fn put_in_place(new: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        // There is no old one, or the file system or the kernel has no such exchange.
        Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS | Errno::PERM) => std::fs::rename(new, path),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace(&path, b"what it said").unwrap();
        replace(&path, b"what it says").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap().as_deref(), Some(b"what it says".as_slice()));
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_file_that_is_written_often_is_whole_each_time_and_needs_no_third_one() {
        use std::os::unix::fs::MetadataExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.json");
        let mut inodes = std::collections::BTreeSet::new();
        for text in ["what it said at first", "less", "something longer than what it said at first", ""] {
            replace_often(&path, text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            inodes.insert(std::fs::metadata(&path).unwrap().ino());
        }
        assert_eq!(inodes.len(), 2, "the two take turns");
        replace(&path, b"the last").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "the last");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn what_could_not_be_put_in_place_is_not_left_lying_about() {
        let dir = tempfile::tempdir().unwrap();
        // With the extension of a new file its name is just short enough.
        let path = dir.path().join(format!("{}.{}", "a".repeat(200), "b".repeat(100)));
        replace(&path, b"new").unwrap_err();
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    }

    #[test]
    fn none_is_opened_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::fs::write(&target, "another's").unwrap();
        symlink(&target, &link).unwrap();
        for opened in [open_or_make(&link), open_to_append(&link)] {
            opened.unwrap_err();
        }
        read(&link).unwrap_err();
        symlink(&target, link.with_extension("new")).unwrap();
        replace(&link, b"ours").unwrap_err();
        assert_eq!(std::fs::read(&target).unwrap(), b"another's");
    }

    #[test]
    fn a_pipe_in_its_place_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let refused = [read(&path).unwrap_err(), open_to_append(&path).unwrap_err()];
            tell.send(refused.map(|error| error.kind())).unwrap();
        });
        let kinds = told.recv_timeout(std::time::Duration::from_secs(10));
        assert_eq!(kinds.expect("it waits for the other end"), [io::ErrorKind::InvalidInput; 2]);
    }

    #[test]
    fn a_file_that_is_not_there_is_none_and_one_that_cannot_be_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join("file")).unwrap(), None);
        assert!(read(dir.path()).is_err(), "a directory");
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "four").unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(read_at_most(4, &file).unwrap(), b"four");
        assert_eq!(read_at_most(3, &file).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
