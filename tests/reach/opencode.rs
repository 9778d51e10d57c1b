//! The example for `opencode serve`, with the real one. It is a download of some 100 MB, so it is no everyday test.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::place::{Place, Ran};
use crate::port::Port;
use crate::program::write_program;
use crate::software;

/// A server in a project with an MCP server.
struct Opencode {
    place: Place,
    server: Child,
    port: u16,
    _reserved: Port,
}

impl Opencode {
    fn start(program: &Path, mcp: &Path) -> Self {
        let place = Place::new();
        let reserved = Port::reserve();
        let port = reserved.number();
        let mcp = json!({ "mcp": { "everything": { "type": "local", "command": ["node", mcp], "enabled": true } } });
        place.write("project/opencode.json", mcp.to_string());
        let example = place.path("bin/opencode.py");
        fs::create_dir(place.path("bin")).unwrap();
        write_program(&example, include_str!("../../examples/opencode.py"));
        let url = format!("http://127.0.0.1:{port}");
        place.write(
            "reaper.toml",
            format!(
                "[policy]\ngrace = \"0s\"\n[[gateway]]\nname = \"opencode\"\nkind = \"command\"\ntimeout = \"20s\"\n\
                 table = [{example:?}, \"table\", \"{url}\"]\nreap = [{example:?}, \"reap\", \"{url}\"]\n"
            ),
        );
        let mut server = Command::new(program);
        server.args(["serve", "--port", &port.to_string(), "--hostname", "127.0.0.1"]);
        server.current_dir(place.path("project")).env("HOME", place.path("home"));
        server.env_remove("OPENCODE_SERVER_PASSWORD");
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let opencode = Self { server: server.spawn().unwrap(), place, port, _reserved: reserved };
        opencode.eventually("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        // A request that comes before all of it is there is never answered.
        opencode.eventually("it answers", || {
            let mut stream = opencode.send("GET", "/session", "");
            stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
            stream.read_exact(&mut [0]).is_ok()
        });
        opencode
    }

    fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < Duration::from_secs(240), "it never came true that {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A request on a connection that stays open until it is dropped.
    fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        stream
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = self.send(method, path, body);
        stream.set_read_timeout(Some(Duration::from_secs(240))).unwrap();
        let (mut said, mut part) = (Vec::new(), [0; 4096]);
        // Not to the end of the connection, which it may keep.
        loop {
            let text = String::from_utf8_lossy(&said).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                let is_whole = match length {
                    Some(length) => body.len() >= length.trim().parse().unwrap(),
                    None => body.ends_with("0\r\n\r\n"),
                };
                if is_whole {
                    return body.to_owned();
                }
            }
            match stream.read(&mut part) {
                Ok(0) => {
                    return text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
                }
                Ok(read) => said.extend_from_slice(&part[..read]),
                Err(error) => panic!("{method} {path}: {error} after {text:?}"),
            }
        }
    }

    fn children(&self) -> Vec<String> {
        let pid = self.server.id();
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let children =
            tasks.flatten().map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
        children.flat_map(|text| text.split_whitespace().map(Into::into).collect::<Vec<String>>()).collect()
    }

    fn once(&self) -> Ran {
        self.place.once(["--json"])
    }

    fn says(&self, reason: &str) {
        self.eventually(&format!("it is {reason}"), || {
            let ran = self.once();
            // A server that is busy with itself doesn't answer in time, and is left alone.
            assert!(matches!(ran.code, Some(0 | 3)), "{ran:#?}");
            ran.out.contains(&format!("\"reason\":\"{reason}\""))
        });
    }
}

impl Drop for Opencode {
    fn drop(&mut self) {
        let children = self.children();
        let _ended = self.server.kill();
        let _ended = self.server.wait();
        for pid in
            children.iter().filter_map(|pid| pid.parse().ok()).filter_map(rustix::process::Pid::from_raw)
        {
            let argv =
                fs::read_to_string(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
            if argv.contains("mcp-server-everything") {
                let _ended = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

#[test]
#[ignore = "a download of some 100 MB"]
fn an_instance_without_clients_is_disposed_of_and_none_that_is_busy_or_used() {
    let test = "an_instance_without_clients_is_disposed_of_and_none_that_is_busy_or_used";
    let Some(program) = software::opencode(test) else { return };
    let Some(software) = software::install(test) else { return };
    let opencode = Opencode::start(&program, &software.everything_server);

    let created: Value = serde_json::from_str(&opencode.ask("POST", "/session", "{}")).unwrap();
    opencode.ask("GET", "/mcp", "");
    opencode.eventually("its MCP server runs", || !opencode.children().is_empty());
    let events = opencode.send("GET", "/event", "");
    opencode.says("attached");
    drop(events);

    // In a turn, with its client gone.
    let shell =
        json!({ "agent": "build", "command": "sleep 1000", "model": { "providerID": "x", "modelID": "y" } });
    let path = format!("/session/{}/shell", created["id"].as_str().unwrap());
    let turn = opencode.send("POST", &path, &shell.to_string());
    opencode.eventually("it is busy", || opencode.ask("GET", "/session/status", "").contains("busy"));
    drop(turn);
    opencode.says("mid-turn");
    assert!(!opencode.children().is_empty());

    let abort = format!("/session/{}/abort", created["id"].as_str().unwrap());
    opencode.eventually("its turn is over", || {
        // On a busy machine one that comes as the command is starting is never answered.
        let _abort = opencode.send("POST", &abort, "");
        std::thread::sleep(Duration::from_secs(2));
        !opencode.ask("GET", "/session/status", "").contains("busy")
    });
    opencode.eventually("it was disposed of", || {
        let ran = opencode.once();
        assert!(matches!(ran.code, Some(0 | 3)), "{ran:#?}");
        ran.out.contains("\"outcome\":\"reaped\"")
    });
    opencode.eventually("its processes are gone", || opencode.children().is_empty());
    assert_eq!(opencode.once().subjects(), 0);
    assert!(
        opencode.ask("GET", "/session", "").contains(created["id"].as_str().unwrap()),
        "its sessions stay"
    );
}
