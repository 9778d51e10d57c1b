//! The demo's own Jupyter Server.
#![expect(clippy::disallowed_methods, reason = "the demo starts a server of its own")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hyper::{Method, StatusCode};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::kernel::Kernel;
use crate::demo::pinned::Pinned;
use crate::demo::story::StoryError;
use crate::domain::ids::{Pid, SessionId};
use crate::sources::gateway::command::SUBCOMMAND;
use crate::sources::gateway::jupyter::runtime::{self, Running};
use crate::sources::http::{Credential, Exchange, HttpClient, Listeners, Response, Scheme};

/// Python and all of its packages have to be read from the disk.
const START: Duration = Duration::from_secs(60);
const LEAVE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(50);
const LIMIT: usize = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    process: Pinned,
    folder: PathBuf,
    runtime: PathBuf,
    found: Option<(Running, HttpClient)>,
}

/// With the last line of its log.
fn never_answered(folder: &Path) -> StoryError {
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let last = log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing");
    StoryError::Jupyter(format!("it never answered; the last it said is: {}", last.trim()))
}

impl Server {
    /// It is killed with this process, and its kernels then end by themselves.
    pub(super) fn start(exe: &Path, jupyter: &Path, folder: &Path) -> Result<Self, StoryError> {
        let failed = |error| StoryError::Jupyter(format!("it could not be started ({error})"));
        let runtime = folder.join("runtime");
        fs::create_dir(&runtime).map_err(failed)?;
        let log = File::create(folder.join("log")).map_err(failed)?;
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))
            .and_then(|it| it.local_addr())
            .map_err(failed)?
            .port();
        let mut command = Command::new(exe);
        command.args([SUBCOMMAND, "--"]).arg(jupyter);
        command.args(["server", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]);
        command.arg(format!("--port={port}")).arg(format!("--ServerApp.root_dir={}", folder.display()));
        // What this user has configured is for servers of this user.
        command.env("JUPYTER_NO_CONFIG", "1").env("JUPYTER_CONFIG_DIR", folder);
        command.env("JUPYTER_RUNTIME_DIR", &runtime).env_remove("JUPYTER_TOKEN");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).current_dir(folder);
        let child = command.spawn().map_err(failed)?;
        let process = Pinned::new(child.id()).map_err(|error| match error.kind() {
            // It has ended already.
            std::io::ErrorKind::NotFound => never_answered(folder),
            _ => StoryError::Hold(error),
        })?;
        Ok(Self { child, process, folder: folder.to_owned(), runtime, found: None })
    }

    /// Waits until it does.
    pub(super) async fn answers(&mut self) -> Result<(), StoryError> {
        let began = Instant::now();
        while began.elapsed() < START && self.process.alive() {
            let found = runtime::servers(&self.runtime, rustix::process::geteuid().as_raw());
            if let Some(server) = found.ok().and_then(|mut found| found.running.pop()) {
                let credential = Credential::of(server.token.clone()).with_scheme(Scheme::Token);
                let client = HttpClient::new(server.address.clone(), credential, START);
                let client = client.with_listeners(Listeners::own_and([]));
                self.found = Some((server, client));
                if self.ask(Method::GET, "api").await.is_ok_and(|it| it.status == StatusCode::OK) {
                    return Ok(());
                }
            }
            sleep(STEP).await;
        }
        Err(never_answered(&self.folder))
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(super) fn process(&self) -> Option<Pid> {
        Pid::new(self.pid().into())
    }

    pub(super) fn runtime(&self) -> &Path {
        &self.runtime
    }

    pub(super) fn address(&self) -> String {
        self.found.as_ref().map(|(server, _)| server.address.to_string()).unwrap_or_default()
    }

    pub(super) fn found(&self) -> Result<&(Running, HttpClient), StoryError> {
        self.found.as_ref().ok_or_else(|| StoryError::Jupyter("it isn't there".into()))
    }

    pub(super) async fn lists(&self, kernel: &SessionId) -> Result<bool, StoryError> {
        let answer = self.ask(Method::GET, &format!("api/kernels/{}", kernel.as_str())).await?;
        Ok(answer.status == StatusCode::OK)
    }

    pub(super) async fn ask(&self, method: Method, path: &str) -> Result<Response, StoryError> {
        let (server, client) = self.found()?;
        let path = format!("{}{path}", server.address.path());
        let asked = async { Exchange::begin(client, START).await?.ask(method, &path, &[], LIMIT).await };
        asked.await.map_err(|error| StoryError::Jupyter(error.in_full()))
    }

    /// Ends it with its kernels, and returns what could not be ended.
    pub(super) async fn strike(mut self, kernels: Vec<Kernel>) -> Vec<String> {
        let _ = self.process.signal(Signal::TERM);
        let processes: Vec<Pinned> = kernels.into_iter().flat_map(|kernel| kernel.processes).collect();
        let began = Instant::now();
        // Its kernels end with it; what they started doesn't.
        while began.elapsed() < LEAVE && self.process.alive() {
            sleep(STEP).await;
        }
        let left = || processes.iter().chain([&self.process]).filter(|process| process.alive());
        for process in left() {
            let _ = process.signal(Signal::KILL);
        }
        let killed = Instant::now();
        while killed.elapsed() < LEAVE && left().next().is_some() {
            sleep(STEP).await;
        }
        let left = left().map(ToString::to_string).collect();
        let _ = self.child.try_wait();
        left
    }
}
