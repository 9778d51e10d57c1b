//! `once --kind processes --match …`: the configuration that these arguments stand for.

use std::path::Path;

use super::exit::Failure;
use crate::config::{self, Config, ConfigError};

/// One gateway of that kind, with this pattern.
pub(super) fn config(pattern: &str) -> Result<Config, Failure> {
    // A string of JSON is one of TOML, too.
    let pattern = serde_json::Value::from(pattern);
    let text = format!(
        "[[gateway]]\nname = \"leftovers\"\nkind = \"processes\"\n[gateway.worker]\nmatch = {pattern}\n"
    );
    let config = config::parse(&text, Path::new("the command line"));
    config.map_err(|errors| ConfigError::from(errors).into())
}
