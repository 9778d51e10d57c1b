//! Programs that a test writes and another process runs.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Writes a program that its owner alone may change.
///
/// It is never open for writing in this process: a process that another test is just starting has all of this one's descriptors until it calls
/// exec, and until then nobody can run the program ("Text file busy").
pub(crate) fn write_program(path: &Path, text: impl AsRef<[u8]>) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).unwrap();
    let installed = Command::new("install").arg("--mode=755").arg(&draft).arg(path).status().unwrap();
    assert!(installed.success(), "{}", path.display());
    fs::remove_file(draft).unwrap();
}
