//! Drives a teardown in real time: answers, exits and deadlines come in as they happen, and nothing is polled.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::setup::Watched;
use crate::domain::table::CloseAnswer;
use crate::domain::warrant::Warrant;
use crate::reap::event::{CloseRequest, Event, Place, Then};
use crate::reap::kernel::Kernel;
use crate::reap::linux::{Held, LinuxKernel};
use crate::reap::outcome::{Ending, Outcome};
use crate::reap::record::Record;
use crate::reap::teardown::Teardown;
use crate::reap::world::Hands;

/// The exits that are waited for.
type Exits = FuturesUnordered<LocalBoxFuture<'static, Place>>;

/// Carries out the warrants, all at once, and returns their endings in the same order.
pub(super) async fn carry_out<R: Record>(
    warrants: Vec<(Warrant, std::time::Duration)>,
    gateways: &[Watched],
    kernel: &mut LinuxKernel,
    record: &mut R,
) -> Vec<Ending> {
    let mut world = Hands { kernel, record };
    let mut teardown = Teardown::new(warrants);
    let mut answers = FuturesUnordered::new();
    let mut exits = Exits::new();
    let mut event = Event::Begin;
    loop {
        let was_begin = event == Event::Begin;
        let next = teardown.handle(event, &mut world);
        answers.extend(next.close.map(|request| ask(gateways, request)));
        let to_wait_for = next.wait_for.into_iter();
        exits.extend(to_wait_for.filter_map(|place| Some(exit_of(place, teardown.held(place)?))));
        let deadline = next.deadline.map(|deadline| deadline.since(world.now()));
        let timer = async {
            match deadline {
                Some(span) => tokio::time::sleep(span).await,
                None => std::future::pending().await,
            }
        };
        event = match next.then {
            Then::Done => break,
            // One victim is started per iteration, so that running ones stay responsive.
            Then::Begin if !was_begin => Event::Begin,
            then => tokio::select! {
                // Answers before exits.
                biased;
                Some((victim, answer)) = answers.next(), if !answers.is_empty() => Event::Answered { victim, answer },
                Some(first) = exits.next(), if !exits.is_empty() => all_exited(first, &mut exits),
                () = timer => Event::Tick,
                () = tokio::task::yield_now(), if then == Then::Begin => Event::Begin,
            },
        };
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

/// All that have exited by now: a thousand of them often go together.
fn all_exited(first: Place, exits: &mut Exits) -> Event {
    let more = std::iter::from_fn(|| exits.next().now_or_never().flatten());
    let victims: BTreeSet<usize> = std::iter::once(first).chain(more).map(|place| place.victim).collect();
    Event::Exited { victims: victims.into_iter().collect() }
}

/// Waits until a held process has exited. Without a descriptor to wait on, the deadlines have to do.
fn exit_of(place: Place, held: &Held) -> LocalBoxFuture<'static, Place> {
    let registered = held.as_fd().try_clone_to_owned().and_then(register);
    Box::pin(async move {
        match registered {
            Ok(fd) if fd.readable().await.is_ok() => place,
            Ok(_) => std::future::pending().await,
            Err(error) => {
                tracing::warn!(%error, "a process can't be waited for; its end is seen at the next deadline");
                std::future::pending().await
            }
        }
    })
}

#[expect(
    unsafe_code,
    reason = "tokio has no safe way to wait for a descriptor that is none of its own kinds"
)]
fn register(fd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by the `OwnedFd`, which moves into the `AsyncFd`: it stays open, and the same, for as long as that lives.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(Into::into)
}
