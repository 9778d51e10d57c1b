//! What systemd is told: that `watch` is ready, alive, reloading, stopping. Nothing of it happens where no service manager asked for it.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::environment;

/// The service manager's socket, if there is one.
#[derive(Debug, Clone)]
pub(super) struct Manager {
    address: Option<OsString>,
}

impl Manager {
    /// The one that started this program, and from now on it hears that this program is alive, if it wants to.
    pub(super) fn new() -> Self {
        let manager = Self { address: environment::notify_socket() };
        if let (Some(within), Some(_)) = (environment::watchdog(), &manager.address) {
            let told = manager.clone();
            // In a task of its own, so that it goes on during a teardown, which may take minutes.
            tokio::spawn(async move {
                loop {
                    told.tell("WATCHDOG=1");
                    tokio::time::sleep(within / 2).await;
                }
            });
        }
        manager
    }

    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, text: &str) {
        let Some(address) = &self.address else { return };
        if let Err(error) = send(address, text) {
            tracing::debug!(%error, "the service manager can't be told");
        }
    }
}

fn send(address: &OsString, text: &str) -> std::io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    // A manager that is busy must not hold a reap up.
    socket.set_nonblocking(true)?;
    let address = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    socket.send_to_addr(text.as_bytes(), &address).map(drop)
}
