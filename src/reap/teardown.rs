//! All victims of a run, torn down together under common deadlines: a hundred stubborn ones take as long as one.
//!
//! A state machine without a clock or a thread of its own. Its driver (the runtime in production, a simulated world in tests) tells it
//! what happened and does what it answers; the answers of gateways are told before the exits of processes.

use std::time::Duration;

use crate::domain::ids::Pid;
use crate::domain::process::ProcessIdentity;
use crate::domain::warrant::Warrant;

use super::event::{CloseRequest, Event, Next, Place, Question, Then};
use super::outcome::Ending;
use super::victim::Victim;
use super::world::World;

/// The teardown of a run.
#[derive(Debug)]
pub struct Teardown<H> {
    victims: Vec<Victim<H>>,
    /// So many of them were begun.
    begun: usize,
}

impl<H> Teardown<H> {
    /// Takes warrants, each with the time its subject had waited. Nothing is done before the first [`Event::Begin`].
    #[must_use]
    pub fn new(warrants: Vec<(Warrant, Duration)>) -> Self {
        let victims = warrants.into_iter().map(|(warrant, waited)| Victim::new(warrant, waited)).collect();
        Self { victims, begun: 0 }
    }

    /// Takes in what happened, acts on it, and says what to do next.
    pub fn handle<W: World<Held = H>>(&mut self, event: Event, world: &mut W) -> Next {
        let mut close = None;
        match event {
            Event::Begin => close = self.begin(world),
            Event::Answered { victim, answer } => {
                if let Some(victim) = self.victims.get_mut(victim) {
                    victim.answered(world, answer);
                }
            }
            Event::Exited { victims } => {
                for index in victims {
                    if let Some(victim) = self.victims.get_mut(index) {
                        victim.step(world);
                    }
                }
            }
            Event::Stop => {
                self.begun = self.victims.len();
                for victim in &mut self.victims {
                    victim.end_soon(world);
                }
            }
            Event::Tick => self.tick(world),
            Event::Rechecked { victim, verdict } => {
                if let Some(victim) = self.victims.get_mut(victim) {
                    victim.rechecked(world, verdict);
                }
            }
        }
        self.search(world);
        self.next(close)
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

    fn tick<W: World<Held = H>>(&mut self, world: &mut W) {
        let now = world.now();
        for victim in &mut self.victims {
            if victim.deadline().is_some_and(|deadline| deadline <= now) {
                victim.step(world);
            }
        }
    }

    /// Searches for re-parented descendants of the trees, once for all victims when no other is left to wait for.
    fn search<W: World<Held = H>>(&mut self, world: &mut W) {
        while self.victims.iter().any(Victim::is_searching)
            && self.victims.iter().all(|victim| victim.is_done() || victim.is_searching())
        {
            let searching = self.victims.iter().filter(|victim| victim.is_searching());
            let leaders: Vec<Pid> = searching.flat_map(Victim::leaders).collect();
            let found = if leaders.is_empty() { Ok(Vec::new()) } else { world.led_by(&leaders) };
            let is_marked = self.victims.iter().any(|victim| victim.is_searching() && victim.is_marked());
            let marked = if is_marked { world.marked() } else { Ok(Vec::new()) };
            for victim in self.victims.iter_mut().filter(|victim| victim.is_searching()) {
                match (&found, &marked) {
                    (Ok(found), Ok(marked)) => victim.found(world, found, marked),
                    (Err(error), _) | (_, Err(error)) => victim.fail_with(world, error),
                }
            }
        }
    }

    fn next(&mut self, close: Option<CloseRequest>) -> Next {
        let (mut deadline, mut done) = (None, self.begun >= self.victims.len());
        let (mut wait_for, mut recheck) = (Vec::new(), Vec::new());
        // Of a thousand, those that are not begun have nothing to say yet, after each of a thousand events.
        for (index, victim) in self.victims.iter_mut().enumerate().take(self.begun) {
            if victim.is_done() {
                continue;
            }
            done = false;
            deadline = deadline.into_iter().chain(victim.deadline()).min();
            recheck.extend(victim.question().map(|closed| Question { victim: index, closed }));
            wait_for.extend(victim.not_waited_for().map(|member| Place { victim: index, member }));
        }
        let then = if done {
            Then::Done
        } else if self.begun < self.victims.len() {
            Then::Begin
        } else {
            Then::Wait
        };
        Next { close, wait_for, recheck, deadline, then }
    }
}
