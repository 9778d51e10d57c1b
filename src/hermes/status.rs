//! What is in a home: which plugin, whether it is as it was installed, whether Hermes will load it, and which dashboards run without it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::config_yaml;
use super::configuration::{ByHand, Found};
use super::error::HermesError;
use super::files;
use super::home::Home;
use super::install::{Place, look};
use super::plugin::{self, FILES, FOLDER};
use super::record;
use super::running::{Running, running};

/// The kernel tells when the machine was started in whole seconds, and a process' start is counted from there.
const WHOLE_SECONDS: Duration = Duration::from_secs(1);

/// What is in a home.
#[derive(Debug)]
pub struct Status {
    /// The plugin's folder.
    pub plugin_dir: PathBuf,
    /// The plugin.
    pub plugin: PluginState,
    /// Whether `config.yaml` enables it, which releases since 0.19 ask for. Why that can't be told.
    pub enabled: Result<bool, ByHand>,
    /// The dashboards that run, each with whether it started before the plugin was there as it is now. `None`: this release keeps no
    /// record of them.
    pub running: Option<Vec<(Running, Loaded)>>,
}

/// The plugin in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginState {
    /// There is none.
    NotThere,
    /// There is one.
    Installed {
        /// Its version; `None`: it was copied by hand, and no record tells.
        version: Option<String>,
        /// Its files that aren't as they were installed, or aren't there.
        changed: Vec<PathBuf>,
    },
}

/// Whether a dashboard can have loaded the plugin as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// It started since.
    StartedSince,
    /// It started before, and has not.
    StartedBefore,
}

impl Status {
    /// Whether nothing is left to do.
    pub fn is_complete(&self) -> bool {
        let is_current = matches!(&self.plugin, PluginState::Installed { version: Some(version), changed }
            if version == plugin::VERSION && changed.is_empty());
        let waits = self.running.iter().flatten().any(|(_, loaded)| *loaded == Loaded::StartedBefore);
        is_current && self.enabled == Ok(true) && !waits
    }
}

/// Looks at a home, and changes nothing.
///
/// # Errors
/// Something else is in the plugin's place, or something can't be read.
pub fn status(home: &Home) -> Result<Status, HermesError> {
    let plugin_dir = home.plugin_dir();
    let plugin = match look(&plugin_dir)? {
        Place::Free => PluginState::NotThere,
        Place::Ours(record) => {
            let mut changed = Vec::new();
            for file in &FILES {
                let path = plugin_dir.join(FOLDER).join(file.name);
                let content = files::read(&path)?;
                let is_as_installed = content.is_some_and(|content| match &record {
                    Some(record) => record.knows(file, &content),
                    None => content == file.content.as_bytes(),
                });
                if !is_as_installed {
                    changed.push(path);
                }
            }
            PluginState::Installed { version: record.map(|record| record.version), changed }
        }
    };
    let found = Found::read(home)?;
    let enabled =
        found.text().and_then(|text| config_yaml::is_enabled(text, plugin::NAME).map_err(ByHand::NotEdited));
    let since = match plugin {
        PluginState::NotThere => None,
        PluginState::Installed { .. } => written(home),
    };
    let running = running(home.path())?.map(|running| {
        let loaded = |it: &Running| match since {
            Some(since) if it.started + WHOLE_SECONDS >= since => Loaded::StartedSince,
            _ => Loaded::StartedBefore,
        };
        running.into_iter().map(|it| (loaded(&it), it)).map(|(loaded, it)| (it, loaded)).collect()
    });
    Ok(Status { plugin_dir, plugin, enabled, running })
}

/// When the plugin became what it is: the last of its files, and of the record of its installation.
fn written(home: &Home) -> Option<SystemTime> {
    let dir = home.plugin_dir();
    let files = FILES.iter().map(|file| dir.join(FOLDER).join(file.name)).chain([record::path(&dir)]);
    files.filter_map(|path| fs::metadata(path).ok()?.modified().ok()).max()
}
