//! `once --kind processes --match …`: the configuration that these arguments stand for, and what an operator forbids it.

use std::path::{Path, PathBuf};

use super::args::Args;
use super::environment;
use super::exit::Failure;
use crate::config::{self, Config, ConfigError, GatewayKind, KeepConfig};
use crate::domain::veto::Scope;
use crate::state;

/// One gateway of that kind, with this pattern, and where its memory is. Of a configuration that is named its state directory counts and
/// what it keeps: an operator who forbade to end a process means every command.
pub(super) fn config(args: &Args, pattern: &str) -> Result<(Config, PathBuf), Failure> {
    let named = environment::named_config(args)?;
    // A string of JSON is one of TOML, too.
    let pattern = serde_json::Value::from(pattern);
    let text = format!(
        "[[gateway]]\nname = \"leftovers\"\nkind = \"processes\"\n[gateway.worker]\nmatch = {pattern}\n"
    );
    let config = config::parse(&text, Path::new("the command line")).map_err(ConfigError::from)?;
    // A memory of its own: a service's would be lost to it, and it to a service. A hold or a pause of that one holds for it, too.
    let dir = environment::state_dir(named.as_ref().unwrap_or(&config))?.join(state::LEFTOVERS);
    Ok((Config { keeps: named.as_ref().map(keeps).unwrap_or_default(), ..config }, dir))
}

/// What is kept of leftovers, whatever the gateway is called that they are found by.
fn keeps(named: &Config) -> Vec<KeepConfig> {
    let mut keeps = named.keeps.clone();
    for keep in &mut keeps {
        if let Scope::Like { gateway, .. } = &mut keep.veto.scope {
            let is_of_leftovers = |name: &_| {
                let known = named.gateways.iter().find(|known| known.name == *name);
                known.is_some_and(|known| matches!(known.kind, GatewayKind::Processes))
            };
            *gateway = gateway.take().filter(|name| !is_of_leftovers(name));
        }
    }
    keeps
}
