//! Clients of a demo gateway that listens in another network namespace.

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::thread;

use gateway_reaper::demo::client::Client;
use gateway_reaper::demo::protocol::{Created, NewSession};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::{mpsc, oneshot};

/// A session as a test asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Its client stays.
    Attached,
    /// Its client has gone; nothing goes on.
    Leaked,
    /// Its client has gone in the middle of a turn.
    MidTurn,
}

/// They live on a thread of their own, in that network.
pub(crate) struct Clients {
    orders: mpsc::UnboundedSender<(Wanted, oneshot::Sender<Created>)>,
}

impl Clients {
    /// Of the network namespace that this process is in.
    pub(crate) fn beside(process: u32, gateway: SocketAddr) -> Self {
        let network = File::open(format!("/proc/{process}/ns/net")).unwrap();
        let (orders, ordered) = mpsc::unbounded_channel();
        thread::spawn(move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(ordered, gateway));
        });
        Self { orders }
    }

    pub(crate) fn session(&self, wanted: Wanted) -> Created {
        let (answer, answered) = oneshot::channel();
        self.orders.send((wanted, answer)).unwrap();
        answered.blocking_recv().expect("the clients' thread has failed")
    }
}

async fn serve(
    mut ordered: mpsc::UnboundedReceiver<(Wanted, oneshot::Sender<Created>)>,
    gateway: SocketAddr,
) {
    let mut staying = Vec::new();
    while let Some((wanted, answer)) = ordered.recv().await {
        let mut client = Client::connect(gateway).await.unwrap();
        let created = client.create(NewSession::default()).await.unwrap();
        match wanted {
            Wanted::Attached => staying.push(client),
            Wanted::Leaked => drop(client),
            Wanted::MidTurn => client.prompt(&created.session, None).await.unwrap(),
        }
        let _ = answer.send(created);
    }
}
