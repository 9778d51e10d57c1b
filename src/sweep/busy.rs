//! Workers that are at work though their gateway says that nothing happens: a thread that computes silently in an idle kernel, a child that it
//! started. Where `busy_cpu` holds, what a worker's tree used of a processor since the last look tells, and holds its session.
//!
//! Only the trees of sessions that nothing else keeps are looked at, of those that end with their client, and of workers that a gateway which is
//! gone left behind.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::domain::ids::{GatewayName, Pid, SessionId};
use crate::domain::ledger::{FamilyMemory, GatewayMemory, Ledger};
use crate::domain::observation::GatewayObservation;
use crate::domain::orphan::OrphanKind;
use crate::domain::policy::{CpuShare, Rules, Workers};
use crate::domain::process::{Mark, Process, ProcessIdentity, ProcessView};
use crate::domain::spent::Spent;
use crate::domain::table::{Session, SessionTable, TableView, Told};
use crate::domain::time::Awake;
use crate::domain::verdict::{UNKNOWN_WORKER_BUSY, WORKER_BUSY};
use crate::domain::warrant::Warrant;
use crate::sources::processes::ProcessesError;
use crate::sources::spent::Trees;

/// What is remembered of trees between looks.
#[derive(Debug, Default)]
pub(super) struct Busy {
    trees: Trees,
    spent: BTreeMap<ProcessIdentity, Spent>,
    /// The trees of each session that was measured, at work or not, with what rest is there: as of the last table of its gateway.
    measured: HashMap<GatewayName, HashMap<SessionId, (CpuShare, Vec<ProcessIdentity>)>>,
}

impl Busy {
    /// Takes over what an earlier run saw.
    pub(super) fn recall(&mut self, memory: &Ledger, now: Awake) {
        self.spent.extend(memory.spent.iter().filter(|(_, spent)| spent.at <= now).copied());
    }

    /// For the next run.
    pub(super) fn spent(&self) -> Vec<(ProcessIdentity, Spent)> {
        self.spent.iter().map(|(worker, spent)| (*worker, *spent)).collect()
    }

    /// Looks at the trees that matter, and adds a hold to each session of which one works.
    pub(super) fn look<'a>(
        &mut self,
        gateways: impl Iterator<Item = (&'a mut GatewayObservation, &'a Rules)>,
        view: &mut ProcessView,
        memory: &Ledger,
        now: Awake,
    ) {
        let mut seen = BTreeMap::new();
        let (mut at_work, mut resting) = (Vec::new(), Vec::new());
        for (gateway, rules) in gateways {
            let Some(rest) = rules.policy.busy_cpu else { continue };
            if let TableView::Current(table) = &mut gateway.table {
                let carriers = Carriers::new(view, rules, gateway.process, table);
                let remembered = memory.gateways.get(&gateway.name);
                let mut before = self.measured.remove(&gateway.name).unwrap_or_default();
                for session in table.sessions.iter_mut().filter(|session| session.is_detached_and_idle()) {
                    let mut trees = trees_of(session, &carriers, remembered, view);
                    // What bears its mark anywhere is looked for only where it is due, and is measured from then on.
                    let unseen = before.remove(&session.id).into_iter().flat_map(|(_, workers)| workers);
                    let unseen = unseen.filter(|worker| view.get(worker.pid).is_none());
                    trees.extend(unseen.filter(|worker| self.spent.contains_key(worker)));
                    let is_new = trees.iter().any(|worker| !self.spent.contains_key(worker));
                    self.hold(&gateway.name, session, trees, (rest, now), &mut seen);
                    if is_new && session.is_detached_and_idle() && is_due_by_its_gateway(session, rules) {
                        session.holds = Told::Known(vec![UNKNOWN_WORKER_BUSY.into()]);
                    }
                }
                // One that may be due as soon as its client leaves: what its worker does until then is known only if it is measured before.
                let ends_at_once = |session: &&Session| {
                    session.close_on_disconnect == Told::Known(true) && !session.is_detached_and_idle()
                };
                for session in table.sessions.iter().filter(ends_at_once) {
                    let trees = trees_of(session, &carriers, remembered, view);
                    self.work_of_any(&trees, (rest, now), &mut seen);
                }
                if rules.policy.idle_worker.is_some() {
                    let idle = table.sessions.iter().filter(|session| session.is_idle());
                    for worker in idle.filter_map(|session| view.get(session.named_worker()?)) {
                        let trees = with_strays(worker.identity, remembered, view);
                        if self.work_of_any(&trees, (rest, now), &mut seen).is_none() {
                            resting.push(worker.identity.pid);
                        }
                    }
                }
            }
            if rules.workers == Workers::LeadersOfGone {
                let remembered = memory.gateways.get(&gateway.name);
                let families = remembered.into_iter().flat_map(|remembered| &remembered.families);
                let members = families.flat_map(|family| &family.members).filter_map(|it| view.alive(it));
                let bereft = view.bereft.iter().filter_map(|pid| view.get(*pid));
                for worker in bereft.chain(members.filter(|it| is_left(view, it))) {
                    let trees = with_strays(worker.identity, remembered, view);
                    if self.work_of_any(&trees, (rest, now), &mut seen).is_some() {
                        at_work.push(worker.identity.pid);
                    }
                }
            }
        }
        view.at_work.extend(at_work);
        view.resting.extend(resting);
        // In the middle of a run a gateway may give no table, while closes wait for their turn.
        let sessions = self.measured.values().flat_map(HashMap::values);
        let measured: HashSet<ProcessIdentity> =
            sessions.flat_map(|(_, workers)| workers).copied().chain(seen.into_keys()).collect();
        self.spent.retain(|worker, _| measured.contains(worker));
        self.trees.keep(|worker| measured.contains(worker));
    }

    /// Looks again at the trees of sessions and workers that are due, listed anew: what came since would end with them.
    pub(super) fn look_again<'a>(
        &mut self,
        gateways: impl Iterator<Item = (&'a mut GatewayObservation, &'a Rules)>,
        view: &mut ProcessView,
        memory: &Ledger,
        due: &[&Warrant],
        now: Awake,
    ) {
        let mut seen = BTreeMap::new();
        for (gateway, rules) in gateways {
            let Some(rest) = rules.policy.busy_cpu else { continue };
            let due: Vec<&Warrant> =
                due.iter().copied().filter(|warrant| *warrant.gateway() == gateway.name).collect();
            let remembered = memory.gateways.get(&gateway.name);
            if let TableView::Current(table) = &mut gateway.table {
                let carriers = Carriers::new(view, rules, gateway.process, table);
                let is_due = |session: &&mut Session| {
                    due.iter().filter_map(|warrant| warrant.session()).any(|order| order.id == session.id)
                };
                for session in table.sessions.iter_mut().filter(is_due) {
                    let trees = trees_of(session, &carriers, remembered, view);
                    trees.iter().for_each(|worker| self.trees.forget(worker));
                    self.hold(&gateway.name, session, trees, (rest, now), &mut seen);
                }
            }
            for warrant in due.iter().filter(|warrant| warrant.session().is_none()) {
                let is_idle = warrant.orphan() == OrphanKind::IdleWorker;
                // Of others it is no matter whether they work.
                if !is_idle && rules.workers != Workers::LeadersOfGone {
                    continue;
                }
                for worker in warrant.worker().into_iter().chain(warrant.remnants().iter().copied()) {
                    let trees = with_strays(worker, remembered, view);
                    trees.iter().for_each(|worker| self.trees.forget(worker));
                    if self.work_of_any(&trees, (rest, now), &mut seen).is_none() {
                        continue;
                    }
                    if is_idle {
                        view.resting.remove(&worker.pid);
                    } else {
                        view.at_work.insert(worker.pid);
                    }
                }
            }
        }
    }

    /// Holds a session of which one of these trees works.
    fn hold(
        &mut self,
        gateway: &GatewayName,
        session: &mut Session,
        trees: Vec<ProcessIdentity>,
        (rest, now): (CpuShare, Awake),
        seen: &mut BTreeMap<ProcessIdentity, Option<&'static str>>,
    ) {
        if let Some(hold) = self.work_of_any(&trees, (rest, now), seen) {
            session.holds = Told::Known(vec![hold.into()]);
        }
        self.measured.entry(gateway.clone()).or_default().insert(session.id.clone(), (rest, trees));
    }

    /// Whether a worker of a session that was measured works now: right before its gateway is asked to close it. Another look may have seen
    /// it at work since that was decided.
    pub(super) fn holds_now(
        &mut self,
        gateway: &GatewayName,
        session: &SessionId,
        now: Awake,
    ) -> Option<&'static str> {
        let (rest, workers) = self.measured.get(gateway)?.get(session).cloned()?;
        let mut seen = BTreeMap::new();
        let shown = workers.into_iter().filter_map(|worker| {
            // What it started since is of its tree, too.
            self.trees.forget(&worker);
            self.work_of(worker, rest, now, &mut seen)
        });
        shown.min()
    }

    /// Looks at all of them, so that each is known at the next look.
    fn work_of_any(
        &mut self,
        trees: &[ProcessIdentity],
        (rest, now): (CpuShare, Awake),
        seen: &mut BTreeMap<ProcessIdentity, Option<&'static str>>,
    ) -> Option<&'static str> {
        trees.iter().filter_map(|worker| self.work_of(*worker, rest, now, seen)).min()
    }

    fn work_of(
        &mut self,
        identity: ProcessIdentity,
        rest: CpuShare,
        now: Awake,
        seen: &mut BTreeMap<ProcessIdentity, Option<&'static str>>,
    ) -> Option<&'static str> {
        if let Some(known) = seen.get(&identity) {
            return *known;
        }
        let shown = match self.works(identity, rest, now) {
            Ok(works) => works.then_some(WORKER_BUSY),
            Err(error) => {
                tracing::debug!(worker = %identity, %error, "what a worker's tree used can't be read");
                Some(UNKNOWN_WORKER_BUSY)
            }
        };
        seen.insert(identity, shown);
        shown
    }

    fn works(&mut self, worker: ProcessIdentity, rest: CpuShare, now: Awake) -> Result<bool, ProcessesError> {
        let Some(used) = self.trees.used(worker, now)? else {
            self.spent.remove(&worker);
            return Ok(false);
        };
        match self.spent.get_mut(&worker) {
            Some(spent) => Ok(spent.look(now, used, rest)),
            None => {
                let (spent, runs) = (Spent::new(now, used), self.trees.runs_now(worker)?);
                self.spent.insert(worker, if runs { spent.working() } else { spent });
                Ok(runs)
            }
        }
    }
}

/// Whether the gateway's own clocks say that its grace is over, where it has one. Then what its worker did in that time isn't known at the first
/// look at it: one that computes for a fifth of each second sleeps at four looks of five.
fn is_due_by_its_gateway(session: &Session, rules: &Rules) -> bool {
    let grace = rules.policy.grace_of(session);
    !grace.is_zero() && session.orphaned_for().is_some_and(|orphaned| orphaned >= grace)
}

/// Whose work is a session's: its workers, with all that is below them, what was seen below them and is adopted by now, and what only its mark
/// ties to it. All of that would end with it.
fn trees_of<'a>(
    session: &Session,
    carriers: &Carriers<'a>,
    remembered: Option<&GatewayMemory>,
    view: &'a ProcessView,
) -> Vec<ProcessIdentity> {
    let named = session.named_worker().and_then(|pid| view.get(pid));
    let carrying =
        session.worker_key().and_then(|key| carriers.by_key.get(key)).into_iter().flatten().copied();
    let families = remembered.into_iter().flat_map(|remembered| &remembered.families);
    let families = families.filter(|family| family.sessions.contains(&session.id));
    let strays = families.flat_map(|family| strays(family, view));
    let trees: Vec<&Process> = named.into_iter().chain(carrying).chain(strays).collect();
    let marked = carriers.marked_as(session);
    // What is below another of them is measured with that.
    let roots: BTreeSet<Pid> = trees.iter().chain(&marked).map(|process| process.identity.pid).collect();
    let is_below = |process: &Process| {
        trees.iter().any(|root| root.identity == process.identity)
            || view.ancestors(process).any(|above| roots.contains(&above.identity.pid))
    };
    let apart = marked.iter().copied().filter(|process| !is_below(process));
    trees.iter().copied().chain(apart).map(|process| process.identity).collect()
}

/// What would end with a worker whose session stays, or that has none.
fn with_strays(
    worker: ProcessIdentity,
    remembered: Option<&GatewayMemory>,
    view: &ProcessView,
) -> Vec<ProcessIdentity> {
    let families = remembered.into_iter().flat_map(|remembered| &remembered.families);
    let strays = families.filter(|family| family.worker == worker).flat_map(|family| strays(family, view));
    [worker].into_iter().chain(strays.map(|stray| stray.identity)).collect()
}

/// What was seen below a worker and is adopted by now.
fn strays<'a>(family: &FamilyMemory, view: &'a ProcessView) -> impl Iterator<Item = &'a Process> {
    let members = family.members.iter().filter_map(|member| view.alive(member));
    members.filter(|member| !view.ancestors(member).any(|above| above.identity == family.worker))
}

/// Whether it outlived what it was below.
fn is_left(view: &ProcessView, process: &Process) -> bool {
    process
        .parent
        .is_none_or(|parent| parent == Pid::INIT || view.get(parent).is_none_or(|parent| parent.zombie))
        || view.ancestors(process).all(|above| above.session != process.session)
}

/// What says of itself whose it is.
struct Carriers<'a> {
    /// What looks like a worker, by the key that its argv carries.
    by_key: BTreeMap<&'a str, Vec<&'a Process>>,
    /// What inherited the mark of a session, by the key or id that it has.
    by_mark: BTreeMap<&'a str, Vec<&'a Process>>,
}

impl<'a> Carriers<'a> {
    fn new(
        view: &'a ProcessView,
        rules: &Rules,
        gateway: Option<ProcessIdentity>,
        table: &SessionTable,
    ) -> Self {
        Self { by_key: by_key(view, rules), by_mark: by_mark(view, rules, gateway, table) }
    }

    fn marked_as(&self, session: &Session) -> Vec<&'a Process> {
        let names: BTreeSet<&str> = session.worker_key().into_iter().chain([session.id.as_str()]).collect();
        names.into_iter().filter_map(|name| self.by_mark.get(name)).flatten().copied().collect()
    }
}

/// What rows name is theirs, whatever it inherited; and neither a gateway nor this reaper ends with a session that it was started in.
fn by_mark<'a>(
    view: &'a ProcessView,
    rules: &Rules,
    gateway: Option<ProcessIdentity>,
    table: &SessionTable,
) -> BTreeMap<&'a str, Vec<&'a Process>> {
    let mut marked: BTreeMap<&str, Vec<&Process>> = BTreeMap::new();
    if view.marks.is_empty() {
        return marked;
    }
    let named = table.sessions.iter().filter_map(Session::named_worker);
    let never = gateway.map(|gateway| gateway.pid).into_iter().chain(view.own_line.iter().copied());
    let others: BTreeSet<Pid> = named.chain(never).collect();
    for (pid, marks) in view.marks.iter().filter(|(pid, _)| !others.contains(pid)) {
        let Some(process) = view.get(*pid).filter(|process| !process.zombie) else { continue };
        for mark in marks {
            if let Mark::Session { gateway, key } = mark
                && *gateway == rules.gateway
            {
                marked.entry(key).or_default().push(process);
            }
        }
    }
    marked
}

/// What looks like a worker, by the key that it carries.
fn by_key<'a>(view: &'a ProcessView, rules: &Rules) -> BTreeMap<&'a str, Vec<&'a Process>> {
    let mut workers: BTreeMap<&str, Vec<&Process>> = BTreeMap::new();
    let Some(pattern) = &rules.worker_match else { return workers };
    for process in
        view.processes.values().filter(|process| !process.zombie && process.uid == rules.worker_uid)
    {
        let matched = process.argv.as_deref().and_then(|argv| pattern.matches(argv));
        if let Some(key) = matched.and_then(|matched| matched.key) {
            workers.entry(key).or_default().push(process);
        }
    }
    workers
}
