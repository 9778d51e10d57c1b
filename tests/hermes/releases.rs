//! The releases, installed from PyPI into venvs of their own: once, beside the build, each under a lock.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

/// A release of `hermes-agent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    V0_13_0,
    V0_16_0,
    V0_19_0,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V0_13_0 => "0.13.0",
            Self::V0_16_0 => "0.16.0",
            Self::V0_19_0 => "0.19.0",
        })
    }
}

impl Release {
    /// The extras that a dashboard needs; 0.19.0 has them built in.
    fn requirement(self) -> String {
        let extras = if self == Self::V0_19_0 { "" } else { "[web,pty]" };
        format!("hermes-agent{extras}=={self}")
    }

    /// The release's venv. `None`: the developer has asked to go without; it is said loudly, and never in CI.
    pub(crate) fn venv(self) -> Option<PathBuf> {
        if set("GATEWAY_REAPER_WITHOUT_HERMES") {
            assert!(
                !set("CI"),
                "GATEWAY_REAPER_WITHOUT_HERMES is for a developer without a network, not for CI"
            );
            eprintln!("\nNOT RUN on Hermes {self}: GATEWAY_REAPER_WITHOUT_HERMES is set !!!\n");
            return None;
        }
        let base = std::env::var_os("GATEWAY_REAPER_HERMES_VENVS").map_or_else(
            || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("hermes-venvs"),
            PathBuf::from,
        );
        fs::create_dir_all(&base).unwrap();
        let lock = File::create(base.join(format!("{self}.lock"))).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        let venv = base.join(self.to_string());
        if !self.is_installed(&venv) {
            self.install(&venv);
        }
        Some(venv)
    }

    fn is_installed(self, venv: &Path) -> bool {
        let unfinished = unfinished(venv).exists();
        let pattern = format!("hermes_agent-{self}.dist-info");
        let libraries = fs::read_dir(venv.join("lib")).into_iter().flatten().flatten();
        let found = libraries
            .map(|python| python.path().join("site-packages").join(&pattern))
            .any(|path| path.exists());
        !unfinished && found && venv.join("bin/hermes").exists()
    }

    fn install(self, venv: &Path) {
        eprintln!("installing hermes-agent {self} into {}", venv.display());
        let _ = fs::remove_dir_all(venv);
        fs::write(unfinished(venv), "").unwrap();
        run(Command::new("python3").args(["-m", "venv"]).arg(venv), self);
        let pip = venv.join("bin/pip");
        run(
            Command::new(pip).args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                &self.requirement(),
            ]),
            self,
        );
        fs::remove_file(unfinished(venv)).unwrap();
    }
}

fn unfinished(venv: &Path) -> PathBuf {
    venv.with_extension("0-unfinished")
}

fn set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}

fn run(command: &mut Command, release: Release) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "hermes-agent {release} can't be installed, and without it nothing is proven on it. {command:?} said:\n{}\n\
         Python 3.11 or later with venv and a way to PyPI are needed; a developer without them may set \
         GATEWAY_REAPER_WITHOUT_HERMES=1.",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// One test for each release.
macro_rules! on_each_release {
    ($(#[$meta:meta])* $name:ident, $run:path) => {
        mod $name {
            use super::*;
            use crate::releases::Release;

            #[tokio::test]
            $(#[$meta])*
            async fn on_0_13_0() {
                $run(Release::V0_13_0).await;
            }

            #[tokio::test]
            $(#[$meta])*
            async fn on_0_16_0() {
                $run(Release::V0_16_0).await;
            }

            #[tokio::test]
            $(#[$meta])*
            async fn on_0_19_0() {
                $run(Release::V0_19_0).await;
            }
        }
    };
}
pub(crate) use on_each_release;
