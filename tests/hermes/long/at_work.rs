//! Work in a worker that its gateway knows nothing of: a command in flight, a job in the background that runs a command of its own, a job that
//! calls an MCP server. The first two show themselves at the first look. The third is told only by what its worker has at rest.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use gateway_reaper::demo::pinned::Pinned;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::holds::tool;
use crate::beside::{WORKERS, failures_until_one_works, with_worker};
use crate::gateway::Gateway;
use crate::reaper::Reaper;
use crate::releases::{Release, With, on_each_kind_of_release};
use crate::rpc::Client;
use crate::until;

on_each_kind_of_release!(
    #[ignore = "long: waits for graces"]
    what_a_worker_works_at_is_never_ended_while_its_client_is_there,
    attached
);
on_each_kind_of_release!(
    #[ignore = "long: waits for graces"]
    what_a_worker_works_at_is_never_ended_when_its_client_has_left,
    detached
);
on_each_kind_of_release!(
    #[ignore = "long: waits for graces"]
    what_a_worker_works_at_is_never_ended_without_the_plugin,
    without_plugin
);

/// An MCP server with one tool. Its call is told by a file and waits at a pipe.
const SERVER: &str = r#"import json, os, sys
home = os.path.dirname(sys.argv[0])
def answer(id, result):
    print(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    id, method = asked.get("id"), asked.get("method")
    if method == "initialize":
        answer(id, {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                    "serverInfo": {"name": "of-a-test", "version": "1"}})
    elif method == "tools/list":
        schema = {"type": "object", "properties": {"what": {"type": "string"}}}
        answer(id, {"tools": [{"name": "work", "description": "waits", "inputSchema": schema}]})
    elif method == "tools/call":
        what = asked["params"]["arguments"]["what"]
        open(os.path.join(home, what + ".started"), "w").close()
        open(os.path.join(home, what + ".pipe")).read()
        answer(id, {"content": [{"type": "text", "text": "done"}]})
    elif id is not None:
        answer(id, {})
"#;

/// A gateway whose workers have an MCP server each, and a slash command that takes its time.
async fn start(release: Release, with_plugin: bool) -> Option<Gateway> {
    let mut gateway = Gateway::home_with(release, With::Mcp)?;
    let (config, server) = (gateway.path().join("config.yaml"), gateway.path().join("mcp-server-of-a-test"));
    fs::write(&server, SERVER).unwrap();
    // The newest release keeps the tools of servers behind a search unless it is told not to.
    let more = format!(
        "quick_commands:\n  slowly:\n    type: exec\n    command: {}\n\
         tools:\n  tool_search: false\nmcp_servers:\n  waits:\n    command: python3\n    args: [\"{}\"]\n    timeout: 600\n",
        at_the_pipe(&gateway, "command"),
        server.display()
    );
    fs::write(&config, fs::read_to_string(&config).unwrap() + &more).unwrap();
    if with_plugin {
        crate::install::install(gateway.path());
    }
    gateway.run(release).await;
    Some(gateway)
}

/// A shell command that tells by a file that it runs, and then does nothing until the test lets it go.
fn at_the_pipe(gateway: &Gateway, what: &str) -> String {
    let file = |ending: &str| gateway.path().join(format!("{what}.{ending}")).display().to_string();
    format!("touch {} && cat {} && echo done", file("started"), file("pipe"))
}

/// Something that a worker works at.
struct Work {
    what: &'static str,
    session: String,
    worker: Pinned,
    answer: oneshot::Receiver<Value>,
    is_over: bool,
    pipe: PathBuf,
}

impl Work {
    async fn begin(
        gateway: &Gateway,
        client: &mut Client,
        (session, worker): (String, Pinned),
        what: &'static str,
        command: &str,
    ) -> Self {
        let pipe = gateway.path().join(format!("{what}.pipe"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let asked = json!({ "session_id": session, "command": command });
        let answer = client.send("slash.exec", asked).await;
        let started = gateway.path().join(format!("{what}.started"));
        until(what, async || started.exists().then_some(())).await;
        Self { what, session, worker, answer, is_over: false, pipe }
    }

    /// Lets it go on. It waits at the pipe, which it has open for reading, unless Hermes has given it up.
    fn end(&self) {
        let at_once = File::options().read(true).write(true).open(&self.pipe).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        drop(at_once);
    }
}

/// All that a worker can work at; the command last, since Hermes gives that half a minute.
async fn begin_all(gateway: &Gateway, reaper: &Reaper, client: &mut Client, release: Release) -> Vec<Work> {
    let mut all = Vec::new();
    if has_servers(release) {
        let call = format!("/background {}", tool("mcp__waits__work", json!({ "what": "call" })));
        let caller = with_worker(gateway, client).await;
        servers(&caller.1, release).await;
        rests(&caller.1).await;
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            reaper.run(&["once", "--dry-run"]).await;
        }
        all.push(Work::begin(gateway, client, caller, "call", &call).await);
    }
    let shell = tool("terminal", json!({ "command": at_the_pipe(gateway, "shell"), "timeout": 600 }));
    for (what, command) in [("shell", format!("/background {shell}")), ("command", "/slowly".to_owned())] {
        let unseen = with_worker(gateway, client).await;
        all.push(Work::begin(gateway, client, unseen, what, &command).await);
    }
    all
}

/// Until its main thread hasn't run for longer than between two of the looks that follow: on a busy machine it loads for long.
async fn rests(worker: &Pinned) {
    let task = format!("/proc/{}/task/{}/schedstat", worker.pid(), worker.pid());
    let mut before = String::new();
    until("the worker rests", async || {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = fs::read_to_string(&task).unwrap();
        (std::mem::replace(&mut before, now.clone()) == now).then_some(())
    })
    .await;
}

/// Before 0.19.0 MCP servers are the gateway's only.
fn has_servers(release: Release) -> bool {
    release >= Release::V0_19_0
}

/// Looks at all of it for longer than the grace.
async fn all_stay(reaper: &Reaper, all: &mut [Work], grace: Duration) {
    let started = Instant::now();
    let mut seen_for = Duration::ZERO;
    while started.elapsed() < grace * 2 {
        let said = reaper.run(&["once", "--wait", "12s"]).await;
        for work in all.iter_mut() {
            work.is_over |= work.answer.try_recv().is_ok() && work.what == "command";
            let is_there = work.worker.alive() && said.of(&work.session).0 != "reap";
            assert!(is_there, "{} was ended: {}", work.what, said.report);
        }
        if all.iter().all(|work| !work.is_over) {
            seen_for = started.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(seen_for > grace, "the command was over too early for the test: {seen_for:?}");
}

/// Those right below a worker: its MCP server, if it has one, which the newest release starts after its first command.
async fn servers(worker: &Pinned, release: Release) -> Vec<Pinned> {
    if !has_servers(release) {
        return Vec::new();
    }
    until("its MCP server is there", async || {
        let mut servers = Vec::new();
        for thread in fs::read_dir(format!("/proc/{}/task", worker.pid())).unwrap().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            let pids = children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
            servers.extend(pids.filter_map(|pid| Pinned::new(pid).ok()));
        }
        Some(servers).filter(|servers| !servers.is_empty())
    })
    .await
}

async fn are_gone(servers: &[Pinned]) {
    until("its MCP server is gone", async || (!servers.iter().any(Pinned::alive)).then_some(())).await;
}

/// With its work each of them loses what kept it.
async fn all_end(reaper: &Reaper, all: &[Work], release: Release) {
    for work in all {
        work.end();
    }
    // The newer releases keep a job's threads, which rest by themselves after half an hour.
    let kept_for_longer = release > Release::V0_19_0;
    until("all are ended", async || {
        reaper.once_and_wait().await;
        let mut theirs = all.iter().filter(|work| !kept_for_longer || work.what == "command");
        (!theirs.any(|work| work.worker.alive())).then_some(())
    })
    .await;
}

async fn attached(release: Release) {
    let Some(mut gateway) = start(release, true).await else { return };
    let reaper = Reaper::with(&gateway, "idle_worker = \"8s\"");
    let mut client = gateway.client().await;
    let (session, idle) = with_worker(&gateway, &mut client).await;
    let servers = servers(&idle, release).await;
    let mut all = begin_all(&gateway, &reaper, &mut client, release).await;
    all_stay(&reaper, &mut all, Duration::from_secs(8)).await;
    until("the idle one is ended", async || {
        reaper.once_and_wait().await;
        (!idle.alive()).then_some(())
    })
    .await;
    are_gone(&servers).await;
    all_end(&reaper, &all, release).await;
    assert!(gateway.is_alive() && client.is_connected());
    assert!(failures_until_one_works(&mut client, &session).await <= 1);
}

async fn detached(release: Release) {
    let Some(mut gateway) = start(release, true).await else { return };
    let reaper = Reaper::of(&gateway);
    let mut client = gateway.client().await;
    let (session, idle) = with_worker(&gateway, &mut client).await;
    let servers = servers(&idle, release).await;
    let mut all = begin_all(&gateway, &reaper, &mut client, release).await;
    drop(client);
    gateway.row_where(&session, "the client is gone", |row| row["transport"] == "detached").await;
    all_stay(&reaper, &mut all, Duration::from_secs(8)).await;
    until("the one that nothing holds is reaped", async || {
        reaper.once_and_wait().await;
        gateway.row(&session).await.is_none().then_some(())
    })
    .await;
    are_gone(&servers).await;
    all_end(&reaper, &all, release).await;
    assert!(gateway.is_alive());
}

async fn without_plugin(release: Release) {
    let Some(mut gateway) = start(release, false).await else { return };
    let reaper = Reaper::of_workers(&gateway, WORKERS);
    let mut client = gateway.client().await;
    let (session, idle) = with_worker(&gateway, &mut client).await;
    let servers = servers(&idle, release).await;
    let mut all = begin_all(&gateway, &reaper, &mut client, release).await;
    drop(client);
    all_stay(&reaper, &mut all, Duration::from_secs(8)).await;
    until("the idle one is ended", async || {
        reaper.once_and_wait().await;
        (!idle.alive()).then_some(())
    })
    .await;
    are_gone(&servers).await;
    all_end(&reaper, &all, release).await;
    assert!(gateway.is_alive());
    let mut returns = gateway.client().await;
    failures_until_one_works(&mut returns, &session).await;
}
