//! A file for node_exporter's textfile collector: readable by all, and replaced in one step, so that no scrape sees half of it.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    // The collector reads what ends in .prom; this doesn't.
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let written = open(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        // Whatever the umask is: the collector runs as another user.
        file.set_permissions(Permissions::from_mode(0o644))?;
        std::fs::rename(&new, path)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written
}

fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    OpenOptions::new().write(true).create(true).truncate(true).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_whole_and_readable_by_all_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reaper.prom");
        for text in ["one\n", "two\n"] {
            write(&path, text).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        write(&path, "three\n").unwrap_err();
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    }
}
