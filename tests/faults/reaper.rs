//! One run of the program under test, to its end, whatever stands before it on the command line.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::EXE;

/// Longer than any run here takes; only a hanging one takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Makes a run. `before`: what stands before the program on the command line.
pub(crate) fn run(before: &[&str], config: &Path, command: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let [stdout, stderr] = ["stdout", "stderr"].map(|name| folder.path().join(name));
    let config = config.to_string_lossy();
    let line: Vec<&str> =
        before.iter().copied().chain([EXE, "--config", &config]).chain(command.iter().copied()).collect();
    #[expect(clippy::disallowed_methods, reason = "the program under test")]
    let mut child = Command::new(line[0])
        .args(&line[1..])
        .stdin(Stdio::null())
        .stdout(File::create(&stdout).unwrap())
        .stderr(File::create(&stderr).unwrap())
        .spawn()
        .unwrap();
    #[expect(clippy::disallowed_methods, reason = "real processes take real time")]
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > PATIENCE => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{line:?} hangs: {}", std::fs::read_to_string(&stderr).unwrap());
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    Ended {
        code: status.code(),
        signal: status.signal(),
        stdout: std::fs::read_to_string(&stdout).unwrap(),
        stderr: std::fs::read_to_string(&stderr).unwrap(),
    }
}
