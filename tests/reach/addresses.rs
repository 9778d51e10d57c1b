//! A gateway at a socket in the file system, or at an address of IPv6: asked, known and closed like any other.

use std::process::{Child, Command, Stdio};

use gateway_reaper::hermes::plugin;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::json;

use crate::place::Place;
use crate::privileges::has_root;
use crate::running::eventually;
use crate::socket_server::Server;

const STRANGER: u32 = 61_234;

fn detached(id: &str) -> String {
    json!({ "version": 1, "gateway": { "instance": "run 1" }, "sessions": [
        { "id": id, "transport": "detached", "turn": "idle" } ] })
    .to_string()
}

fn at(place: &Place, kind: &str, url: &str, more: &str) {
    place.write(
        "reaper.toml",
        format!(
            "[policy]\ngrace = \"0s\"\n[[gateway]]\nname = \"desk\"\nkind = \"{kind}\"\nurl = \"{url}\"\n{more}"
        ),
    );
}

#[test]
fn a_gateway_at_a_socket_is_asked_and_closes_its_session() {
    let place = Place::new();
    let socket = place.path("gw.sock");
    let server = Server::at_socket(&socket);
    server.says("GET /api/table", 200, detached("a/b"));
    server.says("POST /api/table/a%2Fb/reap", 200, r#"{"outcome":"reaped"}"#);
    place.write("token", "s3cret");
    let url = format!("unix://{}:/api/table", socket.display());
    at(&place, "http", &url, "token_file = \"token\"\n");

    let ran = place.once(["--json"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(ran.subject("a/b")["outcome"], "reaped", "{ran:#?}");
    let asked = server.asked();
    assert!(asked.iter().all(|asked| asked.bearer.as_deref() == Some("s3cret")), "{asked:#?}");
    let reap = asked.iter().find(|asked| asked.what.starts_with("POST")).unwrap();
    assert_eq!(reap.body, r#"{"instance":"run 1","reason":"orphaned"}"#);
}

#[test]
fn a_dashboard_at_a_socket_is_asked_with_the_token_of_its_page() {
    let place = Place::new();
    let socket = place.path("hermes.sock");
    let server = Server::at_socket(&socket);
    let page = r#"<script>window.__HERMES_SESSION_TOKEN__="t0ken";window.__HERMES_DASHBOARD_EMBEDDED_CHAT__=true;</script>"#;
    let sessions = "/desk/api/plugins/gateway-reaper/sessions";
    let plugin =
        format!(r#""plugin":{{"name":"gateway-reaper","version":"{}"}},"sessions""#, plugin::VERSION);
    server.says("GET /desk/", 200, page);
    server.says(&format!("GET {sessions}"), 200, detached("a").replace(r#""sessions""#, &plugin));
    server.says(&format!("POST {sessions}/a/reap"), 200, r#"{"outcome":"reaped"}"#);
    at(&place, "hermes", &format!("unix://{}:/desk", socket.display()), "");

    let ran = place.once(["--json"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(ran.subject("a")["outcome"], "reaped", "{ran:#?}");
    let asked = server.asked();
    let reap = asked.iter().find(|asked| asked.what.starts_with("POST")).unwrap();
    assert_eq!(reap.bearer.as_deref(), Some("t0ken"));
}

#[test]
fn a_gateway_at_an_address_of_ipv6_stands_in_brackets() {
    let (server, port) = Server::at_ipv6_loopback();
    server.says("GET /table", 200, detached("a"));
    server.says("POST /table/a/reap", 200, r#"{"outcome":"reaped"}"#);
    let place = Place::new();
    at(&place, "http", &format!("http://[::1]:{port}/table"), "");
    let ran = place.once(["--json"]);
    assert_eq!((ran.code, &ran.subject("a")["outcome"]), (Some(0), &json!("reaped")), "{ran:#?}");

    at(&place, "http", &format!("http://::1:{port}/table"), "");
    let ran = place.once([]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.err.contains("in brackets (http://[::1]:9119)"), "{}", ran.err);
}

#[test]
fn a_gateway_with_tls_is_refused_with_the_reason() {
    let place = Place::new();
    at(&place, "http", "https://127.0.0.1:9119/table", "");
    let ran = place.once([]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.err.contains("the reaper runs beside the gateway"), "{}", ran.err);
}

#[test]
fn a_socket_where_nothing_listens_any_more_is_unreachable() {
    let place = Place::new();
    let socket = place.path("gw.sock");
    // It never listened: the descriptor of one that did would be in each process that another test is just starting.
    let bound = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .unwrap();
    rustix::net::bind(&bound, &SocketAddrUnix::new(&*socket).unwrap()).unwrap();
    at(&place, "http", &format!("unix://{}:/t", socket.display()), "");
    let ran = place.once(["--json"]);
    assert_eq!(ran.code, Some(3), "{ran:#?}");
    assert_eq!(ran.json()["gateways"][0]["table"], "unreachable");
    let said = ran.json()["gateways"][0]["error"].as_str().unwrap().to_owned();
    assert!(said.contains(&format!("nothing listens at unix://{}", socket.display())), "{said}");
}

/// A process of another user that listens, and prints what it is sent.
struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn a_stranger_at_the_gateways_socket_is_sent_nothing() {
    if !has_root("a_stranger_at_the_gateways_socket_is_sent_nothing") {
        return;
    }
    let place = Place::new();
    let folder = place.path("open");
    std::fs::create_dir(&folder).unwrap();
    for folder in [place.dir(), &folder] {
        rustix::fs::chmod(folder, rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
    }
    std::os::unix::fs::chown(&folder, Some(STRANGER), None).unwrap();
    let (socket, told) = (folder.join("gw.sock"), folder.join("told"));
    let script = "import os, socket, sys\n\
                  os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))\n\
                  it = socket.socket(socket.AF_UNIX); it.bind(sys.argv[2] + '.new'); it.listen()\n\
                  os.rename(sys.argv[2] + '.new', sys.argv[2])\n\
                  told = it.accept()[0].recv(65536)\n\
                  open(sys.argv[3] + '.new', 'wb').write(told); os.rename(sys.argv[3] + '.new', sys.argv[3])";
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-ISB", "-c", script, &STRANGER.to_string()]).args([&socket, &told]);
    let _stranger = Stranger(command.stdin(Stdio::null()).spawn().unwrap());
    eventually("the stranger listens", || socket.exists(), String::new);

    place.write("token", "s3cret");
    let url = format!("unix://{}:/t", socket.display());
    at(&place, "http", &url, "token_file = \"token\"\n");
    let ran = place.once(["--json"]);
    assert_eq!(ran.code, Some(3), "{ran:#?}");
    let said = ran.json()["gateways"][0]["error"].as_str().unwrap().to_owned();
    assert!(said.contains(&format!("user {STRANGER}")) && said.contains("nothing was sent"), "{said}");
    eventually("the stranger has heard what there was", || told.exists(), String::new);
    assert_eq!(std::fs::read(&told).unwrap(), b"");
}
