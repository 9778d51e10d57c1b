//! One victim's way through the teardown, as a state machine: events in, acts out. It never waits by itself.

mod acts;
mod beginning;
mod closing;
mod escalation;
mod kill;
mod polling;
mod recheck;
mod search;

use std::time::Duration;

use crate::domain::ids::Pid;
use crate::domain::process::ProcessIdentity;
use crate::domain::time::Awake;
use crate::domain::warrant::{GOOD_FOR, Limits, Warrant};

use super::kernel::{KernelError, Mark};
use super::outcome::{Ending, Outcome, Step};
use super::record::Case;
use super::tree::Tree;
use super::world::World;
use polling::Polling;
use recheck::RECHECKS;

/// Where a victim is.
#[derive(Debug)]
enum Phase {
    /// Not begun.
    Waiting,
    /// The gateway was asked to close its session. `unheld`: its worker could not be held, so it can't be signalled.
    Closing { unheld: Option<KernelError> },
    /// The gateway did not say that it closed the session; the next table will tell.
    Unanswered { why: Box<str>, unheld: Option<KernelError>, asked: bool },
    /// Closed (or gone already); its worker has until then to exit by itself.
    Exiting { until: Awake, closed: Closed, unheld: Option<KernelError>, polling: Option<Polling> },
    /// Too late for the first signal without another look.
    Rechecking { course: Course, asked: bool },
    /// SIGTERM to the worker, and from `give_up` on (or once it is gone) to the rest; SIGKILL at `until`.
    Terminating { course: Course, give_up: Awake, until: Awake, polling: Polling },
    /// SIGKILL was sent.
    Killing { course: Course, until: Awake },
    /// All known of the tree are gone; its re-parented descendants are searched for together with the other victims'.
    Searching { course: Course },
    /// Over.
    Done(Ending),
}

/// Which way led to the signals.
#[derive(Debug, Clone, Copy)]
struct Course {
    /// How its session was closed, if it is one.
    closed: Option<Closed>,
    /// So often re-parented descendants were found.
    rounds: u32,
}

/// Another look for the signals after the first, which goes on beside what is waited for.
#[derive(Debug, Default)]
struct AnotherLook {
    /// One is wanted, and not asked for yet.
    wanted: bool,
    /// One was asked for, and has not answered.
    asked: bool,
    /// What that one finds is of no use any more: the tree is another by now.
    is_void: bool,
}

impl AnotherLook {
    /// Whether something waits for it.
    fn is_awaited(&self) -> bool {
        self.wanted || (self.asked && !self.is_void)
    }
}

/// Who closed the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    /// Its gateway, because this run asked for it.
    ByUs,
    /// It was gone when this run asked.
    Before,
}

impl From<Closed> for Outcome {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::ByUs => Self::Reaped,
            Closed::Before => Self::Gone,
        }
    }
}

/// One victim.
#[derive(Debug)]
pub(super) struct Victim<H> {
    warrant: Warrant,
    case: Case,
    phase: Phase,
    tree: Tree<H>,
    /// So many members of the tree are waited for.
    waited_for: usize,
    steps: Vec<Step>,
    signalled: bool,
    /// Its members are being stopped, to be killed.
    stopping: bool,
    /// Signals are sent until then, or after another look.
    valid_until: Awake,
    /// When its table was asked for.
    looked: Awake,
    rechecks: u32,
    /// So often a program that had begun in the tree was asked after since the last signal.
    asked_after_programs: u32,
    /// Something has begun in the tree that no look was asked of yet.
    has_news: bool,
    look: AnotherLook,
    /// The run was told to end, and what isn't done by then is left to the next one.
    stop_by: Option<Awake>,
    /// The root of the tree that was written down as begun.
    noted: Option<ProcessIdentity>,
    note: Option<Box<str>>,
    /// What was left of its tree when that was known to be another's, or forbidden, wasn't touched any more.
    is_let_be: bool,
}

impl<H> Victim<H> {
    pub(super) fn new(warrant: Warrant, waited: Duration) -> Self {
        let case = Case {
            gateway: warrant.gateway().clone(),
            session: warrant.session().map(|order| order.id.clone()),
            worker: warrant.worker().or(warrant.remnants_of()),
            remnant: warrant.remnant(),
            orphan: warrant.orphan(),
            waited,
        };
        let valid_until = warrant.valid_until();
        Self {
            warrant,
            case,
            phase: Phase::Waiting,
            tree: Tree::default(),
            waited_for: 0,
            steps: Vec::new(),
            signalled: false,
            stopping: false,
            valid_until,
            looked: valid_until.before(GOOD_FOR),
            rechecks: 0,
            asked_after_programs: 0,
            has_news: false,
            look: AnotherLook::default(),
            stop_by: None,
            noted: None,
            note: None,
            is_let_be: false,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done(_))
    }

    pub(super) fn is_searching(&self) -> bool {
        matches!(self.phase, Phase::Searching { .. })
    }

    pub(super) fn warrant(&self) -> &Warrant {
        &self.warrant
    }

    pub(super) fn into_ending(self) -> Option<Ending> {
        match self.phase {
            Phase::Done(ending) => Some(ending),
            _ => None,
        }
    }

    /// The hold of a member of the tree that is left to be ended.
    pub(super) fn held(&self, member: usize) -> Option<&H> {
        self.tree.members.get(member).filter(|member| member.is_left()).map(|member| &member.held)
    }

    /// The members whose exit isn't waited for yet, by their place in the tree.
    pub(super) fn not_waited_for(&mut self) -> impl Iterator<Item = usize> {
        let from = std::mem::replace(&mut self.waited_for, self.tree.members.len());
        let members = self.tree.members.iter().enumerate().skip(from);
        members.filter(|(_, member)| member.is_left()).map(|(index, _)| index)
    }

    pub(super) fn is_marked(&self) -> bool {
        self.tree.is_marked()
    }

    pub(super) fn take_withdrawn(&mut self) -> Option<Mark> {
        self.tree.take_withdrawn()
    }

    pub(super) fn mark_again<W: World<Held = H>>(&mut self, world: &mut W, withdrawn: Mark) {
        self.tree.mark_again(world, withdrawn);
    }

    pub(super) fn leaders(&self) -> impl Iterator<Item = Pid> {
        self.tree.leaders()
    }

    /// When it wants to be woken at the latest.
    pub(super) fn deadline(&self) -> Option<Awake> {
        let look = self.polling().filter(|_| self.tree.root_is_left()).map(|polling| polling.next);
        let look = look.into_iter().chain(self.look_ahead_at());
        // What waits for the others' search ends with them.
        let waits = self.is_searching() || self.is_done() || self.waits_for_gateway();
        let stop_by = self.stop_by.filter(|_| !waits);
        let end = self.end_of_phase().filter(|_| !self.look.is_awaited());
        end.into_iter().chain(look).chain(stop_by).min()
    }

    /// A gateway was asked for something, and answers in the time that it has.
    fn waits_for_gateway(&self) -> bool {
        self.look.is_awaited() || matches!(self.phase, Phase::Closing { .. } | Phase::Rechecking { .. })
    }

    fn course(&self) -> Option<Course> {
        match self.phase {
            Phase::Terminating { course, .. } | Phase::Killing { course, .. } => Some(course),
            _ => None,
        }
    }

    fn polling(&self) -> Option<Polling> {
        match self.phase {
            Phase::Exiting { polling, .. } => polling,
            Phase::Terminating { polling, .. } => Some(polling),
            _ => None,
        }
    }

    fn end_of_phase(&self) -> Option<Awake> {
        match self.phase {
            Phase::Exiting { until, .. } | Phase::Killing { until, .. } => Some(until),
            Phase::Terminating { give_up, .. } if self.tree.root_is_left() && !self.rest_is_termed() => {
                Some(give_up)
            }
            Phase::Terminating { until, .. } => Some(until),
            Phase::Waiting
            | Phase::Closing { .. }
            | Phase::Unanswered { .. }
            | Phase::Rechecking { .. }
            | Phase::Searching { .. }
            | Phase::Done(_) => None,
        }
    }

    fn rest_is_termed(&self) -> bool {
        self.tree.members.iter().all(|member| !member.is_left() || member.termed)
    }

    fn any_of_rest_is_termed(&self) -> bool {
        (0..self.tree.members.len()).any(|index| !self.tree.is_root(index) && self.tree.members[index].termed)
    }

    /// The run is to end.
    pub(super) fn end_soon<W: World<Held = H>>(&mut self, world: &mut W) {
        if matches!(self.phase, Phase::Waiting) {
            return self.fail(world, "the reaper was told to end before it was begun");
        }
        let from = match self.phase {
            Phase::Exiting { until, .. } => until,
            _ => world.now(),
        };
        self.end_within(from);
    }

    /// The run is to end: of what is closed, once its worker had its time to exit and is ended.
    fn end_within(&mut self, from: Awake) {
        self.stop_by = Some(from + self.warrant.term_timeout() + TO_END);
    }

    /// Looks at the tree and goes on as far as possible.
    pub(super) fn step<W: World<Held = H>>(&mut self, world: &mut W) {
        if self.is_done() {
            return;
        }
        if let Err(error) = self.tree.refresh(world) {
            return self.fail_with(world, &error);
        }
        let now = world.now();
        if self.stop_by.is_some_and(|by| now >= by) && !self.is_searching() && !self.waits_for_gateway() {
            return self
                .fail(world, "the reaper was told to end in the middle of it, and the next run goes on");
        }
        self.poll_children(world, now);
        self.look_ahead(now, Duration::ZERO);
        match &mut self.phase {
            Phase::Exiting { until, closed, unheld, .. } => {
                // The exit of what could not be held is not seen.
                let is_gone = !self.tree.root_is_left() && unheld.is_none();
                if is_gone || now >= *until {
                    let (closed, unheld) = (*closed, unheld.take());
                    self.exiting(world, closed, unheld);
                }
            }
            Phase::Terminating { course, give_up, until, .. } => {
                let (course, give_up, until) = (*course, *give_up, *until);
                if self.tree.is_over() {
                    self.search(course);
                } else if self.look.is_awaited() {
                    // No further signal before it says whose each process is by then.
                } else if (!self.tree.root_is_left() || now >= give_up)
                    && !self.rest_is_termed()
                    // SIGTERM comes before SIGKILL, also where a look took until then; what forks all the time doesn't put that off.
                    && (now < until || !self.any_of_rest_is_termed())
                {
                    self.term_rest(world, course);
                } else if now >= until {
                    self.kill(world, course);
                }
            }
            Phase::Killing { course, until } => {
                let (course, until) = (*course, *until);
                if self.tree.is_over() {
                    self.search(course);
                } else if now >= until {
                    let left: Vec<String> = self.tree.left().map(|left| left.to_string()).collect();
                    self.fail(world, format!("still there after SIGKILL: {}", left.join(", ")));
                }
            }
            Phase::Waiting
            | Phase::Closing { .. }
            | Phase::Unanswered { .. }
            | Phase::Rechecking { .. }
            | Phase::Searching { .. }
            | Phase::Done(_) => {}
        }
    }

    /// Nothing of the tree is left that is known.
    fn search(&mut self, course: Course) {
        self.look.wanted = false;
        self.look.is_void = self.look.asked;
        self.phase = Phase::Searching { course };
    }

    /// Looks at the children of a dying worker, when it is time to.
    fn poll_children<W: World<Held = H>>(&mut self, world: &mut W, now: Awake) {
        let dying = self.tree.root_is_left();
        let is_marked = self.tree.all_are_marked();
        let polling = match &mut self.phase {
            Phase::Exiting { polling, .. } => polling.as_mut(),
            Phase::Terminating { polling, .. } => Some(polling),
            _ => None,
        };
        let Some(polling) = polling.filter(|polling| dying && now >= polling.next) else { return };
        polling.looked(now, is_marked);
        self.look_again(world, Tree::look_at_children);
    }

    /// Looks at the tree, and writes down what is new: if this run ends here, the next one has to know it.
    fn look_again<W: World<Held = H>>(
        &mut self,
        world: &mut W,
        look: impl FnOnce(&mut Tree<H>, &mut W, &Limits) -> Result<(), KernelError>,
    ) -> bool {
        let limits = self.warrant.limits().clone();
        let from = self.tree.members.len();
        if let Err(error) = look(&mut self.tree, world, &limits) {
            self.fail_with(world, &error);
            return false;
        }
        self.look_at_news(world, from);
        self.tree.members.len() == from || self.note_begun(world, false)
    }

    /// Whose a worker is that has begun since the tables were read, they don't tell; nor whether another program that has is a gateway, say.
    /// What begins again and again doesn't hold up the rest: after some looks such a worker is let be, and such a program isn't asked after.
    /// `from`: the place of the first member that is new. Returns whether another look is to be waited for.
    fn look_at_news<W: World<Held = H>>(&mut self, world: &mut W, from: usize) -> bool {
        let others = self.tree.other_workers(from, self.warrant.limits());
        if !others.is_empty() && self.rechecks >= RECHECKS {
            for other in others {
                self.spare(world, other, "it began while its tree was ended, and whose it is isn't known");
            }
            return false;
        }
        let is_program = self.asked_after_programs < RECHECKS
            && self.tree.has_another_program(from, world.ticks_at(self.looked));
        self.asked_after_programs += u32::from(is_program);
        let is_news = !others.is_empty() || is_program;
        if is_news {
            self.hears_news();
        }
        is_news
    }

    /// Something has begun in the tree: the tables say nothing of it.
    fn hears_news(&mut self) {
        self.valid_until = Awake::from_nanos(0);
        self.has_news = true;
    }
}

/// What a run that was told to end gets besides `term_timeout`: long enough for SIGKILL to do its work.
const TO_END: Duration = Duration::from_millis(500);
