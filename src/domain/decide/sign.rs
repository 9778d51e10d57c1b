//! What a warrant says of others: which processes are theirs, so that a teardown lets them be, and which are its own.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::GatewayPlan;
use super::owners::{Owner, Owners, is_claimed};
use super::world::{Gateway, RowId, World};
use crate::domain::ids::{GatewayName, Pid, SessionId};
use crate::domain::ledger::Ledger;
use crate::domain::process::ProcessIdentity;
use crate::domain::table::Told;
use crate::domain::verdict::{Keep, Verdict};
use crate::domain::warrant::{Claim, Claimed};

/// What rows say to be of their sessions: what they own by their own word; and what they name, also where it isn't taken for their worker. Of
/// the other workers, whose owner isn't known; and which processes are gateways.
pub(super) fn claimed(world: &World<'_>, owners: &Owners<'_>) -> Claimed {
    let owned = owners.of_sessions().flat_map(|(pid, rows)| rows.iter().map(move |row| (pid, *row)));
    let owned = owned.filter(|(pid, row)| is_claimed(world, *row, *pid));
    let gateways = world.gateways.iter().enumerate().filter(|(_, gateway)| !gateway.is_elsewhere);
    let named = gateways.flat_map(|(gateway, seen)| {
        let rows = seen.rows.iter().enumerate();
        rows.filter_map(move |(row, it)| Some((it.named_worker()?, RowId { gateway, row })))
    });
    let mut claimed = Claimed::new();
    for (pid, row) in owned.chain(named) {
        add(&mut claim_of(world, &mut claimed, pid).owners, owner(world, row));
    }
    for pid in owners.pids() {
        let claim = claim_of(world, &mut claimed, pid);
        let Some(Owner::Doubt(doubt)) = owners.of(pid) else { continue };
        claim.doubt = Some(doubt.clone()).filter(|doubt| !is_handed_down(world, owners, pid, doubt));
        // Nested in a tree that is due, it may lose its way to its gateway before the first signal.
        for row in world.rows_with_key_of(pid) {
            add(&mut claim.may_own, owner(world, row));
        }
    }
    for pid in world.gateway_pids() {
        claim_of(world, &mut claimed, pid).is_gateway = true;
    }
    claimed
}

/// Whether this worker is in doubt only because one that it is below is.
fn is_handed_down(world: &World<'_>, owners: &Owners<'_>, pid: Pid, doubt: &Keep) -> bool {
    let Some(process) = world.view().get(pid) else { return false };
    let above = world.ancestors(process).filter_map(|above| owners.of(above.identity.pid));
    above.into_iter().any(|owner| matches!(owner, Owner::Doubt(above) if above == doubt))
}

fn claim_of<'c>(world: &World<'_>, claimed: &'c mut Claimed, pid: Pid) -> &'c mut Claim {
    let started = || world.view().get(pid).map(|process| process.identity.start_ticks);
    claimed.entry(pid).or_insert_with(|| Claim { started: started(), ..Claim::default() })
}

fn owner(world: &World<'_>, row: RowId) -> (GatewayName, SessionId) {
    (world.gateways[row.gateway].seen.name.clone(), world.session(row).id.clone())
}

fn add(owners: &mut Vec<(GatewayName, SessionId)>, owner: (GatewayName, SessionId)) {
    if !owners.contains(&owner) {
        owners.push(owner);
    }
}

/// What was seen below the workers of sessions.
fn below_workers(remembered: &Ledger) -> Claimed {
    let mut below = Claimed::new();
    for (name, memory) in &remembered.gateways {
        for family in &memory.families {
            for (member, id) in
                family.members.iter().flat_map(|it| family.sessions.iter().map(move |id| (it, id)))
            {
                let claim = || Claim { started: Some(member.start_ticks), ..Claim::default() };
                add(&mut below.entry(member.pid).or_insert_with(claim).owners, (name.clone(), id.clone()));
            }
        }
    }
    below
}

/// The sessions whose worker this was when that was last to be told.
fn sessions_of(remembered: &Ledger, worker: ProcessIdentity) -> Vec<(GatewayName, SessionId)> {
    let families = remembered
        .gateways
        .iter()
        .flat_map(|(name, memory)| memory.families.iter().map(move |it| (name, it)));
    let own = families.filter(|(_, family)| family.worker == worker);
    own.flat_map(|(name, family)| family.sessions.iter().map(move |id| (name.clone(), id.clone()))).collect()
}

/// Writes into each warrant what is others', and what is its own of that.
pub(super) fn sign(
    world: &World<'_>,
    plans: &mut [GatewayPlan],
    claimed: &Arc<Claimed>,
    remembered: &Ledger,
) {
    let mut below = None;
    for (gateway, plan) in world.gateways.iter().zip(plans) {
        let mut without_worker = None;
        for judged in &mut plan.judged {
            let Verdict::Reap { warrant, .. } = &mut judged.verdict else { continue };
            let below = below.get_or_insert_with(|| Arc::new(below_workers(remembered)));
            warrant.limits.own = match &warrant.session {
                Some(order) => vec![(warrant.gateway.clone(), order.id.clone())],
                // An idle worker is ended, and its session stays.
                None => {
                    let claim = warrant.worker.and_then(|worker| claimed.get(&worker.pid));
                    claim.map(|claim| claim.owners.clone()).unwrap_or_default()
                }
            };
            if warrant.session.is_some() {
                warrant.is_told |= !gateway.rules.policy.closes_sessions();
            }
            let rows = without_worker.get_or_insert_with(|| Arc::new(rows_without_worker(gateway, claimed)));
            warrant.without_worker = Arc::clone(rows);
            warrant.limits.claimed = vec![Arc::clone(claimed)];
            warrant.limits.below_workers = Arc::clone(below);
            let known = warrant.worker.or(warrant.remnants_of);
            warrant.limits.was_of = known.map(|worker| sessions_of(remembered, worker)).unwrap_or_default();
            let worker = warrant.worker.and_then(|worker| world.view().alive(&worker));
            warrant.limits.argv = worker.and_then(|worker| worker.argv.clone());
        }
    }
}

/// The sessions that this gateway lists and of which it isn't known which worker they have.
fn rows_without_worker(gateway: &Gateway<'_>, claimed: &Claimed) -> BTreeSet<SessionId> {
    let name = &gateway.seen.name;
    let owners = claimed.values().flat_map(|claim| &claim.owners);
    let with_worker: HashSet<&SessionId> =
        owners.filter(|(gateway, _)| gateway == name).map(|(_, id)| id).collect();
    let without = gateway.rows.iter().filter(|row| !matches!(row.worker, Told::Known(_)));
    without.map(|row| &row.id).filter(|id| !with_worker.contains(id)).cloned().collect()
}
