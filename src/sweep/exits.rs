//! Waits for the exits of held processes, each through its pidfd.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::reap::event::{Event, Place};
use crate::reap::linux::Held;

/// How often a process is asked after that there is no descriptor to wait for.
const ASKED_EVERY: Duration = Duration::from_millis(100);

/// The exits that are waited for.
pub(super) type Exits = FuturesUnordered<LocalBoxFuture<'static, Woken>>;

/// A process that may have exited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Woken {
    place: Place,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It has.
    Exited,
    /// It is time to ask; if it hasn't, it is waited for again.
    Asked,
}

/// All that have exited by now, since a thousand of them often go together; and those that have to be waited for again if they haven't.
pub(super) fn all_exited(first: Woken, exits: &mut Exits) -> (Event, Vec<Place>) {
    let more = std::iter::from_fn(|| exits.next().now_or_never().flatten());
    let woken: Vec<Woken> = std::iter::once(first).chain(more).collect();
    let victims: BTreeSet<usize> = woken.iter().map(|woken| woken.place.victim).collect();
    let again = woken.iter().filter(|woken| woken.how == How::Asked).map(|woken| woken.place).collect();
    (Event::Exited { victims: victims.into_iter().collect() }, again)
}

/// Waits until a held process has exited. Without a descriptor to wait on, it is asked after every now and then.
pub(super) fn exit_of(place: Place, held: &Held) -> LocalBoxFuture<'static, Woken> {
    let registered = held.to_wait_on().map(register);
    Box::pin(async move {
        match registered {
            Some(Ok(fd)) if fd.readable().await.is_ok() => return Woken { place, how: How::Exited },
            Some(Err(error)) => {
                tracing::debug!(%error, "a process can't be waited for, so it is asked after")
            }
            Some(Ok(_)) | None => {}
        }
        tokio::time::sleep(ASKED_EVERY).await;
        Woken { place, how: How::Asked }
    })
}

#[expect(
    unsafe_code,
    reason = "tokio has no safe way to wait for a descriptor that is none of its own kinds"
)]
pub(crate) fn register(fd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by the `OwnedFd`, which moves into the `AsyncFd`: it stays open, and the same, for as long as that lives.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(Into::into)
}
