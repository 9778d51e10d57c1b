//! Gateways that the configuration doesn't name one by one: the Jupyter Servers of a user. They are looked for at the beginning of every
//! run; each is a gateway of its own, named after the one of the configuration and its port.

use std::collections::BTreeMap;

use super::Sweep;
use super::watched::{SetupError, Watched, rules_of, watched_as};
use crate::config::address::Place;
use crate::config::{GatewayConfig, GatewayKind, JupyterRuntime};
use crate::domain::ids::GatewayName;
use crate::domain::ledger::Ledger;
use crate::domain::policy::Rules;
use crate::domain::process::ProcessIdentity;
use crate::sources::gateway::jupyter::Servers;
use crate::sources::gateway::jupyter::runtime::{self, Found, Running, RuntimeError};
use crate::sources::gateway::open_found;
use crate::sources::processes::{Proc, exists};
use crate::text::in_full;

/// A gateway of the configuration that stands for all servers of a user.
#[derive(Debug)]
pub(super) struct Finder {
    config: GatewayConfig,
    of: JupyterRuntime,
    rules: Rules,
    /// Those of the last run, by name.
    known: BTreeMap<GatewayName, Running>,
    /// Servers that ended, and of whose kernels something is left.
    departed: Vec<GatewayName>,
}

/// The finders of a configuration.
pub(super) fn finders(gateways: &[GatewayConfig], own_uid: u32) -> Result<Vec<Finder>, SetupError> {
    let mut finders = Vec::new();
    for config in gateways {
        if let GatewayKind::JupyterRuntime(of) = &config.kind {
            let rules = rules_of(config, own_uid)?;
            finders.push(Finder {
                config: config.clone(),
                of: of.clone(),
                rules,
                known: BTreeMap::new(),
                departed: Vec::new(),
            });
        }
    }
    Ok(finders)
}

impl Sweep {
    /// Looks for the servers that run now: new ones join the gateways, and those that ended leave them.
    pub(super) fn find_servers(&mut self, memory: &Ledger) {
        let mut finders = std::mem::take(&mut self.finders);
        for finder in &mut finders {
            self.find_servers_of(finder, memory);
        }
        self.finders = finders;
    }

    fn find_servers_of(&mut self, finder: &mut Finder, memory: &Ledger) {
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
        leaving.extend(&finder.departed);
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
        finder.departed = finder.departed(memory, &now);
        for name in finder.departed.clone() {
            let config = GatewayConfig { name: name.clone(), process: None, ..finder.config.clone() };
            let rules = Rules { gateway: name, ..finder.rules.clone() };
            self.join((watched_as(&config, Box::new(Servers::default())), rules));
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

    /// Servers that are remembered with something below their kernels, and whose processes are gone: they have no sessions any more.
    fn departed(&self, memory: &Ledger, now: &BTreeMap<GatewayName, Running>) -> Vec<GatewayName> {
        let own = &self.config.name;
        let is_one = |name: &GatewayName| name != own && own.stands_for(name) && !now.contains_key(name);
        let is_gone = |server: ProcessIdentity| {
            let standing = Proc::open().and_then(|mut proc| proc.standing(server.pid));
            standing.is_ok_and(|stat| match stat {
                Some(stat) => stat.is_over() || stat.start_ticks() != server.start_ticks,
                None => !exists(server.pid),
            })
        };
        let left = memory.gateways.iter().filter(|(name, of)| is_one(name) && !of.families.is_empty());
        left.filter(|(_, of)| of.process.is_some_and(is_gone)).map(|(name, _)| name.clone()).collect()
    }

    fn name_of(&self, server: &Running) -> GatewayName {
        let at = match server.address.place() {
            Place::Tcp { port, .. } => port.to_string(),
            Place::Unix(socket) => socket.display().to_string(),
        };
        self.config.name.found_at(&at)
    }

    fn watch(&self, name: &GatewayName, server: &Running) -> Result<(Watched, Rules), SetupError> {
        let config = GatewayConfig { name: name.clone(), process: None, ..self.config.clone() };
        let gateway = open_found(server, self.of.listener_user.as_ref(), &config)
            .map_err(|error| SetupError::Gateway(name.clone(), error))?;
        Ok((watched_as(&config, gateway), rules_of(&config, self.rules.worker_uid)?))
    }
}
