//! What was seen below a worker, or bears the same mark. It is that worker's also once another process has adopted it: it goes with its
//! worker or its session, and where both are gone it is judged by itself, as a leftover.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::clock;
use super::doubts;
use super::owners::{Owner, Owners};
use super::quota;
use super::world::{Gateway, Standing, World};
use crate::domain::ids::{GatewayName, Pid, SessionId};
use crate::domain::ledger::{FamilyMemory, GatewayMemory, WorkerClock};
use crate::domain::orphan::OrphanKind;
use crate::domain::policy::Workers;
use crate::domain::process::{Mark, Process, ProcessIdentity};
use crate::domain::table::Session;
use crate::domain::verdict::{Judged, Keep, Protection, Subject};
use crate::domain::warrant::Warrant;

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
    sessions: Vec<&'a SessionId>,
    /// Its worker was known to have no owner.
    orphan: Option<OrphanKind>,
    /// By PID. All of them are alive, no workers, and below no other worker.
    members: Vec<&'a Process>,
    /// Remembered, and not in view: they may be there or not.
    unseen: Vec<ProcessIdentity>,
    memory: Option<&'a FamilyMemory>,
}

impl<'w, 'a> Families<'w, 'a> {
    pub(super) fn new(world: &'w World<'a>, owners: &'w Owners<'a>) -> Self {
        let mut below: HashMap<Pid, BTreeSet<Pid>> = HashMap::new();
        for process in world.view().processes.values() {
            if let Some(worker) =
                worker_above(world, process).filter(|_| may_be_member(world, owners, process))
            {
                below.entry(worker).or_default().insert(process.identity.pid);
            }
        }
        for (process, worker) in marked_alike(world, owners) {
            below.entry(worker).or_default().insert(process);
        }
        let mut all = Vec::new();
        let memories = world.gateways.iter().enumerate().filter_map(|(index, it)| Some((index, it.memory?)));
        let known: Vec<(usize, &FamilyMemory)> =
            memories.flat_map(|(index, it)| it.families.iter().map(move |family| (index, family))).collect();
        if !(below.is_empty() && known.is_empty()) {
            let known_of: HashMap<ProcessIdentity, &FamilyMemory> =
                known.iter().map(|(_, family)| (family.worker, *family)).collect();
            let mut told = HashSet::new();
            for gateway in 0..world.gateways.len() {
                for worker in owners.told_by(gateway) {
                    let memory = known_of.get(&worker.identity).copied();
                    told.insert(worker.identity);
                    let (sessions, orphan) = whose(world, owners, gateway, worker, memory);
                    all.push(Family {
                        gateway,
                        worker: worker.identity,
                        is_left: false,
                        key: world.gateways[gateway].key_of(worker.identity.pid),
                        sessions,
                        orphan,
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
                all.push(Family {
                    gateway,
                    worker: memory.worker,
                    is_left: is_gone(world, &memory.worker),
                    key: memory.key.as_deref(),
                    sessions: sessions_of_gone(world, gateway, memory),
                    orphan: memory.orphan,
                    members: members(world, owners, memory.worker, None, Some(memory)),
                    unseen: unseen(world, Some(memory)),
                    memory: Some(memory),
                });
            }
            all.retain(|family| !(family.members.is_empty() && family.unseen.is_empty()));
        }
        let by_worker = all.iter().enumerate().map(|(place, family)| (family.worker, place)).collect();
        let mut left_of: HashMap<(usize, &SessionId), Vec<usize>> = HashMap::new();
        for (place, family) in all.iter().enumerate().filter(|(_, family)| family.is_left) {
            for session in &family.sessions {
                left_of.entry((family.gateway, session)).or_default().push(place);
            }
        }
        let mut above_workers = HashSet::new();
        if !all.is_empty() {
            for worker in owners.pids().filter_map(|pid| world.alive(pid)) {
                above_workers.extend(world.ancestors(worker).map(|above| above.identity.pid));
            }
        }
        Self { world, owners, all, by_worker, left_of, above_workers }
    }

    /// What goes with this worker and isn't below it any more.
    pub(super) fn strays_of(&self, gateway: usize, worker: ProcessIdentity) -> Vec<ProcessIdentity> {
        let family = self.by_worker.get(&worker).map(|place| &self.all[*place]);
        let members = family.into_iter().flat_map(|family| &family.members);
        let strays = members.filter(|member| worker_above(self.world, member).is_none());
        let may_go = strays.filter(|stray| self.protects(gateway, stray).is_none());
        may_go.map(|stray| stray.identity).collect()
    }

    /// What goes with this session, of workers that are gone; and one of those.
    pub(super) fn left_of(
        &self,
        gateway: usize,
        session: &SessionId,
    ) -> (Vec<ProcessIdentity>, Option<ProcessIdentity>) {
        let of = &self.world.gateways[gateway];
        let can_check = of.process.is_some() && of.contradiction.is_none() && !of.shares_process;
        let places = self.left_of.get(&(gateway, session)).map(Vec::as_slice).unwrap_or_default();
        // Which of two sessions it belonged to can't be told.
        let is_its_own =
            |family: &&Family<'_>| family.sessions.len() == 1 && can_check && !of.has_obscure_row();
        let left = places.iter().map(|place| &self.all[*place]).filter(is_its_own);
        let worker = left.clone().next().map(|family| family.worker);
        let may_go = |member: &&&Process| self.protects(gateway, member).is_none();
        let left = left.flat_map(|family| &family.members).filter(may_go);
        (left.map(|member| member.identity).collect(), worker)
    }

    /// Why this member is not ended.
    fn protects(&self, gateway: usize, member: &Process) -> Option<Keep> {
        let pid = member.identity.pid;
        let above = || self.owners.foreign_below(pid).map(|other| Protection::Above { pid, other });
        let protection = self.world.gateways[gateway].limits.protects(member).or_else(above);
        let is_above_worker = self.above_workers.contains(&pid);
        protection.map(Keep::Protected).or_else(|| {
            is_above_worker
                .then(|| Keep::UnknownState("a worker that is judged by itself is below it".into()))
        })
    }

    /// Why a process that outlived its worker may be wanted all the same, where not everything below a worker is its own.
    fn may_be_wanted(&self, gateway: usize, root: &Process) -> Option<Keep> {
        let gateway = &self.world.gateways[gateway];
        if gateway.rules.workers != Workers::LeadersOfGone {
            return None;
        }
        let is_at_work = self.world.view().at_work.contains(&root.identity.pid);
        let is_served = gateway.process.is_some() || gateway.lost.is_some();
        if is_at_work {
            Some(Keep::Held(vec!["worker-busy".into()]))
        } else if is_served {
            let why = "its worker is gone and its gateway isn't: it may have been left there on purpose";
            Some(Keep::UnknownState(why.into()))
        } else {
            None
        }
    }

    /// Whose a parentless worker was may be unknown, and its argv is gone with it: then the longest grace of all.
    fn grace(&self, index: usize, kind: OrphanKind) -> Duration {
        let graces = self.world.gateways.iter().map(|gateway| gateway.rules.policy.worker_grace);
        let all = || graces.max().unwrap_or_default();
        let own = || self.world.gateways[index].rules.policy.worker_grace;
        if kind == OrphanKind::ParentlessWorker { all() } else { own() }
    }

    /// Judges what is left of workers that are gone, of no session that is listed; and remembers all families. `elsewhere`: processes that
    /// are judged with an unfinished teardown.
    pub(super) fn judge(
        &self,
        index: usize,
        elsewhere: &HashSet<Pid>,
        remembered: &mut GatewayMemory,
    ) -> Vec<Judged> {
        let mut found = Vec::new();
        let mut listed: Option<HashSet<&SessionId>> = None;
        let rows = self.world.gateways[index].rows;
        for family in self.all.iter().filter(|family| family.gateway == index) {
            let is_listed = |session| {
                listed.get_or_insert_with(|| rows.iter().map(|row| &row.id).collect()).contains(session)
            };
            let is_elsewhere = |member: &&Process| elsewhere.contains(&member.identity.pid);
            let members: Vec<&Process> =
                family.members.iter().copied().filter(|member| !is_elsewhere(member)).collect();
            let is_ours = family.is_left && !family.sessions.iter().copied().any(is_listed);
            let clock = if is_ours { self.judge_left(index, family, &members, &mut found) } else { None };
            let members = members.iter().map(|member| member.identity);
            let mut members: Vec<_> = members.chain(family.unseen.iter().copied()).take(MOST).collect();
            members.sort_unstable();
            if !members.is_empty() {
                remembered.families.push(FamilyMemory {
                    worker: family.worker,
                    sessions: family.sessions.iter().copied().cloned().collect(),
                    key: family.key.map(Into::into),
                    orphan: family.orphan,
                    members,
                    clock,
                });
            }
        }
        remembered.families.sort_by_key(|family| family.worker);
        found
    }

    fn judge_left(
        &self,
        index: usize,
        family: &Family<'a>,
        members: &[&'a Process],
        found: &mut Vec<Judged>,
    ) -> Option<WorkerClock> {
        let gateway = &self.world.gateways[index];
        let kind = match (family.orphan, gateway.standing) {
            (Some(kind @ (OrphanKind::Leftover | OrphanKind::ParentlessWorker)), _) => kind,
            (_, Standing::Current) => OrphanKind::OwnerlessWorker,
            (_, Standing::Gone | Standing::NotTrusted(_)) => OrphanKind::ParentlessWorker,
        };
        // It may be of a program that is none of the configured gateways.
        let unknown = || {
            let why = format!(
                "it was below worker {}, which is gone, and whose that was isn't known",
                family.worker.pid
            );
            let is_known = !family.sessions.is_empty() || family.orphan.is_some();
            (!is_known).then(|| Keep::UnknownState(why.into()))
        };
        let before = family.memory.and_then(|memory| memory.clock);
        let clock = clock::of_family(self.world, gateway, before, kind);
        let grace = self.grace(index, kind);
        let mut is_orphan = false;
        for root in roots(self.world, members) {
            let (identity, rss_bytes) = (root.identity, root.rss_bytes);
            let subject = Subject::Worker { key: None, identity };
            let keep = self.protects(index, root);
            if let Some(keep) = keep
                .or_else(unknown)
                .or_else(|| self.may_be_wanted(index, root))
                .or_else(|| doubts::of(self.world, index, root))
            {
                found.push(Judged::keep(subject, rss_bytes, keep));
                continue;
            }
            is_orphan = true;
            let is_below =
                |member: &&&Process| self.world.ancestors(member).any(|above| above.identity == identity);
            let remnants = [root].into_iter().chain(members.iter().filter(is_below).copied());
            let may_go = remnants.filter(|member| self.protects(index, member).is_none());
            let warrant = Warrant {
                remnants: may_go.map(|member| member.identity).collect(),
                remnants_of: Some(family.worker),
                failures: Some(clock.failures),
                ..gateway.warrant(kind)
            };
            let waited = gateway.seen.asked.since(clock.since);
            let verdict = quota::after(grace, waited, warrant);
            found.push(Judged::new(subject, rss_bytes, verdict));
        }
        is_orphan.then_some(clock)
    }
}

/// Those that no other of them is above.
fn roots<'a>(world: &World<'_>, members: &[&'a Process]) -> Vec<&'a Process> {
    let pids: HashSet<Pid> = members.iter().map(|member| member.identity.pid).collect();
    let is_root =
        |member: &&Process| !world.ancestors(member).any(|above| pids.contains(&above.identity.pid));
    members.iter().copied().filter(is_root).collect()
}

/// Whether no process has this worker's PID any more, or another one has. What is merely not in view may be there.
fn is_gone(world: &World<'_>, worker: &ProcessIdentity) -> bool {
    let view = world.view();
    let is_another = |process: &Process| process.identity != *worker || process.zombie;
    view.gone.contains(&worker.pid) || view.get(worker.pid).is_some_and(is_another)
}

/// The nearest worker above this process, below its gateway.
fn worker_above(world: &World<'_>, process: &Process) -> Option<Pid> {
    for above in world.ancestors(process) {
        let pid = above.identity.pid;
        if !world.gateways_at(pid).is_empty() {
            return None;
        }
        if !above.zombie && world.matching(pid).next().is_some() {
            return Some(pid);
        }
    }
    None
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
        } else if worker_above(world, process).is_none() && may_be_member(world, owners, process) {
            others.push(((gateway, &**key), pid));
        }
    }
    let with_worker = others.into_iter().filter_map(|(mark, pid)| match workers.get(&mark)?.as_slice() {
        [worker] => Some((pid, *worker)),
        _ => None,
    });
    with_worker.collect()
}

/// Whether this may be a worker's helper: it is no worker itself, no gateway, and not the reaper or what that runs under.
fn may_be_member(world: &World<'_>, owners: &Owners<'_>, process: &Process) -> bool {
    let pid = process.identity.pid;
    let is_never = || world.gateways.iter().any(|gateway| gateway.limits.protects_pid(pid).is_some());
    !process.zombie && !process.kernel && owners.of(pid).is_none() && !is_never()
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
        let is_its_own = worker_above(world, process).is_none_or(|above| above == worker.pid);
        is_its_own && may_be_member(world, owners, process)
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

/// The sessions whose worker this was, by what is remembered of it and by what the rows say now: a worker may be there before its row is.
fn sessions_of_gone<'a>(world: &World<'a>, index: usize, memory: &'a FamilyMemory) -> Vec<&'a SessionId> {
    let pid = memory.worker.pid;
    // Another process may have its PID.
    let is_free = world.alive(pid).is_none();
    let is_its = |row: &&Session| {
        let carries = memory.key.is_some() && row.worker_key() == memory.key.as_deref();
        carries || (is_free && row.named_worker() == Some(pid))
    };
    let rows = world.gateways[index].rows.iter().filter(is_its).map(|row| &row.id);
    let sessions: BTreeSet<&SessionId> = memory.sessions.iter().chain(rows).collect();
    sessions.into_iter().collect()
}

/// The sessions whose worker this is, or what kind of orphan it is of no session. In doubt what is remembered of that.
fn whose<'a>(
    world: &World<'a>,
    owners: &Owners<'_>,
    index: usize,
    worker: &Process,
    memory: Option<&'a FamilyMemory>,
) -> (Vec<&'a SessionId>, Option<OrphanKind>) {
    let remembered = |memory: &'a FamilyMemory| (memory.sessions.iter().collect(), memory.orphan);
    match owners.of(worker.identity.pid) {
        Some(Owner::Sessions(rows)) => {
            let own = rows.as_slice().iter().filter(|row| row.gateway == index);
            (own.map(|row| &world.session(*row).id).collect(), None)
        }
        // A gateway that is down may be up again and go on with its sessions.
        Some(Owner::Nobody(kind)) if goes_on_later(&world.gateways[index]) => match memory {
            Some(memory) => remembered(memory),
            None => (Vec::new(), Some(*kind).filter(|kind| *kind == OrphanKind::Leftover)),
        },
        Some(Owner::Nobody(kind)) => (Vec::new(), Some(*kind)),
        Some(Owner::Tree) => (Vec::new(), Some(OrphanKind::OwnerlessWorker)),
        Some(Owner::Doubt(_)) | None => memory.map(remembered).unwrap_or_default(),
    }
}

fn goes_on_later(gateway: &Gateway<'_>) -> bool {
    gateway.standing != Standing::Current && gateway.rules.takes_workers_back
}
