//! What an operator forbids, by hand or in the configuration.

use std::collections::HashMap;
use std::time::Duration;

use super::doubts;
use super::owners::Owners;
use super::world::World;
use crate::domain::ids::GatewayName;
use crate::domain::ledger::{Ledger, Unfinished};
use crate::domain::process::{Process, ProcessIdentity};
use crate::domain::verdict::{HeldBack, Judged, Keep, Subject, Verdict};
use crate::domain::veto::{Scope, Veto, Vetoes};

/// What is forbidden, and by which names it is known.
pub(super) struct ByHand<'a> {
    forbidden: &'a Vetoes,
    /// What remembered workers, and what was seen below them, were called: by key, and by the sessions that they were of.
    called: HashMap<ProcessIdentity, Called<'a>>,
}

/// The names of a worker.
#[derive(Default)]
struct Called<'a> {
    names: Vec<&'a str>,
    /// The gateways that it may have been of.
    by: Vec<&'a GatewayName>,
    /// The teardowns that had it in hand.
    begun: Vec<&'a Unfinished>,
    /// It may have been of any.
    by_any: bool,
}

impl Called<'_> {
    fn may_be_of(&self, gateway: &GatewayName) -> bool {
        self.by_any || self.by.contains(&gateway) || self.begun.iter().any(|begun| begun.may_be_of(gateway))
    }
}

impl<'a> ByHand<'a> {
    pub(super) fn new(forbidden: &'a Vetoes, memory: &'a Ledger) -> Self {
        let mut called: HashMap<ProcessIdentity, Called<'_>> = HashMap::new();
        if !forbidden.0.is_empty() {
            for family in memory.gateways.values().flat_map(|gateway| &gateway.families) {
                for process in family.members.iter().chain([&family.worker]) {
                    let called = called.entry(*process).or_default();
                    called.names.extend(family.all_names());
                    called.by.extend(&family.may_be_of);
                    called.by_any |= family.may_be_of_any();
                }
            }
            for begun in &memory.unfinished {
                for process in begun.members.iter().chain([&begun.worker]) {
                    called.entry(*process).or_default().begun.push(begun);
                }
            }
        }
        Self { forbidden, called }
    }

    /// Why nothing may be done to it, whichever of these gateways it is of. `names`: as it is called besides.
    fn forbid(
        &self,
        world: &World<'_>,
        gateways: &[&GatewayName],
        subject: &Subject,
        names: &[&str],
    ) -> Option<&'a Veto> {
        let mut names = names.to_vec();
        let called = match subject {
            Subject::Worker { identity, .. } => self.called.get(identity),
            Subject::Session { .. } => None,
        };
        names.extend(called.into_iter().flat_map(|called| &called.names));
        let may_be_of = world.gateways.iter().map(|gateway| &gateway.seen.name);
        let may_be_of = may_be_of.filter(|gateway| called.is_some_and(|called| called.may_be_of(gateway)));
        let gateways = gateways.iter().copied().chain(may_be_of);
        Veto::last(gateways.filter_map(|gateway| self.forbidden.forbid(gateway, subject, &names)))
    }

    /// Whether anything is forbidden of a worker whose session has these names.
    pub(super) fn covers(&self, gateway: &GatewayName, worker: ProcessIdentity, names: &[&str]) -> bool {
        let subject = || Subject::Worker { key: None, identity: worker };
        !self.forbidden.0.is_empty() && self.forbidden.forbid(gateway, &subject(), names).is_some()
    }

    /// Why nothing may be done to this worker, where not all is forbidden, whichever gateway has started it.
    pub(super) fn forbids(&self, world: &World<'_>, process: &Process) -> Option<Keep> {
        let veto = self.of_worker(world, process).filter(|veto| veto.scope != Scope::All);
        veto.map(|veto| Keep::ByHand(veto.words.clone()))
    }

    fn of_worker(&self, world: &World<'_>, process: &Process) -> Option<&'a Veto> {
        if self.forbidden.0.is_empty() {
            return None;
        }
        let identity = process.identity;
        world.matching(identity.pid).find_map(|index| {
            let gateway = &world.gateways[index];
            let key = gateway.key_of(identity.pid);
            let subject = Subject::Worker { key: key.map(Into::into), identity };
            self.forbid(world, &[&gateway.seen.name], &subject, &[])
        })
    }

    /// Keeps what is or would be due and is forbidden. Its grace goes on meanwhile.
    pub(super) fn keep(
        &self,
        world: &World<'_>,
        owners: &Owners<'_>,
        gateway: &GatewayName,
        judged: &mut [Judged],
    ) {
        if self.forbidden.0.is_empty() {
            return;
        }
        // A worker without a row may be another gateway's than the one that tells of it.
        let may_be_of = |identity: &ProcessIdentity| {
            let process = world.view().alive(identity)?;
            let started = doubts::may_have_started(world, process, owners.position_of(identity.pid));
            Some(started.into_iter().map(|index| &world.gateways[index].seen.name).collect::<Vec<_>>())
        };
        keep(judged, |judged| {
            let mut gateways = vec![gateway];
            if let Subject::Worker { identity, .. } = &judged.subject {
                gateways.extend(may_be_of(identity).into_iter().flatten());
            }
            // What would go with it may be held by itself.
            let along = || match &judged.verdict {
                Verdict::Reap { warrant, .. } => {
                    let along = warrant.remnants.iter().filter_map(|along| world.view().alive(along));
                    along.filter_map(|along| self.of_worker(world, along)).next()
                }
                _ => None,
            };
            let mut names: Vec<&str> = judged.key.as_deref().into_iter().collect();
            if let Subject::Session { id, worker: Some(pid) } = &judged.subject {
                names.extend(judged.key.is_none().then_some(id.as_str()));
                names.extend(world.matching(*pid).filter_map(|index| world.gateways[index].key_of(*pid)));
                let identity = world.alive(*pid).map(|process| process.identity);
                names.extend(
                    identity.and_then(|it| self.called.get(&it)).into_iter().flat_map(|it| &it.names),
                );
            }
            self.forbid(world, &gateways, &judged.subject, &names).or_else(along)
        });
    }
}

/// The same of what was decided already.
pub(super) fn keep_of(gateway: &GatewayName, judged: &mut [Judged], forbidden: &Vetoes) {
    keep(judged, |judged| {
        let names: Vec<&str> = judged.key.as_deref().into_iter().collect();
        forbidden.forbid(gateway, &judged.subject, &names)
    });
}

fn keep<'v>(judged: &mut [Judged], forbid: impl Fn(&Judged) -> Option<&'v Veto>) {
    let mut of_sessions = HashMap::new();
    for judged in judged {
        let veto = forbid(judged);
        let worker = judged.subject.worker_pid();
        if let (Subject::Session { .. }, Some(veto), Some(worker)) = (&judged.subject, veto, worker) {
            of_sessions.insert(worker, veto);
        }
        // A session's worker may be listed besides, where it is idle: what covers the one covers the other.
        let of_session = || worker.and_then(|worker| of_sessions.get(&worker).copied());
        let Some(veto) = veto.or_else(of_session) else { continue };
        if veto.scope != Scope::All {
            judged.by_hand.get_or_insert_with(|| veto.words.clone());
        }
        let remaining = match judged.verdict {
            Verdict::Keep(_) => None,
            Verdict::Wait { remaining, .. } => Some(remaining),
            Verdict::Deferred { .. } | Verdict::Reap { .. } => Some(Duration::ZERO),
        };
        if let Some(remaining) = remaining {
            judged.about.held_back = Some(HeldBack { remaining, until: veto.until });
            judged.verdict = Verdict::Keep(Keep::ByHand(veto.words.clone()));
        }
    }
}
