//! What a signal means to a run that waits.

use std::io::IsTerminal;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Failure;

/// What woke the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    Look,
    Reload,
    Leave,
}

/// The signals that are listened to.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user: Signal,
    /// SIGHUP is then the end of the terminal, and not a wish to have the configuration read again.
    is_on_terminal: bool,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::System("signals can't be listened to", error));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            user: listen(SignalKind::user_defined1())?,
            is_on_terminal: std::io::stdin().is_terminal(),
        })
    }

    /// Waits for a signal that ends the loop.
    pub(super) async fn leave(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv(), if self.is_on_terminal => {}
        }
    }

    /// Waits for any signal that ends a command which only shows something.
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// Waits so long. `false`: it is to end before.
    pub(super) async fn sleep(&mut self, span: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.leave() => false,
            () = tokio::time::sleep(span) => true,
        }
    }

    /// Waits so long, or for a signal. SIGUSR1 asks for a look now; other programs' habits make it the one that is sent by mistake, too, and
    /// it must not end a reaper.
    pub(super) async fn next(&mut self, pause: Duration) -> Wake {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Wake::Leave,
            _ = self.interrupt.recv() => Wake::Leave,
            _ = self.hangup.recv() => if self.is_on_terminal { Wake::Leave } else { Wake::Reload },
            _ = self.user.recv() => Wake::Look,
            () = tokio::time::sleep(pause) => Wake::Look,
        }
    }
}
