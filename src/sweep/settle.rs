//! From endings to memory: what a run's acts mean for the next one.

use crate::domain::ids::GatewayName;
use crate::domain::ledger::Ledger;
use crate::domain::warrant::Warrant;
use crate::reap::outcome::{Ending, Outcome};

/// Why a gateway said that it was another run of it that was asked about.
const ANOTHER_RUN: &str = "instance";

/// Writes into memory how the teardown of one warrant ended. What failed keeps its clock, so that the next run tries again, behind
/// those that it hasn't tried yet.
pub fn settle(ledger: &mut Ledger, warrant: &Warrant, ending: &Ending) {
    let gateway: &GatewayName = warrant.gateway();
    match &ending.outcome {
        Outcome::Reaped | Outcome::Gone => {
            if let Some(order) = warrant.session() {
                ledger.forget_session(gateway, &order.id);
            }
            if let Some(worker) = warrant.worker()
                && ending.outcome == Outcome::Reaped
            {
                ledger.forget_worker(&worker);
            }
        }
        Outcome::Kept { reason } if &**reason == ANOTHER_RUN => ledger.run_changed(gateway),
        Outcome::Kept { .. } => {
            if let Some(order) = warrant.session() {
                ledger.refused(gateway, &order.id);
            }
        }
        // What was found to be no orphan has to look like one for its whole grace again.
        Outcome::Spared { .. } => {
            if let Some(order) = warrant.session() {
                ledger.refused(gateway, &order.id);
            }
            if let Some(worker) = warrant.worker() {
                ledger.restart_worker(&worker);
            }
        }
        Outcome::Failed { .. } => {
            ledger.failed(gateway, warrant.session().map(|order| &order.id), warrant.worker());
        }
    }
}
