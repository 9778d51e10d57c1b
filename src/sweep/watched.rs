//! A gateway that is ready to be asked, and the rules that hold for it; or why it can't be.

use std::time::Duration;

use thiserror::Error;

use super::SweepError;
use super::backoff::Backoff;
use crate::config::address::Address;
use crate::config::user::UserError;
use crate::config::{GatewayConfig, ProcessSource};
use crate::domain::ids::GatewayName;
use crate::domain::policy::Rules;
use crate::domain::table::TableView;
use crate::named_file::Trust;
use crate::sources::clock::BootIdError;
use crate::sources::gateway::{self, Gateway, OpenError};

/// A gateway of the configuration, ready to be asked.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) name: GatewayName,
    pub(super) gateway: Box<dyn Gateway>,
    pub(super) process: Option<ProcessSource>,
    /// Where it is asked, for a kind that is spoken to over HTTP.
    pub(super) address: Option<Address>,
    pub(super) backoff: Backoff,
    /// How long it has to answer.
    pub(super) timeout: Duration,
    /// It is known what one of its workers at rest looks like.
    pub(super) knows_rest: bool,
    /// Whose files are read about it.
    pub(super) trust: Trust,
    /// What was last said of its `[gateway.process]`.
    trouble: Option<String>,
    /// Why its table's word on processes wasn't taken last.
    contradiction: Option<String>,
}

impl Watched {
    /// Says once what is wrong with the description of its process.
    pub(super) fn hear_of(&mut self, trouble: Option<String>) {
        if let Some(trouble) = trouble.as_deref().filter(|_| trouble != self.trouble) {
            tracing::warn!(gateway = %self.name, "{trouble}; the gateway's process isn't known by it");
        }
        self.trouble = trouble;
    }

    /// Says once why its table's word on processes isn't taken: its workers are kept then, and nothing fails.
    pub(super) fn hear_contradiction(&mut self, why: Option<&str>) {
        if let Some(why) = why.filter(|_| why != self.contradiction.as_deref()) {
            tracing::warn!(gateway = %self.name, "what its table says of processes isn't trusted: {why}; none of its workers is signalled");
        }
        self.contradiction = why.map(Into::into);
    }

    /// Reads the table.
    pub(super) async fn read_table(&mut self) -> TableView {
        gateway::read_table(self.gateway.as_mut()).await
    }
}

/// A configuration that reads well can't be put to work.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A gateway can't be asked as it is configured.
    #[error("gateway {0}")]
    Gateway(GatewayName, #[source] OpenError),
    /// The user of a gateway's workers isn't known here.
    #[error("gateway {0}")]
    User(GatewayName, #[source] UserError),
    /// Nothing remembered can be trusted without it.
    #[error(transparent)]
    Boot(BootIdError),
    /// The processes can't be looked at.
    #[error(transparent)]
    Processes(SweepError),
}

pub(super) fn rules_of(gateway: &GatewayConfig, own_uid: u32) -> Result<Rules, SetupError> {
    let user = gateway.worker_user.as_ref().map(|user| user.uid("gateway.worker.user"));
    let worker_uid = user.transpose().map_err(|error| SetupError::User(gateway.name.clone(), error))?;
    let mut policy = gateway.policy.clone();
    if !gateway.kind.closes_sessions() {
        policy.closes_at_once = 0;
    }
    Ok(Rules {
        gateway: gateway.name.clone(),
        policy,
        worker_match: gateway.worker_match.clone(),
        worker_uid: worker_uid.unwrap_or(own_uid),
        takes_workers_back: gateway.kind.takes_workers_back(),
        describes_process: gateway.process.is_some(),
        workers: gateway.kind.workers(),
    })
}

pub(super) fn watched(config: &GatewayConfig) -> Result<Watched, SetupError> {
    let gateway = gateway::open(config).map_err(|error| SetupError::Gateway(config.name.clone(), error))?;
    Ok(watched_as(config, gateway))
}

/// A gateway that was opened already.
pub(super) fn watched_as(config: &GatewayConfig, gateway: Box<dyn Gateway>) -> Watched {
    // The gateway writes its own PID file, and runs as its workers do.
    let user = config.worker_user.as_ref().and_then(|user| user.uid("gateway.worker.user").ok());
    Watched {
        name: config.name.clone(),
        gateway,
        process: config.process.clone(),
        address: config.kind.endpoint().map(|endpoint| endpoint.address.clone()),
        backoff: Backoff::default(),
        timeout: config.timeout,
        knows_rest: config.kind.knows_rest(),
        trust: Trust::named().and(user),
        trouble: None,
        contradiction: None,
    }
}
