//! From a path to a configuration.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::errors::ConfigError;
use super::{Config, parse};

/// The annotated default is a hundredth of this. What is larger is some other file, named by mistake.
const LIMIT: u64 = 1024 * 1024;

/// Reads and checks a configuration file.
///
/// # Errors
/// The file can't be read, isn't text, or says something that can't be meant.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    Ok(parse(&text(path)?, path)?)
}

pub(super) fn text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(ConfigError::Directory(path.to_owned()));
    }
    let mut bytes = Vec::new();
    // Bounded while reading: a pipe or a device has no size to ask for.
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LIMIT {
        return Err(ConfigError::TooLarge { path: path.to_owned(), limit: LIMIT });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        ConfigError::NotUtf8 { path: path.to_owned(), line }
    })
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::fs;

    use super::*;

    /// What loading a file of these bytes says, with the folder's name taken out.
    fn told(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reaper.toml");
        fs::write(&path, bytes).unwrap();
        let error = load(&path).unwrap_err().to_string();
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
        assert_eq!(error.to_string(), "/nowhere/reaper.toml: can't be read");
        assert_eq!(error.source().unwrap().to_string(), "No such file or directory (os error 2)");
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
    fn an_endless_file_is_refused_without_reading_it_to_its_end() {
        assert_eq!(
            load(Path::new("/dev/zero")).unwrap_err().to_string(),
            "/dev/zero: larger than 1 MiB; expected a configuration file"
        );
    }

    #[test]
    fn mistakes_in_the_text_are_told_with_file_and_line() {
        assert!(
            told(b"\n[polcy]\n").ends_with("reaper.toml:2: polcy: unknown table; did you mean \"policy\"?")
        );
    }
}
