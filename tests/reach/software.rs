//! Servers from PyPI and npm, installed once below target/.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::privileges::left_out;

/// MCP servers and an ACP adapter.
pub(crate) struct Software {
    /// An MCP server from PyPI.
    pub(crate) git_server: PathBuf,
    /// An MCP server from npm.
    pub(crate) everything_server: PathBuf,
    /// An ACP adapter from npm.
    pub(crate) acp_adapter: PathBuf,
}

/// What these tests were written with; the registries keep it. From its release 2 on, Python's SDK moves stdin away from descriptor 0, where
/// a server then has /dev/null, and never qualifies.
const PYPI: [&str; 2] = ["mcp-server-git==2026.10.10", "mcp==1.30.0"];
const NPM: [&str; 2] =
    ["@modelcontextprotocol/server-everything@2026.8.31", "@zed-industries/codex-acp@0.16.0"];

/// Installs them. `None`: it can't be done here, which was said.
pub(crate) fn install(test: &str) -> Option<Software> {
    let dir = installed(test, "reach-software", &PYPI, &NPM)?;
    Some(Software {
        git_server: dir.join("venv/bin/mcp-server-git"),
        everything_server: dir.join("npm/node_modules/.bin/mcp-server-everything"),
        acp_adapter: dir.join("npm/node_modules/.bin/codex-acp"),
    })
}

/// Installs opencode.
pub(crate) fn opencode(test: &str) -> Option<PathBuf> {
    let dir = installed(test, "reach-opencode", &[], &["opencode-ai@1.18.33"])?;
    Some(dir.join("npm/node_modules/.bin/opencode"))
}

/// The folder in which these packages are.
fn installed(test: &str, name: &str, pypi: &[&str], npm: &[&str]) -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&dir).unwrap();
    let lock = File::create(dir.join("lock")).unwrap();
    lock.lock().unwrap();
    let done = dir.join(
        pypi.iter()
            .chain(npm)
            .fold("done".to_owned(), |name, package| name + "-" + &package.replace('/', "_")),
    );
    if done.exists() {
        return Some(dir);
    }
    let run = |program: &str, words: &[&str]| {
        let output = Command::new(program).args(words).current_dir(&dir).stdin(Stdio::null()).output();
        match output {
            Ok(output) if output.status.success() => true,
            other => {
                eprintln!("{program} {words:?}: {other:?}");
                false
            }
        }
    };
    let (venv, prefix) = (dir.join("venv"), dir.join("npm"));
    let pip = venv.join("bin/pip");
    let from_pypi = pypi.is_empty()
        || run("python3", &["-m", "venv", venv.to_str().unwrap()])
            && run(pip.to_str().unwrap(), &[&["install", "--quiet"], pypi].concat());
    let from_npm = ["install", "--no-audit", "--no-fund", "--prefix", prefix.to_str().unwrap()];
    if !from_pypi || !run("npm", &[&from_npm[..], npm].concat()) {
        left_out(test, "Python with venv, npm, and their registries");
        return None;
    }
    File::create(done).unwrap();
    Some(dir)
}
