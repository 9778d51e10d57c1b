//! A machine: systemd as PID 1 of namespaces of its own, from a small Debian of which each machine changes a copy in memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything takes on a busy machine; only a failing test waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

const TARGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target");
const BOOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/systemd/boot");
/// What a server has, and no more.
const PACKAGES: &str = "systemd-sysv,dbus,dbus-user-session,libpam-systemd,procps";

/// Dropping it ends it, with all that runs there.
pub(crate) struct Machine {
    namespaces: Child,
    pid_1: u32,
    files: TempDir,
}

impl Machine {
    /// A machine that has booted, with the user `hermes`.
    pub(crate) fn boot() -> Self {
        assert!(rustix::process::geteuid().is_root(), "a machine of its own is root's to boot");
        let files =
            tempfile::Builder::new().prefix("machine-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for folder in ["written", "handed"] {
            fs::create_dir(files.path().join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(small_debian(), files.path().join("base")).unwrap();
        // The kernel ends the machine with this thread, however that ends.
        let mut namespaces = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "sh", BOOT])
            .arg(files.path())
            .stdin(Stdio::null())
            .stdout(File::create(files.path().join("console")).unwrap())
            .stderr(File::create(files.path().join("boot")).unwrap())
            .spawn()
            .unwrap();
        let pid_1 = wait_for("a first process of the machine", || {
            if let Some(status) = namespaces.try_wait().unwrap() {
                let said = fs::read_to_string(files.path().join("boot")).unwrap();
                panic!("the machine didn't boot ({status}): {said}");
            }
            systemd_below(namespaces.id())
        });
        let machine = Self { namespaces, pid_1, files };
        wait_for("the end of its start", || {
            let state = machine.try_run("systemctl is-system-running");
            (text(&state.stdout).trim() == "running").then_some(())
        });
        machine.run("useradd --create-home --uid 1000 hermes");
        machine
    }

    /// Runs a line of shell there as root, which has to succeed, and gives what it printed.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> String {
        let output = self.try_run(line);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{line}: {}\n{out}\n{err}", output.status);
        out
    }

    pub(crate) fn try_run(&self, line: &str) -> Output {
        Command::new("nsenter")
            .args(["--all", "--target", &self.pid_1.to_string(), "sh", "-c", line])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .env("HOME", "/root")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .output()
            .unwrap()
    }

    /// What this line prints, as soon as it is as wanted.
    #[track_caller]
    pub(crate) fn wait(&self, line: &str, wanted: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        loop {
            let output = self.try_run(line);
            let out = text(&output.stdout);
            if wanted(out.trim()) {
                return out.trim().to_owned();
            }
            if started.elapsed() > PATIENCE {
                let journal = text(&self.try_run("journalctl --no-pager --lines 40").stdout);
                panic!("{line}: never as wanted, at last {out}{}\n{journal}", text(&output.stderr));
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// A file of the test, as the machine names it.
    pub(crate) fn hand(&self, file: &Path) -> String {
        let name = file.file_name().unwrap();
        fs::copy(file, self.files.path().join("handed").join(name)).unwrap();
        format!("/run/host/{}", name.to_str().unwrap())
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let written = self.files.path().join("content");
        fs::write(&written, content).unwrap();
        let handed = self.hand(&written);
        self.run(&format!("mkdir -p \"$(dirname '{path}')\" && cp {handed} '{path}'"));
    }

    /// A property of a unit.
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        self.run(&format!("systemctl show --value --property {name} '{unit}'")).trim().to_owned()
    }

    /// Its systemd, as it is known out here.
    pub(crate) fn pid_1(&self) -> u32 {
        self.pid_1
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its child is PID 1 of the namespace and ends with it; so do all others there.
        let _ = self.namespaces.kill();
        let _ = self.namespaces.wait();
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let cgroups = mounts.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let place = words.nth(1)?;
            (words.next()? == "cgroup2").then(|| PathBuf::from(place))
        });
        let name = self.files.path().file_name().unwrap();
        for group in cgroups.map(|root| root.join(name)) {
            // They are empty only once the last process there has gone.
            let started = Instant::now();
            while group.exists() && started.elapsed() < Duration::from_secs(10) {
                remove_groups(&group);
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// A control group with those below it.
fn remove_groups(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

/// The process in new namespaces, once it is systemd.
fn systemd_below(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let child: u32 = children.split_ascii_whitespace().next()?.parse().ok()?;
    (fs::read_to_string(format!("/proc/{child}/comm")).ok()?.trim() == "systemd").then_some(child)
}

/// The files of a small Debian, made once.
fn small_debian() -> PathBuf {
    let folder = Path::new(TARGET).join("small-debian");
    let lock = File::create(Path::new(TARGET).join("small-debian.lock")).unwrap();
    lock.lock().unwrap();
    if !folder.exists() {
        let unfinished = folder.with_extension("unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        let output = Command::new("mmdebstrap")
            .args(["--variant=minbase", "--dpkgopt=force-unsafe-io", "--include", PACKAGES, "bookworm"])
            .arg(&unfinished)
            .output()
            .expect("mmdebstrap isn't there: apt-get install mmdebstrap");
        assert!(output.status.success(), "{}", text(&output.stderr));
        fs::rename(unfinished, &folder).unwrap();
    }
    folder
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "there was never {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
