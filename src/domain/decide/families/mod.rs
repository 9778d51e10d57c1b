//! What was seen below a worker, or bears the same mark. It is that worker's also once another process has adopted it: it goes with its
//! worker or its session, and where both are gone it is judged by itself, as a leftover.

mod judge;

use std::collections::{BTreeSet, HashMap, HashSet};

use super::doubts;
use super::owners::{Owner, Owners};
use super::world::{Gateway, RowId, Standing, World};
use crate::domain::ids::{GatewayName, Pid, SessionId};
use crate::domain::ledger::FamilyMemory;
use crate::domain::orphan::OrphanKind;
use crate::domain::process::{Mark, Process, ProcessIdentity};
use crate::domain::table::Session;

/// So much is remembered of what is below one worker.
const MOST: usize = 1024;

/// The families of all workers, each told of by one gateway.
pub(super) struct Families<'w, 'a> {
    world: &'w World<'a>,
    owners: &'w Owners<'a>,
    all: Vec<Family<'a>>,
    by_worker: HashMap<ProcessIdentity, usize>,
    /// Those whose worker is gone, by gateway and session.
    left_of: HashMap<(usize, &'a SessionId), Vec<usize>>,
    /// What has a worker below it.
    above_workers: HashSet<Pid>,
}

struct Family<'a> {
    /// The gateway that tells of it.
    gateway: usize,
    worker: ProcessIdentity,
    /// Its worker is gone, and is known to be.
    is_left: bool,
    /// The key that its worker's argv carries, or carried.
    key: Option<&'a str>,
    whose: Whose<'a>,
    /// By PID. All of them are alive, no workers, and below no other worker.
    members: Vec<&'a Process>,
    /// Remembered, and not in view: they may be there or not.
    unseen: Vec<ProcessIdentity>,
    memory: Option<&'a FamilyMemory>,
}

/// Whose a worker is, or was when that was last to be told.
#[derive(Default)]
struct Whose<'a> {
    sessions: Vec<&'a SessionId>,
    /// What else it is called by rows.
    names: Vec<&'a str>,
    /// No other gateway's session has it.
    is_alone: bool,
    /// Where it is of no session: the gateways that may have started it.
    may_be_of: Vec<&'a GatewayName>,
    /// It is known to have no owner.
    orphan: Option<OrphanKind>,
}

impl<'a> Whose<'a> {
    fn remembered(memory: &'a FamilyMemory) -> Self {
        Self {
            sessions: memory.sessions.iter().collect(),
            names: memory.names.iter().map(|name| &**name).collect(),
            is_alone: memory.is_alone,
            may_be_of: memory.may_be_of.iter().collect(),
            orphan: memory.orphan,
        }
    }

    fn nobody(orphan: Option<OrphanKind>, may_be_of: Vec<&'a GatewayName>) -> Self {
        Self { orphan, is_alone: true, may_be_of, ..Self::default() }
    }

    fn all_names(&self) -> Vec<&'a str> {
        self.sessions.iter().map(|id| id.as_str()).chain(self.names.iter().copied()).collect()
    }
}

impl Family<'_> {
    /// Whether an operator holds its worker, which is there, by a name of its session: once that isn't listed any more, this alone says so.
    fn is_held(&self, world: &World<'_>) -> bool {
        !self.is_left && is_held(world, self.gateway, self.worker, &self.whose)
    }
}

impl<'w, 'a> Families<'w, 'a> {
    pub(super) fn new(world: &'w World<'a>, owners: &'w Owners<'a>) -> Self {
        let mut below: HashMap<Pid, BTreeSet<Pid>> = HashMap::new();
        for process in world.view().processes.values() {
            if let Some(worker) = worker_above(world, owners, process)
                .filter(|at| may_be_member(world, owners, process, Some(*at)))
            {
                below.entry(worker).or_default().insert(process.identity.pid);
            }
        }
        for (process, worker) in marked_alike(world, owners) {
            below.entry(worker).or_default().insert(process);
        }
        let mut all = Vec::new();
        let known: Vec<(usize, &FamilyMemory)> = world.remembered_families().collect();
        if !(below.is_empty() && known.is_empty() && world.seen.forbidden.0.is_empty()) {
            let known_of: HashMap<ProcessIdentity, &FamilyMemory> =
                known.iter().map(|(_, family)| (family.worker, *family)).collect();
            let mut told = HashSet::new();
            for gateway in 0..world.gateways.len() {
                let changed = owners.changed_of(gateway);
                for worker in owners.told_by(gateway).iter().copied().chain(changed) {
                    let memory = known_of.get(&worker.identity).copied();
                    told.insert(worker.identity);
                    all.push(Family {
                        gateway,
                        worker: worker.identity,
                        is_left: false,
                        key: world.gateways[gateway].key_of(worker.identity.pid),
                        whose: whose(world, owners, gateway, worker, memory),
                        members: members(
                            world,
                            owners,
                            worker.identity,
                            below.get(&worker.identity.pid),
                            memory,
                        ),
                        unseen: unseen(world, memory),
                        memory,
                    });
                }
            }
            for (gateway, memory) in known.into_iter().filter(|(_, memory)| !told.contains(&memory.worker)) {
                let gateway = teller_of_gone(world, gateway, memory);
                all.push(Family {
                    gateway,
                    worker: memory.worker,
                    is_left: is_gone(world, &memory.worker),
                    key: memory.key.as_deref(),
                    whose: Whose {
                        sessions: sessions_of_gone(world, gateway, memory),
                        ..Whose::remembered(memory)
                    },
                    members: members(world, owners, memory.worker, None, Some(memory)),
                    unseen: unseen(world, Some(memory)),
                    memory: Some(memory),
                });
            }
            all.retain(|it| !(it.members.is_empty() && it.unseen.is_empty()) || it.is_held(world));
        }
        let by_worker = all.iter().enumerate().map(|(place, family)| (family.worker, place)).collect();
        let mut left_of: HashMap<(usize, &SessionId), Vec<usize>> = HashMap::new();
        for (place, family) in all.iter().enumerate().filter(|(_, family)| family.is_left) {
            for session in &family.whose.sessions {
                left_of.entry((family.gateway, session)).or_default().push(place);
            }
        }
        let mut above_workers = HashSet::new();
        if !all.is_empty() {
            for worker in owners.pids().filter_map(|pid| world.alive(pid)).chain(owners.changed()) {
                above_workers.extend(world.ancestors(worker).map(|above| above.identity.pid));
            }
        }
        Self { world, owners, all, by_worker, left_of, above_workers }
    }
}

/// Whether no process has this worker's PID any more, or another one has. What is merely not in view may be there.
fn is_gone(world: &World<'_>, worker: &ProcessIdentity) -> bool {
    let view = world.view();
    view.is_gone(worker.pid) || view.get(worker.pid).is_some_and(|process| process.identity != *worker)
}

/// The nearest worker above this process, below its gateway, that is no helper of another one.
pub(super) fn worker_above(world: &World<'_>, owners: &Owners<'_>, process: &Process) -> Option<Pid> {
    let above = world.ancestors_below_gateway(process).filter(|above| !above.zombie);
    let is_worker = |pid: &Pid| owners.is_no_helper(world, *pid) || owners.was_of_another(*pid);
    above.map(|above| above.identity.pid).find(is_worker)
}

/// What bears the mark of a session that no table lists, and is below no worker; with the one worker that bears the same. Of two it can't be
/// told which one's it is.
fn marked_alike(world: &World<'_>, owners: &Owners<'_>) -> Vec<(Pid, Pid)> {
    let mut workers: HashMap<(&GatewayName, &str), Vec<Pid>> = HashMap::new();
    let mut others = Vec::new();
    for (pid, mark) in
        world.view().marks.iter().flat_map(|(pid, marks)| marks.iter().map(move |it| (*pid, it)))
    {
        let (Mark::Session { gateway, key }, Some(process)) = (mark, world.alive(pid)) else { continue };
        if world.matching(pid).any(|index| world.gateways[index].seen.name == *gateway) {
            workers.entry((gateway, key)).or_default().push(pid);
        } else if worker_above(world, owners, process).is_none()
            && may_be_member(world, owners, process, None)
        {
            others.push(((gateway, &**key), pid));
        }
    }
    let with_worker = others.into_iter().filter_map(|(mark, pid)| match workers.get(&mark)?.as_slice() {
        [worker] => Some((pid, *worker)),
        _ => None,
    });
    with_worker.collect()
}

/// Whether this may be a helper of this worker (`None`: that is gone): it is no worker itself, or one only by the pattern and nobody's by its own
/// word; it bears no mark but that of the worker's session; it is no gateway, and not the reaper or what that runs under.
fn may_be_member(world: &World<'_>, owners: &Owners<'_>, process: &Process, worker: Option<Pid>) -> bool {
    let pid = process.identity.pid;
    let is_never = || world.gateways.iter().any(|gateway| gateway.limits.protects_pid(pid).is_some());
    let is_worker = world.matching(pid).next().is_some() || !world.rows_naming(pid).is_empty();
    let is_its = |worker: Pid| match (owners.of(worker), owners.of(pid)) {
        (Some(Owner::Sessions(worker)), Some(Owner::Sessions(own))) => {
            worker.as_slice().iter().all(|row| own.as_slice().contains(row))
        }
        (worker, own) => worker == own,
    };
    let is_marked_alike = || !is_worker && worker.is_none_or(is_its);
    let is_none = owners.of(pid).is_none() || owners.is_helper(world, pid) || is_marked_alike();
    !process.zombie && !process.kernel && is_none && !is_never() && !owners.was_of_another(pid)
}

/// What is below a worker now, and what was before and is below no other.
fn members<'a>(
    world: &World<'a>,
    owners: &Owners<'a>,
    worker: ProcessIdentity,
    below: Option<&BTreeSet<Pid>>,
    memory: Option<&FamilyMemory>,
) -> Vec<&'a Process> {
    let now = below.into_iter().flatten().filter_map(|pid| world.alive(*pid));
    let before = memory.into_iter().flat_map(|memory| &memory.members);
    let before = before.filter_map(|member| world.view().alive(member)).filter(|process| {
        let is_its_own = worker_above(world, owners, process).is_none_or(|above| above == worker.pid);
        let alive = world.view().alive(&worker).map(|worker| worker.identity.pid);
        is_its_own && may_be_member(world, owners, process, alive)
    });
    let mut members: Vec<&Process> = now.chain(before).collect();
    members.sort_by_key(|member| member.identity);
    members.dedup_by_key(|member| member.identity);
    members
}

/// What is remembered and not in view: it wasn't looked at. What is gone is forgotten.
fn unseen(world: &World<'_>, memory: Option<&FamilyMemory>) -> Vec<ProcessIdentity> {
    let view = world.view();
    let is_unseen =
        |member: &&ProcessIdentity| view.get(member.pid).is_none() && !view.gone.contains(&member.pid);
    memory.into_iter().flat_map(|memory| &memory.members).filter(is_unseen).copied().collect()
}

/// The gateway that tells of what is left of this worker. Whose a worker without a gateway was isn't known: a gateway that is up again and
/// goes on with its session is the one.
fn teller_of_gone(world: &World<'_>, index: usize, memory: &FamilyMemory) -> usize {
    let goes_on = |gateway: &usize| rows_of_gone(world, *gateway, memory).next().is_some();
    if !memory.sessions.is_empty() || goes_on(&index) {
        return index;
    }
    (0..world.gateways.len()).find(goes_on).unwrap_or(index)
}

/// The sessions whose worker this was, by what is remembered of it and by what the rows say now: a worker may be there before its row is.
fn sessions_of_gone<'a>(world: &World<'a>, index: usize, memory: &'a FamilyMemory) -> Vec<&'a SessionId> {
    let rows = rows_of_gone(world, index, memory);
    let sessions: BTreeSet<&SessionId> = memory.sessions.iter().chain(rows).collect();
    sessions.into_iter().collect()
}

fn rows_of_gone<'a>(
    world: &World<'a>,
    index: usize,
    memory: &FamilyMemory,
) -> impl Iterator<Item = &'a SessionId> {
    let pid = memory.worker.pid;
    // Another process may have its PID.
    let is_free = world.alive(pid).is_none();
    let is_its = move |row: &&Session| {
        let carries = row.worker_key().is_some_and(|key| memory.all_names().any(|name| name == key));
        carries || (is_free && row.named_worker() == Some(pid))
    };
    world.gateways[index].rows.iter().filter(is_its).map(|row| &row.id)
}

/// Whether an operator holds a worker by one of the names that it has at its gateway, or at any that may have had it.
fn is_held(world: &World<'_>, index: usize, worker: ProcessIdentity, whose: &Whose<'_>) -> bool {
    let of = |gateway: &Gateway<'_>| world.by_hand.covers(&gateway.seen.name, worker, &whose.all_names());
    of(&world.gateways[index]) || (!whose.is_alone && world.gateways.iter().any(of))
}

/// Whose worker this is. In doubt what is remembered of that.
fn whose<'a>(
    world: &World<'a>,
    owners: &Owners<'_>,
    index: usize,
    worker: &Process,
    memory: Option<&'a FamilyMemory>,
) -> Whose<'a> {
    let may_be_of = || may_be_of(world, owners, index, worker, memory);
    match owners.of(worker.identity.pid) {
        Some(Owner::Sessions(rows)) => {
            let (own, others): (Vec<&RowId>, _) =
                rows.as_slice().iter().partition(|row| row.gateway == index);
            let sessions: Vec<&SessionId> = own.iter().map(|row| &world.session(**row).id).collect();
            let ids_of_others = others.iter().map(|row| world.session(**row).id.as_str());
            let keys = own.iter().chain(&others).filter_map(|row| world.session(**row).worker_key());
            let key = world.gateways[index].key_of(worker.identity.pid);
            let is_new = |name: &&str| key != Some(*name) && sessions.iter().all(|id| id.as_str() != *name);
            let names: BTreeSet<&str> = ids_of_others.chain(keys).filter(is_new).collect();
            Whose {
                sessions,
                names: names.into_iter().collect(),
                is_alone: others.is_empty(),
                ..Whose::default()
            }
        }
        // A gateway that is down may be up again and go on with its sessions.
        Some(Owner::Nobody(kind)) if goes_on_later(&world.gateways[index]) => match memory {
            Some(memory) => Whose { may_be_of: may_be_of(), ..Whose::remembered(memory) },
            None => Whose::nobody(Some(*kind).filter(|kind| *kind == OrphanKind::Leftover), may_be_of()),
        },
        Some(Owner::Nobody(kind)) => {
            let is_held = |whose: &Whose<'_>| is_held(world, index, worker.identity, whose);
            let remembered = memory.map(Whose::remembered).filter(is_held);
            let remembered = remembered.unwrap_or_else(|| Whose::nobody(None, Vec::new()));
            Whose { orphan: Some(*kind), may_be_of: may_be_of(), ..remembered }
        }
        Some(Owner::Tree) => Whose::nobody(Some(OrphanKind::OwnerlessWorker), may_be_of()),
        Some(Owner::Doubt(_)) => memory.map(Whose::remembered).unwrap_or_default(),
        // It doesn't look like a worker any more.
        None => memory.map(Whose::remembered).unwrap_or_else(|| {
            let had = world.session_that_had(worker.identity);
            let had = had.filter(|had| *had.gateway == world.gateways[index].seen.name);
            let sessions: Vec<_> = had.map(|had| had.id).into_iter().collect();
            Whose { is_alone: !sessions.is_empty(), sessions, ..Whose::default() }
        }),
    }
}

/// The gateways that may have started this worker of no session, or one that it is below and goes with; the one that tells of it among them,
/// and those of which that was remembered.
fn may_be_of<'a>(
    world: &World<'a>,
    owners: &Owners<'_>,
    index: usize,
    worker: &Process,
    memory: Option<&FamilyMemory>,
) -> Vec<&'a GatewayName> {
    let is_one = |process: &&Process| owners.of(process.identity.pid).is_some();
    let above: Vec<&Process> = match owners.of(worker.identity.pid) {
        Some(Owner::Tree) => world.ancestors(worker).filter(is_one).collect(),
        _ => Vec::new(),
    };
    let started = [worker].into_iter().chain(above).flat_map(|process| {
        doubts::may_have_started(world, process, owners.position_of(process.identity.pid))
    });
    let remembered = memory.into_iter().flat_map(|memory| &memory.may_be_of);
    let place = |name: &GatewayName| world.gateways.iter().position(|gateway| gateway.seen.name == *name);
    let gateways: BTreeSet<usize> = started.chain([index]).chain(remembered.filter_map(place)).collect();
    gateways.into_iter().map(|index| &world.gateways[index].seen.name).collect()
}

/// The rows of all gateways that may be of this worker, which is gone.
fn rows_anywhere<'a>(world: &World<'a>, memory: &FamilyMemory) -> Vec<(usize, &'a SessionId)> {
    let rows = |index| rows_of_gone(world, index, memory).map(move |id| (index, id)).collect::<Vec<_>>();
    (0..world.gateways.len()).flat_map(rows).collect()
}

fn goes_on_later(gateway: &Gateway<'_>) -> bool {
    gateway.standing != Standing::Current && gateway.rules.takes_workers_back
}
