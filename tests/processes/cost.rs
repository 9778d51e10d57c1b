//! What a look costs, counted in system calls, so that noise can't touch it. Needs `strace`; without it, it says so, and fails under `CI`.

use std::process::{Child, Command, Stdio};

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::looking::Extent;
use gateway_reaper::sources::processes::{Processes, Roots};

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

/// System calls.
struct Cost {
    /// Of a steady near look.
    near: usize,
    /// Of a whole one.
    whole: usize,
    /// How many processes the whole one asked after: the workers and what is adopted on this machine.
    candidates: usize,
    /// How many processes there were.
    processes: usize,
}

/// What looks cost that a process of its own takes under `strace`.
fn count(family: &Family) -> Cost {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    #[expect(clippy::disallowed_methods, reason = "strace")]
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1", TEST])
        .env(INSIDE, family.pid("gateway").to_string())
        .output()
        .unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let counted = |name: &str| -> usize {
        said.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
    };
    let trace = std::fs::read_to_string(&trace).unwrap();
    let between = |from: &str, to: &str| {
        let lines = trace.lines().skip_while(|line| !line.contains(from)).skip(1);
        // In a debug build std asks with fcntl whether a descriptor is open before it closes it.
        lines.take_while(|line| !line.contains(to)).filter(|line| !line.contains("fcntl(")).count()
    };
    Cost {
        near: between("mark-near", "mark-end"),
        whole: between("mark-whole", "mark-end"),
        candidates: counted("candidates "),
        processes: counted("processes "),
    }
}

fn look_under_strace(gateway: Pid) {
    let mark = |text: &str| assert!(rustix::fs::access(text, rustix::fs::Access::EXISTS).is_err());
    let mut looker = Processes::new().unwrap();
    let roots = Roots { gateways: &[gateway], known: &[] };
    looker.look(Extent::Whole, &roots).unwrap();
    let view = looker.look(Extent::Near, &roots).unwrap();
    let known: Vec<_> = view
        .processes
        .values()
        .filter(|process| process.parent == Some(gateway))
        .map(|process| process.identity)
        .collect();
    assert_eq!(known.len(), WORKERS);
    let roots = Roots { known: &known, ..roots };
    looker.look(Extent::Near, &roots).unwrap();
    mark("mark-near");
    looker.look(Extent::Near, &roots).unwrap();
    mark("mark-end");
    let processes = || std::fs::read_dir("/proc").unwrap().count();
    let before = processes();
    mark("mark-whole");
    let view = looker.look(Extent::Whole, &roots).unwrap();
    mark("mark-end");
    println!("\nprocesses {}", processes().max(before));
    println!("candidates {}", view.processes.values().filter(|process| process.argv.is_some()).count());
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
    // What process 1 adopts meanwhile, of others, costs some calls more: the cheapest of three looks is one without that.
    let cheapest = || (0..3).map(|_| count(&family)).min_by_key(|count| count.near).unwrap();
    let alone = cheapest();
    let strangers = Strangers::start(STRANGERS);
    let crowded = cheapest();
    let processes = crowded.processes;
    drop(strangers);
    println!("near: {} system calls, with {STRANGERS} strangers {}", alone.near, crowded.near);
    println!("whole: {} for {processes} processes, {} of them candidates", crowded.whole, crowded.candidates);
    assert!(crowded.near <= 30 * (WORKERS + 1) + 100, "{}", crowded.near);
    assert!(crowded.near.abs_diff(alone.near) <= alone.near / 10, "{} -> {}", alone.near, crowded.near);
    assert!(crowded.whole <= 4 * processes + 30 * crowded.candidates, "{}", crowded.whole);
}
