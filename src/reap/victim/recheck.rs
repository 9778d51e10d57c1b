//! Another look at what the decision rested on, where it got old or an answer is missing.

use super::{Closed, Phase, Victim};
use crate::domain::process::ProcessIdentity;
use crate::domain::table::CloseAnswer;
use crate::reap::event::Recheck;
use crate::reap::outcome::Outcome;
use crate::reap::world::World;

/// How often a victim is looked at again in one run: on a machine that is too slow for it, the next run has to do.
const RECHECKS: u32 = 3;

impl<H> Victim<H> {
    /// What another look is to say, if one is to be taken, which is asked once: of a closed session what is left to be ended.
    pub(in crate::reap) fn question(&mut self) -> Option<Option<Vec<ProcessIdentity>>> {
        let (course, asked) = match &mut self.phase {
            Phase::Rechecking { course, asked } => (Some(*course), asked),
            Phase::Unanswered { asked, .. } => (None, asked),
            _ => return None,
        };
        let is_closed = course.is_some_and(|course| course.closed.is_some());
        (!std::mem::replace(asked, true)).then(|| is_closed.then(|| self.tree.left().collect()))
    }

    /// What the other look found.
    pub(in crate::reap) fn rechecked<W: World<Held = H>>(&mut self, world: &mut W, verdict: Recheck) {
        match &mut self.phase {
            Phase::Rechecking { course, .. } => {
                let course = *course;
                match verdict {
                    Recheck::Lapsed { why } => self.let_be(world, course, why),
                    Recheck::Wanted { why } if course.closed == Some(Closed::ByUs) => {
                        let why = format!("its gateway said that it closed it, and goes on with it: {why}");
                        self.finish(world, Outcome::Spared { why: why.into() });
                    }
                    Recheck::Wanted { why } => self.let_be(world, course, why),
                    Recheck::Gone => self.finish(world, Outcome::Gone),
                    Recheck::Unknown { why } => self.fail(world, why),
                    Recheck::Stands { .. } if self.rechecks >= RECHECKS => {
                        let why = "its table was too old for a signal each time it was read";
                        self.fail(world, why);
                    }
                    Recheck::Stands { until, claimed } => {
                        self.rechecks += 1;
                        self.valid_until = until;
                        self.warrant.spare(claimed);
                        self.terminate(world, course);
                    }
                }
            }
            Phase::Unanswered { why, unheld, .. } => {
                let (why, unheld) = (std::mem::take(why), unheld.take());
                match verdict {
                    Recheck::Lapsed { why } | Recheck::Wanted { why } => {
                        self.finish(world, Outcome::Spared { why });
                    }
                    Recheck::Stands { .. } | Recheck::Unknown { .. } => self.fail(world, why),
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
