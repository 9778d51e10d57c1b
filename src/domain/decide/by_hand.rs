//! What an operator forbids, by hand or in the configuration.

use std::collections::HashMap;

use crate::domain::ids::GatewayName;
use crate::domain::verdict::{Judged, Keep, Subject, Verdict};
use crate::domain::veto::{Scope, Vetoes};

/// Keeps what is or would be due and is forbidden. Its grace goes on meanwhile.
pub(super) fn keep(gateway: &GatewayName, judged: &mut [Judged], forbidden: &Vetoes) {
    if forbidden.0.is_empty() {
        return;
    }
    let mut of_sessions = HashMap::new();
    for judged in judged {
        let veto = forbidden.forbid(gateway, &judged.subject, judged.key.as_deref());
        let worker = judged.subject.worker_pid();
        if let (Subject::Session { .. }, Some(veto), Some(worker)) = (&judged.subject, veto, worker) {
            of_sessions.insert(worker, veto);
        }
        // A session's worker may be listed besides, where it is idle: what covers the one covers the other.
        let of_session = || worker.and_then(|worker| of_sessions.get(&worker).copied());
        let Some(veto) = veto.or_else(of_session) else { continue };
        if veto.scope != Scope::All {
            judged.by_hand.get_or_insert_with(|| veto.words.clone());
        }
        if !matches!(judged.verdict, Verdict::Keep(_)) {
            judged.verdict = Verdict::Keep(Keep::ByHand(veto.words.clone()));
        }
    }
}
