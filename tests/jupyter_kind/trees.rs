//! What is below a kernel goes with it, and what is below one in use stays.

use rustix::process::Signal;

use crate::closing::{LONGER, POLICY};
use crate::releases::Release;
use crate::stage::{Stage, of_runtime};

/// A child that left the session, one that ignores SIGTERM, a pool whose workers carry the kernel's argv, and the PIDs of all.
const TREE: &str = "import subprocess, multiprocessing, sys, json, os\n\
    left = subprocess.Popen(['sleep', '1001'], start_new_session=True)\n\
    deaf = subprocess.Popen([sys.executable, '-c', 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1002)'], start_new_session=True)\n\
    pool = multiprocessing.get_context('fork').Pool(2)\n\
    print(json.dumps([left.pid, deaf.pid] + [it.pid for it in pool._pool]))";
/// A daemon by two forks, which carries the kernel's argv under init.
const DAEMON: &str = "import os, time\n\
    r, w = os.pipe()\n\
    if os.fork() == 0:\n    \
        os.setsid()\n    \
        if os.fork() == 0:\n        \
            os.write(w, str(os.getpid()).encode()); os.close(w)\n        \
            for fd in range(3, 256):\n            \
                try: os.close(fd)\n            \
                except OSError: pass\n        \
            time.sleep(100000)\n    \
        os._exit(0)\n\
    os.close(w); os.wait(); print(os.read(r, 32).decode())";

fn pids(printed: &str) -> Vec<u64> {
    serde_json::from_str(printed.trim()).unwrap()
}

#[test]
#[ignore = "half a minute"]
fn everything_below_a_kernel_goes_with_it_and_a_daemon_of_one_in_use_stays() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let (closed, attached) = (stage.kernel("server"), stage.kernel("server"));
    stage.connect(&closed, "server", &closed);
    stage.connect(&attached, "server", &attached);
    let tree = pids(&stage.execute(&closed, TREE));
    let gone: u64 = stage.execute(&closed, DAEMON).trim().parse().unwrap();
    let daemon: u64 = stage.execute(&attached, DAEMON).trim().parse().unwrap();
    let other = pids(&stage.execute(&attached, TREE));
    let kernel = stage.kernel_pid(&closed);
    stage.disconnect(&closed, "server", &closed);
    // It is seen with what is below it before it is closed, as in every run of `watch`.
    stage.reaps(&closed);
    for pid in tree.iter().chain([&kernel, &gone]) {
        assert!(!stage.lives(*pid), "{pid} of {:?}", stage.processes());
    }
    let said = stage.looks_for(LONGER);
    assert_eq!(said.verdict(&attached), ("keep".into(), "attached".into()));
    for pid in other.iter().chain([&daemon]) {
        assert!(stage.lives(*pid), "{pid} of {}", said.text);
    }
}

#[test]
#[ignore = "half a minute"]
fn a_kernel_that_is_restarted_stays_and_one_that_is_stopped_goes() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    stage.configure(
        "grace = \"15s\"\nworker_grace = \"3s\"\nstart_timeout = \"1s\"\nclose_timeout = \"20s\"",
        &of_runtime(&stage.path("runtime")),
    );
    let (restarted, dead, stopped) = (
        stage.kernel_running("server", "x = 1"),
        stage.kernel_running("server", "x = 2"),
        stage.kernel_running("server", "x = 3"),
    );
    for kernel in [&restarted, &dead, &stopped] {
        stage.disconnect(kernel, "server", kernel);
    }
    stage.reaper(&["once"]);
    let (status, _) = stage.rest("server", "POST", &format!("/api/kernels/{restarted}/restart"));
    assert_eq!(status, 200);
    let before = stage.kernel_pid(&dead);
    stage.signal(before, Signal::KILL);
    stage.eventually("the server has started another process for it", || {
        stage.reaper(&["once"]);
        let file = format!("kernel-{dead}.json");
        stage.processes().iter().any(|it| it.argv.ends_with(&file) && it.pid != before)
    });
    stage.signal(stage.kernel_pid(&stopped), Signal::STOP);
    let after = [stage.kernel_pid(&restarted), stage.kernel_pid(&dead)];
    let said = stage.looks_for(LONGER);
    for (kernel, pid) in [&restarted, &dead].into_iter().zip(after) {
        assert_ne!(said.verdict(kernel).0, "reap", "its grace started again: {}", said.text);
        assert!(stage.lives(pid));
    }
    stage.reaps_all(&[&stopped, &restarted, &dead]);
}
