//! From a configuration to a sweep that is ready to run.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::backoff::Patience;
use super::found::finders;
use super::watched::{SetupError, rules_of, watched};
use super::{Stop, Sweep, SweepError};
use crate::config::{Config, GatewayConfig, Names};
use crate::domain::policy::{Rules, Workers};
use crate::domain::veto::Vetoes;
use crate::sources::clock;
use crate::sources::processes::{Candidates, Marker, Processes};

impl Sweep {
    /// Prepares the runs that a configuration asks for.
    ///
    /// # Errors
    /// A token or a user can't be had, or this machine's `/proc` can't be used.
    pub fn new(config: &Config, patience: Patience) -> Result<Self, SetupError> {
        let boot = clock::boot_id().map_err(SetupError::Boot)?;
        let unreadable = |error| SetupError::Processes(SweepError::Processes(error));
        let own_uid = rustix::process::geteuid().as_raw();
        let rules = config.gateways.iter().map(|gateway| rules_of(gateway, own_uid));
        let rules: Vec<Rules> = rules.collect::<Result<_, _>>()?;
        let processes = Processes::new().map_err(unreadable)?.of(candidates(&config.gateways, &rules));
        let processes = processes.marked_by(markers(&config.gateways, &rules));
        let gateways = config.gateways.iter().map(watched).collect::<Result<_, _>>()?;
        let finders = finders(&config.gateways, own_uid)?;
        Ok(Self {
            gateways,
            finders,
            busy: RefCell::default(),
            rules,
            processes,
            boot,
            patience,
            is_dry: config.gateways.iter().all(|gateway| gateway.policy.dry_run),
            keeps: Vetoes(config.keeps.iter().map(|keep| keep.veto.clone()).collect()),
            lost: BTreeSet::new(),
            looked: None,
            at_work: RefCell::default(),
            stop: Stop::default(),
        })
    }
}

/// What the workers of all gateways can look like.
fn candidates(gateways: &[GatewayConfig], rules: &[Rules]) -> Candidates {
    let names_gateway = |gateway: &GatewayConfig| {
        gateway.marks.variable.as_ref().is_some_and(|(_, names)| *names == Names::Gateway)
    };
    // A server that talks over stdin is nobody's worker as long as its host is there, and such are everywhere.
    let anywhere = gateways
        .iter()
        .zip(rules)
        .filter(|(gateway, rules)| rules.workers != Workers::Leftovers || names_gateway(gateway));
    Candidates {
        anywhere: anywhere.filter_map(|(_, rules)| rules.worker_match.clone()).collect(),
        users: rules.iter().map(|rules| rules.worker_uid).collect::<BTreeSet<_>>().into_iter().collect(),
        patterns: rules.iter().filter_map(|rules| rules.worker_match.clone()).collect(),
    }
}

/// What marks the processes of each gateway that has marks.
fn markers(gateways: &[GatewayConfig], rules: &[Rules]) -> Vec<Marker> {
    let marked = gateways.iter().zip(rules).filter(|(gateway, _)| !gateway.marks.is_empty());
    let marker = |(gateway, rules): (&GatewayConfig, &Rules)| Marker {
        gateway: gateway.name.clone(),
        uid: rules.worker_uid,
        marks: gateway.marks.clone(),
    };
    marked.map(marker).collect()
}
