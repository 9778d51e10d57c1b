//! What a look where workers can be finds of those that were adopted before any look saw them.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use gateway_reaper::demo::pinned::Pinned;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::scene::{EXE, Scene};

/// A worker that its parent left behind before any look; killed when dropped.
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
        // Until it has called exec it looks like its shell.
        while !std::fs::read(format!("/proc/{pid}/cmdline")).unwrap().starts_with(EXE.as_bytes()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        stray
    }
}

impl Drop for Stray {
    fn drop(&mut self) {
        let _ = self.0.signal(Signal::KILL);
    }
}

fn sees(scene: &Scene, stray: &Stray) -> bool {
    let output = scene.reaper(&["--json", "once", "--dry-run"]).stdout(Stdio::piped()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let subjects = report["gateways"][0]["subjects"].as_array().unwrap();
    subjects.iter().any(|subject| subject["worker_pid"] == json!(stray.0.pid()))
}

#[test]
fn what_init_adopted_is_found_by_the_next_run_though_no_look_saw_it_before() {
    let scene = Scene::with_sessions(1);
    assert!(scene.reaper(&["once"]).status().unwrap().success());
    let stray = Stray::leave();
    assert!(sees(&scene, &stray), "by a single run that has never looked at init before");
}
