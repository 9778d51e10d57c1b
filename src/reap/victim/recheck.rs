//! Another look at what the decision rested on, where it got old or an answer is missing.

use std::time::Duration;

use super::{AnotherLook, Closed, Course, Phase, TO_END, Victim};
use crate::domain::process::ProcessIdentity;
use crate::domain::table::CloseAnswer;
use crate::domain::time::Awake;
use crate::domain::warrant::GOOD_FOR;
use crate::reap::event::Recheck;
use crate::reap::outcome::Outcome;
use crate::reap::world::World;

/// How often a victim is looked at again for one signal: on a machine that is too slow for it, the next run has to do.
pub(super) const RECHECKS: u32 = 3;

/// Another look before a later signal is asked for so long before that: it goes on while there is nothing else to do.
const AHEAD: Duration = Duration::from_secs(1);
/// Those that want one within this time after the first take part in its look.
const TOGETHER: Duration = Duration::from_millis(500);

impl<H> Victim<H> {
    /// What another look is to say, if one is to be taken, which is asked once: of what is under way, what is left to be ended. And whether
    /// something has begun there of which any table may tell.
    pub(in crate::reap) fn question(&mut self) -> Option<(Option<Vec<ProcessIdentity>>, bool)> {
        let (is_under_way, was_asked) = match &mut self.phase {
            Phase::Rechecking { course, asked } => (course.closed.is_some(), std::mem::replace(asked, true)),
            Phase::Unanswered { asked, .. } => (false, std::mem::replace(asked, true)),
            Phase::Terminating { .. } if self.look.wanted && !self.look.asked => {
                self.look = AnotherLook { wanted: false, asked: true, is_void: false };
                (true, false)
            }
            _ => return None,
        };
        if was_asked {
            return None;
        }
        let has_news = std::mem::take(&mut self.has_news);
        Some((is_under_way.then(|| self.tree.left().collect()), has_news))
    }

    /// Whether the tables are too old for another signal. Then another look is asked for, and it waits for that.
    pub(super) fn waits_for_look<W: World<Held = H>>(&mut self, world: &mut W) -> bool {
        let is_late = self.signalled && world.now() > self.valid_until;
        self.look.wanted |= is_late && !self.look.is_awaited();
        self.look.is_awaited()
    }

    /// When another look is to be asked for, so that the next signal needn't wait for it.
    pub(super) fn look_ahead_at(&self) -> Option<Awake> {
        let Phase::Terminating { give_up, until, .. } = self.phase else { return None };
        let next = if self.tree.root_is_left() && !self.rest_is_termed() { give_up } else { until };
        // Of what has just begun, the later the look is the more it says.
        let is_wanted =
            self.signalled && self.valid_until < next && !self.look.is_awaited() && !self.has_news;
        is_wanted.then(|| next.before(AHEAD))
    }

    /// Asks for it, if it is time to, or will be within that.
    pub(in crate::reap) fn look_ahead(&mut self, now: Awake, within: Duration) {
        self.look.wanted |= self.look_ahead_at().is_some_and(|at| at <= now + within);
    }

    /// The same, where another asks for one just now.
    pub(in crate::reap) fn look_along(&mut self, now: Awake) {
        self.look_ahead(now, TOGETHER);
    }

    /// What the other look found.
    pub(in crate::reap) fn rechecked<W: World<Held = H>>(&mut self, world: &mut W, verdict: Recheck) {
        // What a look took isn't taken from the time that is left for the signals.
        if let Some(stop_by) = self.stop_by {
            let killed = match self.phase {
                Phase::Terminating { until, .. } => until,
                _ => world.now() + self.warrant.term_timeout(),
            };
            self.stop_by = Some(stop_by.max(killed + TO_END));
        }
        match &mut self.phase {
            Phase::Rechecking { course, .. } => {
                let course = *course;
                if self.stands(world, course, verdict) {
                    self.terminate(world, course);
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
            phase => {
                let course = match phase {
                    Phase::Terminating { course, .. } => Some(*course),
                    _ => None,
                };
                let look = std::mem::replace(&mut self.look.asked, false);
                let is_void = std::mem::replace(&mut self.look.is_void, false);
                let Some(course) = course.filter(|_| look && !is_void) else { return };
                if self.stands(world, course, verdict) {
                    self.step(world);
                }
            }
        }
    }

    /// Takes in what another look found of what is under way; returns whether that may go on.
    fn stands<W: World<Held = H>>(&mut self, world: &mut W, course: Course, verdict: Recheck) -> bool {
        match verdict {
            Recheck::Lapsed { why } => self.let_be(world, course, why),
            Recheck::Wanted { why } if course.closed == Some(Closed::ByUs) => {
                let why = format!("its gateway said that it closed it, and goes on with it: {why}");
                self.finish(world, Outcome::Spared { why: why.into() });
            }
            Recheck::Wanted { why } => self.let_be(world, course, why),
            Recheck::Gone => self.finish(world, Outcome::Gone),
            Recheck::Unknown { why } => self.fail(world, why),
            // A worker that has begun since is let be by then.
            Recheck::Stands { until, .. } if self.rechecks >= RECHECKS && world.now() > until => {
                self.fail(world, "its table was too old for a signal each time it was read");
            }
            Recheck::Stands { until, claimed } => {
                self.rechecks += 1;
                // What has begun since it was asked for is not in it.
                self.valid_until = if self.has_news { Awake::from_nanos(0) } else { until };
                self.looked = until.before(GOOD_FOR);
                self.warrant.spare(claimed);
                return true;
            }
        }
        false
    }
}
