//! Situations in which reapers ended live work: a nested session, another PID namespace, a server that says nothing. (A copy of a live
//! worker is in `trees`, a kernel that outlived its server in `left`, a refusal in `finding`.)

use rustix::process::Signal;
use serde_json::json;

use crate::closing::{LONGER, POLICY};
use crate::releases::Release;
use crate::stage::{Stage, TOKEN, of_runtime};

#[test]
#[ignore = "half a minute"]
fn a_kernel_below_which_another_server_runs_is_not_ended() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    let outer = stage.kernel("server");
    stage.connect(&outer, "server", &outer);
    let inner = format!(
        "import subprocess, sys, os\n\
         it = subprocess.Popen([sys.executable, '-m', 'jupyter_server', '--allow-root', '--no-browser', '--port=8889'],\n\
         env={{**os.environ, 'JUPYTER_TOKEN': '{TOKEN}'}}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)"
    );
    stage.execute(&outer, &inner);
    stage.does(json!(["server_at", "inner", "http://127.0.0.1:8889", TOKEN]));
    let nested = stage.kernel_running("inner", "z = 9");
    stage.disconnect(&outer, "server", &outer);
    stage.configure(&format!("busy_cpu = \"off\"\n{POLICY}"), &of_runtime(&stage.path("runtime")));
    let said = stage.looks_for(LONGER);
    assert_eq!(said.verdict(&outer).0, "keep", "{}", said.text);
    assert_eq!(said.verdict(&nested), ("keep".into(), "attached".into()), "{}", said.text);
    assert_eq!(stage.execute(&nested, "print(z)"), "9\n");
}

#[test]
#[ignore = "half a minute"]
fn a_kernel_of_another_pid_namespace_is_not_ended() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    // It leads a session, and its mark names a process of its own namespace; here nobody has that PID.
    let file = stage.path("runtime").join("kernel-contained.json");
    let code = "import os, time\nos.getpgrp() == os.getpid() or os.setsid()\ntime.sleep(10000)";
    let namespace =
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "env", "JPY_PARENT_PID=9999"];
    let python = stage.bin("python").display().to_string();
    let argv: Vec<String> = namespace
        .map(String::from)
        .into_iter()
        .chain([python, "-c".into(), code.into(), file.display().to_string()])
        .collect();
    stage.does(json!(["start", "container", argv, {}]));
    let contained = || {
        stage
            .processes()
            .into_iter()
            .find(|it| it.argv.ends_with("kernel-contained.json") && !it.argv.starts_with("unshare"))
    };
    stage.eventually("it runs", || contained().is_some());
    let argv = json!([
        stage.bin("python"),
        "-c",
        "import time; time.sleep(10000)",
        stage.path("runtime").join("kernel-left.json")
    ]);
    let left = stage.does(json!(["start", "left", argv, {"JPY_PARENT_PID": "9999"}])).as_u64().unwrap();
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    // The same in this namespace goes.
    stage.eventually("what has the same mark here is gone", || {
        stage.reaper(&["once"]);
        !stage.lives(left)
    });
    stage.looks_for(LONGER);
    assert!(contained().is_some(), "{:?}", stage.processes());
}

/// A server whose answers about one kernel take longer than a second while a file is there.
const SLOW: &str = "import asyncio, inspect, os, sys\n\
    from jupyter_server.services.kernels.handlers import KernelHandler\n\
    get = KernelHandler.get\n\
    async def slow(self, kernel_id):\n    \
        if os.path.exists('slow'): await asyncio.sleep(1.5)\n    \
        answer = get(self, kernel_id)\n    \
        if inspect.isawaitable(answer): await answer\n\
    KernelHandler.get = slow\n\
    import jupyter_server.serverapp as it\n\
    it.main(sys.argv[1:])";

#[test]
#[ignore = "half a minute"]
fn a_server_whose_answers_are_too_old_to_close_by_keeps_its_kernels_and_that_is_told_as_a_failure() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let argv = json!([stage.bin("python"), "-c", SLOW, "--allow-root", "--no-browser", "--port=8888"]);
    stage.does(json!(["start", "server", argv, { "JUPYTER_TOKEN": TOKEN }]));
    stage.does(json!(["server_at", "server", "http://127.0.0.1:8888", TOKEN]));
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let kernel = stage.kernel_running("server", "x = 1");
    stage.disconnect(&kernel, "server", &kernel);
    std::fs::write(stage.path("slow"), "").unwrap();
    stage.eventually("it is due, and its close has failed", || {
        let said = stage.reaper(&["once"]);
        let is_failed = said.subject(&kernel).is_some_and(|it| it["outcome"] == "failed");
        assert_eq!(said.exit, i64::from(is_failed), "{}", said.text);
        is_failed && said.text.contains("took longer than a second")
    });
    std::fs::remove_file(stage.path("slow")).unwrap();
    // Its grace hasn't started again.
    let said = stage.reaper(&["once"]);
    assert_eq!(said.subject(&kernel).unwrap()["outcome"], "reaped", "{}", said.text);
}

#[test]
#[ignore = "half a minute"]
fn a_server_that_is_stopped_or_changes_its_token_keeps_its_kernels() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let server = stage.server("server", 8888, &[]);
    let kernel = stage.kernel_running("server", "x = 1");
    let pid = stage.kernel_pid(&kernel);
    stage.disconnect(&kernel, "server", &kernel);
    let gateway = of_runtime(&stage.path("runtime")).replace("timeout = \"30s\"", "timeout = \"2s\"");
    stage.configure(POLICY, &gateway);
    stage.signal(server, Signal::STOP);
    let said = stage.looks_for(2 * LONGER);
    assert_eq!(said.exit, 3, "{}", said.text);
    assert!(stage.lives(pid));
    stage.signal(server, Signal::CONT);
    // Its file is there, and what is in it isn't its token any more.
    let file = stage.path("runtime").join(format!("jpserver-{server}.json"));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(TOKEN, "an-older-token")).unwrap();
    let said = stage.looks_for(LONGER);
    assert_eq!(said.exit, 3, "{}", said.text);
    assert!(stage.lives(pid));
    std::fs::write(&file, text).unwrap();
    stage.reaps(&kernel);
}
