//! The program, run on a stage: once, waiting, in a loop, with a memory and without.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::{EXE, Ran};
use crate::stage::{PORT, SOMEBODY, Stage};

/// What the workers of a stage look like.
const WORKERS: &str = r"[gateway.worker]
match = '\S*python\S* -ISB \S*actor\.py live-work-worker( --session-key (?P<session>\S+))?'
";

/// Longer than any grace here.
pub(crate) const BEYOND_THE_GRACE: Duration = Duration::from_millis(900);

/// Short graces, all the same.
pub(crate) const POLICY: &str =
    "grace = \"500ms\"\nworker_grace = \"500ms\"\nclose_timeout = \"300ms\"\nterm_timeout = \"1s\"\n";

/// Where the second gateway of a stage publishes its table.
pub(crate) const OTHER_PORT: u16 = 7001;

fn section(name: &str, port: u16, more: &str) -> String {
    let url = format!("http://127.0.0.1:{port}/sessions");
    format!(
        "[[gateway]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{url}\"\ntimeout = \"2s\"\n{more}\n{WORKERS}"
    )
}

impl Stage {
    /// A configuration with this policy and one gateway, that of the stage.
    pub(crate) fn configure(&self, policy: &str) {
        self.configure_with(policy, "", "");
    }

    /// The same, with more keys of the gateway, and more of its workers' section and after it.
    pub(crate) fn configure_with(&self, policy: &str, gateway: &str, workers: &str) {
        let text = format!("[policy]\n{policy}\n{}", section("desk", PORT, gateway) + workers);
        self.place().write("reaper.toml", text);
    }

    /// One with a Hermes dashboard, whose plugin publishes what the gateway of the stage does.
    pub(crate) fn configure_hermes(&self, policy: &str) {
        let token = self.place().write("token", "the-dashboards-own");
        std::fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
        let text = section("desk", PORT, &format!("token_file = {token:?}"));
        let text = text.replace("kind = \"http\"", "kind = \"hermes\"").replace("/sessions\"", "\"");
        self.place().write("reaper.toml", format!("[policy]\n{policy}\n{text}"));
    }

    /// One with two gateways, whose workers look the same.
    pub(crate) fn configure_two(&self, policy: &str) {
        self.configure_two_with(policy, "");
    }

    /// The same, with more of the section of their workers.
    pub(crate) fn configure_two_with(&self, policy: &str, workers: &str) {
        let text =
            [("desk", PORT), ("other", OTHER_PORT)].map(|(name, port)| section(name, port, "") + workers);
        let text = text.concat();
        self.place().write("reaper.toml", format!("[policy]\n{policy}\n{text}"));
    }

    /// One with two gateways, the second of which takes for its workers what doesn't look like a worker of the first.
    pub(crate) fn configure_one_that_takes_helpers(&self, policy: &str) {
        let other = section("other", OTHER_PORT, "").replace("live-work-worker", "live-work-helper");
        let text = section("desk", PORT, "") + &other;
        self.place().write("reaper.toml", format!("[policy]\n{policy}\n{text}"));
    }

    /// Starts the program with the memory of this name.
    pub(crate) fn reaper(&self, memory: &str, args: &[&str]) -> Reaper<'_> {
        self.reaper_under(&[], memory, args)
    }

    /// The same, run by another program.
    pub(crate) fn reaper_under(&self, prefix: &[&str], memory: &str, args: &[&str]) -> Reaper<'_> {
        let mut command: Vec<&str> =
            prefix.iter().copied().chain([EXE]).chain(args.iter().copied()).collect();
        let log = format!("{memory}-{}", self.next());
        let config = self.place().path("reaper.toml");
        if self.reaper_is_somebody() {
            command.extend(["--config", config.to_str().unwrap()]);
        }
        let user = if self.reaper_is_somebody() { SOMEBODY } else { 0 };
        let options = json!({
            "user": user,
            "directory": self.place().dir(),
            "log": self.place().path(&log),
            "environment": { "HOME": self.place().path("home"), "STATE_DIRECTORY": self.place().path(memory) },
        });
        let pid = self.tell("init", &json!(["spawn", "", command, options])).as_u64().unwrap();
        Reaper { stage: self, pid, log, memory: memory.to_owned() }
    }

    pub(crate) fn once(&self, memory: &str) -> Ran {
        self.reaper(memory, &["--json", "once"]).end()
    }

    pub(crate) fn status(&self, memory: &str) -> Ran {
        self.reaper(memory, &["--json", "status"]).end()
    }

    /// Runs it again and again with one memory until these processes have ended; the report of the last run that did something.
    pub(crate) fn once_until_ended(&self, memory: &str, names: &[&str]) -> Ran {
        let mut last = None;
        self.eventually(&format!("{names:?} were reaped"), || {
            let ran = self.once(memory);
            if last.is_none() || ran.json()["totals"]["reap"] != 0 {
                last = Some(ran);
            } else {
                std::thread::sleep(Duration::from_millis(50));
            }
            names.iter().all(|name| !self.lives(name))
        });
        last.unwrap()
    }

    /// What was ever done with the memory of this name.
    pub(crate) fn acts(&self, memory: &str) -> Vec<Value> {
        let text = self.place().read(&format!("{memory}/audit.jsonl"));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Lets reapers of each manner at the stage, all with a memory of their own and all beyond the grace: one that waits, two runs, and
    /// a loop. All these processes live afterwards, and nothing was done to anything. Returns what `status` says of it, with the memory
    /// of the two runs, whose exit code is this.
    pub(crate) fn is_spared(&self, names: &[&str], code: i32) -> Told {
        self.is_spared_with(names, Some(code))
    }

    /// The same where the interface leaves open whether the table can be trusted.
    pub(crate) fn is_spared_whatever_the_code(&self, names: &[&str]) -> Told {
        self.is_spared_with(names, None)
    }

    fn is_spared_with(&self, names: &[&str], code: Option<i32>) -> Told {
        for memory in ["waits", "twice", "watches"] {
            let _none = std::fs::remove_dir_all(self.place().path(memory));
        }
        let waits = self.reaper("waits", &["--json", "once", "--wait", "2s"]);
        let watches = self.reaper("watches", &["watch", "--interval", "150ms"]);
        let first = self.once("twice");
        std::thread::sleep(BEYOND_THE_GRACE);
        let second = self.once("twice");
        let third = self.once("twice");
        let waits = waits.end();
        watches.signal(Signal::TERM);
        let watches = watches.end();
        let status = self.status("twice");
        let ran = [("waits", &waits), ("twice", &first), ("twice", &second), ("twice", &third)];
        for name in names {
            assert!(
                self.lives(name),
                "{name} was ended: {:#?}",
                ["waits", "twice", "watches"].map(|memory| (memory, self.acts(memory)))
            );
        }
        for (manner, ran) in ran {
            assert!(ran.code == code || code.is_none() && ran.code.is_some(), "{manner}: {ran:#?}");
            assert_eq!(ran.json()["totals"]["reap"], 0, "{manner}: {ran:#?}");
        }
        assert_eq!(watches.code, Some(0), "{watches:#?}");
        for memory in ["waits", "twice", "watches"] {
            assert_eq!(self.acts(memory), Vec::<Value>::new(), "{memory}");
        }
        Told(status.json())
    }
}

/// The program while it runs.
#[derive(Debug)]
pub(crate) struct Reaper<'stage> {
    stage: &'stage Stage,
    pub(crate) pid: u64,
    log: String,
    memory: String,
}

impl Reaper<'_> {
    pub(crate) fn signal(&self, signal: Signal) {
        self.stage.signal_pid(self.pid, signal);
    }

    /// What it has said on stdout.
    pub(crate) fn out(&self) -> String {
        self.stage.place().read(&format!("{}.out", self.log))
    }

    /// What it has written of its acts.
    pub(crate) fn acts(&self) -> Vec<Value> {
        self.stage.acts(&self.memory)
    }

    /// Waits for its end.
    pub(crate) fn end(&self) -> Ran {
        let mut code = Value::Null;
        self.stage.eventually("the program has ended", || {
            code = self.stage.tell("init", &json!(["ended", self.pid]));
            !code.is_null()
        });
        let err = self.stage.place().read(&format!("{}.err", self.log));
        let code = code.as_i64().and_then(|code| i32::try_from(code).ok()).filter(|code| *code >= 0);
        Ran { out: self.out(), err, code }
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(&self) -> Ran {
        self.signal(Signal::TERM);
        self.end()
    }
}

/// A report.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) Value);

impl Told {
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &Value> {
        self.0["gateways"].as_array().unwrap().iter().flat_map(|g| g["subjects"].as_array().unwrap())
    }

    /// What is said of the session of this id.
    pub(crate) fn session(&self, id: &str) -> &Value {
        let is_it = |subject: &&Value| subject["kind"] == "session" && subject["id"] == id;
        self.subjects().find(is_it).unwrap_or_else(|| panic!("nothing is said of session {id}: {:#}", self.0))
    }

    /// What is said of the process that has this PID, as a worker of its own.
    pub(crate) fn worker(&self, pid: u64) -> &Value {
        let is_it = |subject: &&Value| subject["kind"] == "worker" && subject["worker_pid"] == pid;
        self.subjects()
            .find(is_it)
            .unwrap_or_else(|| panic!("nothing is said of process {pid}: {:#}", self.0))
    }

    /// That this process is kept, on its own account or on that of the session to which it belongs.
    pub(crate) fn keeps(&self, pid: u64, session: &str) {
        let of_it = |subject: &&Value| {
            subject["worker_pid"] == pid || subject["kind"] == "session" && subject["id"] == session
        };
        let mut said = self.subjects().filter(of_it).peekable();
        assert!(said.peek().is_some(), "nothing is said of {pid}: {:#}", self.0);
        assert!(said.all(|subject| subject["verdict"] == "keep"), "{pid} isn't kept: {:#}", self.0);
    }

    /// Whether anything is said of this process: as a worker, or as the worker of a session.
    pub(crate) fn names(&self, pid: u64) -> bool {
        self.subjects().any(|subject| subject["worker_pid"] == pid)
    }
}

/// A row; a test changes what matters to it.
pub(crate) fn row(id: &str, changes: &Value) -> Value {
    let mut row = json!({
        "id": id, "key": id, "transport": "detached", "turn": "idle", "close_on_disconnect": false, "holds": [],
    });
    for (field, value) in changes.as_object().unwrap() {
        row[field] = value.clone();
    }
    row
}

/// What is published of a session's worker.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    Pid,
    Key,
}

pub(crate) const BOTH: [By; 2] = [By::Pid, By::Key];

impl By {
    /// The row of the session whose key and id this is, and whose worker is called so.
    pub(crate) fn row(self, stage: &Stage, id: &str, worker: &str, changes: &Value) -> Value {
        let mut row = row(id, changes);
        if matches!(self, Self::Pid) {
            row["worker"] = json!({ "pid": stage.pid(worker) });
        }
        row
    }
}

/// Plays a situation once for each way to publish a worker, at the same time.
pub(crate) fn by_pid_and_by_key(test: &str, play: impl Fn(&Stage, By) + Sync) {
    if !crate::stage::is_possible(test) {
        return;
    }
    at_once(BOTH.map(|by| {
        let play = &play;
        move || {
            let stage = Stage::start();
            play(&stage, by);
        }
    }));
}

/// Plays these at the same time; fails if one of them does.
pub(crate) fn at_once<const N: usize>(plays: [impl FnOnce() + Send; N]) {
    let failed = std::thread::scope(|scope| {
        let running = plays.map(|play| scope.spawn(play));
        running.map(|thread| thread.join().err())
    });
    if let Some(failure) = failed.into_iter().flatten().next() {
        std::panic::resume_unwind(failure);
    }
}
