//! SIGTERM ends a watching reaper, whatever it is waiting for.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::EXE;

/// Longer than any run here takes; only a hanging one takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_gateway_that_never_answers_does_not_keep_a_watching_reaper_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("reaper.toml");
    // The kernel accepts the connection, and nothing ever answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "[state]\ndir = {:?}\n[[gateway]]\nname = \"silent\"\nkind = \"http\"\nurl = \"http://{}/sessions\"\ntimeout = \"1h\"\n",
        folder.path().join("state"),
        listener.local_addr().unwrap()
    );
    std::fs::write(&config, text).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the program under test")]
    let mut child = Command::new(EXE)
        .args(["--config".as_ref(), config.as_os_str(), "watch".as_ref()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It is asking by now.
    let asked = listener.accept().unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    #[expect(clippy::disallowed_methods, reason = "real processes take real time")]
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > PATIENCE => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("it waits for an answer, and not for the signal");
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    drop(asked);
    assert_eq!(status.code(), Some(0));
}
