//! Starting a worker, or a child of one: this very binary again.
#![expect(clippy::disallowed_methods, reason = "the demo starts its own workers")]

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::args::Args;

/// The hidden subcommand that runs a worker.
pub const SUBCOMMAND: &str = "demo-worker";

/// The pattern for `worker.match` that recognises the workers of a demo gateway that runs from this binary.
pub fn worker_match(exe: &Path) -> String {
    let exe = regex_lite::escape(&exe.to_string_lossy());
    format!(r"{exe} {} --session-key (?P<session>\S+)", SUBCOMMAND)
}

/// Starts a worker, or a child of one, as a direct child of this process and in its process group. Its stdout says when it is ready.
pub(in crate::demo) fn spawn_worker(
    args: &Args,
    stdin: Stdio,
    hidden_env: Option<&str>,
) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(SUBCOMMAND).args(args.argv()).stdin(stdin).stdout(Stdio::piped());
    if let Some(name) = hidden_env {
        command.env_remove(name);
    }
    command.spawn()
}
