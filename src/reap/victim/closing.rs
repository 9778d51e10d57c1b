//! The close of a victim's session: the gateway's answer, and the time its worker has to exit by itself.

use super::polling::Polling;
use super::{Closed, Course, Phase, Victim};
use crate::domain::table::CloseAnswer;
use crate::reap::kernel::KernelError;
use crate::reap::outcome::{Outcome, Step};
use crate::reap::world::World;

impl<H> Victim<H> {
    /// The gateway's answer.
    pub(in crate::reap) fn answered<W: World<Held = H>>(&mut self, world: &mut W, answer: CloseAnswer) {
        let Phase::Closing { unheld } = &mut self.phase else { return };
        let unheld = unheld.take();
        if self.stop_by.is_some() {
            self.end_within(world.now());
        }
        let closed = match answer {
            CloseAnswer::Reaped => Closed::ByUs,
            CloseAnswer::Gone => Closed::Before,
            CloseAnswer::Kept { reason } => return self.finish(world, Outcome::Kept { reason }),
            CloseAnswer::Unasked { why } => {
                self.steps.retain(|step| *step != Step::Close);
                let is_over = self.stop_by.is_some();
                let outcome = if is_over { Outcome::failed(why) } else { Outcome::Spared { why } };
                return self.finish(world, outcome);
            }
            CloseAnswer::Failed { why } => {
                self.phase = Phase::Unanswered { why, unheld, asked: false };
                return;
            }
        };
        // Closed for certain: from here on what is left of its tree is ours to end, also for the next run.
        if closed == Closed::ByUs && !self.note_begun(world, false) {
            return;
        }
        self.tree.dying = closed == Closed::ByUs;
        let now = world.now();
        // A worker whose session was not closed by this run may be another session's by now, and is left alone.
        let polling = (closed == Closed::ByUs).then(|| Polling::from(now));
        let until = now + self.warrant.close_timeout();
        if self.stop_by.is_some() {
            self.end_within(until);
        }
        self.phase = Phase::Exiting { until, closed, unheld, polling };
        self.step(world);
    }

    /// The worker of a closed session is gone, or its time to exit is over.
    pub(super) fn exiting<W: World<Held = H>>(
        &mut self,
        world: &mut W,
        closed: Closed,
        unheld: Option<KernelError>,
    ) {
        let course = Course { closed: Some(closed), rounds: 0 };
        match (self.tree.root_is_left(), closed) {
            (false, _) if self.tree.is_over() => self.exited(world, course, unheld),
            (false, _) | (true, Closed::ByUs) => self.terminate(world, course),
            (true, Closed::Before) => {
                // Not this run closed the session, so its worker may have been given to another, and it is still this one's if its gateway
                // goes on to list it; the next runs will see.
                self.note = Some("its worker is still there, and the next table says whose it is".into());
                self.finish(world, Outcome::Gone);
            }
        }
    }

    /// Nothing is known of the worker's tree any more.
    fn exited<W: World<Held = H>>(&mut self, world: &mut W, course: Course, unheld: Option<KernelError>) {
        // What could not be held is asked after once more: without that nothing says that it is gone.
        if let (Some(_), Some(worker)) = (unheld, self.warrant.worker()) {
            match world.hold(worker) {
                Ok(None) => {}
                Ok(Some(_)) => {
                    return self.fail(world, format!("closed, but its worker {worker} is still there"));
                }
                Err(error) => return self.fail_with(world, &error),
            }
        }
        self.search(course);
    }
}
