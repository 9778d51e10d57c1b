//! What looks cost beside a real server, in system calls.

use std::collections::HashMap;
use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::releases::Release;
use crate::stage::{EXE, Stage, of_runtime};

const KERNELS: usize = 100;
/// For each kernel, of a poll that finds all of them at rest.
const CALLS: usize = 30;
const POLLS: usize = 6;

/// The system calls of a `watch`, from one request for the kernels to the next.
fn polls(trace: &str) -> Vec<Vec<&str>> {
    let calls = trace.lines().filter_map(|line| Some(line.split_once(' ')?.1.trim_start()));
    // A debug build asks of every descriptor that it closes whether it is open.
    let calls = calls.filter(|call| !call.starts_with(['<', '-', '+']) && !call.starts_with("fcntl"));
    let mut polls = vec![Vec::new()];
    for call in calls {
        if call.contains("GET /api/kernels?") {
            polls.push(Vec::new());
        }
        polls.last_mut().unwrap().push(call);
    }
    polls
}

#[test]
#[ignore = "two minutes"]
fn a_look_reads_the_servers_descriptors_once_and_a_resting_one_no_descriptor_at_all() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let server = stage.server("server", 8888, &[]);
    stage.configure("grace = \"1h\"\nstart_timeout = \"1s\"", &of_runtime(&stage.path("runtime")));
    for _ in 0..KERNELS {
        stage.kernel("server");
    }
    // One that ends by itself as it starts, on a busy machine, isn't listed any more.
    let mut kernels = 0;
    stage.eventually("all of them rest", || {
        let totals = &stage.reaper(&["once"]).report["totals"];
        kernels = usize::try_from(totals["wait"].as_u64().unwrap_or(0)).unwrap();
        totals["wait"] == totals["sessions"] && kernels >= KERNELS - 5
    });
    let (file, config) = (stage.path("trace"), stage.path("reaper.toml"));
    let argv = json!([
        "strace",
        "-f",
        "-s",
        "100",
        "-o",
        file,
        EXE,
        "--config",
        config,
        "watch",
        "--interval",
        "1s"
    ]);
    let tracer = stage.does(json!(["start", "watch", argv, {}])).as_u64().unwrap();
    let trace = || fs::read_to_string(&file).unwrap_or_default();
    stage.eventually("it has polled", || polls(&trace()).len() > POLLS + 3);
    stage.signal(tracer, Signal::TERM);
    let trace = trace();
    let polls = polls(&trace);
    // The first is ended by the second request; the one to which strace is ended isn't whole.
    let (first, later) = (&polls[1], &polls[2..polls.len() - 1]);

    let is_of_server = |call: &&&str| call.contains(&format!("\"/proc/{server}/fd/"));
    let mut links: HashMap<&str, usize> = HashMap::new();
    for link in first.iter().filter(is_of_server) {
        *links.entry(link.split(',').next().unwrap()).or_default() += 1;
    }
    assert!(links.len() >= kernels, "the connections to its kernels are known by them: {links:?}");
    // Once for who listens, once for who is connected to the kernels.
    assert!(links.values().all(|times| *times <= 2), "{links:?}");

    let rest = later.iter().min_by_key(|calls| calls.len()).unwrap();
    println!("{} calls in a resting poll with {kernels} kernels, {} in the first", rest.len(), first.len());
    let links = rest.iter().filter(|call| call.starts_with("readlink")).count();
    assert!(links <= 2, "{links} links were read: {rest:#?}");
    let requests =
        rest.iter().filter(|call| call.contains("HTTP/1.1\\r\\n") && call.contains("GET /")).count();
    assert_eq!(requests, 1, "{rest:#?}");
    assert!(rest.len() <= CALLS * kernels, "{} calls: {rest:#?}", rest.len());
    let log = fs::read_to_string(stage.path("server.log")).unwrap();
    // The ids of kernels may hold the number, too.
    assert!(!log.contains("] 404 "), "what it is asked is nothing that it warns of: {log}");
}
