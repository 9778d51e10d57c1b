//! Another look at what the decision rested on, where it got old or an answer is missing.

use super::{Phase, Victim};
use crate::domain::table::CloseAnswer;
use crate::reap::event::Recheck;
use crate::reap::outcome::Outcome;
use crate::reap::world::World;

/// How often a victim is looked at again in one run: on a machine that is too slow for it, the next run has to do.
const RECHECKS: u32 = 3;

impl<H> Victim<H> {
    /// Whether another look is to be taken, which is said once.
    pub(in crate::reap) fn asks_for_recheck(&mut self) -> bool {
        match &mut self.phase {
            Phase::Rechecking { asked, .. } | Phase::Unanswered { asked, .. } => {
                !std::mem::replace(asked, true)
            }
            _ => false,
        }
    }

    /// What the other look found.
    pub(in crate::reap) fn rechecked<W: World<Held = H>>(&mut self, world: &mut W, verdict: Recheck) {
        match &mut self.phase {
            Phase::Rechecking { course, .. } => {
                let course = *course;
                match verdict {
                    Recheck::Lapsed { why } => self.finish(world, Outcome::Spared { why }),
                    Recheck::Gone => self.finish(world, Outcome::Gone),
                    Recheck::Stands { .. } if self.rechecks >= RECHECKS => {
                        let why = "its table was too old for a signal each time it was read; the next run tries again";
                        self.finish(world, Outcome::Spared { why: why.into() });
                    }
                    Recheck::Stands { until } => {
                        self.rechecks += 1;
                        self.valid_until = until;
                        self.terminate(world, course);
                    }
                }
            }
            Phase::Unanswered { why, unheld, .. } => {
                let (why, unheld) = (std::mem::take(why), unheld.take());
                match verdict {
                    Recheck::Lapsed { why } => self.finish(world, Outcome::Spared { why }),
                    Recheck::Stands { .. } => self.finish(world, Outcome::Failed { why }),
                    Recheck::Gone => {
                        self.phase = Phase::Closing { unheld };
                        self.answered(world, CloseAnswer::Gone);
                    }
                }
            }
            _ => {}
        }
    }
}
