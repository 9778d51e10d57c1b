//! Drives a teardown in real time: answers, exits and deadlines come in as they happen, and nothing is polled.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::setup::Watched;
use crate::domain::table::CloseAnswer;
use crate::domain::warrant::Warrant;
use crate::reap::kernel::Kernel;
use crate::reap::linux::{Held, LinuxKernel};
use crate::reap::outcome::{Ending, Outcome};
use crate::reap::record::Record;
use crate::reap::teardown::{CloseRequest, Teardown};

/// Who is waited for: a victim, and a place in its tree.
type Place = (usize, usize);

/// Carries out the warrants, all at once, and returns their endings in the same order.
pub(super) async fn carry_out<R: Record>(
    warrants: Vec<(Warrant, std::time::Duration)>,
    gateways: &[Watched],
    kernel: &mut LinuxKernel,
    record: &mut R,
) -> Vec<Ending> {
    let mut teardown = Teardown::new(warrants);
    let mut answers = FuturesUnordered::new();
    let mut exits = Exits::default();
    loop {
        // One at each turn: those who are in hand don't wait for all the others.
        if let Some(victim) = teardown.next() {
            answers.extend(teardown.begin_next(kernel, record).map(|request| ask(gateways, request)));
            exits.add(teardown.alive_of(victim));
        }
        teardown.comb(kernel, record);
        if teardown.is_done() {
            break;
        }
        let deadline = teardown.deadline().map(|deadline| deadline.since(kernel.now()));
        let timer = async {
            match deadline {
                Some(span) => tokio::time::sleep(span).await,
                None => std::future::pending().await,
            }
        };
        // Whoever turns up on the way is waited for, too.
        tokio::select! {
            // Whoever is to be asked to end comes before another look at those who were.
            biased;
            Some((victim, answer)) = answers.next(), if !answers.is_empty() => {
                teardown.answered(victim, answer, kernel, record);
                exits.add(teardown.alive_of(victim));
            }
            Some((mut victim, _)) = exits.coming.next(), if !exits.coming.is_empty() => {
                // Whoever else has exited by now: a thousand of them are often gone at once.
                loop {
                    teardown.woken(victim, kernel, record);
                    exits.add(teardown.alive_of(victim));
                    let Some(Some((next, _))) = exits.coming.next().now_or_never() else { break };
                    victim = next;
                }
            }
            () = timer => {
                teardown.tick(kernel, record);
                exits.add(teardown.alive());
            }
            () = tokio::task::yield_now(), if teardown.next().is_some() => {}
        }
    }
    let lost = || Ending {
        outcome: Outcome::Failed { why: "the teardown ended without an end for it".into() },
        steps: Vec::new(),
        reclaimed_bytes: 0,
        note: None,
    };
    teardown.into_endings().into_iter().map(|ending| ending.unwrap_or_else(lost)).collect()
}

async fn ask(gateways: &[Watched], request: CloseRequest) -> (usize, CloseAnswer) {
    let CloseRequest { victim, gateway, order, within } = request;
    let answer = match gateways.iter().find(|watched| watched.name == gateway) {
        // `close_timeout` is the worker's; a short one must not leave the gateway without time to answer.
        Some(watched) => {
            let within = within.max(watched.timeout);
            watched.gateway.reap(&order, within).await
        }
        None => CloseAnswer::Failed { why: "its gateway is not configured any more".into() },
    };
    (victim, answer)
}

/// The exits that are waited for.
#[derive(Default)]
struct Exits {
    coming: FuturesUnordered<LocalBoxFuture<'static, Place>>,
    waited_for: HashSet<Place>,
}

impl Exits {
    /// Waits for these as well, unless it does.
    fn add<'a>(&mut self, alive: impl Iterator<Item = (Place, &'a Held)>) {
        for (place, held) in alive {
            if self.waited_for.insert(place) {
                self.coming.push(Box::pin(exit_of(place, held)));
            }
        }
    }
}

/// Waits until a held process has exited. Without a descriptor to wait on, the deadlines have to do.
fn exit_of(place: Place, held: &Held) -> impl Future<Output = Place> + use<> {
    let registered = held.as_fd().try_clone_to_owned().and_then(register);
    async move {
        match registered {
            Ok(fd) if fd.readable().await.is_ok() => place,
            Ok(_) => std::future::pending().await,
            Err(error) => {
                tracing::warn!(%error, "a process can't be waited for; its end is seen at the next deadline");
                std::future::pending().await
            }
        }
    }
}

#[expect(
    unsafe_code,
    reason = "tokio has no safe way to wait for a descriptor that is none of its own kinds"
)]
fn register(fd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by the `OwnedFd`, which moves into the `AsyncFd`: it stays open, and the same, for as long as that lives.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(Into::into)
}
