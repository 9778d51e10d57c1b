//! What an interrupted teardown left: processes that were seen under a worker before its first signal. Nothing in the process table would
//! lead to them any more.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::claims::Claims;
use super::doubts;
use super::families::{self, Families};
use super::owners::{Owner, Owners};
use super::position::Position;
use super::world::{Gateway, World};
use crate::domain::ids::{Pid, SessionId};
use crate::domain::ledger::Unfinished;
use crate::domain::process::{Process, ProcessIdentity};
use crate::domain::verdict::{Judged, Keep, Protection, Subject, Verdict};
use crate::domain::warrant::Warrant;

/// What is still there of the unfinished teardowns of a gateway.
pub(super) fn left<'u>(
    world: &World<'_>,
    owners: &Owners<'_>,
    families: &Families<'_, '_>,
    index: usize,
    unfinished: impl Iterator<Item = &'u Unfinished>,
) -> Vec<Unfinished> {
    // The gateway goes on with the session: it is back, and the worker was gone before; or the close has no answer, and the session has another
    // id by now.
    let is_given_up = |begun: &Unfinished| {
        let is_listed_as_another = || {
            families.is_of_a_listed_session(index, &begun.worker)
                || families.is_listed_anywhere(&begun.worker)
        };
        let is_gone = world.view().alive(&begun.worker).is_none();
        match &begun.asked {
            Some(session) => is_gone && !world.gateways[index].lists(session) && is_listed_as_another(),
            None => is_gone && families.is_of_a_listed_session(index, &begun.worker),
        }
    };
    let left = |begun: &Unfinished| {
        if is_given_up(begun) {
            return None;
        }
        let is_left = |member: &ProcessIdentity| is_left(world, owners, index, begun, member);
        let members: Vec<_> = begun.members.iter().copied().filter(is_left).collect();
        (!members.is_empty()).then(|| Unfinished { members, ..begun.clone() })
    };
    unfinished.filter_map(left).collect()
}

/// The processes in it but the workers: none of them is judged as a worker by itself.
pub(super) fn members(unfinished: &[Unfinished]) -> HashSet<Pid> {
    unfinished.iter().flat_map(but_the_worker).collect()
}

/// Those whose worker is gone: they are judged here and nowhere else. What is below one that lives is still of its family, also once the
/// teardown is given up.
pub(super) fn members_of_gone(world: &World<'_>, unfinished: &[Unfinished]) -> HashSet<Pid> {
    let of_gone = unfinished.iter().filter(|left| world.view().alive(&left.worker).is_none());
    of_gone.flat_map(but_the_worker).collect()
}

fn but_the_worker(left: &Unfinished) -> impl Iterator<Item = Pid> {
    left.members.iter().filter(|member| **member != left.worker).map(|member| member.pid)
}

fn is_left(
    world: &World<'_>,
    owners: &Owners<'_>,
    index: usize,
    begun: &Unfinished,
    member: &ProcessIdentity,
) -> bool {
    let Some(process) = world.view().alive(member) else { return false };
    let limits = &world.gateways[index].limits;
    // Where the gateway is process 1 or a subreaper, what is left is its child now. A worker there is judged as one; so is a copy of a worker
    // that is let be, because it has become another user's.
    let is_let_be = || world.view().alive(&begun.worker).is_some_and(|it| limits.protects(it).is_some());
    let is_judged = owners.of(member.pid).is_some()
        && (matches!(owners.position_of(member.pid), Position::Child(_)) || is_let_be());
    let is_owned = match owners.of(member.pid) {
        Some(Owner::Sessions(_)) => true,
        // A session may have it: it is judged by itself, as any worker. Where that is the worker of all this, the rest waits for it.
        Some(Owner::Doubt(_)) => *member != begun.worker && may_be_had(world, owners, index, process),
        Some(Owner::Nobody(_) | Owner::Tree) | None => false,
    };
    let above = owners.foreign_below(member.pid);
    let is_above_others = above.is_some_and(|above| !matches!(above, Protection::AboveUnknown { .. }));
    let is_wanted = is_judged || is_owned || is_above_others;
    !is_wanted && limits.protects(process).is_none()
}

/// Whether a session may have this worker, whose owner is in doubt. Where it stands is no such doubt: it was seen below the worker.
fn may_be_had(world: &World<'_>, owners: &Owners<'_>, index: usize, process: &Process) -> bool {
    let started = doubts::may_have_started(world, process, owners.position_of(process.identity.pid));
    started.into_iter().chain([index]).any(|gateway| doubts::of(world, gateway, process).is_some())
        || doubts::may_be_in_anothers_table(world, index, process)
}

/// Why this helper isn't ended now: a worker that a session has or may have is above or below it. Nothing but the journal may lead to it, so it
/// isn't forgotten.
fn waits(
    world: &World<'_>,
    owners: &Owners<'_>,
    index: usize,
    left: &Unfinished,
    member: &ProcessIdentity,
) -> Option<Keep> {
    let process = world.view().alive(member).filter(|_| *member != left.worker)?;
    let above = families::worker_above(world, owners, process).and_then(|pid| world.alive(pid));
    if let Some(above) = above.filter(|above| above.identity != left.worker) {
        match owners.of(above.identity.pid) {
            Some(Owner::Sessions(_)) => return Some(Keep::Protected(Protection::OfAnother(member.pid))),
            Some(Owner::Doubt(doubt)) if may_be_had(world, owners, index, above) => {
                return Some(doubt.clone());
            }
            _ => {}
        }
    }
    let below = owners.foreign_below(member.pid)?;
    // What was in hand with it is no reason, unless a session may have that.
    if let Protection::AboveUnknown { other, .. } = below
        && left.members.iter().any(|member| member.pid == other)
        && !world.alive(other).is_some_and(|other| may_be_had(world, owners, index, other))
    {
        return None;
    }
    Some(Keep::Protected(below))
}

/// Adds what is left to what was found, and returns the teardowns that are still unfinished.
pub(super) fn judge(
    world: &World<'_>,
    owners: &Owners<'_>,
    claims: &Claims<'_>,
    index: usize,
    left: Vec<Unfinished>,
    found: &mut Vec<Judged>,
) -> Vec<Unfinished> {
    if left.is_empty() {
        return left;
    }
    let places = Places::new(found, claims);
    left.into_iter().filter(|left| goes_on(world, owners, index, left, &places, found)).collect()
}

/// Where sessions and workers are in what was found.
struct Places {
    workers: HashMap<Pid, usize>,
    sessions: HashMap<SessionId, usize>,
}

impl Places {
    fn new(found: &[Judged], claims: &Claims<'_>) -> Self {
        let mut places = Self { workers: HashMap::new(), sessions: HashMap::new() };
        // What is a session's, and only listed, is no place for anything.
        let is_place = |pid: &Pid| claims.apart(*pid).is_none();
        for (index, found) in found.iter().enumerate() {
            if let Some(pid) = found.subject.worker_pid().filter(is_place) {
                places.workers.insert(pid, index);
            }
            if let Subject::Session { id, .. } = &found.subject {
                places.sessions.insert(id.clone(), index);
            }
        }
        places
    }
}

/// Has what is left end with whatever it belongs to, and says whether the teardown is still unfinished.
fn goes_on(
    world: &World<'_>,
    owners: &Owners<'_>,
    index: usize,
    left: &Unfinished,
    places: &Places,
    found: &mut Vec<Judged>,
) -> bool {
    let worker_lives = world.view().alive(&left.worker).is_some();
    let session = left.asked.as_ref().and_then(|session| places.sessions.get(session));
    let place = if worker_lives { places.workers.get(&left.worker.pid).or(session) } else { session };
    let mut waiting = None;
    let mut is_due = |member: &&ProcessIdentity| {
        let keep = waits(world, owners, index, left, member);
        let is_due = keep.is_none();
        waiting = waiting.take().or(keep);
        is_due
    };
    let due: Vec<_> = left.members.iter().filter(|member| is_due(member)).copied().collect();
    match (place, world.gateways[index].distrust()) {
        (Some(&place), _) => {
            let is_unfinished = add(left, &due, worker_lives, &mut found[place].verdict);
            list_copies(owners.told_by(index), &world.gateways[index], left, place, found);
            is_unfinished
        }
        // Whether the gateway closed the session, or refused to, is for its table to say.
        (None, Some(why)) if !worker_lives && left.asked.is_some() => {
            let keep = Keep::TableNotTrusted(why.into());
            found.push(Judged { key: key(world, index, left), ..Judged::keep(subject(left), None, keep) });
            true
        }
        (None, _) if !worker_lives => {
            if let Some(keep) = waiting.filter(|_| due.is_empty()) {
                found
                    .push(Judged { key: key(world, index, left), ..Judged::keep(subject(left), None, keep) });
                return true;
            }
            let mut on_trial = world.gateways.iter().filter(|gateway| gateway.rules.policy.dry_run);
            let warrant = Warrant {
                remnants: due,
                remnants_of: Some(left.worker),
                is_told: on_trial.any(|gateway| left.may_be_of(&gateway.seen.name)),
                may_be_of: left.may_be_of.clone(),
                ..world.gateways[index].warrant(left.orphan)
            };
            let verdict = Verdict::Reap { warrant: Box::new(warrant), waited: Duration::ZERO };
            found.push(Judged { key: key(world, index, left), ..Judged::new(subject(left), None, verdict) });
            true
        }
        // The worker lives and isn't judged: it belongs to a session of the table, unless there is no table to say so.
        (None, distrust) => distrust.is_some(),
    }
}

/// Lists the copies of a worker that is kept, and what else looks like a worker, with its reason: they go with no session.
fn list_copies(
    told: &[&Process],
    gateway: &Gateway<'_>,
    left: &Unfinished,
    place: usize,
    found: &mut Vec<Judged>,
) {
    let Verdict::Keep(keep) = &found[place].verdict else { return };
    let keep = keep.clone();
    for copy in told.iter().filter(|worker| left.members.contains(&worker.identity)) {
        let identity = copy.identity;
        if found.iter().any(|judged| judged.subject.worker_pid() == Some(identity.pid)) {
            continue;
        }
        let key = gateway.key_of(identity.pid).map(Into::into);
        found.push(Judged::keep(Subject::Worker { key, identity }, copy.rss_bytes, keep.clone()));
    }
}

/// What covers its session, or its worker, covers what is left of it.
fn key(world: &World<'_>, index: usize, left: &Unfinished) -> Option<Box<str>> {
    let families = world.gateways[index].memory.into_iter().flat_map(|memory| &memory.families);
    let family = families.into_iter().find(|family| family.worker == left.worker);
    let remembered = || family?.key.as_deref().or_else(|| family?.sessions.first().map(SessionId::as_str));
    left.asked.as_ref().map(SessionId::as_str).or_else(remembered).map(Into::into)
}

fn subject(left: &Unfinished) -> Subject {
    Subject::Worker { key: None, identity: left.worker }
}

/// The worker was not signalled, or shrugged it off, or its session is still there. While that is an orphan the rest of the tree goes with
/// it; once it is wanted again, so is the rest.
fn add(left: &Unfinished, due: &[ProcessIdentity], worker_lives: bool, verdict: &mut Verdict) -> bool {
    match verdict {
        Verdict::Reap { warrant, .. } => {
            if !worker_lives || warrant.worker == Some(left.worker) {
                let is_news = |member: &&ProcessIdentity| !warrant.remnants.contains(member);
                let news: Vec<_> = due.iter().filter(is_news).copied().collect();
                warrant.remnants.extend(news);
                warrant.remnants_of = warrant.remnants_of.or((!worker_lives).then_some(left.worker));
            }
            true
        }
        Verdict::Wait { .. } | Verdict::Deferred { .. } => true,
        Verdict::Keep(
            Keep::TableNotTrusted(_) | Keep::UnknownState(_) | Keep::Protected(_) | Keep::ByHand(_),
        ) => true,
        Verdict::Keep(Keep::Attached | Keep::MidTurn | Keep::Waiting | Keep::Starting | Keep::Held(_)) => {
            false
        }
    }
}
