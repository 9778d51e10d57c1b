//! From a path to a configuration.

use super::errors::ConfigError;
use super::locate::{Located, LocatedBy};
use super::{Config, parse};
use crate::named_file::{self, Kind, Refusal, Trust};

/// The annotated default is a hundredth of this. What is larger is some other file, named by mistake.
const LIMIT: u64 = 1024 * 1024;

/// Reads and checks a configuration file.
///
/// # Errors
/// The file can't be read, could have been written by others, isn't text, or says something that can't be meant.
pub fn load(located: &Located) -> Result<Config, ConfigError> {
    Ok(parse(&text(located)?, &located.path)?)
}

pub(super) fn text(located: &Located) -> Result<String, ConfigError> {
    let path = &located.path;
    let trust = match located.by {
        LocatedBy::Name => Trust::named(),
        LocatedBy::WorkingDirectory => Trust::found(),
    };
    let bytes = named_file::read(path, LIMIT, &trust).map_err(|refusal| refused(located, refusal))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        ConfigError::NotUtf8 { path: path.to_owned(), line }
    })
}

fn refused(located: &Located, refusal: Refusal) -> ConfigError {
    let path = located.path.clone();
    match (refusal, located.by) {
        (Refusal::TooLarge { limit }, _) => ConfigError::TooLarge { path, limit },
        (Refusal::NotAFile(Kind::Directory), _) => ConfigError::Directory(path),
        (refusal @ (Refusal::Unreadable(_) | Refusal::NotAFile(_)), _) | (refusal, LocatedBy::Name) => {
            ConfigError::File { path, refusal }
        }
        (refusal, LocatedBy::WorkingDirectory) => ConfigError::Found { path, refusal },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::text::in_full;

    fn load(path: &Path) -> Result<Config, ConfigError> {
        super::load(&Located::named(path))
    }

    /// What loading a file of these bytes says, with the folder's name taken out.
    fn told(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reaper.toml");
        fs::write(&path, bytes).unwrap();
        let error = in_full(&load(&path).unwrap_err());
        error.replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn a_good_file_is_read_and_remembered_as_the_source() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reaper.toml");
        fs::write(&path, super::super::errors::SMALLEST).unwrap();
        assert_eq!(load(&path).unwrap().source, path);
    }

    #[test]
    fn a_directory_is_not_a_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        assert_eq!(
            load(folder.path()).unwrap_err().to_string(),
            format!("{path}: is a directory; expected a configuration file, such as reaper.toml in it")
        );
    }

    #[test]
    fn an_unreadable_file_keeps_the_systems_answer_as_its_source() {
        let error = load(Path::new("/nowhere/reaper.toml")).unwrap_err();
        let expected = "/nowhere/reaper.toml: can't be read: No such file or directory (os error 2)";
        assert_eq!(in_full(&error), expected);
    }

    #[test]
    fn bytes_that_are_not_text_are_refused_with_their_line() {
        assert_eq!(told(b"# a\n# b\n\xff"), "reaper.toml:3: not UTF-8 text; save the file as UTF-8");
    }

    #[test]
    fn a_file_of_more_than_a_mebibyte_is_refused() {
        assert_eq!(
            told(&vec![b'#'; LIMIT as usize + 1]),
            "reaper.toml: larger than 1 MiB; expected a configuration file"
        );
        assert_ne!(
            told(&vec![b'#'; LIMIT as usize]),
            "reaper.toml: larger than 1 MiB; expected a configuration file"
        );
    }

    #[test]
    fn an_endless_file_is_refused_without_reading_it() {
        let error = load(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(in_full(&error), "/dev/zero: is a device; expected a regular file");
    }

    #[test]
    fn a_file_that_nobody_named_is_read_only_in_a_folder_of_ones_own() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reaper.toml");
        fs::write(&path, super::super::errors::SMALLEST).unwrap();
        let found = Located { path: path.clone(), by: LocatedBy::WorkingDirectory };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let message = in_full(&super::load(&found).unwrap_err());
        let expected = format!(
            "{}, which was found, not named (--config names one): can be written by every user",
            path.display()
        );
        assert!(message.starts_with(&expected), "{message}");
    }

    #[test]
    fn mistakes_in_the_text_are_told_with_file_and_line() {
        assert!(
            told(b"\n[polcy]\n").ends_with("reaper.toml:2: polcy: unknown table; did you mean \"policy\"?")
        );
    }
}
