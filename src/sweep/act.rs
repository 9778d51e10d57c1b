//! Drives a teardown in real time: answers, exits and deadlines come in as they happen, and nothing is polled.

use std::collections::VecDeque;
use std::path::Path;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::RwLock;

use super::Sweep;
use super::closes::Closes;
use super::exits::{Exits, all_exited, exit_of};
use super::recheck::Unread;
use crate::domain::ledger::Ledger;
use crate::domain::table::TableView;
use crate::domain::warrant::Warrant;
use crate::reap::event::{Event, Question, Recheck, Then};
use crate::reap::kernel::Kernel;
use crate::reap::linux::{Held, LinuxKernel};
use crate::reap::outcome::{Ending, Outcome};
use crate::reap::record::Record;
use crate::reap::teardown::Teardown;
use crate::reap::world::Hands;

impl Sweep {
    /// Carries out a teardown, all of it at once, and returns the endings in the order of the warrants, and which tables could not be read by then.
    /// `memory` and `unread`: what the decision knew, and which tables it did without. `dir`: where the holds are.
    pub(super) async fn carry_out<R: Record>(
        &mut self,
        mut teardown: Teardown<Held>,
        memory: &Ledger,
        dir: &Path,
        unread: Unread,
        kernel: &mut LinuxKernel,
        record: &mut R,
    ) -> (Vec<Ending>, Unread) {
        let mut world = Hands { kernel, record };
        let closes = Closes::new(self, dir);
        let (stop, mut is_stopping) = (self.stop.clone(), false);
        // Another look has them for itself; a close has all that it needs once it is begun.
        let sweep = RwLock::new(self);
        let unread = RwLock::new(unread);
        let mut answers = FuturesUnordered::new();
        let mut looks = FuturesUnordered::new();
        let mut exits = Exits::new();
        let (mut to_recheck, mut are_looking) = (Vec::new(), [false; 2]);
        let mut rechecked: VecDeque<(usize, Recheck)> = VecDeque::new();
        let mut again = Vec::new();
        let mut event = Event::Begin;
        loop {
            let was_begin = event == Event::Begin;
            let next = teardown.handle(event, &mut world);
            answers.extend(next.close.map(|request| closes.ask(&sweep, request)));
            let to_wait_for = next.wait_for.into_iter().chain(again.drain(..));
            exits.extend(to_wait_for.filter_map(|place| Some(exit_of(place, teardown.held(place)?))));
            to_recheck.extend(next.recheck);
            // One look at a time for all that want one; and one for all that have to wait for closes, which hold up no others.
            for is_held_up in [false, true] {
                let warrant = |question: &Question| teardown.warrant(question.victim);
                let takes_part = |question: &mut Question| {
                    warrant(question).is_some_and(|warrant| closes.hold_up(warrant, question)) == is_held_up
                };
                if are_looking[usize::from(is_held_up)] {
                    continue;
                }
                let questions = to_recheck.extract_if(.., takes_part);
                let batch: Vec<_> =
                    questions.filter_map(|question| Some((warrant(&question)?.clone(), question))).collect();
                if !batch.is_empty() {
                    are_looking[usize::from(is_held_up)] = true;
                    let look = look_again(&sweep, &closes, memory, dir, &unread, batch);
                    looks.push(async move { (is_held_up, look.await) });
                }
            }
            let deadline = next.deadline.map(|deadline| deadline.since(world.now()));
            let timer = async {
                match deadline {
                    Some(span) => tokio::time::sleep(span).await,
                    None => std::future::pending().await,
                }
            };
            event = match (next.then, rechecked.pop_front()) {
                (Then::Done, _) => break,
                (_, Some((victim, verdict))) => Event::Rechecked { victim, verdict },
                // One victim is started per iteration, so that running ones stay responsive.
                (Then::Begin, None) if !was_begin => Event::Begin,
                (then, None) => tokio::select! {
                    // Answers before exits, and the word to end before all.
                    biased;
                    () = stop.told(), if !is_stopping => {
                        is_stopping = true;
                        Event::Stop
                    }
                    Some((victim, answer)) = answers.next(), if !answers.is_empty() => Event::Answered { victim, answer },
                    Some((was_held_up, found)) = looks.next(), if !looks.is_empty() => {
                        are_looking[usize::from(was_held_up)] = false;
                        rechecked.extend(found);
                        // What it found comes first, as soon as the deadlines were seen to.
                        Event::Tick
                    }
                    Some(first) = exits.next(), if !exits.is_empty() => {
                        let (exited, asked) = all_exited(first, &mut exits);
                        again = asked;
                        exited
                    }
                    () = timer => Event::Tick,
                    () = tokio::task::yield_now(), if then == Then::Begin => Event::Begin,
                },
            };
        }
        let lost = || Ending::of(Outcome::Failed { why: "the teardown ended without an end for it".into() });
        let endings = teardown.into_endings().into_iter().map(|ending| ending.unwrap_or_else(lost)).collect();
        drop((answers, looks));
        (endings, unread.into_inner())
    }
}

async fn look_again(
    sweep: &RwLock<&mut Sweep>,
    closes: &Closes<'_>,
    memory: &Ledger,
    dir: &Path,
    unread: &RwLock<Unread>,
    batch: Vec<(Warrant, Question)>,
) -> Vec<(usize, Recheck)> {
    let (_paused, busy) = closes.pause(&batch).await;
    let (mut unread, mut sweep) = (unread.write().await, sweep.write().await);
    let without: Vec<usize> = (0..unread.len())
        .filter(|index| unread[*index].is_none())
        .filter(|index| sweep.gateways.get(*index).is_some_and(|watched| busy.contains(&&watched.name)))
        .collect();
    for index in &without {
        unread[*index] = Some(TableView::unreachable("it is closing a session"));
    }
    let verdicts = sweep.recheck(memory, dir, &mut unread, &batch).await;
    // Only this look does without them.
    for index in without {
        unread[index] = None;
    }
    batch.into_iter().map(|(_, question)| question.victim).zip(verdicts).collect()
}
