//! What an interrupted teardown left: processes that were seen under a condemned worker before its first signal. Nothing in the process
//! table would lead to them any more.

use super::context::Scene;
use super::quota::{Due, Found, State};
use crate::domain::ledger::Unfinished;
use crate::domain::process::ProcessIdentity;
use crate::domain::verdict::Subject;

/// Adds the remnants to what was found, and returns the teardowns that are still unfinished.
pub(super) fn judge(scene: &Scene<'_>, found: &mut Vec<Found>) -> Vec<Unfinished> {
    let ours = scene.context.memory.unfinished.iter().filter(|begun| begun.gateway == scene.gateway.name);
    ours.filter_map(|begun| judge_one(scene, begun, found)).collect()
}

fn judge_one(scene: &Scene<'_>, begun: &Unfinished, found: &mut Vec<Found>) -> Option<Unfinished> {
    let members: Vec<_> = begun.members.iter().copied().filter(|member| is_left(scene, member)).collect();
    if members.is_empty() {
        return None;
    }
    let left = Unfinished { members: members.clone(), ..begun.clone() };
    if scene.context.view().alive(&begun.worker).is_none() {
        let subject = Subject::Worker { key: None, identity: begun.worker };
        let due = Due { orphan: begun.orphan, session: None, worker: None, remnants: members };
        found.push(Found::condemned(subject, due));
        return Some(left);
    }
    // The worker itself was not signalled, or shrugged it off, and is judged like any other. While it is an orphan the rest of its tree
    // goes with it; once it is wanted again, so is the rest.
    for found in found.iter_mut() {
        match &mut found.state {
            State::Due { due, .. } if due.worker == Some(begun.worker) => {
                due.remnants = members;
                return Some(left);
            }
            State::Wait { due, .. } if due.worker == Some(begun.worker) => return Some(left),
            _ => {}
        }
    }
    None
}

fn is_left(scene: &Scene<'_>, member: &ProcessIdentity) -> bool {
    let Some(process) = scene.context.view().alive(member) else { return false };
    let under_a_gateway = process.parent.is_some_and(|parent| scene.context.gateways.contains(&parent));
    let wanted = under_a_gateway || scene.context.is_named(member.pid);
    !wanted && scene.limits.protects(process).is_none()
}
