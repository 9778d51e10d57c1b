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
use crate::domain::warrant::Warrant;
use crate::reap::event::{Event, Question, Recheck, Then};
use crate::reap::kernel::Kernel;
use crate::reap::linux::{Held, LinuxKernel};
use crate::reap::outcome::{Ending, Outcome};
use crate::reap::record::Record;
use crate::reap::teardown::Teardown;
use crate::reap::world::Hands;

impl Sweep {
    /// Carries out a teardown, all of it at once, and returns the endings in the order of the warrants. `memory` and `unread`: what the decision knew,
    /// and which tables it did without. `dir`: where the holds are.
    pub(super) async fn carry_out<R: Record>(
        &mut self,
        mut teardown: Teardown<Held>,
        memory: &Ledger,
        dir: &Path,
        unread: Unread,
        kernel: &mut LinuxKernel,
        record: &mut R,
    ) -> Vec<Ending> {
        let mut world = Hands { kernel, record };
        let closes = Closes::new(self, dir);
        let (stop, mut is_stopping) = (self.stop.clone(), false);
        // Closes share the gateways; another look has them for itself, between two closes.
        let sweep = RwLock::new(self);
        let unread = RwLock::new(unread);
        let mut answers = FuturesUnordered::new();
        let mut looks = FuturesUnordered::new();
        let mut exits = Exits::new();
        let mut to_recheck = Vec::new();
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
            // One look at a time, for all that wait for one.
            if looks.is_empty() && !to_recheck.is_empty() {
                let victims = std::mem::take(&mut to_recheck).into_iter();
                let batch = victims
                    .filter_map(|question| Some((teardown.warrant(question.victim)?.clone(), question)));
                looks.push(look_again(&sweep, memory, dir, &unread, batch.collect()));
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
                    Some(found) = looks.next(), if !looks.is_empty() => {
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
        teardown.into_endings().into_iter().map(|ending| ending.unwrap_or_else(lost)).collect()
    }
}

async fn look_again(
    sweep: &RwLock<&mut Sweep>,
    memory: &Ledger,
    dir: &Path,
    unread: &RwLock<Unread>,
    batch: Vec<(Warrant, Question)>,
) -> Vec<(usize, Recheck)> {
    let mut unread = unread.write().await;
    let verdicts = sweep.write().await.recheck(memory, dir, &mut unread, &batch).await;
    batch.into_iter().map(|(_, question)| question.victim).zip(verdicts).collect()
}
