//! Asks gateways to close sessions: only so many at once, because a gateway may close them one after the other and has a short queue for
//! connections. A gateway's table isn't read while it closes a session.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use tokio::sync::{RwLock, RwLockWriteGuard, Semaphore};

use super::{Stop, Sweep};
use crate::domain::ids::GatewayName;
use crate::domain::table::CloseAnswer;
use crate::domain::warrant::Warrant;
use crate::reap::event::{CloseRequest, Question};

/// How many closes are under way at once, by gateway.
#[derive(Debug)]
pub(super) struct Closes<'a> {
    /// Where the holds are.
    dir: &'a Path,
    permits: HashMap<GatewayName, Semaphore>,
    /// Shared by the closes of a gateway that are on their way; a look that reads its table has it for itself.
    on_their_way: BTreeMap<GatewayName, RwLock<()>>,
    /// The word to end: what waits for its turn then isn't asked for any more.
    stop: Stop,
}

impl<'a> Closes<'a> {
    pub(super) fn new(sweep: &Sweep, dir: &'a Path) -> Self {
        let permits = sweep.rules.iter().map(|rules| {
            let at_once = Semaphore::new(rules.policy.closes_at_once);
            (rules.gateway.clone(), at_once)
        });
        let names = sweep.rules.iter().map(|rules| (rules.gateway.clone(), RwLock::default()));
        let stop = sweep.stop.clone();
        Self { dir, permits: permits.collect(), on_their_way: names.collect(), stop }
    }

    /// Asks for one close. Its time counts from when it is sent, not from when it began to wait for its turn.
    pub(super) async fn ask(
        &self,
        sweep: &RwLock<&mut Sweep>,
        request: CloseRequest,
    ) -> (usize, CloseAnswer) {
        let CloseRequest { victim, gateway, order, within } = request;
        let withdrawn = || {
            let why = "the reaper was told to end before it was begun";
            (victim, CloseAnswer::Unasked { why: why.into() })
        };
        let _permit = match self.permits.get(&gateway) {
            Some(permits) => tokio::select! {
                biased;
                () = self.stop.told() => return withdrawn(),
                permit = permits.acquire() => permit.ok(),
            },
            None => None,
        };
        let _on_its_way = match self.on_their_way.get(&gateway) {
            Some(closes) => Some(closes.read().await),
            None => None,
        };
        if self.stop.is_told() {
            return withdrawn();
        }
        // Only for as long as it takes to begin: what is on its way holds up no look that does without its gateway.
        let sweep = sweep.read().await;
        // While it waited for its turn, an operator may have said no, and its worker may have begun to work.
        let held =
            Sweep::forbids(self.dir, &gateway, &order.id).or_else(|| sweep.works_now(&gateway, &order.id));
        if let Some(keep) = held {
            return (victim, CloseAnswer::Unasked { why: keep.to_string().into() });
        }
        let watched = sweep.gateways.iter().find(|watched| watched.name == gateway);
        // `close_timeout` is the worker's; a short one must not leave the gateway without time to answer.
        let asked = watched.map(|watched| watched.gateway.reap(&order, within.max(watched.timeout)));
        drop(sweep);
        let answer = match asked {
            Some(asked) => asked.await,
            None => CloseAnswer::Failed { why: "its gateway is not configured any more".into() },
        };
        (victim, answer)
    }

    /// Whether another look at what this warrant is for has to wait for closes.
    pub(super) fn hold_up(&self, warrant: &Warrant, question: &Question) -> bool {
        let mut gateways = self.on_their_way.iter().filter(|(name, _)| needs(warrant, question, name));
        gateways.any(|(_, closes)| closes.try_write().is_err())
    }

    /// Waits for the closes of the gateways that a look at all of this needs, and holds up further ones for as long as the look takes. Also
    /// returns which gateways have closes on their way: the look does without their tables.
    pub(super) async fn pause(
        &self,
        batch: &[(Warrant, Question)],
    ) -> (Vec<RwLockWriteGuard<'_, ()>>, Vec<&GatewayName>) {
        let is_needed =
            |name: &GatewayName| batch.iter().any(|(warrant, question)| needs(warrant, question, name));
        let (needed, others): (Vec<_>, Vec<_>) =
            self.on_their_way.iter().partition(|(name, _)| is_needed(name));
        let (mut paused, mut busy) = (Vec::new(), Vec::new());
        for (_, closes) in needed {
            paused.push(closes.write().await);
        }
        for (name, closes) in others {
            match closes.try_write() {
                Ok(free) => paused.push(free),
                Err(_) => busy.push(name),
            }
        }
        (paused, busy)
    }
}

/// Whether it can't be known without the table of this gateway that a warrant stands.
fn needs(warrant: &Warrant, question: &Question, gateway: &GatewayName) -> bool {
    let may_be_of = warrant.may_be_of();
    let is_any = warrant.session().is_none() && may_be_of.is_empty();
    question.has_news || is_any || warrant.gateway() == gateway || may_be_of.contains(gateway)
}
