//! What becomes of families: what goes with a worker or a session that is ended, and what is left of those that are gone.

use std::collections::HashSet;
use std::time::Duration;

use super::{Families, Family, MOST, Whose, rows_anywhere, worker_above};
use crate::domain::decide::world::{Standing, World};
use crate::domain::decide::{clock, doubts, quota};
use crate::domain::ids::{Pid, SessionId};
use crate::domain::ledger::{FamilyMemory, GatewayMemory, WorkerClock};
use crate::domain::orphan::OrphanKind;
use crate::domain::policy::Workers;
use crate::domain::process::{Process, ProcessIdentity};
use crate::domain::verdict::{CLIENT, Judged, Keep, Protection, Subject, WORKER_BUSY};
use crate::domain::warrant::Warrant;

impl<'a> Families<'_, 'a> {
    /// What goes with this worker and isn't below it any more.
    pub(in crate::domain::decide) fn strays_of(
        &self,
        gateway: usize,
        worker: ProcessIdentity,
    ) -> Vec<ProcessIdentity> {
        let family = self.by_worker.get(&worker).map(|place| &self.all[*place]);
        let members = family.into_iter().flat_map(|family| &family.members);
        let strays = members.filter(|member| worker_above(self.world, self.owners, member).is_none());
        let may_go = strays.filter(|stray| self.protects(gateway, stray).is_none());
        may_go.map(|stray| stray.identity).collect()
    }

    /// Whether this process is a worker's helper.
    pub(in crate::domain::decide) fn has(&self, process: &ProcessIdentity) -> bool {
        self.all.iter().any(|family| family.members.iter().any(|member| member.identity == *process))
    }

    /// Whether this worker was of a session that is listed.
    pub(in crate::domain::decide) fn is_of_a_listed_session(
        &self,
        gateway: usize,
        worker: &ProcessIdentity,
    ) -> bool {
        let family = self.by_worker.get(worker).map(|place| &self.all[*place]);
        let of = &self.world.gateways[gateway];
        family.is_some_and(|family| family.whose.sessions.iter().any(|session| of.lists(session)))
    }

    /// Whether a gateway lists a session that has a name of this worker.
    pub(in crate::domain::decide) fn is_listed_anywhere(&self, worker: &ProcessIdentity) -> bool {
        let memory = self.by_worker.get(worker).and_then(|place| self.all[*place].memory);
        memory.is_some_and(|memory| !rows_anywhere(self.world, memory).is_empty())
    }

    /// What goes with this session, of workers that are gone; and one of those.
    pub(in crate::domain::decide) fn left_of(
        &self,
        gateway: usize,
        session: &SessionId,
    ) -> (Vec<ProcessIdentity>, Option<ProcessIdentity>) {
        let of = &self.world.gateways[gateway];
        let places = self.left_of.get(&(gateway, session)).map(Vec::as_slice).unwrap_or_default();
        // Which of two sessions it belonged to can't be told.
        let is_one = |whose: &Whose<'_>| whose.sessions.len() == 1 && whose.is_alone;
        let is_its_own =
            |family: &&Family<'_>| is_one(&family.whose) && of.can_check() && !of.has_obscure_row();
        let left = places.iter().map(|place| &self.all[*place]).filter(is_its_own);
        let worker = left.clone().next().map(|family| family.worker);
        let may_go = |member: &&&Process| self.protects(gateway, member).is_none();
        let left = left.flat_map(|family| &family.members).filter(may_go);
        (left.map(|member| member.identity).collect(), worker)
    }

    /// Why this member is not ended.
    fn protects(&self, gateway: usize, member: &Process) -> Option<Keep> {
        let pid = member.identity.pid;
        let above = || self.owners.listed_below(pid).map(|other| Protection::Above { pid, other });
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
            Some(Keep::Held(vec![WORKER_BUSY.into()]))
        } else if self.world.view().served.contains(&root.identity.pid) {
            Some(Keep::Held(vec![CLIENT.into()]))
        } else if is_served {
            let why = "its worker is gone and its gateway isn't: it may have been left there on purpose";
            Some(Keep::UnknownState(why.into()))
        } else {
            None
        }
    }

    /// Why the session of another gateway may have what this worker left, where it isn't known to have been of this one's alone.
    fn may_be_anothers(&self, index: usize, family: &Family<'_>) -> Option<Keep> {
        let memory = family.memory.filter(|memory| !memory.is_alone)?;
        let name = |index: usize| &self.world.gateways[index].seen.name;
        let row = rows_anywhere(self.world, memory).into_iter().find(|(gateway, _)| *gateway != index);
        let listed = row.map(|(gateway, id)| {
            let why = format!("it may be of session {:?} of gateway {}", id.as_str(), name(gateway));
            Keep::UnknownState(why.into())
        });
        let is_unread = |other: &usize| {
            *other != index && matches!(self.world.gateways[*other].standing, Standing::NotTrusted(_))
        };
        listed.or_else(|| {
            let unread = (0..self.world.gateways.len()).find(is_unread)?;
            let why = format!("it may be of gateway {}, which gives no table", name(unread));
            Some(Keep::TableNotTrusted(why.into()))
        })
    }

    /// Whose a parentless worker was may be unknown, and its argv is gone with it: then the longest grace of all.
    fn grace(&self, index: usize, kind: OrphanKind) -> Duration {
        let graces = self.world.gateways.iter().map(|gateway| gateway.rules.policy.worker_grace);
        let all = || graces.max().unwrap_or_default();
        let own = || self.world.gateways[index].rules.policy.worker_grace;
        if kind == OrphanKind::ParentlessWorker { all() } else { own() }
    }

    /// Judges what is left of workers that are gone, of no session that is listed; and remembers all families. `elsewhere`: processes that
    /// are judged with an unfinished teardown of a worker that is gone.
    pub(in crate::domain::decide) fn judge(
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
            let is_ours = family.is_left && !family.whose.sessions.iter().copied().any(is_listed);
            let clock = if is_ours { self.judge_left(index, family, &members, &mut found) } else { None };
            // Also those that are judged elsewhere: by which names they are held is told by nothing else.
            let members = family.members.iter().map(|member| member.identity);
            let mut members: Vec<_> = members.chain(family.unseen.iter().copied()).take(MOST).collect();
            members.sort_unstable();
            if !members.is_empty() || family.is_held(self.world) {
                remembered.families.push(FamilyMemory {
                    worker: family.worker,
                    sessions: family.whose.sessions.iter().copied().cloned().collect(),
                    names: family.whose.names.iter().map(|name| (*name).into()).collect(),
                    is_alone: family.whose.is_alone,
                    may_be_of: family.whose.may_be_of.iter().copied().cloned().collect(),
                    key: family.key.map(Into::into),
                    orphan: family.whose.orphan,
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
        let kind = match (family.whose.orphan, gateway.standing) {
            (Some(kind @ (OrphanKind::Leftover | OrphanKind::ParentlessWorker)), _) => kind,
            (_, Standing::Current) => OrphanKind::OwnerlessWorker,
            (_, Standing::Gone | Standing::NotTrusted(_)) => OrphanKind::ParentlessWorker,
        };
        // A table's numbers mean nothing here where its gateway's process isn't found. A kind whose workers tell their server themselves has no
        // such numbers; without a process it is gone.
        let elsewhere = || {
            let has_numbers = gateway.rules.workers != Workers::LeadersOfGone;
            let is_elsewhere =
                has_numbers && kind == OrphanKind::OwnerlessWorker && gateway.process.is_none();
            is_elsewhere.then(doubts::no_process)
        };
        // It may be of a program that is none of the configured gateways.
        let unknown = || {
            let why = format!(
                "it was below worker {}, which is gone, and whose that was isn't known",
                family.worker.pid
            );
            let is_known = !family.whose.sessions.is_empty() || family.whose.orphan.is_some();
            (!is_known).then(|| Keep::UnknownState(why.into()))
        };
        // Another gateway's session may have had it, too.
        let shared = || self.may_be_anothers(index, family);
        // Its session may be one of a process that gives no table any more.
        let replaced =
            || family.whose.orphan.is_none().then(|| doubts::of_replaced(self.world, index)).flatten();
        // Each gateway that may have started its worker may want it, or be on trial.
        let is_among = |of: &usize| family.whose.may_be_of.contains(&&self.world.gateways[*of].seen.name);
        let others = move || (0..self.world.gateways.len()).filter(move |of| *of != index);
        let may_be_of = || [index].into_iter().chain(others().filter(is_among));
        let is_of_any = family.memory.is_some_and(FamilyMemory::may_be_of_any);
        let is_told = others().filter(|of| is_of_any || is_among(of)).chain([index]);
        let is_told = is_told.into_iter().any(|of| self.world.gateways[of].rules.policy.dry_run);
        let before = family.memory.and_then(|memory| memory.clock);
        let clock = clock::of_family(self.world, gateway, before, kind);
        let grace = self.grace(index, kind);
        let name = |gateway: usize| self.world.gateways[gateway].seen.name.clone();
        let mut is_orphan = false;
        for root in roots(self.world, members) {
            let (identity, rss_bytes) = (root.identity, root.rss_bytes);
            let subject = Subject::Worker { key: None, identity };
            // What covers its session covers what is left of it.
            let key = family.key.or_else(|| family.whose.sessions.first().map(|id| id.as_str()));
            let of_family = |judged: Judged| Judged { key: key.map(Into::into), ..judged };
            let keep = self.protects(index, root);
            if let Some(keep) = keep
                .or_else(unknown)
                .or_else(elsewhere)
                .or_else(shared)
                .or_else(replaced)
                .or_else(|| self.may_be_wanted(index, root))
                .or_else(|| may_be_of().find_map(|gateway| doubts::of(self.world, gateway, root)))
            {
                found.push(of_family(Judged::keep(subject, rss_bytes, keep)));
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
                by_themselves: true,
                is_told,
                may_be_of: if is_of_any { Vec::new() } else { may_be_of().map(name).collect() },
                failures: Some(clock.failures),
                ..gateway.warrant(kind)
            };
            let waited = gateway.seen.asked.since(clock.since);
            let verdict = quota::after(grace, waited, warrant);
            found.push(of_family(Judged::new(subject, rss_bytes, verdict)));
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
