//! What the victims of a teardown wait for, kept up to date: of a thousand victims an event concerns one, and the others aren't asked again.

use std::collections::BTreeSet;

use crate::domain::time::Awake;

/// How far a victim is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Under way, or not begun.
    Open,
    /// It waits for the search that is made for all.
    Searching,
    /// Over.
    Done,
}

/// Of all victims, by their places.
#[derive(Debug)]
pub(super) struct Agenda {
    stages: Vec<Stage>,
    deadlines: Vec<Option<Awake>>,
    by_deadline: BTreeSet<(Awake, usize)>,
    searching: usize,
    done: usize,
}

impl Agenda {
    /// Nothing is begun.
    pub(super) fn new(victims: usize) -> Self {
        Self {
            stages: vec![Stage::Open; victims],
            deadlines: vec![None; victims],
            by_deadline: BTreeSet::new(),
            searching: 0,
            done: 0,
        }
    }

    /// How far a victim is now, and when it wants to be woken at the latest.
    pub(super) fn set(&mut self, victim: usize, stage: Stage, deadline: Option<Awake>) {
        let before = std::mem::replace(&mut self.stages[victim], stage);
        self.searching =
            self.searching + usize::from(stage == Stage::Searching) - usize::from(before == Stage::Searching);
        self.done = self.done + usize::from(stage == Stage::Done) - usize::from(before == Stage::Done);
        let before = std::mem::replace(&mut self.deadlines[victim], deadline);
        if before != deadline {
            before.map(|before| self.by_deadline.remove(&(before, victim)));
            deadline.map(|deadline| self.by_deadline.insert((deadline, victim)));
        }
    }

    /// When the first of them wants to be woken.
    pub(super) fn first(&self) -> Option<Awake> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// Those that want to be woken by now, in their order.
    pub(super) fn due(&self, now: Awake) -> Vec<usize> {
        let due = self.by_deadline.range(..=(now, usize::MAX));
        let mut victims: Vec<usize> = due.map(|(_, victim)| *victim).collect();
        victims.sort_unstable();
        victims
    }

    /// Those that wait for the search, if all others are over.
    pub(super) fn to_search(&self) -> Vec<usize> {
        if self.searching == 0 || self.searching + self.done < self.stages.len() {
            return Vec::new();
        }
        (0..self.stages.len()).filter(|victim| self.stages[*victim] == Stage::Searching).collect()
    }

    /// Whether all of them are over.
    pub(super) fn is_over(&self) -> bool {
        self.done == self.stages.len()
    }
}
