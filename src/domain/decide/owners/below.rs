//! What stands below each process: a tree with a gateway or another owner's worker in it is never ended.

use std::collections::HashMap;

use super::{Owner, Owners, Rows};
use crate::domain::decide::world::{RowId, Standing, World};
use crate::domain::ids::Pid;
use crate::domain::process::Process;
use crate::domain::verdict::Protection;

/// For each process what stands below it: a gateway, a worker of some session, or one that may be of any; at most three that differ.
pub(super) type Below = HashMap<Pid, Vec<(Whose, Pid)>>;

/// What stands below a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    Gateway,
    Sessions(Rows),
    /// Not known.
    Any,
}

impl Owners<'_> {
    /// A gateway, or a worker that is or may be another owner's, is somewhere below this process: a tree with one in it is never ended.
    pub(in crate::domain::decide) fn foreign_below(&self, pid: Pid) -> Option<Protection> {
        if let Some(other) = self.listed_below(pid) {
            return Some(Protection::Above { pid, other });
        }
        // What is below one in doubt is in doubt with it.
        let mut below = match self.of(pid) {
            Some(Owner::Doubt(_)) => return None,
            _ => self.below.get(&pid)?.iter(),
        };
        let (_, other) = below.find(|(whose, _)| *whose == Whose::Any)?;
        Some(Protection::AboveUnknown { pid, other: *other })
    }

    /// A gateway, or a worker of another owner that is known, somewhere below this process.
    pub(in crate::domain::decide) fn listed_below(&self, pid: Pid) -> Option<Pid> {
        let own = match self.of(pid) {
            Some(Owner::Sessions(rows)) => Some(rows),
            _ => None,
        };
        let is_foreign = |whose: &Whose| match whose {
            Whose::Gateway => true,
            Whose::Sessions(rows) => Some(rows) != own,
            Whose::Any => false,
        };
        self.below.get(&pid)?.iter().find(|(whose, _)| is_foreign(whose)).map(|(_, pid)| *pid)
    }
}

/// Whose a worker is that doesn't look like one any more, or may be; `None`: nobody's, or that of what it is below.
fn whose_changed(world: &World<'_>, changed: &Process) -> Option<Whose> {
    let had = world.session_that_had(changed.identity)?;
    let index = world.gateways.iter().position(|gateway| gateway.seen.name == *had.gateway);
    match index.filter(|index| world.gateways[*index].standing == Standing::Current) {
        Some(gateway) => {
            let row = world.gateways[gateway].row_of(had.id)?;
            Some(Whose::Sessions(Rows::One(RowId { gateway, row })))
        }
        None => Some(Whose::Any),
    }
}

/// What stands below each process: gateways, workers of sessions, and what may be one.
pub(super) fn below(world: &World<'_>, owners: &Owners<'_>) -> Below {
    let gateways = world.gateway_pids().map(|pid| (Whose::Gateway, pid));
    let changed =
        owners.changed().filter_map(|changed| Some((whose_changed(world, changed)?, changed.identity.pid)));
    let sessions = owners.by_pid.iter().filter_map(|(pid, owner)| match owner {
        Owner::Sessions(rows) => Some((Whose::Sessions(rows.clone()), *pid)),
        Owner::Doubt(_) => Some((Whose::Any, *pid)),
        Owner::Tree | Owner::Nobody(_) => None,
    });
    let mut below = Below::new();
    for (whose, pid) in gateways.chain(changed).chain(sessions) {
        let Some(process) = world.alive(pid) else { continue };
        for ancestor in world.ancestors(process) {
            let found = below.entry(ancestor.identity.pid).or_default();
            // Further up, this one or three others have been everywhere.
            if found.len() > 2 || found.iter().any(|(known, _)| *known == whose) {
                break;
            }
            found.push((whose.clone(), pid));
        }
    }
    below
}
