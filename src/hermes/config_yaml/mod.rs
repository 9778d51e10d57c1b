//! Taking a name into `plugins.enabled` of a Hermes `config.yaml`, and out again, as a person would: in the text, without disturbing a
//! byte of the rest.
//!
//! ```text
//! text ──read──> tree with positions ──add / remove──> a few candidate edits ──verify──> the first whose text says just that
//! ```
//!
//! Nothing is taken on trust: the edited text is read again, and unless it says exactly what the old one said, the one list apart, it is
//! not used. What isn't certain is left to the person, with the lines to write.

mod add;
mod edit;
mod lines;
mod lists;
#[cfg(test)]
mod properties;
mod remove;
#[cfg(test)]
mod tests;
mod tree;
mod verify;

use std::fmt;

pub use self::edit::{Edit, revert};
use self::lists::List;

/// Larger than any configuration that a person keeps.
const MOST_BYTES: usize = 4 << 20;

/// A text after an edit, and how it came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The new text.
    pub text: String,
    /// What was done, in this order. Nothing, if it said so already.
    pub edits: Vec<Edit>,
}

/// Why a `config.yaml` is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotEdited {
    /// It can't be read as YAML.
    NotYaml {
        /// The line, from 1.
        line: usize,
    },
    /// It holds more than one YAML document.
    SeveralDocuments,
    /// There is no telling what an edit would mean.
    Unsure {
        /// The line, from 1.
        line: usize,
        /// What is there.
        what: &'static str,
    },
    /// No edit was found that changes the list and nothing else.
    NoEdit,
    /// It is larger than any configuration.
    TooLarge,
}

impl fmt::Display for NotEdited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYaml { line } => write!(f, "line {line} is not YAML"),
            Self::SeveralDocuments => f.write_str("it holds more than one YAML document"),
            Self::Unsure { line, what } => write!(f, "line {line} {what}"),
            Self::NoEdit => f.write_str(
                "no edit was found that is certain to change the list of plugins and nothing else",
            ),
            Self::TooLarge => f.write_str("it is larger than any configuration"),
        }
    }
}

/// Puts the name into `plugins.enabled`, and takes it out of `plugins.disabled`.
///
/// # Errors
/// It can't be done with certainty.
pub fn enable(text: &str, name: &str) -> Result<Edited, NotEdited> {
    let mut edited = remove::from(text, List::Disabled, name)?;
    let added = add::to_enabled(&edited.text, name)?;
    edited.edits.extend(added.edits);
    edited.text = added.text;
    Ok(edited)
}

/// Takes the name out of `plugins.enabled`.
///
/// # Errors
/// It can't be done with certainty.
pub fn disable(text: &str, name: &str) -> Result<Edited, NotEdited> {
    remove::from(text, List::Enabled, name)
}

/// Whether the text says that the plugin of this name is enabled, and not disabled as well.
///
/// # Errors
/// It can't be read.
pub fn is_enabled(text: &str, name: &str) -> Result<bool, NotEdited> {
    let document = tree::read(text)?;
    let lists = lists::find(text, document.as_ref())?;
    Ok(lists.names(List::Enabled, name) && !lists.names(List::Disabled, name))
}

/// What a person writes instead.
pub fn lines(name: &str) -> String {
    format!("plugins:\n  enabled:\n    - {name}\n")
}

/// What of the rest matters where `plugins.enabled` is to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// `_config_version`, by which Hermes knows how far its configuration was updated.
    pub config_version: Option<u64>,
    /// `plugins.enabled` is there, whatever is in it.
    pub has_enabled: bool,
}

/// Reads the outline.
///
/// # Errors
/// It can't be read.
pub fn outline(text: &str) -> Result<Outline, NotEdited> {
    let document = tree::read(text)?;
    let lists = lists::find(text, document.as_ref())?;
    let mut entries = lists.root.unwrap_or_default().iter();
    let version = entries.find(|(key, _)| key.text() == Some("_config_version"));
    let config_version = version.and_then(|(_, value)| value.text()?.parse().ok());
    Ok(Outline { config_version, has_enabled: lists.entry(List::Enabled).is_some() })
}
