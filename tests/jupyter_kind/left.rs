//! What a server leaves behind that is gone.

use rustix::process::Signal;
use serde_json::json;

use crate::closing::{LONGER, POLICY};
use crate::releases::Release;
use crate::stage::{Stage, of_runtime};

/// Holds the interpreter, once its server was told that it is busy, so that the kernel sees nothing any more.
const HELD: &str = "import ctypes, time; time.sleep(2); ctypes.PyDLL(None).sleep(100000)";

#[test]
fn a_kernel_of_a_server_that_was_killed_goes_and_another_programs_kernel_stays() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let server = stage.server("server", 8888, &[]);
    let kernel = stage.kernel_running("server", "x = 1");
    stage.begin(&kernel, HELD);
    let pid = stage.kernel_pid(&kernel);
    std::thread::sleep(std::time::Duration::from_secs(3));
    // Somebody's own kernel, with no server at all.
    let own = stage.path("runtime").join("kernel-my-own.json");
    let argv = json!([stage.bin("python"), "-m", "ipykernel_launcher", "-f", own]);
    let own = stage.does(json!(["start", "own", argv, {}])).as_u64().unwrap();
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    stage.reaper(&["once"]);
    stage.signal(server, Signal::KILL);
    stage.eventually("it has ended", || stage.does(json!(["has_ended", "server"])) == true);
    // Another one on the same port.
    stage.server("again", 8888, &[]);
    let listed = stage.kernel_running("again", "y = 5");
    assert!(stage.lives(pid), "what holds the interpreter can't see that its server is gone");
    stage.eventually("what was left behind is gone", || {
        stage.reaper(&["once"]);
        !stage.lives(pid)
    });
    let said = stage.looks_for(LONGER);
    assert!(stage.lives(own), "{}", said.text);
    assert_eq!(stage.execute(&listed, "print(y)"), "5\n");
}

#[test]
#[ignore = "installs another release"]
fn an_older_kernel_of_a_server_that_was_killed_goes() {
    let Some(stage) = Stage::start(Release::OldKernel) else { return };
    let server = stage.server("server", 8888, &[]);
    let kernel = stage.kernel_running("server", "x = 1");
    let pid = stage.kernel_pid(&kernel);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    stage.signal(pid, Signal::STOP);
    stage.signal(server, Signal::KILL);
    stage.eventually("it has ended", || stage.does(json!(["has_ended", "server"])) == true);
    stage.eventually("what was left behind is gone", || {
        stage.reaper(&["once"]);
        !stage.lives(pid)
    });
}

#[test]
#[ignore = "half a minute"]
fn the_children_of_a_kernel_that_ended_with_its_server_go_unless_they_work() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let server = stage.server("server", 8888, &[]);
    let children = "import subprocess, sys\n\
        it = lambda *argv: subprocess.Popen(argv, start_new_session=True).pid\n\
        print(it('sleep', '1003'), it(sys.executable, '-c', 'while True: sum(range(10000))'))";
    let started = |kernel: &str| -> Vec<u64> {
        stage.connect(kernel, "server", kernel);
        let printed = stage.execute(kernel, children);
        printed.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    };
    let (kernel, shut_down) = (stage.kernel("server"), stage.kernel("server"));
    let (ours, on_purpose) = (started(&kernel), started(&shut_down));
    let pid = stage.kernel_pid(&kernel);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    stage.looks_for(LONGER);
    // Somebody shuts a kernel down; what left its session stays as long as the server does.
    assert_eq!(stage.rest("server", "DELETE", &format!("/api/kernels/{shut_down}")).0, 204);
    let said = stage.looks_for(LONGER);
    assert!(on_purpose.iter().all(|pid| stage.lives(*pid)), "{}", said.text);
    stage.signal(server, Signal::KILL);
    stage.eventually("the kernel sees that its server is gone", || !stage.lives(pid));
    stage.eventually("what was below it and rests is gone", || {
        stage.reaper(&["once"]);
        !stage.lives(ours[0])
    });
    let said = stage.looks_for(LONGER);
    assert!(stage.lives(ours[1]), "it works: {}", said.text);
}
