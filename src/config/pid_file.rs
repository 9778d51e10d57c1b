//! A file that holds a process id.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::domain::ids::Pid;
use crate::named_file::{self, Refusal, Trust};

/// A number and a few spaces.
const LIMIT: u64 = 64;

/// Why a PID file names no process.
#[derive(Debug, Error)]
pub enum PidFileError {
    /// It can't be read, or isn't to be trusted.
    #[error("pid_file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        refusal: Refusal,
    },
    /// It holds something else.
    #[error("pid_file {}: expected one process id and nothing else", .0.display())]
    NotAPid(PathBuf),
}

/// The process id in a file.
///
/// # Errors
/// The file can't be read, isn't to be trusted, or holds anything but one process id.
pub fn read(path: &Path, trust: &Trust) -> Result<Pid, PidFileError> {
    let not_a_pid = || PidFileError::NotAPid(path.to_owned());
    let bytes = named_file::read(path, LIMIT, trust).map_err(|refusal| match refusal {
        Refusal::TooLarge { .. } => not_a_pid(),
        refusal => PidFileError::File { path: path.to_owned(), refusal },
    })?;
    let text = str::from_utf8(&bytes).map_err(|_| not_a_pid())?;
    text.trim().parse().ok().and_then(Pid::new).ok_or_else(not_a_pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::in_full;

    #[test]
    fn a_pid_file_holds_one_process_id_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        for (text, pid) in
            [("17", Some(17)), (" 17\n", Some(17)), ("17\n18\n", None), ("", None), ("x", None), ("0", None)]
        {
            std::fs::write(&path, text).unwrap();
            let read = read(&path, &Trust::named());
            assert_eq!(read.as_ref().ok().map(|pid| pid.get()), pid, "{text:?}");
            if let Err(error) = read {
                let expected =
                    format!("pid_file {}: expected one process id and nothing else", path.display());
                assert_eq!(in_full(&error), expected);
            }
        }
        std::fs::write(&path, "1".repeat(65)).unwrap();
        assert!(matches!(read(&path, &Trust::named()), Err(PidFileError::NotAPid(_))));
        let error = read(Path::new("/dev/zero"), &Trust::named()).unwrap_err();
        assert_eq!(in_full(&error), "pid_file /dev/zero: is a device; expected a regular file");
    }
}
