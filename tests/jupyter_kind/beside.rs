//! Beside what the server does itself.

use std::time::Duration;

use crate::releases::Release;
use crate::stage::{Stage, is_too_slow, of_runtime};

#[test]
#[ignore = "half a minute"]
fn polling_is_no_activity_of_the_server() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    let kernel = stage.kernel("server");
    stage.configure("grace = \"1h\"", &of_runtime(&stage.path("runtime")));
    stage.reaper(&["once"]);
    let activity =
        || stage.rest("server", "GET", "/api/status?no_track_activity=1").1["last_activity"].clone();
    stage.eventually("the kernel has started", || stage.row("server", &kernel)["last_activity"].is_string());
    // A kernel says more than one thing as it starts, on a busy machine for a while.
    let mut before = activity();
    stage.eventually("it says nothing more", || {
        std::thread::sleep(Duration::from_secs(10));
        let last = std::mem::replace(&mut before, activity());
        last == before
    });
    // As many looks as an hour has minutes.
    for _ in 0..60 {
        assert_eq!(stage.reaper(&["once"]).verdict(&kernel).1, "starting");
    }
    assert_eq!(activity(), before);
}

#[test]
#[ignore = "a minute"]
fn its_own_culler_may_be_on_at_the_same_time() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let cull = ["--MappingKernelManager.cull_idle_timeout=20", "--MappingKernelManager.cull_interval=1"];
    stage.server("server", 8888, &cull);
    // It counts from the last activity, and so is the first at some and the second at others.
    let policy = "grace = \"17s\"\nworker_grace = \"3s\"\nstart_timeout = \"1s\"";
    stage.configure(policy, &of_runtime(&stage.path("runtime")));
    let kernels: Vec<String> = (0..4).map(|_| stage.kernel_running("server", "x = 1")).collect();
    let pids: Vec<u64> = kernels.iter().map(|kernel| stage.kernel_pid(kernel)).collect();
    for kernel in &kernels {
        stage.disconnect(kernel, "server", kernel);
    }
    stage.eventually("all are gone", || {
        let said = stage.reaper(&["once"]);
        assert!([0, 3].contains(&said.exit) || said.subjects().any(is_too_slow), "{}", said.text);
        pids.iter().all(|pid| !stage.lives(*pid))
    });
}

#[test]
#[ignore = "some minutes"]
fn a_hundred_kernels_that_are_due_at_once_go() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    stage.configure("grace = \"1h\"\nstart_timeout = \"1s\"", &of_runtime(&stage.path("runtime")));
    for _ in 0..100 {
        stage.kernel("server");
    }
    // One that ends by itself as it starts, on a busy machine, isn't listed any more.
    stage.eventually("all of them rest", || {
        let said = stage.reaper(&["once"]);
        let totals = &said.report["totals"];
        totals["wait"] == totals["sessions"] && totals["wait"].as_u64() >= Some(95)
    });
    stage.configure(
        "grace = \"1s\"\nstart_timeout = \"1s\"\nclose_timeout = \"120s\"",
        &of_runtime(&stage.path("runtime")),
    );
    let listed = || {
        let (_, listed) = stage.rest("server", "GET", "/api/kernels?no_track_activity=1");
        listed.as_array().unwrap().len()
    };
    // All in one run, but for those that a busy machine is too slow for.
    let mut before = listed();
    while before > 0 {
        stage.eventually("more of them are gone", || {
            let said = stage.reaper(&["once", "--wait", "10s"]);
            let mut failed = said.subjects().filter(|it| it["outcome"] == "failed");
            assert!(failed.all(is_too_slow), "{}", said.text);
            listed() < before
        });
        before = listed();
    }
    assert!(!stage.processes().iter().any(|it| it.argv.contains("ipykernel_launcher")));
}
