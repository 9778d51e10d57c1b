//! All victims of a run, torn down together under common deadlines: a hundred stubborn ones take as long as one.
//!
//! A state machine without a clock or a thread of its own. Its driver (the runtime in production, a simulated world in tests) tells it
//! what happened and does what it answers; the answers of gateways are told before the exits of processes.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::ids::Pid;
use crate::domain::process::{ProcessIdentity, Said};
use crate::domain::warrant::Warrant;

use super::agenda::{Agenda, Stage};
use super::event::{CloseRequest, Event, Next, Place, Question, Then};
use super::kernel::Mark;
use super::outcome::Ending;
use super::victim::Victim;
use super::world::World;

/// The teardown of a run.
#[derive(Debug)]
pub struct Teardown<H> {
    victims: Vec<Victim<H>>,
    /// So many of them were begun.
    begun: usize,
    /// Marks that say nothing any more, and that further victims may have.
    withdrawn: Vec<Mark>,
    agenda: Agenda,
}

impl<H> Teardown<H> {
    /// Takes warrants, each with the time its subject had waited. Nothing is done before the first [`Event::Begin`].
    #[must_use]
    pub fn new(warrants: Vec<(Warrant, Duration)>) -> Self {
        let victims: Vec<_> =
            warrants.into_iter().map(|(warrant, waited)| Victim::new(warrant, waited)).collect();
        let agenda = Agenda::new(victims.len());
        Self { victims, begun: 0, withdrawn: Vec::new(), agenda }
    }

    /// The same, knowing what the processes said when they were judged; the others say it when they are held.
    #[must_use]
    pub fn knowing(mut self, said: &HashMap<ProcessIdentity, Said>) -> Self {
        self.victims.iter_mut().for_each(|victim| victim.judged(said));
        self
    }

    /// Takes in what happened, acts on it, and says what to do next.
    pub fn handle<W: World<Held = H>>(&mut self, event: Event, world: &mut W) -> Next {
        let mut next =
            Next { close: None, wait_for: Vec::new(), recheck: Vec::new(), deadline: None, then: Then::Wait };
        match event {
            Event::Begin => {
                let index = self.begun;
                next.close = self.begin(world);
                self.note(index, &mut next);
            }
            Event::Answered { victim, answer } => {
                self.with(victim, &mut next, |it| it.answered(world, answer));
            }
            Event::Exited { victims } => {
                for victim in victims {
                    self.with(victim, &mut next, |it| it.step(world));
                }
            }
            Event::Stop => {
                self.begun = self.victims.len();
                for victim in 0..self.victims.len() {
                    self.with(victim, &mut next, |it| it.end_soon(world));
                }
            }
            Event::Tick => {
                let now = world.now();
                for victim in self.agenda.due(now) {
                    self.with(victim, &mut next, |it| it.step(world));
                }
                // One look for all that want one soon.
                if !next.recheck.is_empty() {
                    for victim in 0..self.begun {
                        self.with(victim, &mut next, |it| it.look_along(now));
                    }
                }
            }
            Event::Rechecked { victim, verdict } => {
                self.with(victim, &mut next, |it| it.rechecked(world, verdict));
            }
        }
        self.mark_again(world);
        self.search(world, &mut next);
        self.mark_again(world);
        next.deadline = self.agenda.first();
        next.then = if self.begun < self.victims.len() {
            Then::Begin
        } else if self.agenda.is_over() {
            world.unmark_heirs();
            Then::Done
        } else {
            Then::Wait
        };
        next
    }

    /// Does this to a victim, and notes what came of it.
    fn with(&mut self, index: usize, next: &mut Next, act: impl FnOnce(&mut Victim<H>)) {
        if let Some(victim) = self.victims.get_mut(index) {
            act(victim);
            self.note(index, next);
        }
    }

    /// Gives another mark to those that share one which was withdrawn.
    fn mark_again<W: World<Held = H>>(&mut self, world: &mut W) {
        for mark in std::mem::take(&mut self.withdrawn) {
            for victim in self.victims.iter_mut().filter(|victim| !victim.is_done()) {
                victim.mark_again(world, mark);
            }
        }
    }

    /// Notes what a victim waits for and asks for by now.
    fn note(&mut self, index: usize, next: &mut Next) {
        let Some(victim) = self.victims.get_mut(index) else { return };
        self.withdrawn.extend(victim.take_withdrawn());
        let stage = if victim.is_done() {
            Stage::Done
        } else if victim.is_searching() {
            Stage::Searching
        } else {
            Stage::Open
        };
        let is_open = stage != Stage::Done;
        self.agenda.set(index, stage, victim.deadline().filter(|_| is_open));
        if is_open {
            let question = victim.question();
            let question =
                question.map(|(under_way, has_news)| Question { victim: index, under_way, has_news });
            next.recheck.extend(question);
            next.wait_for.extend(victim.not_waited_for().map(|member| Place { victim: index, member }));
        }
    }

    /// The warrant of a victim.
    pub fn warrant(&self, victim: usize) -> Option<&Warrant> {
        self.victims.get(victim).map(Victim::warrant)
    }

    /// The hold of a process that is to be waited for, while it isn't known to be gone.
    pub fn held(&self, place: Place) -> Option<&H> {
        self.victims.get(place.victim)?.held(place.member)
    }

    /// The endings, in the order of the warrants; none of what isn't over.
    pub fn into_endings(self) -> Vec<Option<Ending>> {
        self.victims.into_iter().map(Victim::into_ending).collect()
    }

    /// Takes hold of the next victim and makes the first act.
    fn begin<W: World<Held = H>>(&mut self, world: &mut W) -> Option<CloseRequest> {
        let index = self.begun;
        if index == 0 {
            world.expect(self.victims.len());
            self.measure(world);
        }
        let victim = self.victims.get_mut(index)?;
        self.begun += 1;
        if !victim.begin(world) {
            return None;
        }
        let warrant = victim.warrant();
        Some(CloseRequest {
            victim: index,
            gateway: warrant.gateway().clone(),
            order: warrant.session()?.clone(),
            within: warrant.close_timeout(),
        })
    }

    /// Reads the memory of all before the first act: with each process that ends, the shares of the others grow.
    fn measure<W: World<Held = H>>(&mut self, world: &mut W) {
        let named: Vec<ProcessIdentity> = self.victims.iter().flat_map(Victim::named).collect();
        let memory = world.memory_of_all(&named);
        for victim in &mut self.victims {
            victim.measured(&memory);
        }
    }

    /// Searches for re-parented descendants of the trees, once for all victims when no other is left to wait for.
    fn search<W: World<Held = H>>(&mut self, world: &mut W, next: &mut Next) {
        loop {
            let searching = self.agenda.to_search();
            if searching.is_empty() {
                return;
            }
            let leaders: Vec<Pid> =
                searching.iter().flat_map(|index| self.victims[*index].leaders()).collect();
            let found = if leaders.is_empty() { Ok(Vec::new()) } else { world.led_by(&leaders) };
            let is_marked = searching.iter().any(|index| self.victims[*index].is_marked());
            let marked = if is_marked { world.marked() } else { Ok(Vec::new()) };
            for index in searching {
                self.with(index, next, |victim| match (&found, &marked) {
                    (Ok(found), Ok(marked)) => victim.found(world, found, marked),
                    (Err(error), _) | (_, Err(error)) => victim.fail_with(world, error),
                });
            }
        }
    }
}
