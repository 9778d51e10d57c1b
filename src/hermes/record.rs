//! What was installed: enough to tell a file that was changed by hand from one that is merely old, and to take everything back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config_yaml::Edit;
use super::error::HermesError;
use super::files;
use super::plugin::{self, File};

const NAME: &str = "installed.json";

/// The record of an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The plugin's version.
    pub(super) version: String,
    /// A fingerprint of each of its files.
    pub(super) files: BTreeMap<String, String>,
    /// How `config.yaml` was changed.
    pub(super) config_edits: Vec<Edit>,
    /// It wasn't there before.
    pub(super) config_created: bool,
    /// A fingerprint of it as it was before; of an installation that changed nothing in it there is none.
    #[serde(default)]
    pub(super) config_before: Option<String>,
    /// The folder of all plugins wasn't there before.
    pub(super) plugins_dir_created: bool,
}

impl Record {
    pub(super) fn of_this_version() -> Self {
        let files =
            plugin::FILES.iter().map(|file| (file.name.to_owned(), fingerprint(file.content.as_bytes())));
        Self {
            version: plugin::VERSION.to_owned(),
            files: files.collect(),
            config_edits: Vec::new(),
            config_created: false,
            config_before: None,
            plugins_dir_created: false,
        }
    }

    /// `None`: there is none that can be read, so nothing is known of what is there.
    pub(super) fn read(plugin_dir: &Path) -> Result<Option<Self>, HermesError> {
        let bytes = files::read(&path(plugin_dir))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(super) fn write(&self, plugin_dir: &Path) -> Result<(), HermesError> {
        // Texts and numbers alone can't fail to become JSON; an empty record says as little as none.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        files::replace(&path(plugin_dir), &bytes)
    }

    /// Whether this is the content that was installed.
    pub(super) fn knows(&self, file: &File, content: &[u8]) -> bool {
        self.files.get(file.name).is_some_and(|known| *known == fingerprint(content))
    }
}

pub(super) fn path(plugin_dir: &Path) -> PathBuf {
    plugin_dir.join(NAME)
}

/// FNV-1a: against a slip of an editor, not against an enemy, who could change the record as well.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}-{}", bytes.len())
}
