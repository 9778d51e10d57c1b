//! The demo gateway as a service of a machine, with clients that come and go.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use gateway_reaper::demo::client::Client;
use gateway_reaper::demo::launch::worker_match;
use gateway_reaper::demo::protocol::{Created, NewSession};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd;
use tokio::sync::{mpsc, oneshot};

use crate::machine::Machine;

/// A copy: the program of the package is another one after an upgrade, and none after a removal.
const PROGRAM: &str = "/opt/demo-gateway";
const UNIT: &str = "\
[Service]
User=hermes
ExecStart=/opt/demo-gateway demo-gateway --lifeline none --max-lifetime 30m
StandardOutput=file:/run/demo-gateway
";

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

/// The clients live on a thread of their own, in the machine's network.
pub(crate) struct Gateway {
    orders: mpsc::UnboundedSender<(Wanted, oneshot::Sender<Created>)>,
}

impl Gateway {
    /// Starts it, and writes the configuration of its reaper.
    pub(crate) fn start(machine: &Machine) -> Self {
        machine.write("/etc/systemd/system/demo-gateway.service", UNIT);
        machine.run(&format!("cp /usr/bin/gateway-reaper {PROGRAM}"));
        machine.run("systemctl daemon-reload && systemctl start demo-gateway");
        let ready = machine.wait("cat /run/demo-gateway", |ready| ready.ends_with('}'));
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        let address: SocketAddr = ready["address"].as_str().unwrap().parse().unwrap();
        machine.write(
            "/etc/gateway-reaper/reaper.toml",
            &format!(
                "[policy]\ngrace = \"2s\"\nworker_grace = \"2s\"\n\
                 [[gateway]]\nname = \"demo\"\nkind = \"http\"\nurl = \"http://{address}/sessions\"\n\
                 [gateway.worker]\nmatch = '{}'\n",
                worker_match(Path::new(PROGRAM))
            ),
        );
        Self { orders: clients(machine, address) }
    }

    pub(crate) fn session(&self, wanted: Wanted) -> Created {
        let (answer, answered) = oneshot::channel();
        self.orders.send((wanted, answer)).unwrap();
        answered.blocking_recv().expect("the clients' thread has failed")
    }
}

fn clients(
    machine: &Machine,
    address: SocketAddr,
) -> mpsc::UnboundedSender<(Wanted, oneshot::Sender<Created>)> {
    let network = machine.network();
    let (orders, mut ordered) = mpsc::unbounded_channel::<(Wanted, oneshot::Sender<Created>)>();
    thread::spawn(move || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut staying = Vec::new();
            while let Some((wanted, answer)) = ordered.recv().await {
                let mut client = Client::connect(address).await.unwrap();
                let created = client.create(NewSession::default()).await.unwrap();
                match wanted {
                    Wanted::Attached => staying.push(client),
                    Wanted::Leaked => drop(client),
                    Wanted::MidTurn => client.prompt(&created.session, None).await.unwrap(),
                }
                let _ = answer.send(created);
            }
        });
    });
    orders
}

impl Machine {
    /// Whether the worker of that session is there.
    pub(crate) fn has(&self, session: &Created) -> bool {
        self.try_run(&worker_of(session)).status.success()
    }

    /// Waits until the worker of that session is gone.
    #[track_caller]
    pub(crate) fn wait_until_gone(&self, session: &Created) {
        self.wait(&format!("{} && echo there", worker_of(session)), |said| said != "there");
    }
}

/// Succeeds while it runs: the process and no other one with its number.
fn worker_of(session: &Created) -> String {
    format!("tr '\\0' ' ' 2>/dev/null < /proc/{}/cmdline | grep -q -e '{}'", session.worker.pid, session.key)
}
