//! What is told of a gateway without a table, which was looked at from outside: its clients, its workers, and what could be ended.

use std::time::Duration;

use super::text::{bytes, count, span};
use crate::domain::observation::{GatewayObservation, Observation};
use crate::domain::orphan::OrphanKind;
use crate::domain::outside::Clients;
use crate::domain::verdict::{Judged, Keep, Subject, Verdict};

/// The workers that were looked at.
#[derive(Debug, Default)]
struct Workers {
    all: usize,
    bytes: u64,
    /// How long each of those has done nothing that does nothing now.
    rest: Vec<Duration>,
}

/// In words; `None`: it has a table, or can't be looked at so.
pub(super) fn told(seen: &Observation, gateway: &GatewayObservation, judged: &[Judged]) -> Option<String> {
    let outside = gateway.table.missing()?.outside.as_ref()?;
    let workers = workers(seen, gateway, judged);
    let mut words = if workers.all == 0 {
        format!("no workers; {}", outside.clients)
    } else {
        format!("{}, {}: {}", count(workers.all, "worker"), bytes(workers.bytes), outside.clients)
    };
    if let Some(least) = workers.rest.iter().min() {
        let who = match (workers.rest.len(), workers.all) {
            (_, 1) => "it did".to_owned(),
            (some, all) if some == all => "they did".to_owned(),
            (some, _) => format!("{some} of them did"),
        };
        words += &match &*span(*least) {
            "0s" => format!("; {who} nothing just now, and how long isn't known yet"),
            least => format!("; {who} nothing for {least}"),
        };
    }
    if matches!(outside.clients, Clients::Connected(_)) && !workers.rest.is_empty() {
        words += "; a connection that a proxy keeps counts as a client, too";
    }
    let would_go =
        judged.iter().any(|judged| matches!(judged.verdict, Verdict::Keep(Keep::TableNotTrusted(_))));
    if outside.clients == Clients::Nobody && !workers.rest.is_empty() && would_go {
        words += "; without_table = \"workers\" ends such workers after worker_grace, and no session";
    }
    if judged.iter().any(is_unattended_in_its_grace) {
        words += "; a grace counts only while they are looked at every minute: by `watch`, or by `once --wait` with more than \
                  worker_grace";
    }
    Some(words)
}

fn is_unattended_in_its_grace(judged: &Judged) -> bool {
    matches!(judged.verdict, Verdict::Wait { orphan: OrphanKind::UnattendedWorker, .. })
}

fn workers(seen: &Observation, gateway: &GatewayObservation, judged: &[Judged]) -> Workers {
    let mut workers = Workers::default();
    for judged in judged {
        let Subject::Worker { identity, .. } = &judged.subject else { continue };
        let Some(account) = seen.processes.accounts.get(identity) else { continue };
        workers.all += 1;
        workers.bytes += judged.rss_bytes.unwrap_or_default();
        workers.rest.extend(account.rests_since.map(|since| gateway.asked.since(since)));
    }
    workers
}
