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
