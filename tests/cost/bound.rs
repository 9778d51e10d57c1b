//! How late the fast path finds what it can't see: a worker that was adopted before any look saw it is found by the next whole look, and
//! there is one at least every ten minutes.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::sources::clock;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::scene::{EXE, Scene};

const TEN_MINUTES_NS: u64 = 600_000_000_000;

/// A worker that its parent left behind before anybody looked; killed when dropped.
struct Stray(Pinned);

impl Stray {
    #[expect(clippy::disallowed_methods, reason = "it is a process")]
    fn leave() -> Self {
        // The shell exits at once, and its child, whose input lives on, is adopted.
        let script = format!(
            "'{EXE}' demo-worker --session-key stray --at-end-of-input live-on --max-lifetime 60s >/dev/null & echo $!"
        );
        let mut shell = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 16];
        let read = shell.stdout.take().unwrap().read(&mut said).unwrap();
        let pid = String::from_utf8_lossy(&said[..read]).lines().next().unwrap().trim().parse().unwrap();
        let stray = Self(Pinned::new(pid).unwrap());
        shell.wait().unwrap();
        stray
    }
}

impl Drop for Stray {
    fn drop(&mut self) {
        let _ = self.0.signal(Signal::KILL);
    }
}

fn sees(scene: &Scene, stray: &Stray) -> bool {
    let output = scene.reaper(&["--json", "status"]).stdout(Stdio::piped()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let subjects = report["gateways"][0]["subjects"].as_array().unwrap();
    subjects.iter().any(|subject| subject["worker_pid"] == json!(stray.0.pid()))
}

/// As if the last whole look had been so long ago.
fn age(scene: &Scene, nanos: u64) {
    let path = scene.dir().join("state/ledger.json");
    let mut stored: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let then = clock::awake_now().as_nanos().checked_sub(nanos);
    // On a machine that hasn't been up for so long there was none.
    stored["ledger"]["whole_look"] = then.map_or(Value::Null, Value::from);
    fs::write(&path, stored.to_string()).unwrap();
}

#[test]
fn what_the_fast_path_cannot_see_is_found_within_ten_minutes() {
    let scene = Scene::with_sessions(1);
    assert!(scene.reaper(&["once"]).status().unwrap().success());
    let stray = Stray::leave();
    assert!(!sees(&scene, &stray), "the fast path sees it: say so, and think of another blind spot");
    age(&scene, TEN_MINUTES_NS);
    assert!(sees(&scene, &stray), "ten minutes have passed, and it was not found");
}
