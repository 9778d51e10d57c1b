//! Waits for the exits of held processes, each through its pidfd.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::reap::event::{Event, Place};
use crate::reap::linux::Held;

/// The exits that are waited for.
pub(super) type Exits = FuturesUnordered<LocalBoxFuture<'static, Place>>;

/// All that have exited by now: a thousand of them often go together.
pub(super) fn all_exited(first: Place, exits: &mut Exits) -> Event {
    let more = std::iter::from_fn(|| exits.next().now_or_never().flatten());
    let victims: BTreeSet<usize> = std::iter::once(first).chain(more).map(|place| place.victim).collect();
    Event::Exited { victims: victims.into_iter().collect() }
}

/// Waits until a held process has exited. Without a descriptor to wait on, the deadlines have to do.
pub(super) fn exit_of(place: Place, held: &Held) -> LocalBoxFuture<'static, Place> {
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
