//! The one pure function that decides. It returns everything it considered: what is kept and why, what waits and how long, what is
//! reaped, what is deferred; and what to remember of it.
//!
//! ```text
//! owners:  process -> sessions | none (which kind of orphan) | doubt (why)      one pass over all tables, processes and memory
//! session: first of [attached, mid-turn, waiting, starting, held, unknown field, protected, orphan]
//! worker:  first of [judged with its session, protected, doubt, orphan]; with the word of an operator also of [idle, unattended]
//! ```
//!
//! Not knowing never ends anything: a table that isn't current, a field that isn't understood, a process that isn't in view or a parent that
//! may be a gateway each keep what depends on them.

mod along;
mod before;
mod by_hand;
mod claims;
mod clock;
mod doubts;
mod families;
mod gateway;
mod idle;
mod lineage;
mod named;
mod owners;
mod position;
mod quota;
mod remnants;
mod sessions;
mod sign;
mod unowned;
mod workers;
mod world;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

pub use along::{Along, With, along};
use claims::Claims;
use families::Families;
use owners::{Owner, Owners};
use world::{Gateway, Standing, World};

use super::ids::{GatewayName, Pid, SessionId};
use super::ledger::{FamilyMemory, GatewayMemory, Ledger, Unfinished};
use super::observation::Observation;
use super::orphan::OrphanKind;
use super::outside::LOOK_EVERY;
use super::policy::Rules;
use super::process::ProcessIdentity;
use super::table::{Session, Told, Transport};
use super::time::Awake;
use super::verdict::{Judged, Keep, Verdict};
use super::veto::Vetoes;
use super::warrant::{Claimed, Warrant};

/// What was decided for all gateways.
#[derive(Debug)]
pub struct Decision {
    /// By gateway, in the order of the configuration.
    pub gateways: Vec<GatewayPlan>,
    /// The memory for the next run.
    pub ledger: Ledger,
    /// Of each process that sessions own by their own word: which ones. What is below another session's worker is of that only while no row
    /// is its own. And which processes are gateways, and which workers' owner isn't known.
    pub claimed: Arc<Claimed>,
    /// That an operator forbids everything now, and until when.
    pub paused: Option<Box<str>>,
    /// Workers and shells below which the missing worker of a row may run, where another worker is kept because it may be that one.
    unsearched: Vec<Pid>,
}

/// Where a subject is in a decision, and in the report of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which gateway.
    pub gateway: usize,
    /// Which of its subjects.
    pub subject: usize,
}

impl Decision {
    /// Keeps also what an operator has forbidden since.
    pub fn heed(&mut self, forbidden: &Vetoes) {
        // Also where nothing is there to be kept.
        if let Some(pause) = forbidden.pause() {
            self.paused.get_or_insert_with(|| pause.words.clone());
        }
        for gateway in &mut self.gateways {
            by_hand::keep_of(&gateway.name, &mut gateway.judged, forbidden);
        }
    }

    /// What may be ended: each warrant, where its subject is, and how long that has been an orphan.
    pub fn warrants(&self) -> impl Iterator<Item = (Place, &Warrant, Duration)> {
        let judged = self.gateways.iter().enumerate().flat_map(|(gateway, plan)| {
            let judged = plan.judged.iter().enumerate();
            judged.map(move |(subject, judged)| (Place { gateway, subject }, judged))
        });
        judged.filter_map(|(place, judged)| match &judged.verdict {
            Verdict::Reap { warrant, waited } => Some((place, &**warrant, *waited)),
            _ => None,
        })
    }

    /// Awake time until the next orphan is due, if one is inside its grace.
    pub fn next_due(&self) -> Option<Duration> {
        let judged = self.gateways.iter().flat_map(|gateway| &gateway.judged);
        let waits = judged.filter_map(|judged| match judged.verdict {
            Verdict::Wait { remaining, .. } => Some(remaining),
            _ => None,
        });
        waits.min()
    }

    /// When to look again at the latest, if something waits that counts only while looks are close together.
    pub fn next_look(&self) -> Option<Duration> {
        let mut judged = self.gateways.iter().flat_map(|gateway| &gateway.judged);
        let rests_on_looks = |judged: &Judged| {
            matches!(judged.verdict, Verdict::Wait { orphan: OrphanKind::UnattendedWorker, .. })
        };
        judged.any(rests_on_looks).then_some(LOOK_EVERY)
    }

    /// The processes below which has to be looked before anything is done, and then decided once more: those that are due to be ended, because
    /// another session's worker may be in there; and where a row's worker isn't found, all workers of its gateway and the shells that rows name.
    pub fn to_look_below(&self) -> Vec<Pid> {
        let judged = self.gateways.iter().flat_map(|gateway| &gateway.judged);
        let due = judged.filter_map(|judged| match &judged.verdict {
            Verdict::Reap { warrant, .. } => Some((&judged.subject, warrant)),
            _ => None,
        });
        let (mut roots, mut sessions) = (Vec::new(), HashSet::new());
        for (subject, warrant) in due {
            // Its gateway ends a session's worker with the session, also where no signal is sent to it.
            roots.extend(subject.worker_pid());
            roots.extend(warrant.remnants().iter().map(|who| who.pid));
            sessions.extend(warrant.session().map(|order| (warrant.gateway(), &order.id)));
        }
        // What was seen below them and isn't any more.
        let workers: HashSet<Pid> = roots.iter().copied().collect();
        for (name, memory) in self.ledger.gateways.iter() {
            let is_due = |family: &&FamilyMemory| {
                workers.contains(&family.worker.pid)
                    || family.sessions.iter().any(|session| sessions.contains(&(name, session)))
            };
            let members = memory.families.iter().filter(is_due).flat_map(|family| &family.members);
            roots.extend(members.map(|member| member.pid));
        }
        roots.extend(&self.unsearched);
        roots
    }
}

/// What was decided for one gateway.
#[derive(Debug)]
pub struct GatewayPlan {
    /// Its name.
    pub name: GatewayName,
    /// Its process, where one is known.
    pub process: Option<ProcessIdentity>,
    /// Why its table's word on processes isn't taken, where it isn't.
    pub contradiction: Option<String>,
    /// Every session and worker that was considered.
    pub judged: Vec<Judged>,
}

/// Judges every session and worker that was seen. `rules` has an entry for each gateway that was seen, in the same order; a gateway
/// without one is left out.
pub fn decide(seen: &Observation, memory: &Ledger, rules: &[Rules], now: Awake) -> Decision {
    let memory = &memory.without(seen.unobserved, now);
    let world = World::new(seen, memory, rules, now);
    let owners = Owners::new(&world);
    let claims = Claims::new(&world, &owners);
    let families = Families::new(&world, &owners);
    let mut ledger =
        Ledger { boot: Some(seen.boot.clone()), whole_look: memory.whole_look, ..Ledger::default() };
    let mut gateways = Vec::with_capacity(world.gateways.len());
    for (index, gateway) in world.gateways.iter().enumerate() {
        let name = &gateway.seen.name;
        let is_current = gateway.distrust().is_none();
        let mut remembered = GatewayMemory {
            process: gateway.process.or_else(|| gateway.memory?.process),
            former: gateway.former.clone(),
            run: gateway.remembered_run().cloned().filter(|_| !is_current).or_else(|| gateway.run()),
            // Of a look that was stopped in the middle, its table may have waited to be read.
            looked: is_current
                .then_some((gateway.seen.asked + seen.unobserved).min(now.max(gateway.seen.asked))),
            gone: gateway.standing == Standing::Gone,
            closes: closes_without_effect(&world, gateway),
            ..GatewayMemory::default()
        };
        let unfinished = memory.unfinished.iter().filter(|begun| begun.gateway == *name);
        let unfinished = remnants::left(&world, &owners, &families, index, unfinished);
        let elsewhere = remnants::members(&unfinished);
        let mut found = sessions::judge(&world, &claims, &families, index, &mut remembered);
        let workers = workers::judge(&world, &owners, &claims, &families, index, &elsewhere, &mut remembered);
        let idle = idle::judge(&world, &claims, index, &found, &mut remembered);
        found.extend(workers.into_iter().chain(idle));
        let elsewhere = remnants::members_of_gone(&world, &unfinished);
        found.extend(families.judge(index, &elsewhere, &mut remembered));
        remembered.workers.sort_by_key(|worker| worker.identity);
        ledger.unfinished.extend(remnants::judge(&world, &owners, &claims, index, unfinished, &mut found));
        world.by_hand.keep(&world, &owners, name, &mut found);
        quota::defer(&gateway.rules.policy, &mut found);
        gateways.push(GatewayPlan {
            name: name.clone(),
            process: gateway.process,
            contradiction: gateway.contradiction.clone(),
            judged: found,
        });
        ledger.gateways.insert(name.clone(), remembered);
    }
    ledger.unfinished.extend(unfinished_elsewhere(&world, memory).cloned());
    let claimed = Arc::new(sign::claimed(&world, &owners));
    sign::sign(&world, &mut gateways, &claimed, &ledger);
    let paused = seen.forbidden.pause().map(|pause| pause.words.clone());
    Decision { gateways, ledger, claimed, paused, unsearched: unsearched(&world, &owners) }
}

/// What is unfinished of gateways that aren't looked at now (one got another name, say), for when they are again.
fn unfinished_elsewhere<'m>(world: &World<'_>, memory: &'m Ledger) -> impl Iterator<Item = &'m Unfinished> {
    let view = world.view();
    let may_be_left = |process: &ProcessIdentity| {
        let is_known = view.processes.contains_key(&process.pid) || view.gone.contains(&process.pid);
        view.alive(process).is_some() || !is_known
    };
    let is_looked_at = |name: &GatewayName| world.gateways.iter().any(|gateway| gateway.seen.name == *name);
    let elsewhere = memory.unfinished.iter().filter(move |begun| !is_looked_at(&begun.gateway));
    elsewhere.filter(move |begun| begun.members.iter().chain([&begun.worker]).any(may_be_left))
}

/// Decides; and where something is due, again on processes that are looked at for it, until a decision names nothing that wasn't looked at.
/// Once more isn't enough where an operator limits how many are ended in a run: what is found to be wanted leaves its place to another.
///
/// `look` gets what was decided and below what has to be looked ([`Decision::to_look_below`]).
///
/// # Errors
/// Those of `look`.
pub fn decide_closely<E>(
    seen: &mut Observation,
    memory: &Ledger,
    rules: &[Rules],
    now: Awake,
    mut look: impl FnMut(&mut Observation, &Decision, &[Pid]) -> Result<(), E>,
) -> Result<Decision, E> {
    let (mut looked_below, mut looked_at) = (HashSet::new(), HashSet::new());
    loop {
        let decision = decide(seen, memory, rules, now);
        let roots = decision.to_look_below();
        let below: HashSet<Pid> = roots.iter().copied().collect();
        // A session that is due may have no worker, and processes that only their marks tie to it.
        let due = decision.warrants().filter_map(|(_, warrant, _)| Some((warrant, warrant.session()?)));
        let sessions: HashSet<_> =
            due.map(|(warrant, order)| (warrant.gateway().clone(), order.id.clone())).collect();
        if below.is_subset(&looked_below) && sessions.is_subset(&looked_at) {
            return Ok(decision);
        }
        looked_below.extend(below);
        looked_at.extend(sessions);
        look(seen, &decision, &roots)?;
    }
}

/// A session that runs below another's worker isn't seen from above: as long as its worker isn't, each without an owner may be it.
fn unsearched(world: &World<'_>, owners: &Owners<'_>) -> Vec<Pid> {
    let in_doubt = |pid| matches!(owners.of(pid), Some(Owner::Doubt(Keep::UnknownState(_))));
    let missing = (0..world.gateways.len()).filter(|index| world.row_without_worker(*index).is_some());
    let gateways = missing.map(|index| &world.gateways[index]);
    let asked = gateways.filter(|gateway| gateway.workers().any(in_doubt));
    // Its row may name the shell that it runs in, wherever that is.
    let shells = |gateway: &Gateway<'_>| {
        let named = gateway.rows.iter().filter_map(Session::named_worker);
        let shells = named.filter(|pid| !gateway.takes(*pid) && world.alive(*pid).is_some());
        shells.collect::<Vec<_>>()
    };
    let roots: BTreeSet<Pid> = asked.flat_map(|gateway| gateway.workers().chain(shells(gateway))).collect();
    roots.into_iter().collect()
}

/// A gateway may count whole seconds.
const COARSE: Duration = Duration::from_secs(1);

/// What is remembered of closes, of those sessions that are still listed and that no client came back to; without a table of all.
fn closes_without_effect(world: &World<'_>, gateway: &Gateway<'_>) -> BTreeMap<SessionId, u32> {
    let Some(memory) = gateway.memory.filter(|memory| !memory.closes.is_empty()) else {
        return BTreeMap::new();
    };
    if gateway.distrust().is_some() {
        return memory.closes.clone();
    }
    // Another run of it has taken the session up again: it was closed.
    if gateway.remembered_run().is_some_and(|before| Some(before) != gateway.run().as_ref()) {
        return BTreeMap::new();
    }
    // By its gateway's clock it was attached after the last look: a client came and went between the two.
    let came_and_went = |row: &Session| {
        let detached = row.detached_for.map(|span| gateway.seen.asked.before(span));
        detached.zip(memory.looked).is_some_and(|(detached, looked)| detached.since(looked) > COARSE)
    };
    // All of its workers were started since.
    let was_resumed = |row: &Session| {
        let (named, key) = (row.named_worker(), row.worker_key());
        let carries = |pid: Pid| named.is_none() && key.is_some() && gateway.key_of(pid) == key;
        let is_its = |pid: &Pid| named == Some(*pid) || carries(*pid);
        let mut workers = gateway.workers().filter(is_its).filter_map(|pid| world.alive(pid)).peekable();
        workers.peek().is_some() && workers.all(|worker| !world.known.contains_key(&worker.identity))
    };
    let is_away = |row: &&Session| {
        row.transport != Told::Known(Transport::Attached) && !came_and_went(row) && !was_resumed(row)
    };
    let listed = gateway.rows.iter().filter(is_away).filter_map(|row| memory.closes.get_key_value(&row.id));
    listed.map(|(id, times)| (id.clone(), *times)).collect()
}
