//! A folder of its own for each test: configuration, home and state; and the program run in it, with nothing else in its environment.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::running::Running;

/// The program under test.
pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_gateway-reaper");

/// Only a failing test waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the program said, all of it.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) out: String,
    pub(crate) err: String,
    /// `None`: a signal ended it.
    pub(crate) code: Option<i32>,
}

impl Ran {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The report's entry for the subject with this id, or of this worker.
    pub(crate) fn subject(&self, id: &str) -> serde_json::Value {
        let report = self.json();
        let subjects = report["gateways"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|gateway| gateway["subjects"].as_array().unwrap());
        let is_it = |subject: &&serde_json::Value| {
            subject["id"] == id || subject["worker_pid"].as_u64().is_some_and(|pid| id == pid.to_string())
        };
        subjects.clone().find(is_it).unwrap_or_else(|| panic!("no {id} in {report:#}")).clone()
    }

    pub(crate) fn subjects(&self) -> usize {
        self.json()["gateways"]
            .as_array()
            .unwrap()
            .iter()
            .map(|gateway| gateway["subjects"].as_array().unwrap().len())
            .sum()
    }
}

/// The folder.
#[derive(Debug)]
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("home")).unwrap();
        Self { dir }
    }

    pub(crate) fn with(config: &str) -> Self {
        let place = Self::new();
        place.write("reaper.toml", config);
        place
    }

    /// The same where its path is always as long: lines that have it in them break at the same place.
    pub(crate) fn in_tmp(config: &str) -> Self {
        let place = Self { dir: tempfile::tempdir_in("/tmp").unwrap() };
        fs::create_dir(place.path("home")).unwrap();
        place.write("reaper.toml", config);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Where the memory is unless a test says otherwise.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.path("state").join(name)
    }

    /// Removes the memory, also under a `watch`: what that writes meanwhile isn't put into what is removed, by its path.
    pub(crate) fn forget(&self) {
        let aside = self.path("forgotten");
        fs::rename(self.path("state"), &aside).unwrap();
        fs::remove_dir_all(aside).unwrap();
    }

    /// The lines of the audit log.
    pub(crate) fn audit(&self) -> Vec<serde_json::Value> {
        let text = self.read("state/audit.jsonl");
        text.lines().map(|line| serde_json::from_str(line).expect("a whole line of JSON")).collect()
    }

    /// What an interrupted run left in hand.
    pub(crate) fn in_hand(&self) -> String {
        self.read("state/in-hand.jsonl")
    }

    /// The program, about to be run here.
    pub(crate) fn reaper<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Reaper {
        self.program(EXE, args)
    }

    /// Another program that ends in running it.
    pub(crate) fn program<'a>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Reaper {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", self.path("home"))
            .env("STATE_DIRECTORY", self.path("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Reaper { command }
    }

    pub(crate) fn once<const N: usize>(&self, more: [&str; N]) -> Ran {
        self.reaper(["once"].into_iter().chain(more)).run()
    }

    pub(crate) fn status<const N: usize>(&self, more: [&str; N]) -> Ran {
        self.reaper(["status"].into_iter().chain(more)).run()
    }

    /// `once --json` again and again until it reports that; for graces, which pass in their own time.
    pub(crate) fn once_until(&self, what: &str, reports: impl Fn(&Ran) -> bool) -> Ran {
        let started = Instant::now();
        loop {
            let ran = self.once(["--json"]);
            if reports(&ran) {
                return ran;
            }
            assert!(started.elapsed() < PATIENCE, "no run reported that {what}; the last one: {ran:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The program before it runs.
#[derive(Debug)]
pub(crate) struct Reaper {
    pub(crate) command: Command,
}

impl Reaper {
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    /// Starts it and lets it run.
    pub(crate) fn start(self) -> Running {
        Running::start(self.command)
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Ran {
        let Output { status, stdout, stderr } = self.command.output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Ran { out: text(stdout), err: text(stderr), code: status.code() }
    }
}
