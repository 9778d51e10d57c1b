//! Gateways that the configuration doesn't name one by one: the Jupyter Servers of a user. They are looked for at the beginning of every
//! run; each is a gateway of its own, named after the one of the configuration and its port.

use std::collections::BTreeMap;

use super::Sweep;
use super::watched::{SetupError, Watched, rules_of, watched_as};
use crate::config::address::Place;
use crate::config::{GatewayConfig, GatewayKind, JupyterRuntime};
use crate::domain::ids::GatewayName;
use crate::domain::policy::Rules;
use crate::sources::gateway::jupyter::Servers;
use crate::sources::gateway::jupyter::runtime::{self, Found, Running, RuntimeError};
use crate::sources::gateway::open_found;
use crate::text::in_full;

/// A gateway of the configuration that stands for all servers of a user.
#[derive(Debug)]
pub(super) struct Finder {
    config: GatewayConfig,
    of: JupyterRuntime,
    rules: Rules,
    /// Those of the last run, by name.
    known: BTreeMap<GatewayName, Running>,
}

/// The finders of a configuration.
pub(super) fn finders(gateways: &[GatewayConfig], own_uid: u32) -> Result<Vec<Finder>, SetupError> {
    let mut finders = Vec::new();
    for config in gateways {
        if let GatewayKind::JupyterRuntime(of) = &config.kind {
            let rules = rules_of(config, own_uid)?;
            finders.push(Finder { config: config.clone(), of: of.clone(), rules, known: BTreeMap::new() });
        }
    }
    Ok(finders)
}

impl Sweep {
    /// Looks for the servers that run now: new ones join the gateways, and those that ended leave them.
    pub(super) fn find_servers(&mut self) {
        let mut finders = std::mem::take(&mut self.finders);
        for finder in &mut finders {
            self.find_servers_of(finder);
        }
        self.finders = finders;
    }

    fn find_servers_of(&mut self, finder: &mut Finder) {
        let (found, mut troubles) = match finder.look() {
            Ok(Found { running, troubles }) => (running, troubles.iter().map(|it| in_full(it)).collect()),
            Err(error) => (Vec::new(), vec![in_full(&error)]),
        };
        let now: BTreeMap<GatewayName, Running> =
            found.into_iter().map(|server| (finder.name_of(&server), server)).collect();
        let before = std::mem::take(&mut finder.known);
        let mut leaving: Vec<&GatewayName> =
            before.keys().filter(|name| now.get(*name) != before.get(*name)).collect();
        leaving.push(&finder.config.name);
        self.gateways.retain(|watched| !leaving.contains(&&watched.name));
        self.rules.retain(|rules| !leaving.contains(&&rules.gateway));
        for (name, server) in now.iter().filter(|(name, server)| before.get(*name) != Some(*server)) {
            match finder.watch(name, server) {
                Ok(found) => self.join(found),
                Err(error) => troubles.push(in_full(&error)),
            }
        }
        // It has no process that could be known, so it is there only where it has something to say.
        if now.is_empty() || !troubles.is_empty() {
            let trouble = (!troubles.is_empty()).then(|| troubles.join("; ").into_boxed_str());
            let watched = watched_as(&finder.config, Box::new(Servers::with(trouble)));
            self.join((watched, finder.rules.clone()));
        }
        finder.known = now;
    }

    fn join(&mut self, (watched, rules): (Watched, Rules)) {
        self.gateways.push(watched);
        self.rules.push(rules);
    }
}

impl Finder {
    fn look(&self) -> Result<Found, RuntimeError> {
        let folder = match &self.of.folder {
            Some(folder) => folder.clone(),
            None => runtime::folder_of(self.rules.worker_uid)?,
        };
        runtime::servers(&folder, self.rules.worker_uid)
    }

    fn name_of(&self, server: &Running) -> GatewayName {
        let at = match server.address.place() {
            Place::Tcp { port, .. } => port.to_string(),
            Place::Unix(socket) => socket.display().to_string(),
        };
        format!("{}:{at}", self.config.name).into()
    }

    fn watch(&self, name: &GatewayName, server: &Running) -> Result<(Watched, Rules), SetupError> {
        let config = GatewayConfig { name: name.clone(), process: None, ..self.config.clone() };
        let gateway = open_found(server, self.of.listener_user.as_ref(), &config)
            .map_err(|error| SetupError::Gateway(name.clone(), error))?;
        Ok((watched_as(&config, gateway), rules_of(&config, self.rules.worker_uid)?))
    }
}
