//! Taking the plugin out of a home again: its files, its name in `config.yaml`, and what was made for it. Whatever else is there stays.

use std::fs;
use std::path::{Path, PathBuf};

use super::config_yaml;
use super::configuration::{ByHand, Found};
use super::error::HermesError;
use super::files;
use super::home::Home;
use super::install::{Place, look};
use super::plugin::{self, FILES, FOLDER};
use super::record::{self, Record, fingerprint};

/// What was taken back.
#[derive(Debug)]
pub struct Uninstalled {
    /// The plugin's folder.
    pub plugin_dir: PathBuf,
    /// The plugin was there.
    pub was_there: bool,
    /// What became of `config.yaml`.
    pub config: ConfigRemoval,
    /// What is still in the plugin's folder, because it wasn't put there by gateway-reaper or was changed by hand.
    pub left: Vec<PathBuf>,
}

/// What became of `config.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigRemoval {
    /// It is as it was before the installation, to the byte.
    AsBefore,
    /// The name was taken out, nothing else changed.
    TakenOut,
    /// It had been made for the plugin, and is gone.
    Removed,
    /// The name wasn't in it.
    NotThere,
    /// It wasn't touched; a person has to.
    ByHand(ByHand),
}

/// Takes the plugin out.
///
/// # Errors
/// Something else is in its place, or it can't be removed.
pub fn uninstall(home: &Home) -> Result<Uninstalled, HermesError> {
    let plugin_dir = home.plugin_dir();
    let place = look(&plugin_dir)?;
    let record = match &place {
        Place::Ours(record) => record.as_ref(),
        Place::Free => None,
    };
    let config = take_out(home, record)?;
    let was_there = matches!(place, Place::Ours(_));
    let mut left = Vec::new();
    if plugin_dir.is_dir() {
        remove_files(&plugin_dir, record)?;
        let plugins_dir_created = record.is_some_and(|record| record.plugins_dir_created);
        // While the record is there this can be repeated, so it goes last.
        files::remove(&record::path(&plugin_dir))?;
        // Folders with something in them stay, and that is no failure.
        let _ = fs::remove_dir(plugin_dir.join(FOLDER));
        let _ = fs::remove_dir(&plugin_dir);
        if plugins_dir_created {
            let _ = fs::remove_dir(home.plugins_dir());
        }
        list(&plugin_dir, &mut left);
    }
    Ok(Uninstalled { plugin_dir, was_there, config, left })
}

fn take_out(home: &Home, record: Option<&Record>) -> Result<ConfigRemoval, HermesError> {
    let found = Found::read(home)?;
    if !found.is_there() {
        return Ok(ConfigRemoval::NotThere);
    }
    let text = match found.text() {
        Ok(text) => text,
        Err(why) => return Ok(ConfigRemoval::ByHand(why)),
    };
    let done = |result: Result<(), ByHand>, done| result.map_or_else(ConfigRemoval::ByHand, |()| done);
    if let Some(record) = record.filter(|record| !record.config_edits.is_empty())
        && let Some(before) = config_yaml::revert(text, &record.config_edits)
        && config_yaml::is_enabled(&before, plugin::NAME) == Ok(false)
    {
        return Ok(if record.config_created && before.is_empty() {
            done(found.remove(home)?, ConfigRemoval::Removed)
        } else {
            // Hermes, or a person, may have changed other lines since.
            let is_as_before = record.config_before == Some(fingerprint(before.as_bytes()));
            let removal = if is_as_before { ConfigRemoval::AsBefore } else { ConfigRemoval::TakenOut };
            done(found.replace(home, &before)?, removal)
        });
    }
    Ok(match config_yaml::disable(text, plugin::NAME) {
        Err(why) => ConfigRemoval::ByHand(ByHand::NotEdited(why)),
        Ok(edited) if edited.edits.is_empty() => ConfigRemoval::NotThere,
        Ok(_) if home.is_managed() => ConfigRemoval::ByHand(ByHand::Managed),
        Ok(edited) => done(found.replace(home, &edited.text)?, ConfigRemoval::TakenOut),
    })
}

fn remove_files(dir: &Path, record: Option<&Record>) -> Result<(), HermesError> {
    // The manifest first: without it a gateway that starts in between finds no plugin at all.
    for file in FILES.iter().rev() {
        let path = dir.join(FOLDER).join(file.name);
        let Some(content) = files::read(&path)? else { continue };
        let is_ours =
            content == file.content.as_bytes() || record.is_some_and(|record| record.knows(file, &content));
        if is_ours {
            files::remove(&path)?;
        } else {
            files::keep_aside(&path, dir)?;
        }
    }
    // Python's, made of our file.
    let cache = dir.join(FOLDER).join("__pycache__");
    for entry in fs::read_dir(&cache).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("plugin_api.") {
            files::remove(&entry.path())?;
        }
    }
    let _ = fs::remove_dir(&cache);
    Ok(())
}

fn list(dir: &Path, left: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { list(&path, left) } else { left.push(path) }
    }
}
