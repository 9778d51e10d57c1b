//! Podman with a storage of its own: nothing is seen or touched of other containers on this machine.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything takes on a busy machine; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(180);
const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/package/container");
const CONTAINERFILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/container/Containerfile");
pub(crate) const IMAGE: &str = "localhost/gateway-reaper";

/// Podman's own limits are higher than a machine may allow even root. What clears up after a command in a container comes minutes later by
/// itself, when all of this is gone.
const LIMITS: &str = "\
[containers]
default_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]
[engine]
exit_command_delay = 3
";

/// Dropping it ends its containers.
pub(crate) struct Engine {
    // In /tmp: the path of a socket has at most 107 bytes.
    files: TempDir,
    service: Option<Child>,
}

impl Engine {
    /// With the image of the static binary.
    pub(crate) fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "these containers are root's to start");
        assert!(Path::new(PACKAGE).exists(), "there is no static binary yet: deploy/package makes it");
        let engine = Self { files: tempfile::tempdir_in("/tmp").unwrap(), service: None };
        fs::write(engine.folder().join("limits.conf"), LIMITS).unwrap();
        engine.run(&["build", "--isolation", "chroot", "--file", CONTAINERFILE, "--tag", IMAGE, PACKAGE]);
        engine
    }

    /// A folder to hand files over.
    pub(crate) fn folder(&self) -> &Path {
        self.files.path()
    }

    fn podman(&self) -> Command {
        let mut command = Command::new("podman");
        for (option, folder) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            command.arg(option).arg(self.files.path().join(folder));
        }
        command.args(["--storage-driver", "vfs", "--runtime", "runc", "--cgroup-manager", "cgroupfs"]);
        command.env("CONTAINERS_CONF", self.files.path().join("limits.conf"));
        command
    }

    /// The program and its options, for a shell. Where its limits are is told by the environment.
    pub(crate) fn words(&self) -> String {
        let podman = self.podman();
        let words = [podman.get_program()].into_iter().chain(podman.get_args());
        words.map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    /// Runs a command of podman's, which has to succeed, and gives what it printed.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let output = self.try_run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "podman {args:?}: {}\n{out}\n{err}", output.status);
        out.trim().to_owned()
    }

    pub(crate) fn try_run(&self, args: &[&str]) -> Output {
        self.podman().args(args).output().expect("podman isn't there: apt-get install podman runc")
    }

    /// Starts a container.
    #[track_caller]
    pub(crate) fn start(&self, name: &str, options: &[&str], args: &[&str]) {
        self.run(&[&["run", "--detach", "--name", name][..], options, &[IMAGE], args].concat());
    }

    /// What podman knows of a container.
    pub(crate) fn inspect(&self, container: &str) -> Value {
        let all: Value = serde_json::from_str(&self.run(&["inspect", container])).unwrap();
        all[0].clone()
    }

    /// Its first process, as it is known out here.
    pub(crate) fn pid(&self, container: &str) -> u32 {
        self.inspect(container)["State"]["Pid"].as_u64().unwrap().try_into().unwrap()
    }

    /// Podman as a service at a socket, as Docker's own programs want it; and that socket.
    pub(crate) fn serve(&mut self) -> String {
        let socket = format!("unix://{}", self.folder().join("podman.sock").display());
        let service = self.podman().args(["system", "service", "--time", "0", &socket]).spawn().unwrap();
        self.service = Some(service);
        wait_for("a socket of podman's", || {
            if self.folder().join("podman.sock").exists() { Ok(()) } else { Err("none".to_owned()) }
        });
        socket
    }

    /// What a container says, as soon as it is as wanted.
    #[track_caller]
    pub(crate) fn logs(&self, container: &str, wanted: impl Fn(&str) -> bool) -> String {
        wait_for(&format!("the wanted output of {container}"), || {
            let output = self.try_run(&["logs", container]);
            let said = text(&output.stdout);
            if wanted(said.trim()) { Ok(said.trim().to_owned()) } else { Err(said + &text(&output.stderr)) }
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(mut service) = self.service.take() {
            let _ = service.kill();
            let _ = service.wait();
        }
        // A removal alone forgets the container that another one has joined, and its processes run on.
        let _ = self.try_run(&["kill", "--all"]);
        let _ = self.try_run(&["pod", "rm", "--all", "--force", "--time", "0"]);
        let _ = self.try_run(&["rm", "--all", "--force", "--time", "0", "--volumes"]);
    }
}

/// Looks until there is something; what was there instead is said if it never comes.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) => assert!(started.elapsed() < PATIENCE, "there was never {what}: {instead}"),
        }
        thread::sleep(Duration::from_millis(200));
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
