//! What a victim does to processes, and what it writes down of it: every act is announced before it is done.

use std::io;

use super::{Closed, Course, Phase, Victim};
use crate::domain::ledger::Unfinished;
use crate::domain::process::ProcessIdentity;
use crate::reap::kernel::{Delivery, KernelError, Signal};
use crate::reap::outcome::{Ending, Outcome, Step, Survivor};
use crate::reap::tree::{Fitness, Member};
use crate::reap::world::World;

impl<H> Victim<H> {
    /// Signals the root alone, or all that are left and haven't had this signal yet. Where the first signal comes too late for what the
    /// decision rested on, asks for another look instead.
    pub(super) fn signal<W: World<Held = H>>(&mut self, world: &mut W, step: Step, root_only: bool) {
        let signal = if step == Step::Kill { Signal::Kill } else { Signal::Term };
        let mut refused = None;
        for index in 0..self.tree.members.len() {
            let member = &self.tree.members[index];
            let had_it = !member.is_left() || (step == Step::Term && member.termed);
            if had_it || (root_only && index > 0) {
                continue;
            }
            // Asked for before the signal is announced, and again after it: writing it down may have taken long.
            let is_late =
                |victim: &mut Self, world: &mut W| step == Step::Term && victim.wants_recheck(world);
            if is_late(self, world)
                || (step == Step::Term && self.is_forbidden(world))
                || !self.announce_to(world, step, index)
                || is_late(self, world)
            {
                return;
            }
            match self.send(world, signal, index) {
                Ok(()) if self.is_done() => return,
                Ok(()) => {}
                // What is stopped is killed, whatever becomes of one of them.
                Err(error) if step == Step::Kill => refused = refused.or(Some(error)),
                Err(error) => return self.fail_with(world, &error),
            }
        }
        if let Some(error) = refused {
            self.fail_with(world, &error);
        }
    }

    /// Whether an operator forbids another signal by now; then it is let be.
    pub(super) fn is_forbidden<W: World<Held = H>>(&mut self, world: &mut W) -> bool {
        let Some(course) = self.course() else { return false };
        let forbidden = world.forbids(&self.warrant);
        let is_forbidden = forbidden.is_some();
        if let Some(why) = forbidden {
            self.let_be(world, course, why);
        }
        is_forbidden
    }

    /// Sends a signal to one member, if it still is what may be signalled. A worker that isn't ends the teardown.
    pub(super) fn send<W: World<Held = H>>(
        &mut self,
        world: &mut W,
        signal: Signal,
        index: usize,
    ) -> Result<(), KernelError> {
        let fitness = self.tree.fitness(index, world, self.warrant.limits())?;
        let is_root = self.tree.is_root(index);
        let Some(member) = self.tree.members.get_mut(index) else { return Ok(()) };
        match fitness {
            Fitness::Gone => {}
            Fitness::Changed(protection) => {
                self.spare(world, index, &protection.to_string());
                if is_root && let Some(course) = self.course() {
                    self.note = Some(protection.to_string().into());
                    self.let_be(world, course, protection.to_string().into());
                }
            }
            Fitness::Fit => {
                let delivery = world.signal(&member.held, signal);
                match delivery {
                    Ok(Delivery::Gone) => member.has_exited(world),
                    Ok(Delivery::Sent) => {
                        member.stopped |= signal == Signal::Stop;
                        member.killed |= signal == Signal::Kill;
                        member.termed |= signal != Signal::Stop;
                        self.signalled |= signal != Signal::Stop;
                        if signal != Signal::Stop {
                            self.rechecks = 0;
                            self.asked_after_programs = 0;
                        }
                    }
                    Err(_) => {}
                }
                let step = match signal {
                    Signal::Term => Some(Step::Term),
                    Signal::Kill => Some(Step::Kill),
                    Signal::Stop | Signal::Continue => None,
                };
                if let Some(step) = step.filter(|_| !matches!(delivery, Ok(Delivery::Gone))) {
                    self.took(step);
                }
                delivery?;
            }
        }
        Ok(())
    }

    /// Lets a member be, and what is below it.
    pub(super) fn spare<W: World<Held = H>>(&mut self, world: &mut W, index: usize, why: &str) {
        for spared in self.tree.spare(index, world, why.into()) {
            let_go(world, &mut self.tree.members[spared]);
        }
    }

    /// It is wanted, or what was a worker isn't one any more: then what is below it isn't a worker's, either. A session is closed all the same.
    pub(super) fn let_be<W: World<Held = H>>(&mut self, world: &mut W, course: Course, why: Box<str>) {
        // What it has started meanwhile, too, also where nothing of it is known to be left.
        self.tree.unmark(world);
        self.is_let_be = true;
        let Some(closed) = course.closed else { return self.finish(world, Outcome::Spared { why }) };
        self.note = Some(why);
        self.finish(world, closed.into());
    }

    /// Whether it is too late for the first signal without another look: the tables are older than a signal may rest on, or somebody else
    /// closed the session, and what was below its worker may be of its successor.
    pub(super) fn wants_recheck<W: World<Held = H>>(&mut self, world: &mut W) -> bool {
        let Some(course) = self.course().filter(|_| !self.signalled) else { return false };
        let may_be_anothers = course.closed == Some(Closed::Before) && self.rechecks == 0;
        if !may_be_anothers && world.now() <= self.valid_until {
            return false;
        }
        self.phase = Phase::Rechecking { course, asked: false };
        true
    }

    /// Writes down that the teardown of the tree is begun; without that it isn't touched.
    pub(super) fn note_begun<W: World<Held = H>>(&mut self, world: &mut W, asked: bool) -> bool {
        let written = self.write_down(world, asked);
        if let Err(error) = &written {
            self.fail(world, format!("its tree can't be written down, so it is not touched: {error}"));
        }
        written.is_ok()
    }

    /// `asked`: whether its session was to be closed, and no answer is known.
    pub(super) fn write_down<W: World<Held = H>>(&mut self, world: &mut W, asked: bool) -> io::Result<()> {
        let Some(first) = self.tree.members.first() else { return Ok(()) };
        let worker = self.case.worker.unwrap_or(first.identity);
        let tree = Unfinished {
            gateway: self.case.gateway.clone(),
            orphan: self.case.orphan,
            asked: self.case.session.clone().filter(|_| asked),
            worker,
            members: self.tree.identities(),
            stopping: self.stopping,
            may_be_of: self.warrant.may_be_of().to_vec(),
        };
        self.noted = Some(worker);
        world.begun(&tree)
    }

    pub(super) fn announce<W: World<Held = H>>(
        &mut self,
        world: &mut W,
        step: Step,
        on: Option<ProcessIdentity>,
    ) -> bool {
        match world.announce(&self.case, step, on) {
            Ok(()) => {
                // A signal is a step once it is sent: it may be announced and not be fit to be sent any more.
                if step == Step::Close {
                    self.took(step);
                }
                true
            }
            Err(error) => {
                self.fail(
                    world,
                    format!("{step} can't be written to the audit log, so it is not done: {error}"),
                );
                false
            }
        }
    }

    fn took(&mut self, step: Step) {
        if !self.steps.contains(&step) {
            self.steps.push(step);
        }
    }

    /// Announces a signal to one member, once.
    pub(super) fn announce_to<W: World<Held = H>>(
        &mut self,
        world: &mut W,
        step: Step,
        index: usize,
    ) -> bool {
        let Some(member) = self.tree.members.get(index) else { return false };
        let (identity, announced) = (member.identity, member.announced);
        if announced == Some(step) {
            return true;
        }
        let written = self.announce(world, step, Some(identity));
        if let Some(member) = self.tree.members.get_mut(index).filter(|_| written) {
            member.announced = Some(step);
        }
        written
    }

    pub(super) fn fail<W: World<Held = H>>(&mut self, world: &mut W, why: impl Into<Box<str>>) {
        self.finish(world, Outcome::failed(why));
    }

    pub(super) fn finish<W: World<Held = H>>(&mut self, world: &mut W, outcome: Outcome) {
        if self.is_done() {
            return;
        }
        self.let_go(world);
        if !matches!(outcome, Outcome::Reaped) || self.tree.lives_on() {
            self.tree.unmark(world);
        }
        // What its gateway says in vain leaves nothing unfinished: somebody else's close condemns nothing.
        let is_failure = matches!(outcome, Outcome::Failed { .. });
        let outcome = self.weighed(outcome);
        let survivors = self.survivors(world, &outcome);
        let is_closed = matches!(outcome, Outcome::Reaped | Outcome::Gone);
        let left_to_gateway = self.warrant.left_to_gateway().filter(|_| is_closed).map(Into::into);
        let ending = Ending {
            outcome,
            steps: std::mem::take(&mut self.steps),
            reclaimed_bytes: self.tree.ended_bytes(),
            survivors,
            note: self.note.take().or(left_to_gateway),
        };
        world.conclude(&self.case, &ending);
        // What failed stays unfinished for the next run: a close without an answer may have worked, a signal may still be on its way.
        if !is_failure && let Some(worker) = self.noted.take() {
            world.finished(&worker);
        }
        self.phase = Phase::Done(ending);
    }

    /// What an outcome is worth that its gateway's word is part of. A gateway that said before that the session is closed or gone, and listed it
    /// again, is believed no more: what it says now is a failure, until its table shows an effect.
    fn weighed(&self, outcome: Outcome) -> Outcome {
        let times = match self.warrant.closes_without_effect() {
            0 => return outcome,
            1 => "once".into(),
            times => format!("{times} times"),
        };
        let said = match outcome {
            Outcome::Reaped => "closed",
            Outcome::Gone => "gone",
            outcome => return outcome,
        };
        Outcome::failed(format!(
            "its gateway says that it is {said}, as it said {times} before, and listed it again each time"
        ))
    }

    /// What is left alive of a tree that was to end.
    fn survivors<W: World<Held = H>>(&mut self, world: &mut W, outcome: &Outcome) -> Vec<Survivor> {
        let left = match outcome {
            Outcome::Reaped if self.is_let_be => "it was in the tree, which was let be",
            Outcome::Reaped => "it belongs to the tree and was not ended",
            // It was not begun.
            Outcome::Failed { .. } if self.stop_by.is_some() && self.steps.is_empty() => return Vec::new(),
            Outcome::Failed { .. } => "its teardown failed",
            // Nothing was done to it that could have ended it, or it may be another session's by now.
            Outcome::Kept { .. } => return Vec::new(),
            Outcome::Gone if self.tree.root_is_left() => return Vec::new(),
            Outcome::Gone => "it was below a worker that is gone, and was not ended",
            Outcome::Spared { .. } if !self.signalled => return Vec::new(),
            Outcome::Spared { .. } => "it was in the tree, which was let be",
        };
        self.tree.survivors(world, left)
    }

    /// Nothing is left stopped that isn't killed.
    pub(super) fn let_go<W: World<Held = H>>(&mut self, world: &mut W) {
        for member in &mut self.tree.members {
            let_go(world, member);
        }
    }
}

fn let_go<W: World>(world: &mut W, member: &mut Member<W::Held>) {
    if !std::mem::take(&mut member.stopped) || member.killed {
        return;
    }
    if let Err(error) = world.signal(&member.held, Signal::Continue) {
        tracing::error!(process = %member.identity, %error, "it was stopped and can't be let go; kill -CONT it");
    }
}
