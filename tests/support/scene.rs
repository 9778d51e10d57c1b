//! A gateway with sessions, and the reaper's configuration and state directory for it: what is weighed and measured.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use gateway_reaper::demo::client::Client;
use gateway_reaper::demo::flavour::Flavour;
use gateway_reaper::demo::gateway::Options;
use gateway_reaper::demo::launch::{GatewayProcess, spawn_gateway, worker_match};
use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::demo::protocol::{AtEndOfInput, CloseManner, Created, NewSession, WorkerSpec};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The program that is measured.
pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_gateway-reaper");

/// Every fifth session has lost its client and waits out a grace that is longer than anything here takes; every fifth is in a turn; the
/// others are attached and idle.
pub(crate) struct Scene {
    pub(crate) gateway: GatewayProcess,
    pub(crate) created: Vec<Created>,
    clients: VecDeque<Client>,
    runtime: Runtime,
    dir: TempDir,
}

impl Scene {
    pub(crate) fn with_sessions(number: usize) -> Self {
        let mut scene = Self::new(Options::default(), "grace = \"1h\"\n");
        for index in 0..number {
            let keep = if index % 5 == 0 { None } else { Some(index % 5 == 1) };
            scene.add_session(NewSession::default(), keep);
        }
        scene
    }

    /// Leaked sessions, whose gateway closes them and leaves their workers alone, so that those fall to the reaper; and the workers with
    /// all their descendants, none of whom heeds SIGTERM.
    pub(crate) fn stubborn(sessions: usize, flavour: Flavour, term_timeout: Duration) -> (Self, Vec<Pinned>) {
        let policy = format!(
            "grace = \"0s\"\nclose_timeout = \"0s\"\nterm_timeout = \"{}s\"\nmax_reaps = 1000\n",
            term_timeout.as_secs()
        );
        let mut scene = Self::new(Options { close: CloseManner::Lazy, ..Options::default() }, &policy);
        let worker = WorkerSpec { flavour, at_end_of_input: AtEndOfInput::LiveOn, ..WorkerSpec::default() };
        for _ in 0..sessions {
            scene.add_session(NewSession { worker, ..NewSession::default() }, None);
        }
        let families = scene.created.iter().map(|created| &created.worker);
        let all = families
            .flat_map(|worker| worker.family.iter().chain([&worker.pid]))
            .map(|&pid| Pinned::new(pid).unwrap())
            .collect();
        // Until the gateway has heard that the last client is gone.
        std::thread::sleep(Duration::from_millis(500));
        (scene, all)
    }

    /// A gateway without sessions; `policy` is the body of that section.
    pub(crate) fn new(options: Options, policy: &str) -> Self {
        // Longer than any measurement; the lifeline ends them anyway.
        let options = Options { max_lifetime: Duration::from_secs(4 * 3600), ..options };
        let gateway = spawn_gateway(Path::new(EXE), &options, &[]).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = TempDir::new().unwrap();
        let scene = Self { gateway, created: Vec::new(), clients: VecDeque::new(), runtime, dir };
        let config = format!(
            "[policy]\n{policy}\n[state]\ndir = \"state\"\n\n[[gateway]]\nname = \"demo\"\nkind = \"http\"\nurl = \"{}\"\n\
             [gateway.worker]\nmatch = '{}'\n",
            scene.gateway.table_url(),
            worker_match(Path::new(EXE)),
        );
        fs::write(scene.config(), config).unwrap();
        scene
    }

    /// Adds a session and its worker. `turn`: its client stays, in a turn or not; `None`: its client goes.
    pub(crate) fn add_session(&mut self, new: NewSession, turn: Option<bool>) {
        let address = self.gateway.address();
        let (client, created) = self.runtime.block_on(async {
            let mut client = Client::connect(address).await.unwrap();
            let created = client.create(new).await.unwrap();
            if turn == Some(true) {
                client.prompt(&created.session, None).await.unwrap();
            }
            (client, created)
        });
        self.clients.extend(turn.map(|_| client));
        self.created.push(created);
    }

    /// The client that has been there longest goes.
    pub(crate) fn drop_oldest_client(&mut self) {
        drop(self.clients.pop_front());
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("reaper.toml")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The reaper with this scene's configuration; says nothing unless it is read.
    pub(crate) fn reaper(&self, args: &[&str]) -> Command {
        self.under(&[], args)
    }

    /// The same, run by another program.
    #[allow(clippy::disallowed_methods, reason = "the program under test")]
    pub(crate) fn under(&self, prefix: &[&str], args: &[&str]) -> Command {
        let mut words = prefix.iter().copied().chain([EXE]);
        let mut command = Command::new(words.next().unwrap_or(EXE));
        command.args(words).arg("--config").arg(self.config()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}
