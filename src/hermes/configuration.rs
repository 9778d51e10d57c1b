//! The `config.yaml` of a home: what an installation would change in it, and what only a person may.

use std::fmt;
use std::fs;

use super::config_yaml::{self, Edited, NotEdited};
use super::error::HermesError;
use super::files;
use super::home::Home;
use super::plugin;
use super::record::fingerprint;

/// Up to this version of the configuration Hermes puts all plugins that it finds into `plugins.enabled`, if that isn't there yet.
const FILLS_ENABLED_UNTIL: u64 = 20;

/// Why `config.yaml` is left to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByHand {
    /// It can't be edited with certainty.
    NotEdited(NotEdited),
    /// It isn't text.
    NotUtf8,
    /// A package manager writes it.
    Managed,
    /// Hermes would enable these the next time it updates its configuration, unless a list is there.
    WouldForget(Vec<String>),
    /// Another program wrote it at this moment.
    Changing,
}

impl fmt::Display for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEdited(why) => why.fmt(f),
            Self::NotUtf8 => f.write_str("it is not UTF-8 text"),
            Self::Managed => {
                f.write_str("a package manager writes it (.managed): the lines belong into its settings")
            }
            Self::WouldForget(plugins) => write!(
                f,
                "it is of an old version and has no plugins.enabled yet, and Hermes would forget to enable {} once it has: run \
                 `hermes config migrate` first, then this again",
                plugins.join(", ")
            ),
            Self::Changing => {
                f.write_str("it was written by another program at this very moment: run this again")
            }
        }
    }
}

/// The file as it was found.
#[derive(Debug)]
pub(super) struct Found {
    bytes: Option<Vec<u8>>,
}

impl Found {
    pub(super) fn read(home: &Home) -> Result<Self, HermesError> {
        Ok(Self { bytes: files::read(&home.config())? })
    }

    pub(super) fn is_there(&self) -> bool {
        self.bytes.is_some()
    }

    /// Tells it from what it becomes.
    pub(super) fn fingerprint(&self) -> Option<String> {
        self.bytes.as_deref().map(fingerprint)
    }

    pub(super) fn text(&self) -> Result<&str, ByHand> {
        std::str::from_utf8(self.bytes.as_deref().unwrap_or_default()).map_err(|_| ByHand::NotUtf8)
    }

    /// The text with the plugin enabled.
    pub(super) fn enabled(&self, home: &Home) -> Result<Edited, ByHand> {
        let text = self.text()?;
        let edited = config_yaml::enable(text, plugin::NAME).map_err(ByHand::NotEdited)?;
        if edited.edits.is_empty() {
            return Ok(edited);
        }
        if home.is_managed() {
            return Err(ByHand::Managed);
        }
        let outline = config_yaml::outline(text).map_err(ByHand::NotEdited)?;
        let others = home.other_plugins();
        let old = self.is_there() && outline.config_version.unwrap_or(0) <= FILLS_ENABLED_UNTIL;
        if !outline.has_enabled && old && !others.is_empty() {
            return Err(ByHand::WouldForget(others));
        }
        Ok(edited)
    }

    /// Writes the text in place of the one that was found, unless another program has written it meanwhile.
    pub(super) fn replace(&self, home: &Home, text: &str) -> Result<Result<(), ByHand>, HermesError> {
        if files::read(&home.config())? != self.bytes {
            return Ok(Err(ByHand::Changing));
        }
        files::replace(&home.config(), text.as_bytes()).map(Ok)
    }

    /// Removes the file, unless it changed.
    pub(super) fn remove(&self, home: &Home) -> Result<Result<(), ByHand>, HermesError> {
        let is_link = fs::symlink_metadata(home.config()).is_ok_and(|metadata| metadata.is_symlink());
        if is_link || files::read(&home.config())? != self.bytes {
            return Ok(Err(ByHand::Changing));
        }
        files::remove(&home.config()).map(Ok)
    }
}
