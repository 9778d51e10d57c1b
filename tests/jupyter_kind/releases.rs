//! The releases, installed from PyPI into venvs of their own: once, beside the build, each under a lock.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

/// What is installed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// The newest of everything.
    New,
    /// With the kernel that stays when its server is gone.
    OldKernel,
    /// With the extension that hides who is connected.
    Documents,
}

impl Release {
    fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::OldKernel => "old",
            Self::Documents => "documents",
        }
    }

    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::New => &["jupyter_server==2.21.1", "jupyter_kernel_gateway==3.0.1", "ipykernel==7.4.0"],
            Self::OldKernel => &["jupyter_server==2.21.1", "ipykernel==6.29.5"],
            Self::Documents => {
                &["jupyter_server==2.21.1", "ipykernel==7.4.0", "jupyter_server_documents==0.3.3"]
            }
        }
    }

    /// Its venv; installed now, if it isn't.
    pub(crate) fn venv(self) -> PathBuf {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("jupyter-venvs");
        fs::create_dir_all(&base).unwrap();
        let lock = File::create(base.join(format!("{}.lock", self.name()))).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        let venv = base.join(self.name());
        if !self.is_installed(&venv) {
            self.install(&venv);
        }
        venv
    }

    fn is_installed(self, venv: &Path) -> bool {
        let libraries = fs::read_dir(venv.join("lib")).into_iter().flatten().flatten();
        let packages: Vec<PathBuf> = libraries.map(|python| python.path().join("site-packages")).collect();
        let is_there = |package: &&'static str| {
            let info = format!("{}.dist-info", package.replace("==", "-"));
            packages.iter().any(|packages| packages.join(&info).exists())
        };
        !unfinished(venv).exists() && self.packages().iter().all(is_there)
    }

    fn install(self, venv: &Path) {
        eprintln!("installing {} into {}", self.packages().join(", "), venv.display());
        let _ = fs::remove_dir_all(venv);
        fs::write(unfinished(venv), "").unwrap();
        run(Command::new("python3").args(["-m", "venv"]).arg(venv));
        let mut pip = Command::new(venv.join("bin/pip"));
        run(pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(self.packages()));
        fs::remove_file(unfinished(venv)).unwrap();
    }
}

/// The program of Deno, which has a kernel of its own, from npm.
pub(crate) fn deno() -> PathBuf {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("jupyter-venvs");
    fs::create_dir_all(&base).unwrap();
    let lock = File::create(base.join("deno.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let folder = base.join("deno");
    let done = folder.join("done-2.9.6");
    if !done.exists() {
        fs::create_dir_all(&folder).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).arg("deno@2.9.6");
        run(&mut npm);
        fs::write(done, "").unwrap();
    }
    // What npm puts into .bin is a script around it.
    folder.join("node_modules/@deno/linux-x64-glibc/deno")
}

fn unfinished(venv: &Path) -> PathBuf {
    venv.with_extension("unfinished")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "can't be installed, and without it nothing is proven on it. {command:?} said:\n{}\nPython 3.11 or later with venv, npm, and a way to \
         PyPI and npm are needed.",
        String::from_utf8_lossy(&output.stderr)
    );
}
