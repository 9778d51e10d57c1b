//! What one run saw, put together for the decision: processes first, tables second.

use std::time::Duration;

use super::ids::{BootId, GatewayName};
use super::process::{ProcessIdentity, ProcessView};
use super::table::TableView;
use super::time::Awake;
use super::veto::Vetoes;

/// Everything one run saw.
#[derive(Debug, Clone)]
pub struct Observation {
    /// This boot of the machine.
    pub boot: BootId,
    /// The processes, seen before any table was read.
    pub processes: ProcessView,
    /// The gateways, in the order of the configuration.
    pub gateways: Vec<GatewayObservation>,
    /// Awake time before this look in which there was no look, though there should have been: it counts for no grace.
    pub unobserved: Duration,
    /// What an operator forbids now, by hand and in the configuration.
    pub forbidden: Vetoes,
}

/// One gateway, as it was seen in one run.
#[derive(Debug, Clone)]
pub struct GatewayObservation {
    /// Its name in the configuration.
    pub name: GatewayName,
    /// What it published.
    pub table: TableView,
    /// Its process: found by `[gateway.process]`, else named by the current table, else (when the table is not current) remembered and
    /// still alive. In the view, and alive.
    pub process: Option<ProcessIdentity>,
    /// When its table was asked for. An answer may be as old as that, so what passed since proves nothing.
    pub asked: Awake,
}
