//! One victim's way through the teardown, as a state machine: events in, acts out. It never waits by itself.

mod acts;
mod comb;
mod escalation;
mod vigil;

use std::io::ErrorKind;
use std::time::Duration;

use crate::domain::ids::Pid;
use crate::domain::process::ProcessIdentity;
use crate::domain::table::CloseAnswer;
use crate::domain::time::Awake;
use crate::domain::warrant::{Limits, Warrant};

use super::kernel::{Kernel, KernelError};
use super::outcome::{Ending, Outcome, Step};
use super::record::{Case, Record};
use super::tree::{Listing, Tree};
use vigil::Vigil;

/// Where a victim is.
#[derive(Debug)]
enum Phase {
    /// The gateway was asked to close its session.
    Closing,
    /// Closed (or gone already); its worker has until then to exit by itself.
    Exiting { until: Awake, answer: Outcome },
    /// SIGTERM to the worker, and from `give_up` on (or once it is gone) to the rest; SIGKILL at `until`.
    Terminating { give_up: Awake, until: Awake },
    /// SIGKILL was sent.
    Killing { until: Awake },
    /// All known of the tree are gone; whatever else came from it is looked for together with the other victims'.
    Combing,
    /// Over.
    Done,
}

/// One victim.
#[derive(Debug)]
pub(super) struct Victim<H> {
    warrant: Warrant,
    case: Case,
    phase: Phase,
    tree: Tree<H>,
    /// The worker could not be held, so it can't be signalled.
    unheld: Option<KernelError>,
    steps: Vec<Step>,
    signalled: bool,
    /// The root of the tree that was written down as being in hand.
    in_hand: Option<ProcessIdentity>,
    rounds: u32,
    /// While its worker is dying.
    vigil: Option<Vigil>,
    /// The gateway's answer, if it was a good one.
    closed: Option<Outcome>,
    note: Option<Box<str>>,
    pub(super) ending: Option<Ending>,
}

/// The hands of a victim: the system and the record.
pub(super) struct Hands<'a, K: Kernel, R: Record> {
    pub(super) kernel: &'a mut K,
    pub(super) record: &'a mut R,
}

impl<H> Victim<H> {
    pub(super) fn new(warrant: Warrant, waited: Duration) -> Self {
        let case = Case {
            gateway: warrant.gateway().clone(),
            session: warrant.session().map(|order| order.id.clone()),
            worker: warrant.worker().or(warrant.remnants_of()),
            orphan: warrant.orphan(),
            waited,
        };
        Self {
            warrant,
            case,
            phase: Phase::Closing,
            tree: Tree::default(),
            unheld: None,
            steps: Vec::new(),
            signalled: false,
            in_hand: None,
            rounds: 0,
            vigil: None,
            closed: None,
            note: None,
            ending: None,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    pub(super) fn is_combing(&self) -> bool {
        matches!(self.phase, Phase::Combing)
    }

    pub(super) fn warrant(&self) -> &Warrant {
        &self.warrant
    }

    /// The holds of those who are still there, by their place in the tree.
    pub(super) fn alive(&self) -> impl Iterator<Item = (usize, &H)> {
        let done = self.is_done();
        let alive = self.tree.members.iter().enumerate().filter(move |(_, member)| !done && !member.exited);
        alive.map(|(index, member)| (index, &member.held))
    }

    pub(super) fn leaders(&self) -> impl Iterator<Item = Pid> {
        self.tree.leaders()
    }

    /// When it wants to be woken at the latest.
    pub(super) fn deadline(&self) -> Option<Awake> {
        let look = self.vigil.filter(|_| self.is_dying()).map(|vigil| vigil.next);
        self.end_of_phase().into_iter().chain(look).min()
    }

    /// Its worker is still there and on its way out.
    fn is_dying(&self) -> bool {
        matches!(self.phase, Phase::Exiting { .. } | Phase::Terminating { .. }) && self.tree.root_is_alive()
    }

    fn end_of_phase(&self) -> Option<Awake> {
        match self.phase {
            Phase::Exiting { until, .. } | Phase::Killing { until } => Some(until),
            Phase::Terminating { give_up, .. } if self.tree.root_is_alive() && !self.rest_is_termed() => {
                Some(give_up)
            }
            Phase::Terminating { until, .. } => Some(until),
            Phase::Closing | Phase::Combing | Phase::Done => None,
        }
    }

    fn rest_is_termed(&self) -> bool {
        self.tree.members.iter().all(|member| member.exited || member.termed)
    }

    /// Takes hold of the tree and makes the first act. Returns whether the gateway is to be asked to close the session.
    pub(super) fn begin<K: Kernel<Held = H>, R: Record>(&mut self, hands: &mut Hands<'_, K, R>) -> bool {
        match self.take_hold(hands.kernel) {
            Ok(()) => {}
            Err(error) if self.warrant.session().is_some() && is_lasting(&error) => {
                self.unheld = Some(error);
            }
            Err(error) => {
                self.fail(hands, chain(&error));
                return false;
            }
        }
        if !self.keep_in_hand(hands, self.case.session.is_some()) {
            return false;
        }
        if self.warrant.session().is_some() {
            return self.announce(hands, Step::Close, None);
        }
        if self.tree.members.is_empty() {
            self.finish(hands, Outcome::Gone);
        } else {
            // Listed a moment ago, and nothing was waited for since.
            self.ask(hands);
        }
        false
    }

    fn take_hold<K: Kernel<Held = H>>(&mut self, kernel: &mut K) -> Result<(), KernelError> {
        let limits = self.warrant.limits().clone();
        if let Some(worker) = self.warrant.worker()
            && let Some((held, process)) = kernel.hold(worker)?
        {
            match limits.protects_worker(&process) {
                None => self.tree.plant(held, &process),
                // It was the worker when it was judged, and became something else by exec.
                Some(protection) => self.note = Some(protection.to_string().into()),
            }
        }
        for remnant in self.warrant.remnants() {
            self.tree.add(kernel, &limits, *remnant)?;
        }
        self.tree.list(kernel, &limits, Listing::Whole)
    }

    /// The gateway's answer.
    pub(super) fn answered<K: Kernel<Held = H>, R: Record>(
        &mut self,
        hands: &mut Hands<'_, K, R>,
        answer: CloseAnswer,
    ) {
        if !matches!(self.phase, Phase::Closing) {
            return;
        }
        let answer = match answer {
            CloseAnswer::Reaped => Outcome::Reaped,
            CloseAnswer::Gone => Outcome::Gone,
            CloseAnswer::Kept { reason } => return self.finish(hands, Outcome::Kept { reason }),
            CloseAnswer::Failed { why } => return self.finish(hands, Outcome::Failed { why }),
        };
        self.closed = Some(answer.clone());
        // Closed for certain: from here on what is left of its tree is ours to end, also for a successor.
        if answer == Outcome::Reaped && !self.keep_in_hand(hands, false) {
            return;
        }
        let now = hands.kernel.now();
        // Who was not closed by this run may be another's by now, and is left alone.
        self.vigil = (answer == Outcome::Reaped).then(|| Vigil::from(now));
        self.phase = Phase::Exiting { until: now + self.warrant.close_timeout(), answer };
        self.step(hands);
    }

    /// Looks at the tree and goes on as far as possible.
    pub(super) fn step<K: Kernel<Held = H>, R: Record>(&mut self, hands: &mut Hands<'_, K, R>) {
        if self.is_done() {
            return;
        }
        if let Err(error) = self.tree.refresh(hands.kernel) {
            return self.fail(hands, chain(&error));
        }
        let now = hands.kernel.now();
        self.keep_vigil(hands, now);
        match &self.phase {
            Phase::Exiting { until, answer } => {
                if !self.tree.root_is_alive() {
                    let late = self.unheld.is_some() && now < *until;
                    match (late, self.tree.is_dead()) {
                        (true, _) => {}
                        (false, true) => self.exited(hands),
                        (false, false) => self.terminate(hands),
                    }
                } else if now >= *until {
                    if *answer == Outcome::Reaped {
                        self.terminate(hands);
                    } else {
                        // Not this run closed the session, so its worker may have been given to another; the next runs will see.
                        self.note =
                            Some("its worker is still there and is judged by itself from now on".into());
                        self.finish(hands, Outcome::Gone);
                    }
                }
            }
            Phase::Terminating { give_up, until } => {
                let (give_up, until) = (*give_up, *until);
                if self.tree.is_dead() {
                    self.phase = Phase::Combing;
                } else if now >= until {
                    self.kill(hands);
                } else if (!self.tree.root_is_alive() || now >= give_up) && !self.rest_is_termed() {
                    self.term_rest(hands);
                }
            }
            Phase::Killing { until } => {
                if self.tree.is_dead() {
                    self.phase = Phase::Combing;
                } else if now >= *until {
                    let left: Vec<String> = self.left().collect();
                    self.fail(hands, format!("still there after SIGKILL: {}", left.join(", ")));
                }
            }
            Phase::Closing | Phase::Combing | Phase::Done => {}
        }
    }

    fn keep_vigil<K: Kernel<Held = H>, R: Record>(&mut self, hands: &mut Hands<'_, K, R>, now: Awake) {
        let dying = self.is_dying();
        let Some(vigil) = self.vigil.as_mut().filter(|vigil| dying && now >= vigil.next) else { return };
        vigil.looked(now);
        self.look_again(hands, Tree::glance);
    }

    /// Looks at the tree, and writes down who is new: if this run ends here, its successor has to know them.
    fn look_again<K: Kernel<Held = H>, R: Record>(
        &mut self,
        hands: &mut Hands<'_, K, R>,
        look: impl FnOnce(&mut Tree<H>, &mut K, &Limits) -> Result<(), KernelError>,
    ) -> bool {
        let limits = self.warrant.limits().clone();
        let known = self.tree.members.len();
        if let Err(error) = look(&mut self.tree, hands.kernel, &limits) {
            self.fail(hands, chain(&error));
            return false;
        }
        self.tree.members.len() == known || self.keep_in_hand(hands, false)
    }

    fn left(&self) -> impl Iterator<Item = String> {
        self.tree.members.iter().filter(|member| !member.exited).map(|member| member.identity.to_string())
    }

    /// The worker of a closed session is gone, and nothing is known of it any more.
    fn exited<K: Kernel<Held = H>, R: Record>(&mut self, hands: &mut Hands<'_, K, R>) {
        // What could not be held is asked after once more: without that nothing says that it is gone.
        if let (Some(_), Some(worker)) = (&self.unheld, self.warrant.worker()) {
            match hands.kernel.hold(worker) {
                Ok(None) => {}
                Ok(Some(_)) => {
                    return self.fail(hands, format!("closed, but its worker {worker} is still there"));
                }
                Err(error) => return self.fail(hands, chain(&error)),
            }
        }
        self.phase = Phase::Combing;
    }
}

/// Whether no later run could hold the tree either, so that the gateway's own close is all there is. What may pass is waited for: once
/// the session is closed and its worker is gone, nothing leads to what was under it.
fn is_lasting(error: &KernelError) -> bool {
    matches!(error.source.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
