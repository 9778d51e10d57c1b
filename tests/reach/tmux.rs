//! The example for tmux, with a real server and real clients.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::place::{Place, Ran};
use crate::privileges::left_out;
use crate::program::write_program;
use crate::running::eventually;

/// A tmux server of this test, with the example beside it.
struct Tmux {
    place: Place,
    clients: Vec<Child>,
}

impl Tmux {
    fn start(test: &str) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            left_out(test, "tmux");
            return None;
        }
        let place = Place::new();
        fs::create_dir(place.path("sockets")).unwrap();
        fs::set_permissions(place.path("sockets"), fs::Permissions::from_mode(0o700)).unwrap();
        let program = place.path("bin/tmux.py");
        fs::create_dir(place.path("bin")).unwrap();
        write_program(&program, include_str!("../../examples/tmux.py"));
        place.write(
            "reaper.toml",
            format!(
                "[policy]\ngrace = \"0s\"\n[[gateway]]\nname = \"terminals\"\nkind = \"command\"\ntimeout = \"20s\"\n\
                 table = [{program:?}, \"table\", \"-L\", \"test\"]\nreap = [{program:?}, \"reap\", \"-L\", \"test\"]\n\
                 environment = [\"TMUX_TMPDIR\"]\n"
            ),
        );
        Some(Self { place, clients: Vec::new() })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-L", "test", "-f", "/dev/null"]);
        command.env_remove("TMUX").env("TMUX_TMPDIR", self.place.path("sockets")).env("SHELL", "/bin/sh");
        command.env("TERM", "xterm").current_dir(self.place.dir());
        command
    }

    fn tmux(&self, words: &[&str]) -> String {
        let done = self.command().args(words).stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{words:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// A session; returns its id.
    fn session(&self, name: &str, command: &[&str]) -> String {
        self.tmux(&[&["new-session", "-d", "-P", "-F", "#{session_id}", "-s", name], command].concat())
    }

    /// Types a line into a session.
    fn types(&self, session: &str, line: &str) {
        self.tmux(&["send-keys", "-t", session, line, "Enter"]);
    }

    /// A client that stays.
    fn attach(&mut self, session: &str) {
        let mut client = self.command();
        client.args(["-C", "attach", "-t", session]).stdin(Stdio::piped()).stdout(Stdio::null());
        self.clients.push(client.spawn().unwrap());
        eventually(
            "the client is attached",
            || self.tmux(&["display", "-p", "-t", session, "#{session_attached}"]) == "1",
            String::new,
        );
    }

    fn lists(&self, session: &str) -> bool {
        self.tmux(&["list-sessions", "-F", "#{session_id}"]).lines().any(|id| id == session)
    }

    fn reaper(&self, args: &[&str]) -> Ran {
        self.place.reaper(args.iter().copied()).env("TMUX_TMPDIR", self.place.path("sockets")).run()
    }

    /// Looks, without acting, until a session is judged so: a shell needs a moment to start.
    fn judged(&self, session: &str, reason: &str) {
        let mut last = None;
        eventually(
            &format!("{session} is {reason}"),
            || {
                let ran = self.reaper(&["--json", "once", "--dry-run"]);
                let is_so = ran.code == Some(0) && ran.subject(session)["reason"] == reason;
                last = Some(ran);
                is_so
            },
            String::new,
        );
    }

    /// The example asked to close a session that was judged so.
    fn asks_to_close(&self, session: &str, instance: &str, activity: &str) -> Value {
        let mut program = Command::new(self.place.path("bin/tmux.py"));
        program.args(["reap", "-L", "test", session]);
        program.env("TMUX_TMPDIR", self.place.path("sockets"));
        program.env("GATEWAY_REAPER_INSTANCE", instance).env("GATEWAY_REAPER_ACTIVITY", activity);
        let done = program.output().unwrap();
        assert!(done.status.success(), "{done:?}");
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// Its table, as the example prints it.
    fn table(&self) -> Value {
        let mut program = Command::new(self.place.path("bin/tmux.py"));
        program.args(["table", "-L", "test"]).env("TMUX_TMPDIR", self.place.path("sockets"));
        let done = program.output().unwrap();
        assert!(done.status.success(), "{done:?}");
        serde_json::from_slice(&done.stdout).unwrap()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ended = self.command().arg("kill-server").output();
        for client in &mut self.clients {
            let _ended = client.kill();
            let _ended = client.wait();
        }
    }
}

#[test]
fn a_detached_session_at_its_prompt_is_closed_and_no_other() {
    let Some(mut tmux) = Tmux::start("a_detached_session_at_its_prompt_is_closed_and_no_other") else {
        return;
    };
    let attached = tmux.session("attached", &[]);
    tmux.attach("attached");
    let running = tmux.session("running", &[]);
    tmux.types("running", "sleep 1000");
    let background = tmux.session("background", &[]);
    tmux.types("background", "sleep 1000 &");
    let program = tmux.session("program", &["sleep", "1000"]);
    let second = tmux.session("second window", &[]);
    tmux.tmux(&["new-window", "-d", "-t", "second window", "sleep", "1000"]);
    let idle = tmux.session("it's \"idle\" $(x)", &[]);
    for (session, reason) in [
        (&attached, "attached"),
        (&running, "mid-turn"),
        (&background, "held"),
        (&program, "mid-turn"),
        (&second, "mid-turn"),
        (&idle, "orphaned"),
    ] {
        tmux.judged(session, reason);
    }
    let mut last = None;
    eventually(
        "the idle one was closed",
        || {
            last = Some(tmux.reaper(&["--json", "once"]));
            !tmux.lists(&idle)
        },
        || String::from("it lives"),
    );
    let last = last.unwrap();
    assert_eq!((last.code, &last.subject(&idle)["outcome"]), (Some(0), &json!("reaped")), "{last:#?}");
    for session in [&attached, &running, &background, &program, &second] {
        assert!(tmux.lists(session), "{session}");
    }
    // Its client goes: it is at its prompt, and due at once.
    tmux.tmux(&["detach-client", "-s", "attached"]);
    eventually(
        "the one whose client went was closed",
        || {
            tmux.reaper(&["--json", "once"]);
            !tmux.lists(&attached)
        },
        String::new,
    );
}

#[test]
fn what_changed_since_it_was_judged_is_not_closed() {
    let Some(mut tmux) = Tmux::start("what_changed_since_it_was_judged_is_not_closed") else { return };
    let (one, other) = (tmux.session("one", &[]), tmux.session("other", &[]));
    tmux.judged(&one, "orphaned");
    let table = tmux.table();
    let instance = table["gateway"]["instance"].as_str().unwrap();
    let row = table["sessions"].as_array().unwrap().iter().find(|row| row["id"] == one.as_str()).unwrap();
    let activity = row["activity"].as_str().unwrap();

    assert_eq!(tmux.asks_to_close(&one, "1 1", activity), json!({ "outcome": "kept", "reason": "instance" }));
    assert_eq!(tmux.asks_to_close(&one, instance, "7"), json!({ "outcome": "kept", "reason": "activity" }));
    assert_eq!(tmux.asks_to_close("$999", instance, activity), json!({ "outcome": "gone" }));
    tmux.attach("one");
    let now = tmux.tmux(&["display", "-p", "-t", "one", "#{session_activity}"]);
    assert_eq!(tmux.asks_to_close(&one, instance, &now), json!({ "outcome": "kept", "reason": "attached" }));
    assert!(tmux.lists(&one) && tmux.lists(&other));
}

/// A reaper of tmux sessions took a failed query for an empty list, and ended nine live agents.
#[test]
fn a_server_that_is_not_asked_has_no_empty_table() {
    let Some(tmux) = Tmux::start("a_server_that_is_not_asked_has_no_empty_table") else { return };
    let one = tmux.session("one", &["sleep", "1000"]);
    tmux.judged(&one, "mid-turn");
    let elsewhere = tmux.place.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let ran = tmux.place.reaper(["--json", "once"]).env("TMUX_TMPDIR", &elsewhere).run();
    assert_eq!((ran.code, &ran.json()["gateways"][0]["table"]), (Some(3), &json!("refused")), "{ran:#?}");
    assert!(ran.out.contains("its last words: "), "{ran:#?}");
    assert!(tmux.lists(&one));
}
