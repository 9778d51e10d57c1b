//! The reaper beside a gateway: the real program, with a state directory and a configuration of its own.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gateway_reaper::demo::pinned::Pinned;
use serde_json::Value;
use tempfile::TempDir;

use super::gateway::Gateway;

pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_gateway-reaper");

/// The grace that most of these tests wait for.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// A configured reaper; what it remembers goes with it.
#[derive(Debug)]
pub(crate) struct Reaper {
    dir: TempDir,
}

/// What a run said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) exit: i32,
    pub(crate) report: Value,
    pub(crate) stderr: String,
}

impl Reaper {
    /// Of sessions and their workers. To others it leaves their workers, be they of another test or of this machine's user.
    pub(crate) fn of(gateway: &Gateway) -> Self {
        Self::with(gateway, "")
    }

    /// Of workers, too: of those that nobody but this gateway can have started.
    pub(crate) fn of_workers(gateway: &Gateway, more: &str) -> Self {
        let model = gateway.model.name();
        let pattern = format!(
            r"\S*python\S* -m tui_gateway\.slash_worker .*?--session-key (?P<session>\S+) (?:--parent-pid \d+ )?--model {model}"
        );
        Self::with(gateway, &format!("worker_grace = \"1s\"\n{more}\n[gateway.worker]\nmatch = '{pattern}'"))
    }

    /// With more lines under `[[gateway]]`.
    pub(crate) fn with(gateway: &Gateway, more: &str) -> Self {
        Self::at(&format!("url = \"{}\"", gateway.url()), more)
    }

    /// Of whatever dashboard or backend of the gateway's home runs.
    pub(crate) fn of_home(gateway: &Gateway, more: &str) -> Self {
        Self::at(&format!("home = \"{}\"", gateway.path().display()), more)
    }

    fn at(place: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "[policy]\ngrace = \"{}ms\"\nworker_grace = \"1h\"\n[state]\ndir = \"{}\"\n[[gateway]]\nname = \"dashboard\"\nkind = \"hermes\"\n{place}\n\
             timeout = \"20s\"\n{more}\n",
            GRACE.as_millis(),
            dir.path().join("state").display()
        );
        fs::write(dir.path().join("reaper.toml"), config).unwrap();
        Self { dir }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(EXE);
        command.arg("--config").arg(self.config()).arg("--json").args(args).stdin(Stdio::null());
        command
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("reaper.toml")
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Said {
        let mut command = self.command(args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {stderr}"));
        Said { exit: output.status.code().unwrap_or(-1), report, stderr }
    }

    pub(crate) async fn once(&self) -> Said {
        self.run(&["once"]).await
    }

    /// Until everything that is inside its grace is due.
    pub(crate) async fn once_and_wait(&self) -> Said {
        self.run(&["once", "--wait", "20s"]).await
    }

    pub(crate) async fn status(&self) -> Said {
        self.run(&["status"]).await
    }

    /// In a loop, until it is dropped.
    pub(crate) fn watch(&self) -> Watching {
        let mut command = self.command(&["watch", "--interval", "500ms"]);
        Watching { child: command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap() }
    }
}

/// A running `watch`.
#[derive(Debug)]
pub(crate) struct Watching {
    child: Child,
}

impl Watching {
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    pub(crate) fn gateway(&self) -> &Value {
        &self.report["gateways"][0]
    }

    pub(crate) fn subjects(&self) -> &[Value] {
        self.gateway()["subjects"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// What it said of a session: the verdict, and the reason or the outcome.
    pub(crate) fn of(&self, session: &str) -> (&str, &str) {
        let subject =
            self.subjects().iter().find(|subject| subject["kind"] == "session" && subject["id"] == session);
        let Some(subject) = subject else { return ("", "") };
        let word = |key: &str| subject[key].as_str().unwrap_or_default();
        match word("verdict") {
            "reap" => ("reap", word("outcome")),
            verdict => (verdict, word("reason")),
        }
    }

    /// What it said of a worker: the verdict, and what kind of orphan it is or why it isn't one.
    pub(crate) fn of_worker(&self, worker: &Pinned) -> (&str, &str) {
        let subject = self
            .subjects()
            .iter()
            .find(|subject| subject["kind"] == "worker" && subject["worker_pid"] == worker.pid());
        let Some(subject) = subject else { return ("", "") };
        let word = |key: &str| subject[key].as_str();
        let kind = word("orphan_kind").or_else(|| word("reason"));
        (word("verdict").unwrap_or_default(), kind.unwrap_or_default())
    }

    pub(crate) fn error(&self) -> &str {
        self.gateway()["error"].as_str().unwrap_or_default()
    }
}
