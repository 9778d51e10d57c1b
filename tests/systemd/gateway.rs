//! The demo gateway as a service of a machine, with clients that come and go.

use std::net::SocketAddr;
use std::path::Path;

use gateway_reaper::demo::launch::worker_match;
use gateway_reaper::demo::protocol::Created;

use crate::machine::Machine;
use crate::namespace_clients::Clients;
pub(crate) use crate::namespace_clients::Wanted;

/// A copy: the program of the package is another one after an upgrade, and none after a removal.
const PROGRAM: &str = "/opt/demo-gateway";
const UNIT: &str = "\
[Service]
User=hermes
ExecStart=/opt/demo-gateway demo-gateway --lifeline none --max-lifetime 30m
StandardOutput=file:/run/demo-gateway
";

pub(crate) struct Gateway {
    clients: Clients,
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
        Self { clients: Clients::beside(machine.pid_1(), address) }
    }

    pub(crate) fn session(&self, wanted: Wanted) -> Created {
        self.clients.session(wanted)
    }
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
