//! Asks gateways to close sessions: only so many at once, because a gateway may close them one after the other and has a short queue for
//! connections.

use std::collections::HashMap;
use std::path::Path;

use tokio::sync::{RwLock, Semaphore};

use super::Sweep;
use crate::domain::ids::GatewayName;
use crate::domain::table::CloseAnswer;
use crate::reap::event::CloseRequest;

/// How many closes are under way at once, by gateway.
#[derive(Debug)]
pub(super) struct Closes<'a> {
    /// Where the holds are.
    dir: &'a Path,
    permits: HashMap<GatewayName, Semaphore>,
}

impl<'a> Closes<'a> {
    pub(super) fn new(sweep: &Sweep, dir: &'a Path) -> Self {
        let permits = sweep.rules.iter().map(|rules| {
            let at_once = Semaphore::new(rules.policy.closes_at_once);
            (rules.gateway.clone(), at_once)
        });
        Self { dir, permits: permits.collect() }
    }

    /// Asks for one close. Its time counts from when it is sent, not from when it began to wait for its turn.
    pub(super) async fn ask(
        &self,
        sweep: &RwLock<&mut Sweep>,
        request: CloseRequest,
    ) -> (usize, CloseAnswer) {
        let CloseRequest { victim, gateway, order, within } = request;
        let _permit = match self.permits.get(&gateway) {
            Some(permits) => permits.acquire().await.ok(),
            None => None,
        };
        let sweep = sweep.read().await;
        // While it waited for its turn, an operator may have said no, and its worker may have begun to work.
        let held =
            Sweep::forbids(self.dir, &gateway, &order.id).or_else(|| sweep.works_now(&gateway, &order.id));
        if let Some(keep) = held {
            return (victim, CloseAnswer::Unasked { why: keep.to_string().into() });
        }
        let answer = match sweep.gateways.iter().find(|watched| watched.name == gateway) {
            // `close_timeout` is the worker's; a short one must not leave the gateway without time to answer.
            Some(watched) => watched.gateway.reap(&order, within.max(watched.timeout)).await,
            None => CloseAnswer::Failed { why: "its gateway is not configured any more".into() },
        };
        (victim, answer)
    }
}
