//! Proxies in front of the dashboard: what they keep open looks like a client, and what they don't is none.

use serde_json::json;

use crate::scene::{ADDRESS, ONE, Scene, is_possible};
use crate::stage::PORT;

/// Where nginx listens.
pub(crate) const PROXY: u16 = PORT + 100;
/// Where ssh listens.
pub(crate) const TUNNEL: u16 = PORT + 102;

/// nginx in front of the dashboard, which keeps its connections to it. Returns its PID.
pub(crate) fn nginx(scene: &Scene) -> u64 {
    let dir = scene.stage.place().dir();
    let text = format!(
        "user root; daemon off; master_process off; pid {0}/nginx.pid; error_log {0}/nginx.log;\n\
         events {{}}\n\
         http {{\n\
         access_log off; client_body_temp_path {0}; proxy_temp_path {0}; fastcgi_temp_path {0}; uwsgi_temp_path {0}; scgi_temp_path {0};\n\
         map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}\n\
         upstream desk {{ server 127.0.0.1:{PORT}; keepalive 4; keepalive_timeout 10m; }}\n\
         server {{ listen {PROXY};\n\
         location / {{ proxy_pass http://desk; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;\n\
         proxy_set_header Connection $connection_upgrade; proxy_set_header Host 127.0.0.1:{PORT}; }} }}\n\
         }}\n",
        dir.display()
    );
    let configuration = scene.stage.place().write("nginx.conf", text);
    let nginx = scene.starts("nginx", &["nginx", "-c", configuration.to_str().unwrap()]);
    listens(scene, PROXY);
    nginx
}

/// Waits until something takes connections there.
fn listens(scene: &Scene, port: u16) {
    let name = format!("knocks-at-{port}");
    scene.role(&name, &["client"], &[]);
    scene.eventually(&format!("something listens at {port}"), || {
        scene.stage.tell(&name, &json!(["is open", ADDRESS, port])) == true
    });
}

#[test]
fn a_client_behind_nginx_is_one_and_a_connection_that_nginx_keeps_looks_like_one() {
    const TEST: &str = "a_client_behind_nginx_is_one_and_a_connection_that_nginx_keeps_looks_like_one";
    if !is_possible(TEST, &["nginx"]) {
        return;
    }
    let scene = Scene::new();
    let nginx = nginx(&scene);
    let client = scene.client_at("client", ADDRESS, PROXY);
    let worker = scene.worker();
    let watch = scene.watch();
    watch.spares(&[worker], ONE);
    // A page, over the connection that nginx keeps to the dashboard; nothing tells that its client is gone.
    let reader = scene.client("reader");
    assert_eq!(reader.does(&json!(["page", ADDRESS, PROXY])), "200");
    client.leaves();
    watch.spares(&[worker], ONE);
    scene.stage.signal_pid(nginx, rustix::process::Signal::TERM);
    watch.ends(&[worker]);
}

#[test]
fn a_client_behind_ssh_is_one_and_the_tunnel_without_it_is_none() {
    const TEST: &str = "a_client_behind_ssh_is_one_and_the_tunnel_without_it_is_none";
    if !is_possible(TEST, &["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let scene = Scene::new();
    ssh(&scene);
    let client = scene.client_at("client", ADDRESS, TUNNEL);
    let worker = scene.worker();
    let watch = scene.watch();
    watch.spares(&[worker], ONE);
    client.leaves();
    watch.ends(&[worker]);
}

/// A tunnel to the dashboard, from this machine to itself.
pub(crate) fn ssh(scene: &Scene) {
    const SSHD: u16 = PORT + 101;
    let path = |name: &str| scene.stage.place().path(name).to_str().unwrap().to_owned();
    for key in ["host", "user"] {
        scene.runs("looker", &["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &path(key)]);
    }
    let public = scene.stage.place().read("user.pub");
    scene.stage.place().write("authorized", public);
    let configuration = format!(
        "ListenAddress 127.0.0.1:{SSHD}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
         PermitRootLogin yes\nPasswordAuthentication no\nAllowTcpForwarding yes\n",
        path("host"),
        path("authorized")
    );
    scene.stage.place().write("sshd.conf", configuration);
    // It wants an empty folder there, which this machine may not have.
    let daemon = format!("mkdir -p /run/sshd; exec /usr/sbin/sshd -D -e -f {}", path("sshd.conf"));
    scene.starts("sshd", &["sh", "-c", &daemon]);
    listens(scene, SSHD);
    let tunnel = format!(
        "exec /usr/bin/ssh -F none -N -i {} -p {SSHD} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
         -L {ADDRESS}:{TUNNEL}:{ADDRESS}:{PORT} root@{ADDRESS}",
        path("user")
    );
    scene.starts("ssh", &["sh", "-c", &tunnel]);
    listens(scene, TUNNEL);
}

#[test]
fn a_reaper_that_asks_through_a_proxy_ends_no_worker() {
    const TEST: &str = "a_reaper_that_asks_through_a_proxy_ends_no_worker";
    if !is_possible(TEST, &["nginx"]) {
        return;
    }
    // The listener that it sees is the proxy, which has no workers; whose clients the dashboard has it doesn't know.
    let scene = Scene::new();
    nginx(&scene);
    scene.configure(PROXY, "");
    let client = scene.client_at("client", ADDRESS, PORT);
    let worker = scene.worker();
    let watch = scene.watch();
    watch.spares(&[worker], "no workers; no client is connected");
    client.leaves();
    watch.spares(&[worker], "no workers; no client is connected");
    let said = scene.listener();
    assert!(said.contains("(nginx) of ") && said.ends_with(", which is taken for the gateway"), "{said}");
}
