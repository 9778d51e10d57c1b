//! A dashboard without the plugin, its workers, clients, and the program that looks at it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::reapers::Reaper;
use crate::stage::{PORT, Stage};

/// Several times the grace.
const FOR_LONG: Duration = Duration::from_millis(1200);
/// A client that stays would be missed by none of so many.
const LOOKS: usize = 5;

/// A stage with a dashboard on it.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    /// The PID of its process.
    pub(crate) dashboard: u64,
}

/// Where the dashboard of most scenes listens.
pub(crate) const ADDRESS: &str = "127.0.0.1";

/// What is said of one client.
pub(crate) const ONE: &str = "1 client is connected, to which session isn't known";

/// Longer than anything here takes on a busy machine; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(300);

impl Scene {
    /// A stage, and nothing listening.
    pub(crate) fn empty() -> Self {
        let stage = Stage::start();
        let modules = stage.place().path("cast/modules/tui_gateway");
        std::fs::create_dir_all(&modules).unwrap();
        std::fs::write(modules.join("__init__.py"), "").unwrap();
        std::fs::write(modules.join("slash_worker.py"), include_str!("slash_worker.py")).unwrap();
        stage.place().write("net.py", include_str!("net.py"));
        let scene = Self { stage, dashboard: 0 };
        scene.configure(PORT, "");
        scene.role("looker", &["looker"], &[]);
        scene
    }

    /// With a dashboard at `127.0.0.1`.
    pub(crate) fn new() -> Self {
        Self::at(ADDRESS)
    }

    /// With one that listens there.
    pub(crate) fn at(host: &str) -> Self {
        let mut scene = Self::empty();
        scene.dashboard = scene.dashboard("dashboard", host, &[]);
        scene
    }

    pub(crate) fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < PATIENCE, "it never came true that {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts a dashboard; returns its PID.
    pub(crate) fn dashboard(&self, name: &str, host: &str, prefix: &[&str]) -> u64 {
        self.role(name, &["dashboard", host, &PORT.to_string()], prefix);
        self.stage.pid(name)
    }

    /// Starts a process in this role; `prefix` is the program that starts it.
    pub(crate) fn role(&self, name: &str, role: &[&str], prefix: &[&str]) {
        let script = self.stage.place().path("net.py");
        let python = ["/usr/bin/python3", "-ISB", script.to_str().unwrap()];
        self.starts(name, &[prefix, &python, role].concat());
        self.stage.enters(name);
    }

    /// Starts a program in the scene's folder, and returns its PID.
    pub(crate) fn starts(&self, name: &str, command: &[&str]) -> u64 {
        let options = json!({ "directory": self.stage.place().dir() });
        self.stage.tell("init", &json!(["spawn", name, command, options])).as_u64().unwrap()
    }

    /// Runs a program to its end.
    pub(crate) fn runs(&self, at: &str, command: &[&str]) {
        assert_eq!(self.stage.tell(at, &json!(["run", command])), 0, "{command:?}");
    }

    /// The port at which the reaper asks, and more keys of the gateway.
    pub(crate) fn configure(&self, port: u16, more: &str) {
        self.configure_url(&format!("http://127.0.0.1:{port}"), more);
    }

    fn configure_url(&self, url: &str, more: &str) {
        self.configure_all("without_table = \"workers\"", url, more);
    }

    /// With these keys of the policy.
    pub(crate) fn configure_policy(&self, policy: &str) {
        self.configure_all(policy, &format!("http://127.0.0.1:{PORT}"), "");
    }

    fn configure_all(&self, policy: &str, url: &str, more: &str) {
        let policy = format!("worker_grace = \"500ms\"\nterm_timeout = \"2s\"\n{policy}\n");
        let gateway = format!("[[gateway]]\nname = \"desk\"\nkind = \"hermes\"\nurl = \"{url}\"\n{more}\n");
        self.stage.place().write("reaper.toml", format!("[policy]\n{policy}{gateway}"));
    }

    /// A client that isn't connected yet.
    pub(crate) fn client(&self, name: &str) -> Client<'_> {
        self.role(name, &["client"], &[]);
        Client { scene: self, name: name.to_owned() }
    }

    /// A client that has run a command, and so has a worker.
    pub(crate) fn client_at(&self, name: &str, host: &str, port: u16) -> Client<'_> {
        let client = self.client(name);
        client.connects(host, port);
        client.commands();
        client
    }

    /// The workers of the dashboard.
    pub(crate) fn workers(&self) -> Vec<u64> {
        let workers = self.stage.tell("looker", &json!(["workers", self.dashboard]));
        serde_json::from_value(workers).unwrap()
    }

    /// Its only worker.
    pub(crate) fn worker(&self) -> u64 {
        let workers = self.workers();
        assert_eq!(workers.len(), 1, "{workers:?}");
        workers[0]
    }

    /// `watch` from now on.
    pub(crate) fn watch(&self) -> Watch<'_> {
        let reaper = self.stage.reaper("watches", &["watch", "--interval", "100ms"]);
        Watch { scene: self, reaper, looks_at: self.stage.place().path("watches/last_run.json") }
    }

    /// What `doctor` says of who listens.
    pub(crate) fn listener(&self) -> String {
        let said = self.stage.reaper("watches", &["--json", "doctor"]).end().json();
        let checks = said["checks"].as_array().unwrap();
        let listener = checks.iter().find(|check| check["check"] == "listener");
        listener.unwrap_or_else(|| panic!("nothing of the listener: {said:#}"))["detail"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// What `status` says of the gateway as a whole.
    pub(crate) fn beside(&self) -> String {
        let ran = self.stage.status("watches");
        ran.json()["gateways"][0]["beside"].as_str().unwrap_or_default().to_owned()
    }
}

/// A client of the dashboard.
#[derive(Debug)]
pub(crate) struct Client<'scene> {
    pub(crate) scene: &'scene Scene,
    pub(crate) name: String,
}

impl Client<'_> {
    pub(crate) fn does(&self, order: &Value) -> Value {
        self.scene.stage.tell(&self.name, order)
    }

    pub(crate) fn connects(&self, host: &str, port: u16) {
        assert_eq!(self.does(&json!(["connect", host, port])), "101");
    }

    /// Runs a slash command, which its worker answers.
    pub(crate) fn commands(&self) {
        let said = self.does(&json!(["command"]));
        assert!(said["output"].is_string(), "{said}");
    }

    pub(crate) fn leaves(&self) {
        self.does(&json!(["close"]));
    }
}

/// `watch` while it runs.
#[derive(Debug)]
pub(crate) struct Watch<'scene> {
    scene: &'scene Scene,
    reaper: Reaper<'scene>,
    looks_at: PathBuf,
}

impl Watch<'_> {
    /// For several graces, and as many looks as that takes, nothing is done to these, and this is said of the clients.
    pub(crate) fn spares_others(&self, workers: &[u64], words: &str) {
        let started = Instant::now();
        let mut runs = vec![run(&self.looks_at)];
        self.scene.eventually("it has looked often enough", || {
            let now = run(&self.looks_at);
            if runs.last() != Some(&now) {
                runs.push(now);
            }
            runs.len() > LOOKS && started.elapsed() > FOR_LONG
        });
        for worker in workers {
            assert!(self.scene.stage.runs(*worker), "{worker} was ended ({words}): {:#?}", self.acts());
        }
        // To `status` a connection of `watch` itself is another's.
        let mut said = String::new();
        self.scene.eventually(&format!("{words:?} is said"), || {
            said = self.scene.beside();
            said.contains(words)
        });
        let done = self.ended();
        assert!(!done.iter().any(|(pid, _)| workers.contains(pid)), "{words}: {done:?}");
    }

    /// The same, and nothing was ever done.
    pub(crate) fn spares(&self, workers: &[u64], words: &str) {
        self.spares_others(workers, words);
        assert_eq!(self.acts(), Vec::<Value>::new(), "{words}");
    }

    /// These are ended, as unattended workers, and nothing else is.
    pub(crate) fn ends(&self, workers: &[u64]) {
        self.ends_as("unattended-worker", workers);
    }

    pub(crate) fn ends_as(&self, orphan: &str, workers: &[u64]) {
        let stage = &self.scene.stage;
        self.scene.eventually("the workers were ended", || workers.iter().all(|worker| !stage.runs(*worker)));
        self.scene.eventually("that was written down", || self.ended().len() == workers.len());
        for (pid, kind) in self.ended() {
            assert!(workers.contains(&pid) && kind == orphan, "{pid}: {kind}");
        }
        assert!(stage.runs(self.scene.dashboard), "the dashboard was ended");
    }

    /// The processes that were ended, by the outcomes that were written down.
    fn ended(&self) -> Vec<(u64, String)> {
        let ended = self.acts().into_iter().filter(|act| act["outcome"] == "reaped");
        ended
            .filter_map(|act| {
                let kind = act["evidence"]["orphan_kind"].as_str()?.to_owned();
                Some((act["subject"]["worker"]["pid"].as_u64()?, kind))
            })
            .collect()
    }

    pub(crate) fn acts(&self) -> Vec<Value> {
        self.reaper.acts()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        self.reaper.signal(signal);
    }
}

/// Which run was the last.
fn run(last: &Path) -> String {
    let text = std::fs::read_to_string(last).unwrap_or_default();
    let run: Value = serde_json::from_str(&text).unwrap_or_default();
    run["run"].as_str().unwrap_or_default().to_owned()
}

/// Whether there can be such a scene here, with these programs. If not, says that the test was not run.
pub(crate) fn is_possible(test: &str, programs: &[&str]) -> bool {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let is_there = |program: &&&str| folders.iter().any(|folder| Path::new(folder).join(program).exists());
    let missing = programs.iter().find(|program| !is_there(program));
    if let Some(program) = missing {
        crate::privileges::left_out(test, program);
        return false;
    }
    crate::stage::is_possible(test)
}
