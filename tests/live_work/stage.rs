//! A PID and network namespace with an init, in which a test starts its processes. All of them die with it, however the test ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::place::{PATIENCE, Place};
use crate::privileges::{is_root, left_out};

/// Where the gateway of a stage publishes its table.
pub(crate) const PORT: u16 = 7000;

/// The user of processes that aren't the reaper's own.
pub(crate) const SOMEBODY: u32 = 65534;

/// The namespace and the folder.
#[derive(Debug)]
pub(crate) struct Stage {
    place: Place,
    unshare: Child,
    orders: AtomicUsize,
    reaper_is_somebody: AtomicBool,
}

/// Whether there can be a stage here. If not, says that the test was not run.
pub(crate) fn is_possible(test: &str) -> bool {
    if !is_root() {
        left_out(test, "root");
    }
    is_root()
}

impl Stage {
    /// With an init and nothing else.
    pub(crate) fn start() -> Self {
        let place = Place::new();
        fs::set_permissions(place.dir(), Permissions::from_mode(0o755)).unwrap();
        let cast = place.path("cast");
        fs::create_dir(&cast).unwrap();
        fs::set_permissions(&cast, Permissions::from_mode(0o777)).unwrap();
        let script = place.write("actor.py", include_str!("actor.py"));
        let python = fs::canonicalize("/usr/bin/python3").unwrap();
        symlink(python, place.path("tini")).unwrap();
        let namespaces = ["--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--"];
        let mut unshare = place.program("unshare", namespaces).command;
        unshare.arg(place.path("tini")).arg("-ISB").arg(script);
        unshare.env("ACTOR_DIR", &cast).env("ACTOR_NAME", "init");
        unshare.stdout(Stdio::inherit()).stderr(Stdio::inherit());
        let stage = Self {
            unshare: unshare.spawn().unwrap(),
            place,
            orders: AtomicUsize::new(0),
            reaper_is_somebody: AtomicBool::new(false),
        };
        stage.enters("init");
        stage.tell("init", &json!(["loopback"]));
        stage
    }

    pub(crate) fn next(&self) -> usize {
        self.orders.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// From now on the program runs as a user who isn't root, and `/proc` hides other users' processes from it.
    pub(crate) fn hide_from_somebody(&self) {
        let remount = json!(["run", ["mount", "-o", "remount,hidepid=invisible", "/proc"]]);
        assert_eq!(self.tell("init", &remount), 0, "a proc of one's own can be mounted again");
        fs::set_permissions(self.place.dir(), Permissions::from_mode(0o1777)).unwrap();
        self.reaper_is_somebody.store(true, Ordering::Relaxed);
    }

    pub(crate) fn reaper_is_somebody(&self) -> bool {
        self.reaper_is_somebody.load(Ordering::Relaxed)
    }

    /// Has a process do this, and returns its answer.
    pub(crate) fn tell(&self, name: &str, order: &Value) -> Value {
        let socket = self.to(name).unwrap_or_else(|| panic!("no process called {name} lives"));
        socket.send(order.to_string().as_bytes()).unwrap();
        let mut answer = vec![0; 1 << 16];
        let length =
            socket.recv(&mut answer).unwrap_or_else(|error| panic!("{name} never answered {order}: {error}"));
        let answer: Value = serde_json::from_slice(&answer[..length]).unwrap();
        assert!(answer.get("failed").is_none(), "{name} could not do {order}: {answer}");
        answer
    }

    pub(crate) fn to(&self, name: &str) -> Option<UnixDatagram> {
        let own = self.place.path(&format!("cast/order-{}", self.next()));
        let socket = UnixDatagram::bind(&own).unwrap();
        fs::set_permissions(&own, Permissions::from_mode(0o777)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(self.place.path("cast").join(name)).ok()?;
        Some(socket)
    }

    /// Whether the process that has this name lives; a zombie doesn't.
    pub(crate) fn lives(&self, name: &str) -> bool {
        self.to(name).is_some()
    }

    /// Waits until a process takes orders.
    pub(crate) fn enters(&self, name: &str) {
        self.eventually(&format!("{name} has started"), || self.lives(name));
    }

    /// Waits until a process has ended.
    pub(crate) fn leaves(&self, name: &str) {
        self.eventually(&format!("{name} has ended"), || !self.lives(name));
    }

    pub(crate) fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < PATIENCE, "it never came true that {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The PID of a process, in its own namespace.
    pub(crate) fn pid(&self, name: &str) -> u64 {
        self.tell(name, &json!(["pid"])).as_u64().unwrap()
    }

    /// Sends a signal to a process of this namespace, by its PID here.
    pub(crate) fn signal(&self, name: &str, signal: rustix::process::Signal) {
        let pid = self.pid(name);
        self.signal_pid(pid, signal);
    }

    pub(crate) fn signal_pid(&self, pid: u64, signal: rustix::process::Signal) {
        self.tell("init", &json!(["signal", pid, signal.as_raw()]));
    }

    /// Kills a process and waits for its end.
    pub(crate) fn kill(&self, name: &str) {
        self.signal(name, rustix::process::Signal::KILL);
        self.leaves(name);
    }

    /// Starts a gateway whose parent is init, on the port of the stage's one gateway.
    pub(crate) fn gateway(&self, name: &str) {
        self.gateway_at(name, PORT);
    }

    pub(crate) fn gateway_at(&self, name: &str, port: u16) {
        self.gateway_below("init", name, port, &json!({}));
    }

    /// Has `parent` start a gateway.
    pub(crate) fn gateway_below(&self, parent: &str, name: &str, port: u16, options: &Value) {
        self.tell(parent, &json!(["actor", name, ["live-work-gateway"], options]));
        self.enters(name);
        self.tell(name, &json!(["serve", port]));
    }

    /// Starts an init in a PID namespace of its own below this one, as a container has it.
    pub(crate) fn container(&self, name: &str) {
        self.tell("init", &json!(["contained", name, ["live-work-init"]]));
        self.enters(name);
    }

    /// Has `parent` start a worker for the session that has this key.
    pub(crate) fn worker(&self, parent: &str, name: &str, key: &str) {
        self.worker_with(parent, name, key, &json!({}));
    }

    /// Has `parent` start a worker whose argv doesn't say its session.
    pub(crate) fn worker_without_key(&self, parent: &str, name: &str) {
        self.tell(parent, &json!(["actor", name, ["live-work-worker"], {}]));
        self.enters(name);
    }

    pub(crate) fn worker_with(&self, parent: &str, name: &str, key: &str, options: &Value) {
        let words = ["live-work-worker", "--session-key", key];
        self.tell(parent, &json!(["actor", name, words, options]));
        self.enters(name);
    }

    /// Has `parent` start a process that doesn't look like a worker.
    pub(crate) fn helper(&self, parent: &str, name: &str, options: &Value) {
        self.tell(parent, &json!(["actor", name, ["live-work-helper"], options]));
        self.enters(name);
    }

    /// A copy of a process by fork without exec. `Fork::Daemon`: by two, so that init adopts it.
    pub(crate) fn copy(&self, of: &str, name: &str, fork: Fork) {
        self.tell(of, &json!(["fork", name, matches!(fork, Fork::Daemon)]));
        self.enters(name);
    }

    /// Has the gateway called so publish these rows, in the name of its own process.
    pub(crate) fn publish(&self, gateway: &str, rows: &[Value]) {
        let pid = self.pid(gateway);
        self.publish_as(gateway, &json!({ "pid": pid }), rows);
    }

    pub(crate) fn publish_as(&self, gateway: &str, itself: &Value, rows: &[Value]) {
        // What the plugin of a Hermes dashboard says besides.
        let plugin = json!({ "name": "gateway-reaper", "version": gateway_reaper::hermes::plugin::VERSION });
        let table = json!({ "version": 1, "gateway": itself, "plugin": plugin, "sessions": rows });
        self.tell(gateway, &json!(["publish", table.to_string()]));
    }

    /// Publishes these rows, and has the gateway send this signal to the process with this PID before it next answers.
    pub(crate) fn publish_and_signal(
        &self,
        gateway: &str,
        rows: &[Value],
        pid: u64,
        signal: rustix::process::Signal,
    ) {
        let table = json!({ "version": 1, "gateway": { "pid": self.pid(gateway) }, "sessions": rows });
        let order = json!(["signal", pid, signal.as_raw()]);
        self.tell(gateway, &json!(["publish", table.to_string(), order]));
    }

    /// How many times the gateway was asked for its table.
    pub(crate) fn looks(&self, gateway: &str) -> u64 {
        self.tell(gateway, &json!(["looks"])).as_u64().unwrap()
    }

    /// Whether a process of this namespace runs, by its PID here.
    pub(crate) fn runs(&self, pid: u64) -> bool {
        let state = self.tell("init", &json!(["state", pid]));
        state.as_str().is_some_and(|state| !["Z", "X"].contains(&state))
    }

    /// Has the gateway answer the table in this manner from now on: `answers`, `refuses`, `hangs`, `shows a page`.
    pub(crate) fn manner(&self, gateway: &str, manner: &str) {
        self.tell(gateway, &json!(["manner", manner]));
    }

    /// How the gateway answers the reap of this session, and what it does before it does so.
    pub(crate) fn when_reaping(&self, gateway: &str, session: &str, outcome: &Value, first: &[Value]) {
        self.tell(gateway, &json!(["when reaping", session, 200, outcome.to_string(), first]));
    }

    /// Each reap that the gateway was asked for.
    pub(crate) fn asked(&self, gateway: &str) -> Vec<String> {
        serde_json::from_value(self.tell(gateway, &json!(["asked"]))).unwrap()
    }
}

/// How a copy is made.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fork {
    Child,
    Daemon,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ended = self.unshare.kill();
        let _ended = self.unshare.wait();
    }
}
