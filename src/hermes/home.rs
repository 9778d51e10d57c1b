//! A Hermes home: which one is meant, and whether it is one.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::HermesError;
use super::plugin;

/// What every release makes in its home as soon as it reads its configuration.
const LAYOUT: [&str; 4] = ["cron", "logs", "memories", "sessions"];

/// Who named a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// `--home` or `$HERMES_HOME`.
    Explicitly,
    /// Not at all: it is where Hermes looks by itself.
    ByDefault,
}

/// A Hermes home that belongs to us.
#[derive(Debug, Clone)]
pub struct Home {
    path: PathBuf,
}

/// Which home is meant: `--home`, else `$HERMES_HOME`, else `~/.hermes`.
///
/// # Errors
/// None of them is there.
pub fn choose(
    option: Option<&Path>,
    hermes_home: Option<OsString>,
    user_home: Option<OsString>,
) -> Result<(PathBuf, Named), HermesError> {
    let explicit = option.map(Path::to_owned).or_else(|| hermes_home.map(PathBuf::from));
    match (explicit, user_home) {
        (Some(path), _) => Ok((path, Named::Explicitly)),
        (None, Some(home)) => Ok((Path::new(&home).join(".hermes"), Named::ByDefault)),
        (None, None) => Err(HermesError::NoHome),
    }
}

impl Home {
    /// Looks whether it is a Hermes home of ours.
    ///
    /// # Errors
    /// It isn't there, isn't one, belongs to another user, or can't be looked at.
    pub fn open(path: &Path, own_uid: u32) -> Result<Self, HermesError> {
        let unreadable = |source| HermesError::Io { what: "look at", path: path.to_owned(), source };
        let path = match fs::canonicalize(path) {
            Ok(path) => path,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(HermesError::Missing(path.to_owned()));
            }
            Err(error) => return Err(unreadable(error)),
        };
        let missing: Vec<_> = LAYOUT.into_iter().filter(|name| !path.join(name).is_dir()).collect();
        if !missing.is_empty() {
            let has_nothing = missing.len() == LAYOUT.len();
            return Err(if has_nothing {
                HermesError::NeverUsed(path)
            } else {
                HermesError::NotAHome { path, missing }
            });
        }
        let owner = fs::metadata(&path).map_err(unreadable)?.uid();
        if owner != own_uid {
            return Err(HermesError::NotOurs { path, owner, own: own_uid });
        }
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plugin's own folder in it.
    pub fn plugin_dir(&self) -> PathBuf {
        self.plugins_dir().join(plugin::NAME)
    }

    /// The profile that Hermes uses by default instead of this home.
    pub fn other_profile(&self) -> Option<PathBuf> {
        let name = fs::read_to_string(self.path.join("active_profile")).ok()?;
        let name = name.trim();
        let other = !name.is_empty() && name != "default" && !name.contains('/') && name != "..";
        other.then(|| self.path.join("profiles").join(name)).filter(|path| path.is_dir())
    }

    pub(super) fn plugins_dir(&self) -> PathBuf {
        self.path.join("plugins")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.path.join("config.yaml")
    }

    /// Hermes' own mark of a home whose configuration is written by a package manager (NixOS).
    pub(super) fn is_managed(&self) -> bool {
        self.path.join(".managed").exists()
    }

    /// The other agent plugins in it.
    pub(super) fn other_plugins(&self) -> Vec<String> {
        let entries = fs::read_dir(self.plugins_dir()).into_iter().flatten().flatten();
        let plugins = entries.filter(|entry| {
            ["plugin.yaml", "plugin.yml"].iter().any(|name| entry.path().join(name).exists())
        });
        let mut names: Vec<_> =
            plugins.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}
