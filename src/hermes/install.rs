//! Installing the plugin into a home. Safe to repeat; an older plugin is replaced, a file that was changed by hand is kept beside it, and
//! what was not put there by gateway-reaper is left alone.

use std::fs;
use std::path::{Path, PathBuf};

use super::configuration::{ByHand, Found};
use super::error::HermesError;
use super::files;
use super::home::Home;
use super::plugin::{self, FILES, FOLDER, MANIFEST, compare_versions};
use super::record::{self, Record};

/// What an installation did.
#[derive(Debug)]
pub struct Installed {
    /// The plugin's folder.
    pub plugin_dir: PathBuf,
    /// What became of the plugin's files.
    pub plugin: PluginChange,
    /// What became of `config.yaml`.
    pub config: ConfigChange,
    /// Files that had been changed by hand, where they are now.
    pub kept: Vec<PathBuf>,
}

/// What became of the plugin's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginChange {
    /// They weren't there.
    New,
    /// They were of this version.
    UpgradedFrom(String),
    /// They were of this version, and not what they should be.
    Repaired,
    /// They were there already.
    UpToDate,
}

/// What became of `config.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// It wasn't there.
    Created,
    /// The name was added, nothing else changed.
    Added,
    /// It said so already.
    UpToDate,
    /// It wasn't touched; a person has to.
    ByHand(ByHand),
}

/// What is in the plugin's place.
pub(super) enum Place {
    /// Nothing.
    Free,
    /// The plugin, with the record of its installation, if there is one.
    Ours(Option<Record>),
}

/// Installs the plugin.
///
/// # Errors
/// Something else is in its place, or it can't be written.
pub fn install(home: &Home) -> Result<Installed, HermesError> {
    let dir = home.plugin_dir();
    let place = look(&dir)?;
    let found = Found::read(home)?;
    let enabled = found.enabled(home);

    let mut record = Record::of_this_version();
    record.plugins_dir_created = !home.plugins_dir().is_dir();
    let before = match &place {
        Place::Ours(before) => before.as_ref(),
        Place::Free => None,
    };
    if let Some(before) = before {
        if compare_versions(&before.version, plugin::VERSION).is_gt() {
            return Err(HermesError::Newer { version: before.version.clone() });
        }
        record.plugins_dir_created = before.plugins_dir_created;
    }
    match &enabled {
        Ok(edited) if !edited.edits.is_empty() => {
            record.config_created = !found.is_there();
            record.config_edits = edited.edits.clone();
            record.config_before = found.fingerprint();
        }
        _ => {
            record.config_created = before.is_some_and(|before| before.config_created);
            record.config_edits = before.map(|before| before.config_edits.clone()).unwrap_or_default();
            record.config_before = before.and_then(|before| before.config_before.clone());
        }
    }

    files::make_dir(&dir.join(FOLDER))?;
    let (changed, kept) = write_files(&dir, before)?;
    // Before config.yaml is touched: an interrupted installation can then be repeated, and taken back to the byte.
    if before != Some(&record) {
        record.write(&dir)?;
    }
    let plugin = match (&place, before) {
        (Place::Free, _) => PluginChange::New,
        (_, Some(before)) if before.version != plugin::VERSION => {
            PluginChange::UpgradedFrom(before.version.clone())
        }
        _ if changed => PluginChange::Repaired,
        _ => PluginChange::UpToDate,
    };
    let config = match enabled {
        Err(why) => ConfigChange::ByHand(why),
        Ok(edited) if edited.edits.is_empty() => ConfigChange::UpToDate,
        Ok(edited) => match found.replace(home, &edited.text)? {
            Err(why) => ConfigChange::ByHand(why),
            Ok(()) if found.is_there() => ConfigChange::Added,
            Ok(()) => ConfigChange::Created,
        },
    };
    Ok(Installed { plugin_dir: dir, plugin, config, kept })
}

/// What is in the plugin's place.
pub(super) fn look(dir: &Path) -> Result<Place, HermesError> {
    let foreign = |what| Err(HermesError::Foreign { path: dir.to_owned(), what });
    let Ok(metadata) = fs::symlink_metadata(dir) else { return Ok(Place::Free) };
    if metadata.is_symlink() {
        return foreign("is a link to somewhere else");
    }
    if !metadata.is_dir() {
        return foreign("is no folder");
    }
    if let Some(record) = Record::read(dir)? {
        return Ok(Place::Ours(Some(record)));
    }
    if names_us(&dir.join(FOLDER).join(MANIFEST))? {
        return Ok(Place::Ours(None));
    }
    let unreadable = |source| HermesError::Io { what: "look at", path: dir.to_owned(), source };
    // What an uninstallation left there, because it had been changed by hand, doesn't matter here.
    let mut entries = fs::read_dir(dir).map_err(unreadable)?.flatten();
    if record::path(dir).exists() || entries.all(|entry| files::is_kept_aside(&entry.file_name())) {
        return Ok(Place::Free);
    }
    foreign("holds something else")
}

/// Copied by hand, it is the plugin all the same.
fn names_us(manifest: &Path) -> Result<bool, HermesError> {
    let Some(bytes) = files::read(manifest)? else { return Ok(false) };
    let manifest: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let said = |key: &str| manifest.as_ref().and_then(|manifest| manifest.get(key)?.as_str());
    Ok(said("name") == Some(plugin::NAME) && said("api") == Some("plugin_api.py"))
}

/// Whether anything had to be written, and what was kept.
fn write_files(dir: &Path, before: Option<&Record>) -> Result<(bool, Vec<PathBuf>), HermesError> {
    let mut changed = false;
    let mut kept = Vec::new();
    for file in &FILES {
        let path = dir.join(FOLDER).join(file.name);
        let content = files::read(&path)?;
        match content {
            Some(content) if content == file.content.as_bytes() => continue,
            Some(content) if !before.is_some_and(|record| record.knows(file, &content)) => {
                kept.push(files::keep_aside(&path, dir)?);
            }
            _ => {}
        }
        files::replace(&path, file.content.as_bytes())?;
        changed = true;
    }
    Ok((changed, kept))
}
