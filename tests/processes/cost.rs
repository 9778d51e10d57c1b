//! What a look costs, counted in system calls, so that noise can't touch it. Needs `strace`; without it, it says so, and fails under `CI`.

use std::process::{Child, Command, Stdio};

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::sources::processes::{Look, Processes, Roots};

use crate::support::family::{Family, part};

const INSIDE: &str = "GATEWAY_REAPER_TEST_LOOKS";
const TEST: &str = "cost::a_near_look_costs_the_same_whatever_else_runs_and_a_whole_one_stays_in_its_budget";
const WORKERS: usize = 25;
const STRANGERS: usize = 1000;

/// Processes that idle until their common input ends.
struct Strangers {
    children: Vec<Child>,
    _input: std::io::PipeWriter,
}

impl Strangers {
    fn start(count: usize) -> Self {
        let (read, write) = std::io::pipe().unwrap();
        #[expect(clippy::disallowed_methods, reason = "strangers")]
        let stranger =
            || Command::new("cat").stdin(read.try_clone().unwrap()).stdout(Stdio::null()).spawn().unwrap();
        Self { children: (0..count).map(|_| stranger()).collect(), _input: write }
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// System calls of the third near look and of a whole one, by a process of its own under `strace`.
fn count(family: &Family) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    #[expect(clippy::disallowed_methods, reason = "strace")]
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1", TEST])
        .env(INSIDE, family.pid("gateway").to_string())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let trace = std::fs::read_to_string(&trace).unwrap();
    let between = |from: &str, to: &str| {
        let lines = trace.lines().skip_while(|line| !line.contains(from)).skip(1);
        lines.take_while(|line| !line.contains(to)).count()
    };
    (between("mark-near", "mark-end"), between("mark-whole", "mark-end"))
}

fn look_under_strace(gateway: Pid) {
    let mark = |text: &str| assert!(rustix::fs::access(text, rustix::fs::Access::EXISTS).is_err());
    let mut processes = Processes::new().unwrap();
    let roots = Roots { gateways: &[gateway], known: &[] };
    processes.look(Look::Whole, &roots).unwrap();
    let view = processes.look(Look::Near, &roots).unwrap();
    let known: Vec<_> = view
        .processes
        .values()
        .filter(|process| process.parent == Some(gateway))
        .map(|process| process.identity)
        .collect();
    assert_eq!(known.len(), WORKERS);
    let roots = Roots { known: &known, ..roots };
    processes.look(Look::Near, &roots).unwrap();
    mark("mark-near");
    processes.look(Look::Near, &roots).unwrap();
    mark("mark-end");
    mark("mark-whole");
    processes.look(Look::Whole, &roots).unwrap();
    mark("mark-end");
}

#[test]
fn a_near_look_costs_the_same_whatever_else_runs_and_a_whole_one_stays_in_its_budget() {
    #[expect(clippy::disallowed_methods, reason = "how the test knows that it is under strace")]
    if let Ok(gateway) = std::env::var(INSIDE) {
        return look_under_strace(Pid::new(gateway.parse().unwrap()).unwrap());
    }
    #[expect(clippy::disallowed_methods, reason = "strace")]
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        #[expect(clippy::disallowed_methods, reason = "in CI nothing may be skipped")]
        let in_ci = std::env::var_os("CI").is_some();
        assert!(!in_ci, "needs strace");
        eprintln!("NOT RUN: needs strace");
        return;
    }
    let tags: Vec<String> = (0..WORKERS).map(|n| format!("worker-{n}")).collect();
    let gateway = tags.iter().fold(part("gateway"), |gateway, tag| gateway.child(part(tag)));
    let tags: Vec<&str> = tags.iter().map(String::as_str).chain(["gateway"]).collect();
    let family = gateway.start(&tags);
    let (near_before, _) = count(&family);
    let strangers = Strangers::start(STRANGERS);
    let (near, whole) = count(&family);
    let processes = std::fs::read_dir("/proc").unwrap().count();
    drop(strangers);
    println!(
        "near: {near_before} system calls, with {STRANGERS} strangers {near}; whole: {whole} for {processes} processes"
    );
    let candidates = WORKERS + 1;
    assert!(near <= 30 * candidates + 100, "{near}");
    assert!(near.abs_diff(near_before) <= near_before / 10, "{near_before} -> {near}");
    assert!(whole <= 4 * processes + 30 * candidates, "{whole} for {processes} processes");
}
