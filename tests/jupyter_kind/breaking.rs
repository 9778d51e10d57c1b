//! What a fresh eye tried: a kernel that is in use in a way that no table shows, and servers that know of each other's kernels.

use rustix::process::Signal;
use serde_json::json;

use crate::closing::{LONGER, POLICY};
use crate::releases::Release;
use crate::stage::{Said, Stage, of_runtime};

/// Listens at a port, as a dashboard that a cell has started does, and sleeps.
const SERVES: &str = "import threading, http.server\n\
    class Quiet(http.server.BaseHTTPRequestHandler):\n    \
        protocol_version = 'HTTP/1.1'\n    \
        def do_GET(self): self.send_response(200); self.send_header('Content-Length', '0'); self.end_headers()\n    \
        def log_message(self, *_): pass\n\
    it = http.server.ThreadingHTTPServer(('127.0.0.1', 8050), Quiet)\n\
    threading.Thread(target=lambda: it.serve_forever(poll_interval=1000), daemon=True).start()";

impl Stage {
    /// Connects to a port and stays, once it has said something there.
    fn client_at(&self, name: &str, port: u16, first: &str) {
        let code = format!(
            "import socket, time\n\
             it = socket.create_connection(('127.0.0.1', {port})); it.sendall({first:?}.encode()); it.recv(1)\n\
             open('{name}-ready', 'w').close(); time.sleep(10000)"
        );
        self.does(json!(["start", name, [self.bin("python"), "-c", code], {}]));
        self.eventually("the client is connected", || self.path(&format!("{name}-ready")).exists());
    }

    fn ends(&self, name: &str, pid: u64) {
        self.signal(pid, Signal::KILL);
        self.eventually("it has ended", || self.does(json!(["has_ended", name])) == true);
    }
}

fn was_never_reaped(said: &Said, id: &str) {
    let subject = said.subject(id).unwrap();
    assert_ne!(subject["outcome"], "reaped", "{}", said.text);
}

#[test]
#[ignore = "half a minute"]
fn a_kernel_whose_dashboard_a_browser_has_open_is_not_closed() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let kernel = stage.kernel_running("server", SERVES);
    stage.client_at("browser", 8050, "GET / HTTP/1.1\r\n\r\n");
    stage.disconnect(&kernel, "server", &kernel);
    let said = stage.looks_for(3 * LONGER);
    was_never_reaped(&said, &kernel);
    assert!(stage.lists("server", &kernel), "{}", said.text);
    stage.eventually("it is said that a client keeps it", || {
        let said = stage.reaper(&["once"]);
        said.subject(&kernel)
            .is_some_and(|it| it["outcome"] == "kept" && it.to_string().contains("zmq-client"))
    });
    let browser = stage.processes().into_iter().find(|it| it.argv.contains("browser-ready")).unwrap().pid;
    stage.ends("browser", browser);
    stage.reaps(&kernel);
}

/// An editor's first words to the debugger in a kernel, over a connection that stays.
fn attach_debugger(stage: &Stage) {
    let hello =
        json!({ "seq": 1, "type": "request", "command": "initialize", "arguments": { "adapterID": "x" } });
    let hello = hello.to_string();
    stage.client_at("debugger", 5678, &format!("Content-Length: {}\r\n\r\n{hello}", hello.len()));
}

/// Its adapter is a daemon outside of the kernel's tree.
#[test]
#[ignore = "half a minute"]
fn a_kernel_with_a_debugger_attached_is_not_closed() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let kernel = stage.kernel_running("server", "import debugpy; debugpy.listen(('127.0.0.1', 5678))");
    attach_debugger(&stage);
    stage.disconnect(&kernel, "server", &kernel);
    let said = stage.looks_for(3 * LONGER);
    assert!(stage.lists("server", &kernel), "{}", said.text);
    let debugger = stage.processes().into_iter().find(|it| it.argv.contains("debugger-ready")).unwrap().pid;
    stage.ends("debugger", debugger);
    stage.reaps(&kernel);
}

#[test]
#[ignore = "half a minute"]
fn a_kernel_that_a_debugger_holds_is_not_closed() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let kernel = stage.kernel_running("server", "import debugpy; debugpy.listen(('127.0.0.1', 5678))");
    stage.begin(&kernel, "debugpy.wait_for_client()");
    attach_debugger(&stage);
    stage.disconnect(&kernel, "server", &kernel);
    let said = stage.looks_for(3 * LONGER);
    assert_eq!(said.verdict(&kernel), ("keep".into(), "mid-turn".into()), "{}", said.text);
    assert!(stage.lists("server", &kernel), "{}", said.text);
}

#[test]
#[ignore = "half a minute"]
fn a_kernel_that_outlived_its_server_is_kept_while_a_console_talks_to_it() {
    let Some(stage) = Stage::start(Release::OldKernel) else { return };
    let server = stage.server("server", 8888, &[]);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    // It doesn't see that its server is gone.
    let kernel = stage.kernel_running(
        "server",
        "import os; os.getppid = lambda: 2\nimport ipykernel.parentpoller as it; it.os.getppid = os.getppid",
    );
    let pid = stage.kernel_pid(&kernel);
    let file = stage.path("runtime").join(format!("kernel-{kernel}.json"));
    let console = "import sys, time\nfrom jupyter_client import BlockingKernelClient\n\
        client = BlockingKernelClient(connection_file=sys.argv[1]); client.load_connection_file(); client.start_channels()\n\
        client.wait_for_ready(timeout=60); open('console-ready', 'w').close(); time.sleep(10000)";
    let argv = json!([stage.bin("python"), "-c", console, file]);
    let console = stage.does(json!(["start", "console", argv, {}])).as_u64().unwrap();
    stage.eventually("the console is connected", || stage.path("console-ready").exists());
    stage.reaper(&["once"]);
    stage.ends("server", server);
    let said = stage.looks_for(3 * LONGER);
    assert!(stage.lives(pid), "{}", said.text);
    stage.ends("console", console);
    stage.eventually("what was left behind is gone", || {
        stage.reaper(&["once"]);
        !stage.lives(pid)
    });
}

#[test]
#[ignore = "half a minute"]
fn a_kernel_that_a_restarted_server_took_over_is_kept() {
    let Some(stage) = Stage::start(Release::OldKernel) else { return };
    let server = stage.server("server", 8888, &[]);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let kernel = stage.kernel_running("server", "y = 11\nimport os; os.getppid = lambda: 2\nimport ipykernel.parentpoller as it; it.os.getppid = os.getppid");
    let pid = stage.kernel_pid(&kernel);
    stage.reaper(&["once"]);
    // It finds kernels by their files, and lists them under ids of its own.
    let folder = stage.path("external");
    std::fs::create_dir(&folder).unwrap();
    let name = format!("kernel-{kernel}.json");
    std::fs::copy(stage.path("runtime").join(&name), folder.join(&name)).unwrap();
    stage.ends("server", server);
    let more = [
        "--ServerApp.allow_external_kernels=True",
        &format!("--ServerApp.external_connection_dir={}", folder.display()),
    ];
    stage.server("again", 8888, &more);
    let listed = stage.rest("again", "GET", "/api/kernels?no_track_activity=1").1;
    let taken = listed[0]["id"].as_str().unwrap_or_else(|| panic!("it took over none: {listed}")).to_owned();
    stage.connect("tab", "again", &taken);
    assert_eq!(stage.execute("tab", "print(y)"), "11\n");
    let said = stage.looks_for(3 * LONGER);
    assert!(stage.lives(pid), "{}", said.text);
    assert_eq!(stage.execute("tab", "print(y)"), "11\n");
}

#[test]
#[ignore = "half a minute"]
fn of_two_servers_with_one_runtime_folder_each_loses_only_its_own() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let first = stage.server("first", 8888, &[]);
    stage.server("second", 8889, &[]);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let (closed, used) = (stage.kernel_running("first", "x = 1"), stage.kernel_running("first", "x = 2"));
    let other = stage.kernel_running("second", "x = 3");
    stage.disconnect(&closed, "first", &closed);
    stage.reaps(&closed);
    let said = stage.looks_for(LONGER);
    for kernel in [&used, &other] {
        assert_eq!(said.verdict(kernel), ("keep".into(), "attached".into()), "{}", said.text);
    }
    let pid = stage.kernel_pid(&used);
    stage.ends("first", first);
    stage.eventually("its kernel is gone", || {
        stage.reaper(&["once"]);
        !stage.lives(pid)
    });
    assert_eq!(stage.looks_for(LONGER).verdict(&other), ("keep".into(), "attached".into()));
    assert_eq!(stage.execute(&other, "print(x)"), "3\n");
}

/// A tab in the background says nothing for hours; its browser only answers pings.
#[test]
#[ignore = "half a minute"]
fn a_notebook_whose_websocket_says_nothing_is_attached() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &["--ServerApp.websocket_ping_interval=1000"]);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let kernel = stage.kernel("server");
    let client = format!(
        "import websocket\n\
         it = websocket.create_connection('ws://127.0.0.1:8888/api/kernels/{kernel}/channels', header=['Authorization: token {}'])\n\
         open('client-ready', 'w').close()\n\
         while True: it.recv_data_frame(True)",
        crate::stage::TOKEN
    );
    stage.does(json!(["start", "client", [stage.bin("python"), "-c", client], {}]));
    stage.eventually("the client is connected", || stage.path("client-ready").exists());
    let said = stage.looks_for(2 * LONGER);
    assert_eq!(said.verdict(&kernel), ("keep".into(), "attached".into()), "{}", said.text);
}
