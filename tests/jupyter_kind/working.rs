//! What a kernel that calls itself idle may do all the same.

use serde_json::json;

use crate::closing::{LONGER, POLICY};
use crate::releases::Release;
use crate::stage::{Stage, of_runtime};

const SILENT: &str = "import threading, time\n\
    def work():\n    \
        while True:\n        \
            until = time.monotonic() + 0.004\n        \
            while time.monotonic() < until: pass\n        \
            time.sleep(0.096)\n\
    threading.Thread(target=work, daemon=True).start()";
const PRINTING: &str = "import threading, time\n\
    def work():\n    \
        while True: print('x', flush=True); time.sleep(0.3)\n\
    threading.Thread(target=work, daemon=True).start()";
const CHILD: &str = "import subprocess, sys\n\
    subprocess.Popen([sys.executable, '-c', 'while True: sum(range(10000))'], start_new_session=True)";

#[test]
#[ignore = "half a minute"]
fn a_thread_or_a_child_that_works_holds_a_kernel_that_is_idle() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let silent = stage.kernel_running("server", SILENT);
    let printing = stage.kernel_running("server", PRINTING);
    let child = stage.kernel_running("server", CHILD);
    let resting = stage.kernel_running("server", "import subprocess; subprocess.Popen(['sleep', '1000'])");
    for kernel in [&silent, &printing, &child, &resting] {
        stage.disconnect(kernel, "server", kernel);
    }
    stage.reaps(&resting);
    let said = stage.looks_for(3 * LONGER);
    for kernel in [&silent, &printing, &child] {
        assert_eq!(stage.row("server", kernel)["execution_state"], "idle");
        let (verdict, _) = said.verdict(kernel);
        assert!(["keep", "wait"].contains(&verdict.as_str()), "{}", said.text);
    }
    // Between two looks that each saw it at work there is one that is too short to tell.
    stage.eventually("the silent thread is said to hold its kernel", || {
        stage.reaper(&["once"]).verdict(&silent) == ("keep".into(), "held".into())
    });
}

#[test]
#[ignore = "half a minute"]
fn a_console_that_talks_to_the_kernel_itself_holds_it() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let kernel = stage.kernel_running("server", "x = 1");
    stage.disconnect(&kernel, "server", &kernel);
    let file = stage.path("runtime").join(format!("kernel-{kernel}.json"));
    let console = "import sys, time\nfrom jupyter_client import BlockingKernelClient\n\
        client = BlockingKernelClient(connection_file=sys.argv[1]); client.load_connection_file(); client.start_channels()\n\
        client.wait_for_ready(timeout=60); open('console-ready', 'w').close(); time.sleep(1000)";
    let argv = json!([stage.bin("python"), "-c", console, file]);
    let console = stage.does(json!(["start", "console", argv, {}])).as_u64().unwrap();
    stage.eventually("the console is connected", || stage.path("console-ready").exists());
    let said = stage.looks_for(LONGER);
    assert_eq!(said.verdict(&kernel), ("keep".into(), "held".into()), "{}", said.text);
    assert!(said.text.contains("zmq-client"), "{}", said.text);
    stage.signal(console, rustix::process::Signal::KILL);
    stage.eventually("the console has ended", || stage.does(json!(["has_ended", "console"])) == true);
    stage.reaps(&kernel);
}

#[test]
#[ignore = "half a minute"]
fn a_client_that_is_stopped_is_still_connected() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let kernel = stage.kernel("server");
    let client = format!(
        "import time, websocket\n\
         it = websocket.create_connection('ws://127.0.0.1:8888/api/kernels/{kernel}/channels', header=['Authorization: token {}'])\n\
         open('client-ready', 'w').close(); time.sleep(1000)",
        crate::stage::TOKEN
    );
    let argv = json!([stage.bin("python"), "-c", client]);
    let client = stage.does(json!(["start", "client", argv, {}])).as_u64().unwrap();
    stage.eventually("the client is connected", || stage.path("client-ready").exists());
    stage.signal(client, rustix::process::Signal::STOP);
    let said = stage.looks_for(LONGER);
    assert_eq!(said.verdict(&kernel), ("keep".into(), "attached".into()), "{}", said.text);
}
