//! The Hermes side: the plugin that publishes the session table, and its way into a Hermes home and out again.
//!
//! ```text
//! HOME/plugins/gateway-reaper/installed.json            what was installed, and how to take it back
//! HOME/plugins/gateway-reaper/dashboard/manifest.json   the plugin, three files
//! HOME/config.yaml                                      plugins.enabled: the one name, and nothing else
//! ```

pub mod config_yaml;
mod configuration;
mod error;
mod files;
mod home;
mod install;
#[cfg(test)]
mod install_tests;
pub mod plugin;
mod record;
mod running;
mod status;
mod uninstall;

pub use self::configuration::ByHand;
pub use self::error::HermesError;
pub use self::home::{Home, Named, choose};
pub use self::install::{ConfigChange, Installed, PluginChange, install};
pub use self::running::{Running, running};
pub use self::status::{Loaded, PluginState, Status, status};
pub use self::uninstall::{ConfigRemoval, Uninstalled, uninstall};
