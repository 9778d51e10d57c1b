//! What a server leaves behind that is gone.

use rustix::process::Signal;
use serde_json::json;

use crate::closing::{LONGER, POLICY};
use crate::releases::{self, Release};
use crate::stage::{Stage, TOKEN, of_runtime};

/// Holds the interpreter, once its server was told that it is busy, so that the kernel sees nothing any more. Its other threads ask for the
/// interpreter two hundred times a second otherwise, which is 0.4 % of a core here, and on a busy machine as much as `busy_cpu` takes for work.
const HELD: &str =
    "import ctypes, sys, time; sys.setswitchinterval(1000); time.sleep(2); ctypes.PyDLL(None).sleep(100000)";

#[test]
fn a_kernel_of_a_server_that_was_killed_goes_and_another_programs_kernel_stays() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let server = stage.server("server", 8888, &[]);
    let kernel = stage.kernel_running("server", "x = 1");
    stage.begin(&kernel, HELD);
    let pid = stage.kernel_pid(&kernel);
    std::thread::sleep(std::time::Duration::from_secs(3));
    // A kernel that a user started, with no server at all.
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
    // A user shuts a kernel down; what left its session stays as long as the server does.
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

/// Runs what follows it, adopts what that leaves, and notes its PID.
const SUBREAPER: &str = "import ctypes, os, subprocess, sys\n\
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n\
    it = subprocess.Popen(sys.argv[2:])\n\
    open(sys.argv[1] + '.new', 'w').write(str(it.pid)); os.rename(sys.argv[1] + '.new', sys.argv[1])\n\
    while True:\n    \
        try: os.wait()\n    \
        except ChildProcessError: __import__('time').sleep(0.1)";

#[test]
#[ignore = "installs another release"]
fn an_older_kernel_that_a_subreaper_adopted_goes_also_where_no_look_saw_its_server() {
    let Some(stage) = Stage::start(Release::OldKernel) else { return };
    let note = stage.path("server-pid");
    let argv = json!([
        stage.bin("python"),
        "-c",
        SUBREAPER,
        note,
        stage.bin("python"),
        "-m",
        "jupyter_server",
        "--allow-root",
        "--no-browser",
        "--port=8888"
    ]);
    let subreaper =
        stage.does(json!(["start", "subreaper", argv, { "JUPYTER_TOKEN": TOKEN }])).as_u64().unwrap();
    stage.does(json!(["server_at", "server", "http://127.0.0.1:8888", TOKEN]));
    let server: u64 = std::fs::read_to_string(&note).unwrap().parse().unwrap();
    let kernel = stage.kernel_running("server", "x = 1");
    let pid = stage.kernel_pid(&kernel);
    stage.signal(server, Signal::KILL);
    stage.eventually("its server has ended", || !stage.lives(server));
    // It looks for its parent once a second, and that is never process 1.
    std::thread::sleep(LONGER);
    let parent = |pid: u64| stage.processes().into_iter().find(|it| it.pid == pid).map(|it| it.parent);
    assert_eq!(parent(pid), Some(subreaper), "it stays by itself");
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    stage.eventually("what was left behind is gone", || {
        stage.reaper(&["once"]);
        !stage.lives(pid)
    });
    assert!(stage.lives(subreaper));
}

#[test]
#[ignore = "installs Deno"]
fn a_kernel_of_deno_is_closed_when_idle_and_goes_when_its_server_was_killed() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let spec = stage.path("home").join(".local/share/jupyter/kernels/deno");
    std::fs::create_dir_all(&spec).unwrap();
    let argv = json!([releases::deno(), "jupyter", "--kernel", "--conn", "{connection_file}"]);
    let text = json!({ "argv": argv, "display_name": "Deno", "language": "typescript" });
    std::fs::write(spec.join("kernel.json"), text.to_string()).unwrap();
    let server = stage.server("server", 8888, &[]);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let of_deno = || {
        let kernel = stage.does(json!(["kernel", "server", "deno"])).as_str().unwrap().to_owned();
        stage.connect(&kernel, "server", &kernel);
        stage.execute(&kernel, "let x = 1");
        kernel
    };
    let (idle, used) = (of_deno(), of_deno());
    let pids = [stage.kernel_pid(&idle), stage.kernel_pid(&used)];
    stage.disconnect(&idle, "server", &idle);
    stage.reaps(&idle);
    stage.eventually("its process is gone", || !stage.lives(pids[0]));
    assert_eq!(stage.looks_for(LONGER).verdict(&used), ("keep".into(), "attached".into()));
    stage.signal(server, Signal::KILL);
    stage.eventually("its server has ended", || !stage.lives(server));
    std::thread::sleep(LONGER);
    assert!(stage.lives(pids[1]), "it stays by itself");
    stage.eventually("what was left behind is gone", || {
        stage.reaper(&["once"]);
        !stage.lives(pids[1])
    });
}
