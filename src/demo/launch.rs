//! Starting the demo's gateway as a process of its own: this very binary again.
#![expect(clippy::disallowed_methods, reason = "the demo starts its own gateway")]

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use thiserror::Error;

use super::gateway::Options;
use super::protocol::GatewayReady;
pub use super::worker::worker_match;

/// How long a gateway has to end its workers and itself once its stdin is closed, before it is killed.
const LEAVE: Duration = Duration::from_secs(3);

/// A gateway that couldn't be started.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// The binary didn't start.
    #[error("the demo gateway's process could not be started")]
    Start(#[source] io::Error),
    /// It started and ended, or said something else, before it said that it was ready.
    #[error("the demo gateway did not say that it was ready")]
    NotReady(#[source] io::Error),
}

/// A running demo gateway. Dropping it ends the gateway and every process that it started, orphans and daemons included.
#[derive(Debug)]
pub struct GatewayProcess {
    child: Child,
    /// The lifeline: it is never written to, and when it closes, the gateway and its workers' families end.
    lifeline: Option<ChildStdin>,
    ready: GatewayReady,
}

/// Starts `exe demo-gateway` in a process group of its own and waits until it answers.
///
/// `environment` is added to the gateway's; this is the way for a token (see [`Options::token_env`]), which has no place in an argv.
///
/// # Errors
/// It didn't start, or ended before it was ready; it has said why on stderr.
pub fn spawn_gateway(
    exe: &Path,
    options: &Options,
    environment: &[(&str, &str)],
) -> Result<GatewayProcess, LaunchError> {
    let mut child = Command::new(exe)
        .arg(super::gateway::SUBCOMMAND)
        .args(options.argv())
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Ctrl-C in a terminal goes to the whole foreground group; the demo wants to end its gateway itself.
        .process_group(0)
        .spawn()
        .map_err(LaunchError::Start)?;
    let lifeline = child.stdin.take();
    match read_ready(&mut child) {
        Ok(ready) => Ok(GatewayProcess { child, lifeline, ready }),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(LaunchError::NotReady(error))
        }
    }
}

fn read_ready(child: &mut Child) -> io::Result<GatewayReady> {
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

impl GatewayProcess {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.ready.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.ready.pid
    }

    /// What it said when it was ready.
    pub fn ready(&self) -> &GatewayReady {
        &self.ready
    }

    /// The url of its session table.
    pub fn table_url(&self) -> String {
        format!("http://{}/sessions", self.ready.address)
    }

    /// Whether its process has ended.
    ///
    /// # Errors
    /// It can't be asked.
    pub fn ended(&mut self) -> io::Result<bool> {
        self.child.try_wait().map(|status| status.is_some())
    }

    fn wait(&mut self, patience: Duration) -> io::Result<bool> {
        const STEP: Duration = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        while waited < patience {
            if self.ended()? {
                return Ok(true);
            }
            std::thread::sleep(STEP);
            waited += STEP;
        }
        Ok(false)
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // One that was stopped can't leave before it runs again, and one without a lifeline has to be told. It is our child and not waited
        // for, so its PID is still its own.
        if let (Ok(false), Some(pid)) = (self.ended(), rustix::process::Pid::from_raw(self.ready.pid as i32))
        {
            for signal in [Signal::TERM, Signal::CONT] {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
        if !matches!(self.wait(LEAVE), Ok(true)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
