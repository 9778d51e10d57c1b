//! What a row's claim on processes is worth: which of the processes that it owns may be ended with its session, and why the others may not.

mod apart;

use std::collections::{HashMap, HashSet};

use self::apart::{Distrust, distrust_of_keys, is_sure, name, why_not_along};
use super::lineage;
use super::named::by_pid;
use super::owners::{Owner, Owners};
use super::world::{RowId, World};
use crate::domain::ids::Pid;
use crate::domain::process::{Process, ProcessIdentity};
use crate::domain::table::Told;
use crate::domain::verdict::Protection;

/// The processes of a row, as far as its claim can be trusted.
pub(super) enum Claim<'a> {
    /// There is none, or none that may be signalled: the gateway's close is all.
    CloseOnly,
    /// These may be signalled.
    Processes {
        /// Its worker. `None`: nothing that looks like one; what bears its mark is all.
        worker: Option<&'a Process>,
        /// Copies of it, and whatever else carries its key or its mark.
        others: Vec<&'a Process>,
    },
    /// One of them is, or has below it, what is never signalled. Either nothing the row says is to be trusted, or closing the session would
    /// take another's work along.
    Untouchable(Protection),
}

impl<'a> Claim<'a> {
    /// The worker that goes along.
    pub(super) fn worker(&self) -> Option<&'a Process> {
        match self {
            Self::Processes { worker, .. } => *worker,
            Self::CloseOnly | Self::Untouchable(_) => None,
        }
    }

    /// What goes along besides.
    pub(super) fn others(&self) -> impl Iterator<Item = &'a Process> {
        let others: &[&Process] = match self {
            Self::Processes { others, .. } => others,
            Self::CloseOnly | Self::Untouchable(_) => &[],
        };
        others.iter().copied()
    }
}

/// The claims of all rows.
pub(super) struct Claims<'a> {
    /// By gateway and row.
    all: Vec<Vec<Claim<'a>>>,
    /// What sessions own and would be left behind by them, with the reason.
    apart: HashMap<Pid, String>,
    /// Those of them that are left behind only because nothing of the session's may be touched.
    untouchable: HashSet<Pid>,
}

impl<'a> Claims<'a> {
    pub(super) fn new(world: &World<'a>, owners: &Owners<'a>) -> Self {
        let mut all = Vec::with_capacity(world.gateways.len());
        let mut distrusted = HashMap::new();
        for gateway in 0..world.gateways.len() {
            let in_doubt = above_foreign_in_doubt(world, owners, gateway);
            let claims = world.rows_of(gateway).map(|row| {
                let may_have = |above: &&(ProcessIdentity, Pid)| world.may_have_had(row, above.0);
                let (claim, distrust) = match in_doubt.iter().find(may_have) {
                    Some((above, other)) if world.lacks_worker(row) => {
                        (Claim::Untouchable(Protection::Above { pid: above.pid, other: *other }), None)
                    }
                    _ => of(world, owners, row),
                };
                distrusted.extend(distrust.map(|why| (row, why)));
                claim
            });
            all.push(claims.collect());
        }
        let mut claims = Self { all, apart: HashMap::new(), untouchable: HashSet::new() };
        claims.apart = claims.find_apart(world, owners, &distrusted);
        let is_untouchable = |pid: &Pid| claims.is_untouchable(world, owners, &distrusted, *pid);
        claims.untouchable = claims.apart.keys().copied().filter(is_untouchable).collect();
        claims
    }

    /// What sessions own and would be left behind by them, with the reason.
    fn find_apart(
        &self,
        world: &World<'_>,
        owners: &Owners<'_>,
        distrusted: &HashMap<RowId, Distrust>,
    ) -> HashMap<Pid, String> {
        let along = self.all.iter().flatten();
        let along = along.flat_map(|claim| claim.worker().into_iter().chain(claim.others()));
        let along: HashSet<Pid> = along.map(|process| process.identity.pid).collect();
        let apart = owners.of_sessions().filter(|(pid, _)| !along.contains(pid)).filter_map(|(pid, rows)| {
            let process = world.alive(pid).filter(|it| !is_told_with_session(world, owners, &along, it))?;
            let left_behind = |row: &RowId| {
                let why = match self.of(*row) {
                    Claim::Untouchable(protection) => Some(protection.to_string()),
                    Claim::CloseOnly | Claim::Processes { .. } => {
                        distrusted.get(row).map(|it| it.told(world, *row))
                    }
                };
                let why = why.or_else(|| why_not_along(world, owners, *row, process))?;
                Some(format!("it is of {}, but isn't judged with it: {why}", name(world, *row)))
            };
            Some((pid, rows.iter().find_map(left_behind)?))
        });
        apart.collect()
    }

    /// Whether it is left behind only because nothing of its sessions may be touched.
    fn is_untouchable(
        &self,
        world: &World<'_>,
        owners: &Owners<'_>,
        distrusted: &HashMap<RowId, Distrust>,
        pid: Pid,
    ) -> bool {
        let (Some(Owner::Sessions(rows)), Some(process)) = (owners.of(pid), world.alive(pid)) else {
            return false;
        };
        rows.as_slice().iter().all(|row| {
            matches!(self.of(*row), Claim::Untouchable(_))
                && !distrusted.contains_key(row)
                && why_not_along(world, owners, *row, process).is_none()
        })
    }

    /// The claim of a row.
    pub(super) fn of(&self, row: RowId) -> &Claim<'a> {
        &self.all[row.gateway][row.row]
    }

    /// Whether this process, which sessions own, would be ended with them if everything of theirs might be touched.
    pub(super) fn is_trusted(&self, pid: Pid) -> bool {
        !self.apart.contains_key(&pid) || self.untouchable.contains(&pid)
    }

    /// Why this process, which sessions own, wouldn't be ended with any of them. `None`: it is judged with one.
    pub(super) fn apart(&self, pid: Pid) -> Option<&str> {
        self.apart.get(&pid).map(String::as_str)
    }
}

/// A row names it; or it is, or was seen, in the tree of another process of the same owner that is told of with its session.
fn is_told_with_session(
    world: &World<'_>,
    owners: &Owners<'_>,
    along: &HashSet<Pid>,
    process: &Process,
) -> bool {
    let is_named = |pid| !world.rows_naming(pid).is_empty();
    let pid = process.identity.pid;
    let mut above = world.ancestors_below_gateway(process).map(|above| above.identity.pid);
    let is_told = |above: Pid| {
        let is_itself = along.contains(&above) || (is_named(above) && lineage::is_worker(world, above));
        is_itself && owners.of(above) == owners.of(pid)
    };
    let seen_below = world.family_of(process).filter(|_| owners.is_helper(world, pid));
    let seen_below = seen_below.map(|(_, family)| family.worker);
    let is_of_one_told =
        |worker: ProcessIdentity| world.view().alive(&worker).is_none() || is_told(worker.pid);
    is_named(pid) || above.any(is_told) || seen_below.is_some_and(is_of_one_told)
}

fn is_of_row_alone(owners: &Owners<'_>, row: RowId, pid: Pid) -> bool {
    matches!(owners.of(pid), Some(Owner::Sessions(rows)) if rows.as_slice() == [row])
}

/// The workers that may be those of rows of this gateway of which none is known, and that have another owner's below them, each with that:
/// closing the session of such a row may end them both.
fn above_foreign_in_doubt(
    world: &World<'_>,
    owners: &Owners<'_>,
    gateway: usize,
) -> Vec<(ProcessIdentity, Pid)> {
    if world.row_without_worker(gateway).is_none() || world.gateways[gateway].is_elsewhere {
        return Vec::new();
    }
    let in_doubt = |pid: &Pid| {
        matches!(owners.of(*pid), Some(Owner::Doubt(_))) && may_be_ended_by(world, owners, gateway, *pid)
    };
    let above = |pid: Pid| Some((world.alive(pid)?.identity, owners.listed_below(pid)?));
    let mut above: Vec<_> = world.gateways[gateway].workers().filter(in_doubt).filter_map(above).collect();
    above.sort_unstable_by_key(|(above, _)| above.pid);
    above
}

/// Whether a close by this gateway may end this process: it is below no other.
fn may_be_ended_by(world: &World<'_>, owners: &Owners<'_>, gateway: usize, pid: Pid) -> bool {
    let process = |gateway: usize| world.gateways[gateway].process;
    owners.position_of(pid).gateway().is_none_or(|at| process(at) == process(gateway))
}

/// What a row claims; and why none of what it doesn't name is taken for its own, if so.
fn of<'a>(world: &World<'a>, owners: &Owners<'a>, row: RowId) -> (Claim<'a>, Option<Distrust>) {
    let gateway = &world.gateways[row.gateway];
    if gateway.is_elsewhere {
        return (Claim::CloseOnly, Some(Distrust::Elsewhere));
    }
    let named = match world.session(row).worker {
        Told::Known(pid) => pid,
        Told::Absent => None,
        Told::NotUnderstood(_) => return (Claim::CloseOnly, Some(Distrust::NotUnderstood)),
    };
    let worker = match named.map(|pid| by_pid(world, row, pid)) {
        Some(Err(protection)) => return (Claim::Untouchable(protection), None),
        Some(Ok(worker)) => worker,
        None => None,
    };
    // The worker of a shell that the row names may carry the key of another gateway's row.
    let worker = worker.filter(|worker| is_of_row_alone(owners, row, worker.identity.pid));
    let distrust = distrust_of_keys(world, owners, row, named, worker);
    let is_its_own = |process: &Process| {
        let is_of = |worker: &Process| lineage::is_or_was_below(world, process, worker.identity);
        worker.is_some_and(is_of) || is_sure(world, row, process)
    };
    let by_key = |process: &&Process| {
        let pid = Some(process.identity.pid);
        pid != named
            && pid != worker.map(|worker| worker.identity.pid)
            && (distrust.is_none() || (distrust == Some(Distrust::MayBeAnothers) && is_its_own(process)))
            && why_not_along(world, owners, row, process).is_none()
    };
    let others: Vec<&Process> = owners.processes_of(row).filter(by_key).collect();
    // Also where it would only be closed: its gateway ends the worker with whatever is below it.
    let ended = owners.processes_of(row).map(|process| process.identity.pid);
    let named = named.filter(|pid| world.alive(*pid).is_some());
    let mut ended =
        named.into_iter().chain(ended.filter(|pid| may_be_ended_by(world, owners, row.gateway, *pid)));
    if let Some(protection) = ended.find_map(|pid| owners.foreign_below(pid)) {
        return (Claim::Untouchable(protection), distrust);
    }
    let mut all: Vec<&Process> = worker.into_iter().chain(others).collect();
    if all.is_empty() {
        return (Claim::CloseOnly, distrust);
    }
    let looks_like_one = all.iter().position(|process| gateway.takes(process.identity.pid));
    let worker = looks_like_one.map(|at| all.remove(at));
    (Claim::Processes { worker, others: all }, distrust)
}
