//! Real servers and the real reaper in a PID and network namespace of their own: all of it ends with the stage, however the test ends.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::releases::Release;

/// Longer than anything here takes on a busy machine; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(600);
pub(crate) const TOKEN: &str = "a-token-that-is-never-shown";
pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_gateway-reaper");

/// The namespace, and a folder.
#[derive(Debug)]
pub(crate) struct Stage {
    dir: TempDir,
    venv: PathBuf,
    child: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
    /// What the reaper said last.
    last: RefCell<String>,
}

/// A process of the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u64,
    pub(crate) parent: u64,
    pub(crate) session: u64,
    pub(crate) argv: String,
}

/// What a run of the reaper said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) exit: i64,
    pub(crate) report: Value,
    pub(crate) text: String,
}

impl Stage {
    /// Without a server. `None`: this user can't make namespaces; it is said.
    pub(crate) fn start(release: Release) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("\nNOT RUN: a namespace of its own needs root\n");
            assert!(std::env::var_os("CI").is_none(), "nothing is left out in CI");
            return None;
        }
        let venv = release.venv();
        let dir = tempfile::Builder::new().prefix("jupyter-stage-").tempdir().unwrap();
        for folder in ["home", "runtime", "state"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let script = dir.path().join("stage.py");
        fs::write(&script, include_str!("stage.py")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--"]);
        command.arg(venv.join("bin/python")).arg(&script).current_dir(dir.path());
        command.env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("LANG", "C.UTF-8");
        command.env("STAGE_DIR", dir.path()).env("HOME", dir.path().join("home"));
        command.env("JUPYTER_RUNTIME_DIR", dir.path().join("runtime"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let pipes = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Some(Self { dir, venv, child, pipes: RefCell::new(pipes), last: RefCell::default() })
    }

    /// Has something done, and returns what came of it.
    pub(crate) fn does(&self, order: Value) -> Value {
        let (stdin, stdout) = &mut *self.pipes.borrow_mut();
        writeln!(stdin, "{order}").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let mut answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("no answer to {order}: {line:?}"));
        assert!(answer.get("failed").is_none(), "{order} failed: {answer}\n{}", self.logs());
        answer["is"].take()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn bin(&self, name: &str) -> PathBuf {
        self.venv.join("bin").join(name)
    }

    fn logs(&self) -> String {
        let logs = fs::read_dir(self.dir.path()).unwrap().flatten().map(|entry| entry.path());
        let logs = logs.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|path| format!("--- {}\n{}", path.display(), fs::read_to_string(&path).unwrap_or_default()))
            .collect()
    }

    /// Starts a Jupyter Server on loopback; its PID.
    pub(crate) fn server(&self, name: &str, port: u16, more: &[&str]) -> u64 {
        let (at, port) = (format!("http://127.0.0.1:{port}"), format!("--port={port}"));
        let arguments: Vec<&str> = [port.as_str()].into_iter().chain(more.iter().copied()).collect();
        self.server_with(name, &at, &arguments, json!({ "JUPYTER_TOKEN": TOKEN }))
    }

    pub(crate) fn server_with(&self, name: &str, url: &str, more: &[&str], environment: Value) -> u64 {
        let mut argv = vec![self.bin("python").display().to_string(), "-m".into(), "jupyter_server".into()];
        argv.extend(["--allow-root", "--no-browser", "--ServerApp.port_retries=0"].map(String::from));
        argv.extend(more.iter().map(ToString::to_string));
        let pid = self.does(json!(["start", name, argv, environment]));
        self.does(json!(["server_at", name, url, environment.get("JUPYTER_TOKEN").unwrap_or(&Value::Null)]));
        pid.as_u64().unwrap()
    }

    /// Starts a Kernel Gateway; its PID.
    pub(crate) fn kernel_gateway(&self, name: &str, port: u16) -> u64 {
        let argv = [
            self.bin("jupyter-kernelgateway").display().to_string(),
            format!("--KernelGatewayApp.port={port}"),
        ];
        let pid = self.does(json!(["start", name, argv, {"KG_AUTH_TOKEN": TOKEN}]));
        self.does(json!(["server_at", name, format!("http://127.0.0.1:{port}"), TOKEN]));
        pid.as_u64().unwrap()
    }

    /// Starts a kernel.
    pub(crate) fn kernel(&self, server: &str) -> String {
        self.does(json!(["kernel", server])).as_str().unwrap().to_owned()
    }

    /// Starts a kernel to which a client connects, called like it, which has it run this.
    pub(crate) fn kernel_running(&self, server: &str, code: &str) -> String {
        let kernel = self.kernel(server);
        self.connect(&kernel, server, &kernel);
        self.execute(&kernel, code);
        kernel
    }

    pub(crate) fn connect(&self, tag: &str, server: &str, kernel: &str) {
        self.does(json!(["connect", tag, server, kernel]));
    }

    pub(crate) fn execute(&self, tag: &str, code: &str) -> String {
        self.does(json!(["execute", tag, code])).as_str().unwrap().to_owned()
    }

    /// Until the kernel is busy with it.
    pub(crate) fn begin(&self, tag: &str, code: &str) {
        self.does(json!(["begin", tag, code, true]));
    }

    /// The client goes, and the server has noticed.
    pub(crate) fn disconnect(&self, tag: &str, server: &str, kernel: &str) {
        self.does(json!(["disconnect", tag]));
        self.eventually("the server has noticed that its client is gone", || {
            self.row(server, kernel)["connections"] == 0
        });
    }

    pub(crate) fn rest(&self, server: &str, method: &str, path: &str) -> (u64, Value) {
        let mut answer = self.does(json!(["rest", server, method, path]));
        (answer["status"].as_u64().unwrap(), answer["body"].take())
    }

    /// The row of a kernel.
    pub(crate) fn row(&self, server: &str, kernel: &str) -> Value {
        self.rest(server, "GET", &format!("/api/kernels/{kernel}?no_track_activity=1")).1
    }

    pub(crate) fn lists(&self, server: &str, kernel: &str) -> bool {
        self.rest(server, "GET", &format!("/api/kernels/{kernel}?no_track_activity=1")).0 == 200
    }

    pub(crate) fn processes(&self) -> Vec<Process> {
        let found = self.does(json!(["processes"]));
        let number = |it: &Value, field| it[field].as_u64().unwrap();
        let process = |it: &Value| Process {
            pid: number(it, "pid"),
            parent: number(it, "ppid"),
            session: number(it, "sid"),
            argv: it["argv"].as_str().unwrap().to_owned(),
        };
        found.as_array().unwrap().iter().map(process).collect()
    }

    pub(crate) fn lives(&self, pid: u64) -> bool {
        self.processes().iter().any(|process| process.pid == pid)
    }

    /// The process of a kernel.
    pub(crate) fn kernel_pid(&self, kernel: &str) -> u64 {
        let file = format!("kernel-{kernel}.json");
        let found =
            self.processes().into_iter().filter(|it| it.argv.ends_with(&file) && it.pid == it.session);
        found.map(|it| it.pid).next().unwrap_or_else(|| panic!("no process of kernel {kernel}"))
    }

    pub(crate) fn signal(&self, pid: u64, signal: rustix::process::Signal) {
        self.does(json!(["kill", pid, signal.as_raw()]));
    }

    pub(crate) fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let started = Instant::now();
        while !holds() {
            let last = self.last.borrow();
            assert!(
                started.elapsed() < PATIENCE,
                "it never came true that {what}; the reaper: {last}\n{}",
                self.logs()
            );
            drop(last);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Configures the reaper.
    pub(crate) fn configure(&self, policy: &str, gateways: &str) {
        let state = self.path("state");
        let text = format!("[policy]\n{policy}\n[state]\ndir = \"{}\"\n{gateways}\n", state.display());
        fs::write(self.path("reaper.toml"), text).unwrap();
    }

    /// Runs the reaper.
    pub(crate) fn reaper(&self, args: &[&str]) -> Said {
        let config = self.path("reaper.toml");
        let head = [EXE, "--config", config.to_str().unwrap(), "--json"];
        let argv: Vec<&str> = head.into_iter().chain(args.iter().copied()).collect();
        let ran = self.does(json!(["run", argv, {"TOKEN": TOKEN}]));
        let (out, err) = (ran["out"].as_str().unwrap(), ran["err"].as_str().unwrap());
        assert!(!out.contains(TOKEN) && !err.contains(TOKEN), "a token is shown:\n{out}\n{err}");
        let report = serde_json::from_str(out).unwrap_or(Value::Null);
        *self.last.borrow_mut() = format!("{out}{err}");
        Said { exit: ran["exit"].as_i64().unwrap(), report, text: format!("{out}\n{err}") }
    }

    /// Looks, again and again, for at least so long: longer than the grace.
    pub(crate) fn looks_for(&self, span: Duration) -> Said {
        let started = Instant::now();
        loop {
            let said = self.reaper(&["once"]);
            if started.elapsed() > span {
                return said;
            }
            std::thread::sleep(Duration::from_millis(400));
        }
    }

    /// Looks until this is reaped.
    pub(crate) fn reaps(&self, id: &str) -> Value {
        self.reaps_all(&[id]).remove(0)
    }

    /// Looks until these are reaped, in one run or in several.
    pub(crate) fn reaps_all(&self, ids: &[&str]) -> Vec<Value> {
        let started = Instant::now();
        let mut reaped = vec![Value::Null; ids.len()];
        loop {
            let said = self.reaper(&["once"]);
            for (id, reaped) in ids.iter().zip(&mut reaped) {
                if let Some(subject) = said.subject(id).filter(|subject| subject["verdict"] == "reap") {
                    if is_too_slow(subject) {
                        continue;
                    }
                    assert_eq!(subject["outcome"], "reaped", "{subject}\n{}", said.text);
                    *reaped = subject.clone();
                }
            }
            if reaped.iter().all(|subject| !subject.is_null()) {
                return reaped;
            }
            assert!(started.elapsed() < PATIENCE, "not all of {ids:?} are reaped: {}", said.text);
            std::thread::sleep(Duration::from_millis(400));
        }
    }
}

impl Said {
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &Value> {
        self.report["gateways"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|it| it["subjects"].as_array().into_iter().flatten())
    }

    pub(crate) fn subject(&self, id: &str) -> Option<&Value> {
        self.subjects().find(|subject| subject["id"] == id)
    }

    /// Verdict and reason of a session.
    pub(crate) fn verdict(&self, id: &str) -> (String, String) {
        let subject = self.subject(id).unwrap_or_else(|| panic!("{id} isn't in {}", self.text));
        let text = |field: &str| subject[field].as_str().unwrap_or_default().to_owned();
        (text("verdict"), text("reason"))
    }

    pub(crate) fn gateway(&self, name: &str) -> &Value {
        let mut gateways = self.report["gateways"].as_array().into_iter().flatten();
        gateways
            .find(|gateway| gateway["name"] == name)
            .unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }
}

/// On a busy machine a server's answers may be too old to close by; the next run tries again.
pub(crate) fn is_too_slow(subject: &Value) -> bool {
    subject["detail"].as_str().is_some_and(|why| why.contains("took longer than a second"))
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn of_url(name: &str, url: &str) -> String {
    format!(
        "[[gateway]]\nname = \"{name}\"\nkind = \"jupyter\"\nurl = \"{url}\"\ntoken_env = \"TOKEN\"\ntimeout = \"30s\"\n"
    )
}

pub(crate) fn of_runtime(runtime: &Path) -> String {
    format!(
        "[[gateway]]\nname = \"jupyter\"\nkind = \"jupyter\"\nruntime_dir = \"{}\"\ntimeout = \"30s\"\n",
        runtime.display()
    )
}
