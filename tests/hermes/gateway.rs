//! A real gateway in a home of its own, ended with everything that it started, also when the test fails.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use gateway_reaper::demo::pinned::Pinned;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::Incoming;
use hyper::http::request::Builder;
use hyper_util::rt::TokioIo;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::model::Model;
use super::port::Port;
use super::releases::{Release, With};
use super::rpc::Client;
use super::until;

/// A home, and the gateway that runs in it.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) model: Model,
    home: TempDir,
    address: SocketAddrV4,
    /// Kept also while the gateway is away.
    _port: Port,
    release: Release,
    with: With,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    token: String,
    /// Of a user who has logged in.
    cookies: String,
}

/// How it is started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Launch<'a> {
    /// Only `127.0.0.1` is a dashboard's own machine to Hermes.
    pub(crate) at: Ipv4Addr,
    /// `dashboard`, or `serve` for one without pages.
    pub(crate) command: &'a str,
    pub(crate) arguments: &'a [&'a str],
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// Before 0.16 a dashboard has its chat only if asked for it.
    pub(crate) with_chat: bool,
}

impl Default for Launch<'_> {
    fn default() -> Self {
        Self {
            at: Ipv4Addr::LOCALHOST,
            command: "dashboard",
            arguments: &[],
            environment: &[],
            with_chat: true,
        }
    }
}

impl Gateway {
    /// A home as Hermes makes it, and nothing running in it. `None`: the developer goes without Hermes.
    pub(crate) fn home(release: Release) -> Option<Self> {
        Self::home_with(release, With::Nothing)
    }

    /// The same of a release that can have MCP servers.
    pub(crate) fn home_with(release: Release, with: With) -> Option<Self> {
        let venv = release.venv_with(with)?;
        let home = tempfile::Builder::new().prefix("hermes-home-").tempdir().unwrap();
        let model = Model::start();
        let port = Port::reserve();
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port.number());
        let this = Self { model, home, address, _port: port, release, with, running: None };
        // The first thing that reads the configuration makes the home.
        let made = this.hermes(&venv).args(["config", "show"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::write(this.path().join("config.yaml"), this.model.config()).unwrap();
        Some(this)
    }

    /// The same with the plugin installed and the gateway running.
    pub(crate) async fn start(release: Release) -> Option<Self> {
        let mut this = Self::home(release)?;
        super::install::install(this.path());
        this.run(release).await;
        Some(this)
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn token(&self) -> &str {
        &self.running().token
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running().child.id()
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the gateway runs")
    }

    /// Whether it is the process that was started.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.running.as_mut().is_some_and(|running| running.child.try_wait().unwrap().is_none())
    }

    /// Starts it, with its own timer off, so that every leak is its own.
    pub(crate) async fn run(&mut self, release: Release) {
        self.run_with(release, Launch::default()).await;
    }

    pub(crate) async fn run_with(&mut self, release: Release, launch: Launch<'_>) {
        let child = self.launch(release, launch);
        self.running = Some(Running { child, token: String::new(), cookies: String::new() });
        until("the gateway is ready", async || {
            assert!(self.is_alive(), "the gateway ended:\n{}", self.log());
            self.get("/api/status").await.filter(|(status, _)| *status == 200)
        })
        .await;
        assert!(self.is_alive(), "somebody else answers at {}:\n{}", self.address, self.log());
        let page = self.get("/").await.expect("a page").1;
        let page = gateway_reaper::sources::gateway::hermes::page::Page::read(page.as_bytes());
        if let (Some(running), Some(token)) = (&mut self.running, page.token) {
            running.token = token.expose().to_owned();
        }
    }

    /// Starts it and doesn't wait: it may refuse.
    pub(crate) fn launch(&mut self, release: Release, launch: Launch<'_>) -> Child {
        assert!(self.running.is_none(), "it runs already");
        self.release = release;
        self.address.set_ip(launch.at);
        let venv = release.venv_with(self.with).expect("installed before");
        let log = File::options().create(true).append(true).open(self.path().join("gateway.log")).unwrap();
        let mut command = self.hermes(&venv);
        command.args([launch.command, "--port", &self.address.port().to_string()]);
        if launch.command == "dashboard" {
            command.arg("--no-open");
        }
        if launch.at != Ipv4Addr::LOCALHOST {
            command.args(["--host", &launch.at.to_string()]);
        }
        if release.has_pages(&venv) {
            command.arg("--skip-build");
        } else {
            command.env("HERMES_WEB_DIST", self.web_page());
        }
        if release.has_chat_on_request() && launch.with_chat {
            command.arg("--tui");
        }
        command.args(launch.arguments).envs(launch.environment.iter().copied());
        command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    fn hermes(&self, venv: &Path) -> Command {
        // It ends with the test's thread, also where the whole test program is ended by a signal and nothing is dropped.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(venv.join("bin/hermes"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("HERMES_HOME", self.path())
            .env("HERMES_TUI_WS_ORPHAN_REAP_GRACE_S", "0")
            // On a busy machine many workers that start at once take longer than the 45 seconds that a command has.
            .env("HERMES_TUI_SLASH_TIMEOUT_S", "300")
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Some packages have no web page.
    fn web_page(&self) -> PathBuf {
        let web = self.path().join("web");
        fs::create_dir_all(web.join("assets")).unwrap();
        fs::write(
            web.join("index.html"),
            "<!doctype html><html><head><title>h</title></head><body></body></html>",
        )
        .unwrap();
        web
    }

    /// Ends the gateway the hard way; what it started is left to its own devices.
    pub(crate) fn kill(&mut self) {
        let mut running = self.running.take().expect("the gateway runs");
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }

    /// Ends the gateway as a service manager does.
    pub(crate) fn stop(&mut self) {
        let mut running = self.running.take().expect("the gateway runs");
        let pid = rustix::process::Pid::from_child(&running.child);
        let _ = rustix::process::kill_process(pid, Signal::TERM);
        for _ in 0..200 {
            if running.child.try_wait().unwrap().is_some() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }

    pub(crate) async fn client(&self) -> Client {
        let credential = match self.running().cookies.as_str() {
            "" => format!("token={}", self.token()),
            _ => format!("ticket={}", self.ticket().await),
        };
        let mut client = Client::connect(self.address, &credential, self.release.has_lazy_workers()).await;
        if self.release.asks_by_request() {
            client.will_answer().await;
        }
        client
    }

    /// A user who has logged in gets one for each connection.
    async fn ticket(&self) -> String {
        let (status, body) = self.post("/api/auth/ws-ticket", json!({})).await;
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        answer["ticket"].as_str().unwrap().to_owned()
    }

    /// Logs in with a password, for every request from here on.
    pub(crate) async fn log_in(&mut self, username: &str, password: &str) {
        let who = json!({ "provider": "basic", "username": username, "password": password });
        let request = hyper::Request::post("/auth/password-login").header("content-type", "application/json");
        let response = self.exchange(request, who.to_string()).await.expect("an answer");
        assert_eq!(response.status(), 200);
        let set = response.headers().get_all("set-cookie").iter();
        let cookies: Vec<_> = set.filter_map(|cookie| cookie.to_str().ok()?.split(';').next()).collect();
        let cookies = cookies.join("; ");
        self.running.as_mut().expect("the gateway runs").cookies = cookies;
    }

    pub(crate) async fn get(&self, path: &str) -> Option<(u16, String)> {
        self.request(hyper::Request::get(path), String::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, String) {
        let request = hyper::Request::post(path).header("content-type", "application/json");
        self.request(request, body.to_string()).await.expect("an answer")
    }

    async fn request(&self, request: Builder, body: String) -> Option<(u16, String)> {
        let response = self.exchange(request, body).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn exchange(&self, request: Builder, body: String) -> Option<Response<Incoming>> {
        let stream = tokio::net::TcpStream::connect(self.address).await.ok()?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        let mut request = request.header("host", self.address.to_string());
        if let Some(running) = &self.running {
            request = request.header("authorization", format!("Bearer {}", running.token));
            if !running.cookies.is_empty() {
                request = request.header("cookie", &running.cookies);
            }
        }
        sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.ok()
    }

    /// Asks, or changes, the gateway's database; what comes of it as Python writes it.
    pub(crate) fn sql(&self, release: Release, statement: &str) -> String {
        const CODE: &str = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=10); \
                            print(db.execute(sys.argv[2]).fetchall()); db.commit()";
        let python = release.venv().expect("installed before").join("bin/python");
        let mut command = Command::new(python);
        let output =
            command.args(["-c", CODE]).arg(self.path().join("state.db")).arg(statement).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(self.path().join("gateway.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// All processes that this gateway or one before it in this home started: the home is in their environment, and in no other.
    pub(crate) fn family(&self) -> Vec<Pinned> {
        let mark = format!("HERMES_HOME={}", self.path().display());
        let pids = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid: u32| {
            let pinned = Pinned::new(pid).ok()?;
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            let is_ours = environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes());
            (is_ours && pinned.alive()).then_some(pinned)
        })
        .collect()
    }

    /// The workers among them.
    pub(crate) fn workers(&self) -> Vec<Pinned> {
        let is_worker = |pinned: &Pinned| {
            let argv = fs::read(format!("/proc/{}/cmdline", pinned.pid())).unwrap_or_default();
            String::from_utf8_lossy(&argv).contains("tui_gateway.slash_worker")
        };
        self.family().into_iter().filter(is_worker).collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the gateway's log ends:\n{}", self.log());
        }
        // A process that is killed may just have started another.
        for _ in 0..20 {
            let family = self.family();
            if family.is_empty() {
                break;
            }
            for process in family {
                let _ = process.signal(Signal::KILL);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}
