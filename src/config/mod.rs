//! `reaper.toml`: finding it, reading it, and saying exactly what is wrong with it.
//!
//! ```text
//! locate(--config, environment) -> path -> load(path) -> parse(text) -> Config
//! ```
//!
//! Everything that is wrong with a file is told at once, one line each, with its line and its key. Nothing runs on half a configuration.

pub mod address;
pub mod defaults;
pub mod duration;
pub mod pid_file;
pub mod token;
pub mod user;

mod audit;
pub mod effective;
mod errors;
mod gateway;
mod keep;
mod keys;
mod kinds;
mod locate;
mod marks;
mod metrics;
mod nearest;
mod policy;
mod problems;
mod process;
mod read;
mod section;
mod syntax;
mod table;
mod value;

#[cfg(test)]
mod default_file_tests;
#[cfg(test)]
mod gateway_tests;
#[cfg(test)]
mod message_tests;
#[cfg(test)]
mod token_tests;

use std::path::{Path, PathBuf};

pub use errors::{ConfigError, ConfigErrors, NamedBy, Problem};
pub use gateway::GatewayConfig;
pub use keep::KeepConfig;
pub use kinds::{
    CommandGateway, CommandLine, Endpoint, GatewayKind, HermesHome, JupyterRuntime, ListenerUser,
};
pub use locate::{Environment, Located, LocatedBy, locate};
pub use marks::{CgroupMatch, MarkConfig, Names};
pub use metrics::Metrics;
pub use process::ProcessSource;
pub use read::load;

use crate::state::log::Rotation;
use problems::Problems;
use section::Section;

/// The annotated default configuration: the reference of every key, and what `--help` and the documentation quote.
///
/// It is never used in place of a missing file: no one chose the gateway in it.
pub const DEFAULT: &str = include_str!("../../reaper.toml");

/// A configuration, checked from end to end.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from; a reload reads it again.
    pub source: PathBuf,
    /// Where the memory, the lock and the audit log live, if the file says so.
    pub state_dir: Option<PathBuf>,
    /// How large the audit log may grow.
    pub audit: Rotation,
    /// Where Prometheus finds the metrics.
    pub metrics: Metrics,
    /// The gateways, in the order of the file. Never empty; names are unique.
    pub gateways: Vec<GatewayConfig>,
    /// What is never reaped, or not yet.
    pub keeps: Vec<KeepConfig>,
}

/// Reads the text of a configuration. `file` appears in the messages, and relative paths in the text start at its folder.
///
/// # Errors
/// Every mistake in the text, in the order of its lines.
pub fn parse(text: &str, file: &Path) -> Result<Config, ConfigErrors> {
    let problems = Problems::new(text, file);
    let Some(root) = syntax::parse(text, &problems) else { return Err(problems.into_errors()) };
    let root = Section::root(&root, &keys::ROOT, &keys::TABLES, &problems);
    root.refuse_unknown_keys();

    let policy = match root.section("policy", &keys::POLICY) {
        Some(section) => {
            section.refuse_unknown_keys();
            policy::read(&section, &defaults::policy())
        }
        None => defaults::policy(),
    };
    let state_dir = root.section("state", &keys::STATE).and_then(|section| {
        section.refuse_unknown_keys();
        section.path("dir")
    });
    let audit = audit::read(&root);
    let metrics = metrics::read(&root);
    let gateways = gateway::read_all(&root, &policy);
    let keeps = keep::read_all(&root, &gateways);

    if problems.is_empty() {
        Ok(Config { source: file.to_owned(), state_dir, audit, metrics, gateways, keeps })
    } else {
        Err(problems.into_errors())
    }
}
