//! From endings to memory: what a run's acts mean for the next one.

use crate::domain::ids::GatewayName;
use crate::domain::ledger::Ledger;
use crate::domain::table::Refusal;
use crate::domain::warrant::Warrant;
use crate::reap::outcome::{Ending, Outcome, Step};

/// Writes into memory how the teardown of one warrant ended. What failed keeps its clock, so that the next run tries again, behind
/// those that it hasn't tried yet.
pub fn settle(ledger: &mut Ledger, warrant: &Warrant, ending: &Ending) {
    let gateway: &GatewayName = warrant.gateway();
    match &ending.outcome {
        Outcome::Reaped | Outcome::Gone => {
            if let Some(order) = warrant.session() {
                ledger.forget_session(gateway, &order.id);
                ledger.closed(gateway, &order.id);
            }
            // One that is left alive, because it became something else, is listed.
            if let Some(worker) = warrant.worker()
                && ending.outcome == Outcome::Reaped
                && !ending.survivors.iter().any(|survivor| survivor.process == worker)
            {
                ledger.forget_worker(&worker);
            }
        }
        // Where the table says which run writes it, its next one says whether that is another: then every grace starts again, and not before.
        // A gateway that answers so for one session for ever holds up nothing else.
        Outcome::Kept { reason: Refusal::OtherRun }
            if warrant.session().is_none_or(|order| order.instance.is_none()) =>
        {
            ledger.run_changed(gateway);
        }
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
            if let Some(worker) = warrant.worker().or(warrant.remnants_of()) {
                ledger.restart_worker(&worker);
            }
        }
        Outcome::Failed { .. } => {
            if let Some(order) = warrant.session().filter(|_| ending.steps.contains(&Step::Close))
                && ledger.closes_without_effect(gateway, &order.id) > 0
            {
                ledger.closed(gateway, &order.id);
            }
            let worker = warrant.worker().or(warrant.remnants_of());
            ledger.failed(gateway, warrant.session().map(|order| &order.id), worker);
        }
    }
}
