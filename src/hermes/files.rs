//! Writing into a Hermes home: whole files in one step, private, as Hermes keeps its own.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::OFlags;

use super::error::HermesError;

/// Makes a folder and those above it.
pub(super) fn make_dir(path: &Path) -> Result<(), HermesError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| HermesError::Io { what: "make the folder", path: path.to_owned(), source })
}

/// The content, `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, HermesError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(HermesError::Io { what: "read", path: path.to_owned(), source }),
    }
}

/// Replaces a file in one step: a reader sees the old one or the new one, whole. A file that was there keeps its mode and group.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), HermesError> {
    let failed = |source| HermesError::Io { what: "write", path: path.to_owned(), source };
    // Through a link to where the file is: people keep their configuration elsewhere.
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
            path.to_owned()
        }
        Err(error) => return Err(failed(error)),
    };
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let new = target.with_file_name(format!(".{name}.gateway-reaper-new"));
    let written = write_new(&new, bytes, fs::metadata(&target).ok().as_ref());
    written.and_then(|()| fs::rename(&new, &target)).map_err(|error| {
        let _ = fs::remove_file(&new);
        failed(error)
    })
}

fn write_new(path: &Path, bytes: &[u8], like: Option<&fs::Metadata>) -> io::Result<()> {
    // What an interrupted installation left is not in use.
    let _ = fs::remove_file(path);
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(no_follow).open(path)?;
    file.write_all(bytes)?;
    if let Some(like) = like {
        if file.metadata()?.gid() != like.gid() {
            // A user who is not of that group can't give it away; the owner is what the gateway needs.
            let _ = fchown(&file, None, Some(like.gid()));
        }
        file.set_permissions(fs::Permissions::from_mode(like.mode() & 0o7777))?;
    }
    File::sync_all(&file)
}

/// Removes a file; one that is gone already is fine.
pub(super) fn remove(path: &Path) -> Result<(), HermesError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(HermesError::Io { what: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Whether a file has the name of one that was moved away like this.
pub(super) fn is_kept_aside(name: &OsStr) -> bool {
    let number = name.to_str().and_then(|name| name.rsplit_once(".kept-")).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Moves a file that was changed by hand out of the way, into the folder, under a name that is free.
pub(super) fn keep_aside(file: &Path, folder: &Path) -> Result<std::path::PathBuf, HermesError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let free = (1..).map(|number| folder.join(format!("{name}.kept-{number}"))).find(|path| !path.exists());
    let free = free.unwrap_or_else(|| folder.join(name));
    let moved = fs::rename(file, &free);
    moved.map_err(|source| HermesError::Io { what: "move away", path: file.to_owned(), source })?;
    Ok(free)
}
