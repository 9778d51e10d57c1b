//! A gateway with sessions in use, bystanders beside it, and for each run new victims: a detached session and a worker without one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gateway_reaper::demo::client::Client;
use gateway_reaper::demo::flavour::Flavour;
use gateway_reaper::demo::gateway::Options;
use gateway_reaper::demo::launch::worker_match;
use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::demo::protocol::{AdminRequest, AtEndOfInput, WorkerSpec};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::reaper::{Ended, run};
use crate::support::{EXE, Family, TestGateway, session_with};

/// A run as most tests make it.
pub(crate) const ONCE: &[&str] = &["once"];

/// The gateway, and all who must be left alone.
pub(crate) struct World {
    gateway: TestGateway,
    folder: TempDir,
    spared: Vec<(&'static str, Pinned)>,
    client: Client,
    in_use: String,
    bystanders: Vec<Child>,
    runtime: Runtime,
}

/// Those who are due.
pub(crate) struct Victims {
    session: Family,
    ownerless: Family,
}

/// Whether a run was made with a state directory before. If so, the next one looks at the gateway's processes alone, not at the machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    New,
    Used,
}

/// The state directory of some runs, and their configuration.
pub(crate) struct Memory {
    pub(crate) dir: PathBuf,
    pub(crate) config: PathBuf,
}

fn spec(flavour: Flavour, at_end_of_input: AtEndOfInput) -> WorkerSpec {
    WorkerSpec { flavour, at_end_of_input, ..WorkerSpec::default() }
}

impl World {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (gateway, spared, client, in_use) = runtime.block_on(async {
            let gateway = TestGateway::start(Options::default());
            let mut client = gateway.client().await;
            let attached =
                client.create(session_with(spec(Flavour::Parent, AtEndOfInput::Exit))).await.unwrap();
            let in_use = attached.session.to_string();
            let mut other = gateway.client().await;
            let busy = other.create(session_with(spec(Flavour::Parent, AtEndOfInput::Exit))).await.unwrap();
            other.prompt(&busy.session, None).await.unwrap();
            drop(other);
            gateway.row_where(busy.session.as_str(), |row| row["transport"] == "detached").await;
            let mut spared = vec![("the gateway", Pinned::new(gateway.process.pid()).unwrap())];
            for (what, created) in [("an attached session", attached), ("a session mid-turn", busy)] {
                let Family { worker, descendants, .. } = Family::pin(created);
                spared.extend([worker].into_iter().chain(descendants).map(|process| (what, process)));
            }
            (gateway, spared, client, in_use)
        });
        let mut world = Self {
            gateway,
            folder: tempfile::tempdir().unwrap(),
            spared,
            client,
            in_use,
            bystanders: Vec::new(),
            runtime,
        };
        // Both end with their input, and so with this test, however it ends.
        world.bystander("a process that has nothing to do with it", &["cat"]);
        world.bystander("a worker of somebody else", &[EXE, "demo-worker", "--session-key", "elsewhere"]);
        world
    }

    fn bystander(&mut self, what: &'static str, line: &[&str]) {
        #[expect(clippy::disallowed_methods, reason = "an innocent bystander")]
        let child = Command::new(line[0])
            .args(&line[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.spared.push((what, Pinned::new(child.id()).unwrap()));
        self.bystanders.push(child);
    }

    /// Somebody to reap: four processes that are deaf to SIGTERM or lead sessions of their own, and a session.
    pub(crate) fn victims(&self) -> Victims {
        self.runtime.block_on(async {
            let session =
                self.gateway.detached(session_with(spec(Flavour::StubbornFamily, AtEndOfInput::Exit))).await;
            let ownerless =
                self.gateway.detached(session_with(spec(Flavour::Parent, AtEndOfInput::LiveOn))).await;
            self.gateway.admin(AdminRequest::Orphan { session: ownerless.created.session.clone() }).await;
            Victims { session, ownerless }
        })
    }

    /// A state directory and its configuration, by which all are due at first sight.
    pub(crate) fn memory(&self, name: &str, before: Before) -> Memory {
        self.memory_with(name, before, "5s")
    }

    pub(crate) fn memory_with(&self, name: &str, before: Before, close_timeout: &str) -> Memory {
        let dir = self.folder.path().join(name).join("state");
        let config = self.folder.path().join(name).join("reaper.toml");
        std::fs::create_dir_all(dir.parent().unwrap()).unwrap();
        let text = format!(
            "[policy]\ngrace = \"0s\"\nworker_grace = \"0s\"\nclose_timeout = \"{close_timeout}\"\nterm_timeout = \"60ms\"\n\
             [state]\ndir = '{}'\n[[gateway]]\nname = \"demo\"\nkind = \"http\"\nurl = \"{}\"\n[gateway.worker]\nmatch = '{}'\n",
            dir.display(),
            self.gateway.process.table_url(),
            worker_match(Path::new(EXE)),
        );
        std::fs::write(&config, text).unwrap();
        let memory = Memory { dir, config };
        if before == Before::Used {
            let ended = run(&[], &memory.config, &["once", "--dry-run"]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
        }
        memory
    }

    /// Nobody was ended who is wanted.
    pub(crate) fn assert_spared(&self, when: &str) {
        for (what, process) in &self.spared {
            assert!(process.alive(), "{what} was ended: {when}");
        }
        let row = self.row(&self.in_use);
        assert!(row.is_some_and(|row| row["transport"] == "attached"), "a session in use was closed: {when}");
    }

    pub(crate) fn row(&self, session: &str) -> Option<Value> {
        self.runtime.block_on(self.gateway.row(session))
    }

    /// What holds after any run, however it ended: the wanted are spared, and what is gone was announced.
    pub(crate) fn assert_sound(&self, victims: &Victims, memory: &Memory, when: &str) {
        self.assert_spared(when);
        let audit = memory.audit();
        let told = |step: &str, pid: u32| {
            audit.iter().any(|line| line["step"] == step && line["process"]["pid"] == pid)
        };
        let id = victims.session.id();
        let asked = audit.iter().any(|line| line["step"] == "close" && line["subject"]["id"] == id);
        assert!(
            asked || self.row(id).is_some(),
            "session {id} was closed, and the log doesn't say so: {when}"
        );
        for process in victims.processes().filter(|process| !process.alive()) {
            let pid = process.pid();
            let closed = asked && pid == victims.session.worker.pid();
            assert!(
                closed || told("SIGTERM", pid) || told("SIGKILL", pid),
                "process {process} is gone, and the log doesn't say so: {when}"
            );
        }
    }

    /// A run without a fault finishes whatever is due and leaves nothing in hand.
    pub(crate) fn assert_finishes(&self, victims: &Victims, memory: &Memory, when: &str) {
        let ended = run(&[], &memory.config, ONCE);
        assert_eq!(ended.code, Some(0), "the clean run after it: {when}\n{ended:?}");
        for process in victims.processes() {
            assert!(!process.alive(), "process {process} is still there: {when}\n{ended:?}");
        }
        assert!(self.row(victims.session.id()).is_none(), "the session is still there: {when}\n{ended:?}");
        let in_hand = std::fs::read_to_string(memory.dir.join("in-hand.jsonl"));
        assert!(in_hand.is_err(), "something stays in hand: {when}\n{in_hand:?}");
        self.assert_sound(victims, memory, when);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in &mut self.bystanders {
            drop(child.stdin.take());
            let _ended = child.wait();
        }
        let _in_use = &self.client;
    }
}

impl Victims {
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Pinned> {
        self.session.processes().chain(self.ownerless.processes())
    }

    pub(crate) fn all_alive(&self) -> bool {
        self.processes().all(Pinned::alive)
    }

    pub(crate) fn all_gone(&self) -> bool {
        !self.processes().any(Pinned::alive)
    }
}

impl Memory {
    /// The lines of the audit log that are whole.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.join("audit.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The files of the state directory, those that come and go too.
    pub(crate) fn files(&self) -> Vec<String> {
        let names = [
            "",
            "lock",
            "ledger.json",
            "ledger.new",
            "in-hand.jsonl",
            "in-hand.new",
            "audit.jsonl",
            "events.jsonl",
            "seen.json",
            "seen.new",
            "last_run.json",
            "last_run.new",
        ];
        names
            .iter()
            .map(|name| self.dir.join(name).to_string_lossy().trim_end_matches('/').to_owned())
            .collect()
    }
}

/// A failure is told on stderr in words, without a panic, and by the exit code.
pub(crate) fn assert_told(ended: &Ended, when: &str) {
    assert!(!ended.stderr.contains("panicked"), "{when}\n{ended:?}");
    match (ended.code, ended.signal) {
        (Some(0), _) => {}
        (Some(1..=4), _) => {
            let told = !ended.stderr.trim().is_empty() || ended.stdout.contains("FAILED");
            assert!(told, "it failed and doesn't say why: {when}\n{ended:?}");
        }
        _ => panic!("neither an exit code of the interface nor a word: {when}\n{ended:?}"),
    }
}
