//! What one run saw, put together for the decision: processes first, tables second.

use super::ids::{BootId, GatewayName};
use super::policy::{Policy, WorkerMatch};
use super::process::{ProcessIdentity, ProcessView};
use super::table::TableView;
use super::time::Awake;

/// Everything one run saw.
#[derive(Debug, Clone)]
pub struct Observation {
    /// This boot of the machine.
    pub boot: BootId,
    /// Awake time at which the last table had been read; the `now` of the decision.
    pub now: Awake,
    /// The processes, seen before any table was read.
    pub processes: ProcessView,
    /// The gateways, in the order of the configuration.
    pub gateways: Vec<GatewayObservation>,
}

/// One gateway, as it was seen in one run.
#[derive(Debug, Clone)]
pub struct GatewayObservation {
    /// Its name in the configuration.
    pub name: GatewayName,
    /// What it published.
    pub table: TableView,
    /// Its process: found by `[gateway.process]`, else named by the current table, else remembered and still alive. Always in the view.
    pub process: Option<ProcessIdentity>,
    /// What the operator wants for it.
    pub policy: Policy,
    /// How its workers are recognised; without it no process is one.
    pub worker_match: Option<WorkerMatch>,
    /// The user its workers run as.
    pub worker_uid: u32,
}
