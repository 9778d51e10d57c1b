//! All victims of a run, torn down together under common deadlines: a hundred stubborn ones take as long as one.
//!
//! A state machine without a clock or a thread of its own: whoever drives it (the runtime in production, a simulated world in tests)
//! passes answers and wake-ups in and gets close orders and deadlines out.

use std::time::Duration;

use crate::domain::ids::{GatewayName, Pid};
use crate::domain::table::CloseAnswer;
use crate::domain::time::Awake;
use crate::domain::warrant::{CloseOrder, Warrant};

use super::kernel::Kernel;
use super::outcome::Ending;
use super::record::Record;
use super::victim::{Hands, Victim};

/// The teardown of a run.
#[derive(Debug)]
pub struct Teardown<H> {
    victims: Vec<Victim<H>>,
    /// So many of them are in hand.
    begun: usize,
}

/// A session that a gateway is to be asked to close.
#[derive(Debug, Clone)]
pub struct CloseRequest {
    /// Whose answer it will be.
    pub victim: usize,
    /// Which gateway.
    pub gateway: GatewayName,
    /// Which session.
    pub order: CloseOrder,
    /// How long the gateway may take.
    pub within: Duration,
}

impl<H> Teardown<H> {
    /// Takes warrants, each with the time its subject had waited. Nothing is done yet.
    #[must_use]
    pub fn new(warrants: Vec<(Warrant, Duration)>) -> Self {
        let victims = warrants.into_iter().map(|(warrant, waited)| Victim::new(warrant, waited)).collect();
        Self { victims, begun: 0 }
    }

    /// The next victim to begin with, if there is one left.
    pub fn next(&self) -> Option<usize> {
        (self.begun < self.victims.len()).then_some(self.begun)
    }

    /// Takes hold of the next victim and makes the first act. Returns its session, if that is to be closed. One by one, so that gateways can
    /// close the first while the last is still being listed.
    pub fn begin_next<K: Kernel<Held = H>, R: Record>(
        &mut self,
        kernel: &mut K,
        record: &mut R,
    ) -> Option<CloseRequest> {
        let index = self.begun;
        let victim = self.victims.get_mut(index)?;
        self.begun += 1;
        if !victim.begin(&mut Hands { kernel, record }) {
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

    /// A gateway answered.
    pub fn answered<K: Kernel<Held = H>, R: Record>(
        &mut self,
        victim: usize,
        answer: CloseAnswer,
        kernel: &mut K,
        record: &mut R,
    ) {
        if let Some(victim) = self.victims.get_mut(victim) {
            victim.answered(&mut Hands { kernel, record }, answer);
        }
    }

    /// Some process of this victim has exited.
    pub fn woken<K: Kernel<Held = H>, R: Record>(&mut self, victim: usize, kernel: &mut K, record: &mut R) {
        if let Some(victim) = self.victims.get_mut(victim) {
            victim.step(&mut Hands { kernel, record });
        }
    }

    /// A deadline may have come.
    pub fn tick<K: Kernel<Held = H>, R: Record>(&mut self, kernel: &mut K, record: &mut R) {
        let now = kernel.now();
        for victim in &mut self.victims {
            if victim.deadline().is_some_and(|deadline| deadline <= now) {
                victim.step(&mut Hands { kernel, record });
            }
        }
    }

    /// Looks for what came from the trees and lost its way to them, once for all victims when no other is left to wait for.
    pub fn comb<K: Kernel<Held = H>, R: Record>(&mut self, kernel: &mut K, record: &mut R) {
        while self.victims.iter().any(Victim::is_combing)
            && self.victims.iter().all(|victim| victim.is_done() || victim.is_combing())
        {
            let combing = self.victims.iter().filter(|victim| victim.is_combing());
            let leaders: Vec<Pid> = combing.flat_map(Victim::leaders).collect();
            let found = if leaders.is_empty() { Ok(Vec::new()) } else { kernel.led_by(&leaders) };
            for victim in self.victims.iter_mut().filter(|victim| victim.is_combing()) {
                let mut hands = Hands { kernel, record };
                match &found {
                    Ok(found) => victim.stragglers(&mut hands, found),
                    Err(error) => victim.fail_comb(&mut hands, error),
                }
            }
        }
    }

    /// When to call [`tick`](Self::tick) at the latest.
    pub fn deadline(&self) -> Option<Awake> {
        self.victims.iter().filter_map(Victim::deadline).min()
    }

    /// Whether all of it is over.
    pub fn is_done(&self) -> bool {
        self.victims.iter().all(Victim::is_done)
    }

    /// The holds of everybody who is still there, by victim and place: those whose exit is waited for.
    pub fn alive(&self) -> impl Iterator<Item = ((usize, usize), &H)> {
        let victims = self.victims.iter().enumerate();
        victims.flat_map(|(index, victim)| victim.alive().map(move |(place, held)| ((index, place), held)))
    }

    /// The same for one victim.
    pub fn alive_of(&self, victim: usize) -> impl Iterator<Item = ((usize, usize), &H)> {
        let victims = self.victims.get(victim).into_iter();
        victims.flat_map(move |found| found.alive().map(move |(place, held)| ((victim, place), held)))
    }

    /// The endings, in the order of the warrants.
    pub fn into_endings(self) -> Vec<Option<Ending>> {
        self.victims.into_iter().map(|victim| victim.ending).collect()
    }
}
