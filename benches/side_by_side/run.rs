//! One run of a program: what it took, as the kernel counted it.

use std::process::{Command, Stdio};
use std::time::Instant;

use wait4::Wait4;

/// What a run cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall_ms: f64,
    pub(crate) cpu_ms: f64,
}

pub(crate) fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Runs it to its end. The time is user and system time of the process and of what it waited for.
pub(crate) fn cost(command: &mut Command) -> Cost {
    let started = Instant::now();
    let child = command.spawn().unwrap();
    let ended = child.wait4().unwrap();
    let wall_ms = started.elapsed().as_secs_f64() * 1e3;
    assert!(ended.status.code() != Some(2), "{command:?} was not understood");
    let used = ended.rusage;
    Cost { wall_ms, cpu_ms: (used.utime + used.stime).as_secs_f64() * 1e3 }
}

fn words(command: &Command) -> Vec<String> {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect()
}

fn wrapped(prefix: &[&str], command: &Command) -> Option<String> {
    let output = Command::new(prefix[0])
        .args(&prefix[1..])
        .args(words(command))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// System calls of a run with all its threads, by `strace -c`. `None`: there is no strace.
pub(crate) fn system_calls(command: &Command) -> Option<u64> {
    let said = wrapped(&["strace", "-f", "-c", "-U", "calls,name"], command)?;
    let total = said.lines().rev().find_map(|line| line.trim().strip_suffix("total"))?;
    total.trim().parse().ok()
}

/// Peak resident memory in kB, by GNU time: it forks, so that the peak of what starts it isn't taken for the program's. `None`: there is
/// no GNU time.
pub(crate) fn peak_kb(command: &Command) -> Option<u64> {
    let said = wrapped(&["/usr/bin/time", "-q", "-f", "%M"], command)?;
    said.lines().filter_map(|line| line.trim().parse().ok()).next_back()
}
