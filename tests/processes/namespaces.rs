//! What needs a PID namespace or a mount of its own: forced PID reuse, a gateway that is PID 1, a foreign or a hiding `/proc`.
//!
//! Each test starts this binary again inside, through `unshare`. That needs root, or user namespaces for all users; where there is neither,
//! it says so, and under `CI` it fails.

use std::collections::HashSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use gateway_reaper::domain::adoption::{AdoptionSign, sign};
use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::looking::Extent;
use gateway_reaper::domain::process::{Process, ProcessIdentity};
use gateway_reaper::reap::kernel::{Kernel, Listing};
use gateway_reaper::reap::linux::LinuxKernel;
use gateway_reaper::sources::activity::Activities;
use gateway_reaper::sources::processes::{Processes, ProcessesError, Roots};

use crate::support::family::{Step, eventually, part};
use crate::{argv_of, look};

const INSIDE: &str = "GATEWAY_REAPER_TEST_INSIDE";

fn is_inside() -> bool {
    #[expect(clippy::disallowed_methods, reason = "how a test knows that it is inside")]
    std::env::var_os(INSIDE).is_some()
}

/// Runs this test again with `unshare` and these arguments; the last may be a shell script that ends in `exec`, and `$0` is what it runs.
fn run_inside(name: &str, unshare: &[&str], exe: &Path) {
    let root = rustix::process::geteuid().is_root();
    let unshare_with = |arguments: &[&str]| {
        #[expect(clippy::disallowed_methods, reason = "namespaces for a test")]
        let mut command = Command::new("unshare");
        command.args((!root).then_some("--map-root-user")).args(arguments);
        command
    };
    // Without a user namespace of its own a test of another user needs the machine's root.
    let needs = if unshare.contains(&"--mount") { "root" } else { "root, or user namespaces for all users" };
    let tried = unshare_with(&["--pid", "--fork", "--mount-proc", "true"]).status();
    if !tried.is_ok_and(|status| status.success()) || (needs == "root" && !root) {
        #[expect(clippy::disallowed_methods, reason = "in CI nothing may be left out")]
        let in_ci = std::env::var_os("CI").is_some();
        assert!(!in_ci, "needs {needs}: `unshare` doesn't work here");
        eprintln!("NOT RUN: {name} needs {needs}");
        return;
    }
    let test = format!("{}::{name}", module_path!().split_once("::").unwrap().1);
    let output = unshare_with(unshare)
        .arg(exe)
        .args(["--exact", "--nocapture", "--test-threads=1", &test])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "inside:\n{text}");
}

fn own_exe() -> PathBuf {
    std::env::current_exe().unwrap()
}

const OWN_PROC: [&str; 4] = ["--pid", "--fork", "--mount-proc", "--"];

fn give_next(pid: u32) {
    std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
}

#[test]
fn a_reused_pid_is_another_process() {
    if !is_inside() {
        return run_inside("a_reused_pid_is_another_process", &OWN_PROC, &own_exe());
    }
    let mut processes = Processes::new().unwrap();
    let mut kernel = LinuxKernel::new().unwrap();
    let mut earlier: Vec<Process> = Vec::new();
    let mut same_tick = 0;
    for round in 0..100 {
        give_next(5000);
        #[expect(clippy::disallowed_methods, reason = "a process whose PID is used again")]
        let mut child = Command::new("sleep").arg(format!("{}", 60 + round)).spawn().unwrap();
        assert_eq!(child.id(), 5000, "the PID was used again");
        let roots = [Pid::new(5000).unwrap()];
        let view = processes.look(Extent::Near, &Roots { gateways: &roots, known: &[] }).unwrap();
        let seen = view.get(roots[0]).unwrap().clone();
        if let Some(last) = earlier.last() {
            same_tick += usize::from(last.identity.start_ticks == seen.identity.start_ticks);
        }
        for dead in &earlier {
            assert_eq!(view.alive(&dead.identity), None);
            assert!(kernel.hold(dead.identity).unwrap().is_none());
        }
        let (held, fresh) = kernel.hold(seen.identity).unwrap().unwrap();
        assert_eq!(fresh.identity, seen.identity);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(kernel.exited(&held).unwrap());
        // Without pidfs a PID that comes back within one tick is indistinguishable; forcing that takes a namespace.
        if seen.identity.inode.is_none() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        earlier.push(seen);
    }
    println!("{same_tick} of 100 came back within one tick");
}

/// A reaper in a container doesn't see which marks are given out here.
#[test]
fn what_bears_a_mark_in_another_pid_namespace_is_not_taken_for_a_descendant() {
    if !is_inside() {
        let test = "what_bears_a_mark_in_another_pid_namespace_is_not_taken_for_a_descendant";
        return run_inside(test, &OWN_PROC, &own_exe());
    }
    let mut kernel = LinuxKernel::new().unwrap();
    let mark = kernel.new_mark().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a container and what starts it")]
    let mut child = Command::new("sh")
        .args(["-c", "read go; exec unshare --pid --fork sleep 60"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::new(child.id().into()).unwrap();
    let who = kernel.look(pid).unwrap().unwrap().identity;
    let (held, _) = kernel.hold(who).unwrap().unwrap();
    kernel.mark(&held, mark).unwrap();
    drop(child.stdin.take());
    let children = |kernel: &mut LinuxKernel| kernel.family(pid, Listing::Again).unwrap().unwrap().children;
    crate::support::family::eventually("the container runs", || children(&mut kernel).len() == 1);
    let filter =
        std::fs::read_to_string(format!("/proc/{}/coredump_filter", children(&mut kernel)[0])).unwrap();
    assert_eq!(u16::from_str_radix(filter.trim(), 16), Ok(mark.0));
    let marked: Vec<Pid> =
        kernel.marked().unwrap().into_iter().map(|(_, process)| process.identity.pid).collect();
    assert_eq!(marked, [pid]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn where_the_gateway_is_pid_1_its_children_are_no_orphans() {
    if !is_inside() {
        return run_inside("where_the_gateway_is_pid_1_its_children_are_no_orphans", &OWN_PROC, &own_exe());
    }
    assert_eq!(std::process::id(), 1);
    let family = part("top").then(Step::NewSession).child(part("worker")).start(&["top", "worker"]);
    let mut processes = Processes::new().unwrap();
    let roots = Roots { gateways: &[Pid::INIT], known: &[] };
    let view = processes.look(Extent::Whole, &roots).unwrap();
    assert!(!view.init_is_init);
    assert!(argv_of(&view, &family, "top").is_some());
    // What is under PID 1 here may be its own child: a sign that counts only where no gateway can be PID 1.
    assert_eq!(sign(view.get(family.pid("top")).unwrap(), &view), Some(AdoptionSign::UnderFirst));
    family.kill("top");
    eventually("the worker is adopted by PID 1", || {
        let view = processes.look(Extent::Near, &roots).unwrap();
        view.get(family.pid("worker")).is_some_and(|worker| worker.parent == Some(Pid::INIT))
    });
}

#[test]
fn a_proc_of_another_namespace_is_refused() {
    if !is_inside() {
        return run_inside("a_proc_of_another_namespace_is_refused", &["--pid", "--fork", "--"], &own_exe());
    }
    assert!(matches!(Processes::new(), Err(ProcessesError::OtherNamespace)));
    assert!(matches!(LinuxKernel::new(), Err(ProcessesError::OtherNamespace)));
}

#[test]
fn what_proc_hides_is_absent_but_not_said_to_be_gone() {
    if !is_inside() {
        // A copy that all users may run.
        let dir = tempfile::tempdir().unwrap();
        let exe = dir.path().join("test");
        std::fs::copy(own_exe(), &exe).unwrap();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let hide = "mount -t proc -o hidepid=invisible proc /proc &&
                    exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0\" \"$@\"";
        return run_inside(
            "what_proc_hides_is_absent_but_not_said_to_be_gone",
            &["--mount", "--", "sh", "-c", hide],
            &exe,
        );
    }
    let mut processes = Processes::new().unwrap();
    let roots = Roots { gateways: &[Pid::INIT], known: &[] };
    let view = processes.look(Extent::Whole, &roots).unwrap();
    assert_eq!(view.get(Pid::INIT), None);
    assert!(!view.gone.contains(&Pid::INIT), "it's hidden, not gone");
    let mut kernel = LinuxKernel::new().unwrap();
    let init = ProcessIdentity { pid: Pid::INIT, start_ticks: 1, inode: None };
    for refusal in [kernel.hold(init).map(drop), kernel.family(Pid::INIT, Listing::Whole).map(drop)] {
        let told = refusal.unwrap_err().source.to_string();
        assert!(told.contains("hidepid"), "{told}");
    }
    let shown = Activities::open().unwrap().read_pid(Pid::INIT, &HashSet::new());
    assert!(shown.is_err(), "what it does can't be known: {shown:?}");
    let family = part("gateway").child(part("worker")).start(&["gateway", "worker"]);
    let view = look(&mut processes, Extent::Near, &family, &["gateway"], &[]);
    assert!(argv_of(&view, &family, "worker").is_some(), "one's own are seen");
}

/// How many times this thread asked the system to read so far. To read that takes as many each time.
fn reads() -> u64 {
    let io = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("syscr: ")).unwrap().parse().unwrap()
}

fn reads_of(mut act: impl FnMut()) -> u64 {
    let nothing = reads().abs_diff(reads());
    let before = reads();
    act();
    reads() - before - nothing
}

#[expect(clippy::disallowed_methods, reason = "a process that nobody waits for yet")]
fn zombie() -> std::process::Child {
    let child = Command::new("true").spawn().unwrap();
    let stat = format!("/proc/{}/stat", child.id());
    eventually("it is a zombie", || std::fs::read_to_string(&stat).unwrap().contains(") Z "));
    child
}

/// What ends while the processes are listed may have started another one that wasn't there to be listed.
#[test]
fn what_ends_while_it_is_searched_for_marks_lets_it_be_searched_four_times_and_not_twice() {
    if !is_inside() {
        let name = "what_ends_while_it_is_searched_for_marks_lets_it_be_searched_four_times_and_not_twice";
        return run_inside(name, &OWN_PROC, &own_exe());
    }
    let mut kernel = LinuxKernel::new().unwrap();
    let mut earlier = zombie();
    let tick = kernel.ticks();
    eventually("a later hundredth of a second", || kernel.ticks() > tick);
    kernel.new_mark().unwrap();
    let mut search = || reads_of(|| assert_eq!(kernel.marked().unwrap(), []));
    let twice = search();
    assert!(twice > 0 && twice % 2 == 0, "{twice} reads in two scans");
    let mut later = zombie();
    assert_eq!(search(), 2 * twice + 4, "four scans, each of which reads one process more");
    later.wait().unwrap();
    earlier.wait().unwrap();
    assert_eq!(search(), twice - 2, "two scans, each of which reads one process less than at first");
}

#[test]
fn what_starts_in_the_hundredth_of_a_second_of_the_first_mark_is_found_by_its_mark() {
    if !is_inside() {
        let name = "what_starts_in_the_hundredth_of_a_second_of_the_first_mark_is_found_by_its_mark";
        return run_inside(name, &OWN_PROC, &own_exe());
    }
    for _ in 0..1_000 {
        let mut kernel = LinuxKernel::new().unwrap();
        let tick = kernel.ticks();
        let mark = kernel.new_mark().unwrap();
        let is_known = kernel.ticks() == tick;
        #[expect(clippy::disallowed_methods, reason = "a process that starts at this very moment")]
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = kernel.look(Pid::new(child.id().into()).unwrap()).unwrap().unwrap();
        let is_at_once = is_known && process.identity.start_ticks == tick;
        if is_at_once {
            let (held, _) = kernel.hold(process.identity).unwrap().unwrap();
            kernel.mark(&held, mark).unwrap();
            let found = kernel.marked().unwrap();
            let found: Vec<_> = found.iter().map(|(mark, process)| (*mark, process.identity)).collect();
            assert_eq!(found, [(mark, process.identity)]);
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        if is_at_once {
            return;
        }
    }
    panic!("no process started within a hundredth of a second");
}
