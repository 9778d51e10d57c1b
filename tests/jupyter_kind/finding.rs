//! Which servers are found, and which are not believed.

use serde_json::json;

use crate::closing::{LONGER, POLICY};
use crate::releases::Release;
use crate::stage::{Stage, TOKEN, of_runtime, of_url};

#[test]
fn a_file_that_a_dead_server_left_leads_to_no_other_process_and_a_wrong_token_to_nothing() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let killed = stage.server("killed", 8888, &[]);
    let stale = stage.path("runtime").join(format!("jpserver-{killed}.json"));
    let text = std::fs::read_to_string(&stale).unwrap();
    stage.signal(killed, rustix::process::Signal::KILL);
    stage.eventually("it has ended", || stage.does(json!(["has_ended", "killed"])) == true);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let said = stage.reaper(&["status"]);
    assert_eq!((said.exit, said.report["gateways"].as_array().unwrap().len()), (0, 1), "{}", said.text);

    // Another server takes the port, and its PID is in the old one's file: as after a recycled PID.
    let pid = stage.server_with(
        "other",
        "http://127.0.0.1:8888",
        &["--port=8888"],
        json!({"JUPYTER_TOKEN": "another-token"}),
    );
    let kernel = stage.kernel("other");
    let own = stage.path("runtime").join(format!("jpserver-{pid}.json"));
    assert!(own.exists());
    std::fs::remove_file(&own).unwrap();
    std::fs::write(&own, text.replace(&killed.to_string(), &pid.to_string())).unwrap();
    let said = stage.looks_for(LONGER);
    assert_eq!(said.exit, 3, "{}", said.text);
    assert_eq!(said.gateway("jupyter:8888")["table"], "refused", "{}", said.text);
    assert!(stage.lists("other", &kernel));

    // Named, with the wrong token, and not at all.
    stage.configure(
        POLICY,
        &format!("{}{}", of_url("wrong", "http://127.0.0.1:8888"), of_url("down", "http://127.0.0.1:8889")),
    );
    let said = stage.reaper(&["once"]);
    assert_eq!(said.exit, 3);
    assert!(said.gateway("wrong")["error"].as_str().unwrap().contains("token"), "{}", said.text);
    assert_eq!(
        (&said.gateway("wrong")["table"], &said.gateway("down")["table"]),
        (&json!("refused"), &json!("unreachable"))
    );
}

#[test]
#[ignore = "half a minute"]
fn servers_are_found_at_a_base_url_at_ipv6_and_at_a_socket_and_without_a_token() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let token = || json!({ "JUPYTER_TOKEN": TOKEN });
    stage.server_with(
        "base",
        "http://127.0.0.1:8881/a/b",
        &["--port=8881", "--ServerApp.base_url=/a/b"],
        token(),
    );
    stage.server_with("six", "http://[::1]:8882", &["--port=8882", "--ServerApp.ip=::1"], token());
    stage.server_with(
        "open",
        "http://127.0.0.1:8883",
        &["--port=8883", "--IdentityProvider.token="],
        json!({}),
    );
    let kernels = ["base", "six"].map(|server| stage.kernel_running(server, "x = 1"));
    for (server, kernel) in ["base", "six"].iter().zip(&kernels) {
        stage.disconnect(kernel, server, kernel);
    }
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let socket = stage.path("server.sock");
    let at = format!("--ServerApp.sock={}", socket.display());
    stage.does(json!(["start", "socket", [stage.bin("python"), "-m", "jupyter_server", "--allow-root", "--no-browser", at],
        {"JUPYTER_TOKEN": TOKEN}]));
    stage.eventually("it answers at its socket", || {
        let said = stage.reaper(&["status"]);
        let name = format!("jupyter:{}", socket.display());
        said.report["gateways"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["name"] == name.as_str() && it["table"] == "ok" && it["pid"].is_u64())
    });
    let said = stage.reaper(&["status"]);
    assert_eq!(said.exit, 0, "{}", said.text);
    assert_eq!(said.gateway("jupyter:8883")["table"], "ok");
    stage.does(json!(["server_at", "socket", format!("unix:{}:", socket.display()), TOKEN]));
    let [base, six] = kernels;
    let at_socket = stage.kernel("socket");
    let pid = stage.kernel_pid(&at_socket);
    stage.reaps_all(&[&base, &six, &at_socket]);
    assert!(!stage.lists("socket", &at_socket) && !stage.lives(pid));
}

#[test]
#[ignore = "half a minute"]
fn a_page_of_a_proxy_is_no_server() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let page = "import http.server\n\
        class H(http.server.BaseHTTPRequestHandler):\n    \
            def do_GET(self):\n        \
                body = b'<html>log in</html>'; self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)\n\
        http.server.ThreadingHTTPServer(('127.0.0.1', 8888), H).serve_forever()";
    stage.does(json!(["start", "proxy", [stage.bin("python"), "-c", page], {}]));
    stage.configure(POLICY, &of_url("proxy", "http://127.0.0.1:8888"));
    stage.eventually("it answers", || stage.reaper(&["status"]).gateway("proxy")["table"] == "refused");
    let said = stage.reaper(&["once"]);
    assert_eq!(said.exit, 3, "{}", said.text);
}

#[test]
#[ignore = "installs another release"]
fn with_jupyter_server_documents_nothing_is_known_of_clients_so_the_table_is_refused() {
    let Some(stage) = Stage::start(Release::Documents) else { return };
    stage.server("server", 8888, &[]);
    let kernel = stage.kernel("server");
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let said = stage.looks_for(LONGER);
    assert_eq!(said.exit, 3, "{}", said.text);
    assert!(said.text.contains("jupyter-server-documents"), "{}", said.text);
    assert!(stage.lists("server", &kernel));

    // Without metrics that list extensions, it is known by a path that it alone has.
    let silent = "import sys, jupyter_server.serverapp as it\n\
        it.ServerApp.init_metrics = lambda self: None\n\
        it.main(sys.argv[1:])";
    let argv = json!([stage.bin("python"), "-c", silent, "--allow-root", "--no-browser", "--port=8889"]);
    stage.does(json!(["start", "silent", argv, { "JUPYTER_TOKEN": TOKEN }]));
    stage.does(json!(["server_at", "silent", "http://127.0.0.1:8889", TOKEN]));
    stage.configure(POLICY, &of_url("silent", "http://127.0.0.1:8889"));
    let said = stage.reaper(&["once"]);
    assert_eq!(said.exit, 3, "{}", said.text);
    assert!(said.text.contains("jupyter-server-documents"), "{}", said.text);
}

#[test]
#[ignore = "half a minute"]
fn kernels_behind_a_front_server_are_closed_through_it_and_reaped_once() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.does(
        json!(["start", "gateway", [stage.bin("jupyter-kernelgateway"), "--KernelGatewayApp.port=9000"],
        {"KG_AUTH_TOKEN": TOKEN, "KG_LIST_KERNELS": "True"}]),
    );
    stage.does(json!(["server_at", "gateway", "http://127.0.0.1:9000", TOKEN]));
    let front = "--GatewayClient.url=http://127.0.0.1:9000";
    let auth = format!("--GatewayClient.auth_token={TOKEN}");
    stage.server("front", 8888, &[front, &auth]);
    let kernel = stage.kernel("front");
    let pid = stage.kernel_pid(&kernel);
    stage.eventually("the kernel is there for both", || {
        stage.lists("front", &kernel) && stage.lists("gateway", &kernel)
    });
    stage.configure(
        POLICY,
        &format!("{}{}", of_runtime(&stage.path("runtime")), of_url("kg", "http://127.0.0.1:9000")),
    );
    let said = stage.reaper(&["status"]);
    let listed: Vec<_> = said.subjects().filter(|subject| subject["id"] == kernel.as_str()).collect();
    assert_eq!(listed.len(), 2, "{}", said.text);
    assert_eq!(listed.iter().filter(|subject| subject["worker_pid"] == pid).count(), 1, "{}", said.text);
    stage.eventually("it is closed", || {
        stage.reaper(&["once"]);
        !stage.lives(pid)
    });
    let said = stage.looks_for(LONGER);
    assert!(said.exit == 0, "{}", said.text);
}

#[test]
fn what_is_said_of_the_gateway_that_finds_servers_holds_for_each_that_it_finds() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    let gateway = of_runtime(&stage.path("runtime"));
    let keep = |keep: &str| stage.configure(POLICY, &format!("{gateway}[[keep]]\n{keep}\n"));
    keep("gateway = \"jupyter\"");
    let kernel = stage.kernel("server");
    let said = stage.looks_for(LONGER);
    assert_eq!(said.verdict(&kernel), ("keep".into(), "held".into()), "{}", said.text);
    assert!(stage.lists("server", &kernel));
    for name in ["jupyter", "jupyter:8888"] {
        let said = stage.reaper(&["status", "--gateway", name]);
        assert_eq!((said.exit, said.verdict(&kernel).1), (0, "held".into()), "{}", said.text);
    }

    keep("gateway = \"jupyter\"\nsession = \"no-*\"");
    stage.reaps(&kernel);
    for name in ["jupyter", "jupyter:8888"] {
        let said = stage.reaper(&["history", "--gateway", name]);
        assert_eq!(said.report["totals"]["reaped"], 1, "{}", said.text);
    }
}
