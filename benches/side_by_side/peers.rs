//! The others: looked for, and where that is allowed installed under the target directory; what can't be had is said and left out.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::version;
use crate::run::quiet;

/// Parent, start time and argv of every process: what a reaper written with psutil has to read.
const PSUTIL: &str =
    "import psutil\nfor p in psutil.process_iter(['pid', 'ppid', 'create_time', 'cmdline']): p.info";
const PROC_JANITOR: &str = "0.10.1";

/// Another way of looking at processes.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) version: Result<String, String>,
    argv: Vec<String>,
}

impl Peer {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]);
        quiet(command)
    }
}

pub(crate) fn find() -> Vec<Peer> {
    let peers = folder();
    let python = peers.join("venv/bin/python");
    let janitor = peers.join("bin/proc-janitor");
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let peer = |name, version: Option<String>, why: &str, argv: &[&str]| Peer {
        name,
        version: version.ok_or_else(|| why.to_owned()),
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
    };
    install_psutil(&peers, &python);
    install_proc_janitor(&peers, &janitor);
    let psutil = version(&path(&python), &["-c", "import psutil; print('psutil', psutil.__version__)"]);
    vec![
        peer("ps -eo pid,ppid,args", version("ps", &["--version"]), "no ps", &["ps", "-eo", "pid,ppid,args"]),
        peer(
            "pgrep -f",
            version("pgrep", &["--version"]),
            "no pgrep",
            &["pgrep", "-f", "demo-worker --session-key"],
        ),
        peer(
            "psutil",
            psutil,
            "could not be installed with pip into target/peers/venv",
            &[&path(&python), "-c", PSUTIL],
        ),
        peer(
            "proc-janitor scan",
            version(&path(&janitor), &["--version"]),
            "could not be installed with cargo into target/peers",
            &[&path(&janitor), "scan"],
        ),
    ]
}

/// Beside the profile's folder of the target directory.
fn folder() -> PathBuf {
    let exe = Path::new(crate::scene::EXE);
    exe.ancestors().nth(2).unwrap_or(exe).join("peers")
}

fn install_psutil(peers: &Path, python: &Path) {
    if !python.exists() {
        eprintln!("installing psutil");
        run(Command::new("python3").args(["-m", "venv"]).arg(peers.join("venv")));
        run(Command::new(python).args(["-m", "pip", "install", "--quiet", "psutil"]));
    }
}

fn install_proc_janitor(peers: &Path, janitor: &Path) {
    if !janitor.exists() {
        eprintln!("installing proc-janitor {PROC_JANITOR}");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let args = ["install", "--quiet", "--locked", "proc-janitor", "--version", PROC_JANITOR, "--root"];
        // Not in our own build directory: there it would only be in the way.
        run(Command::new(cargo).args(args).arg(peers).env_remove("CARGO_TARGET_DIR"));
    }
}

/// What it comes to is seen by asking for the version.
fn run(command: &mut Command) {
    if let Err(error) = command.status() {
        eprintln!("{}: {error}", command.get_program().to_string_lossy());
    }
}
