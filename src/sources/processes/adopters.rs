//! Who adopts, and which of an adopter's children are new since the last look.
//!
//! An orphan goes to one of its own ancestors or to init, so only the ancestors of gateways and of known workers matter here; of these, the
//! ones that show that they adopt: init, a program known for it, a process that holds an adopted child or that a known worker was seen
//! to come to.

use std::collections::{HashMap, HashSet};

use super::error::ProcessesError;
use super::gathering::Gathering;
use super::kinship::Kinship;
use crate::domain::adoption::{is_known_subreaper, sign};
use crate::domain::ids::Pid;
use crate::domain::process::{Process, ProcessIdentity};

/// Adopters, each with its children that were looked at.
#[derive(Debug, Default)]
pub(super) struct Adopters {
    seen: HashMap<ProcessIdentity, HashSet<Pid>>,
    /// The parents that known processes had at the last look.
    parents: HashMap<ProcessIdentity, Pid>,
    /// The children of process 1 that an earlier run looked at. One that has the PID of one of them by now is found by the next whole look.
    passed_over: HashSet<Pid>,
}

impl Adopters {
    /// The children of process 1 that were looked at and are no workers.
    pub(super) fn passed_over(&self) -> Vec<Pid> {
        let first = self.seen.iter().find(|(adopter, _)| adopter.pid == Pid::INIT);
        let mut children: Vec<Pid> = first.into_iter().flat_map(|(_, children)| children).copied().collect();
        children.sort_unstable();
        children
    }

    /// An earlier run looked at these children of process 1.
    pub(super) fn pass_over(&mut self, children: Vec<Pid>) {
        self.passed_over = children.into_iter().collect();
    }

    /// Remembers the parents of known processes; a new parent of one has adopted it.
    pub(super) fn follow(
        &mut self,
        gathering: &mut Gathering<'_>,
        known: &[ProcessIdentity],
    ) -> Result<(), ProcessesError> {
        let mut parents = HashMap::with_capacity(known.len());
        for identity in known {
            let Some(parent) = gathering.view.alive(identity).and_then(|process| process.parent) else {
                continue;
            };
            let before = self.parents.get(identity);
            if before.is_some_and(|&before| before != parent)
                && let Some(adopter) = gathering.add(parent)?
            {
                self.seen.entry(adopter.identity).or_default();
            }
            parents.insert(*identity, parent);
        }
        self.parents = parents;
        Ok(())
    }

    /// Asks for every child of an adopter that wasn't there at the last look.
    pub(super) fn ask_new(
        &mut self,
        gathering: &mut Gathering<'_>,
        kinship: &Kinship,
    ) -> Result<(), ProcessesError> {
        // What a container's process 1 is called doesn't matter: whatever loses its parent may come to it.
        if let Some(first) = gathering.add(Pid::INIT)?.map(|first| first.identity) {
            let passed_over = std::mem::take(&mut self.passed_over);
            self.seen.entry(first).or_insert(passed_over);
        }
        let adopters: Vec<ProcessIdentity> = self.seen.keys().copied().collect();
        for adopter in adopters {
            let Some(children) = children_of(gathering, adopter, kinship)? else {
                self.seen.remove(&adopter);
                continue;
            };
            let seen = self.seen.entry(adopter).or_default();
            for &child in children.iter().filter(|child| !seen.contains(child)) {
                gathering.ask_if_candidate(child, kinship)?;
            }
            *seen = children.into_iter().collect();
        }
        Ok(())
    }

    /// Finds the adopters among the ancestors of gateways and known processes, after a whole look.
    pub(super) fn learn(
        &mut self,
        gathering: &Gathering<'_>,
        gateways: &[Pid],
        known: &[ProcessIdentity],
        kinship: &Kinship,
    ) {
        let Kinship::Table(table) = kinship else { return };
        let view = &gathering.view;
        let adopting: HashSet<Pid> = view
            .processes
            .values()
            .filter(|process| gathering.was_asked_for(process.identity.pid) && sign(process, view).is_some())
            .filter_map(|process| process.parent)
            .collect();
        let roots = gateways.iter().copied().chain(known.iter().map(|identity| identity.pid));
        let ancestors = roots.flat_map(|root| gathering.line_of(root).into_iter().skip(1));
        let adopts = |process: &&Process| {
            let pid = process.identity.pid;
            let init = pid == Pid::INIT && view.init_is_init;
            init || is_known_subreaper(&process.comm) || adopting.contains(&pid)
        };
        for adopter in ancestors.chain([Pid::INIT]).filter_map(|pid| view.get(pid)).filter(adopts) {
            let children = table.get(&adopter.identity.pid).into_iter().flatten().copied();
            self.seen
                .insert(adopter.identity, children.filter(|&child| gathering.was_asked_for(child)).collect());
        }
    }
}

/// `None`: the adopter is gone.
fn children_of(
    gathering: &mut Gathering<'_>,
    adopter: ProcessIdentity,
    kinship: &Kinship,
) -> Result<Option<Vec<Pid>>, ProcessesError> {
    match gathering.describe(adopter.pid)? {
        Some((dir, process, _)) if process.identity == adopter => {
            kinship.adopted(gathering.proc, &dir).map(Some)
        }
        _ => Ok(None),
    }
}
