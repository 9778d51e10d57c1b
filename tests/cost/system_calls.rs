//! System calls of a run and of a resting `watch`, and that they don't grow with what else runs on the machine.

use gateway_reaper::demo::pinned::Pinned;
use rustix::process::Signal;

use crate::inside::is_alone;
use crate::scene::Scene;
use crate::strace::Trace;
use crate::strangers::Strangers;

const SESSIONS: usize = 25;
/// The sessions' workers, the gateway, and the test: what process 1 has for a child may have been adopted by it.
const CANDIDATES: usize = SESSIONS + 2;
const NEW_THREAD_OR_PROCESS: [&str; 4] = ["clone", "clone3", "fork", "vfork"];
const SYNC: [&str; 5] = ["fsync", "fdatasync", "msync", "sync_file_range", "syncfs"];

fn processes() -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()).count()
}

/// A debug build asks of every descriptor that it closes whether it is open; that isn't counted.
pub(crate) fn calls(trace: &Trace) -> usize {
    trace.count(|call| !call.starts_with("fcntl"))
}

/// Without neighbours that come and go: the cheapest poll of several.
pub(crate) fn cheapest(polls: &[Trace]) -> &Trace {
    polls.iter().min_by_key(|poll| poll.calls()).unwrap()
}

fn is_ledger_write(call: &str) -> bool {
    call.starts_with("open") && call.contains("ledger.new")
}

#[test]
fn a_first_run_makes_eight_calls_for_each_process_and_twenty_more_for_each_candidate() {
    if !is_alone() {
        return;
    }
    let first_run = |scene: &Scene, candidates: usize| {
        let _ = std::fs::remove_dir_all(scene.dir().join("state"));
        let run = Trace::of(scene, &["once"]);
        assert_eq!(
            run.count(|call| call.contains("\"cmdline\"")),
            candidates,
            "argv was read of what is to be judged"
        );
        calls(&run)
    };
    let few = Scene::with_sessions(5);
    let of_few = first_run(&few, CANDIDATES - SESSIONS + 5);
    drop(few);
    let many = Scene::with_sessions(SESSIONS);
    let of_many = first_run(&many, CANDIDATES);
    let _strangers = Strangers::start(400).unwrap();
    let among_strangers = first_run(&many, CANDIDATES);
    // Most of these are the program's own: its libraries, configuration, state, and what it looks for below some of the workers.
    assert!(of_few <= 650, "{of_few} calls");
    println!("{of_few} calls for 5 sessions, {of_many} for {SESSIONS}, {among_strangers} with 400 strangers");
    assert!(
        among_strangers <= of_many + 8 * 400 + 10,
        "{of_many} calls, {among_strangers} with 400 strangers"
    );
    let more = SESSIONS - 5;
    assert!(of_many <= of_few + (8 + 20) * more, "{of_few} calls, {of_many} with {more} more sessions");
}

#[test]
fn a_run_that_remembers_makes_as_many_calls_among_many_strangers_as_among_few() {
    if !is_alone() {
        return;
    }
    let scene = Scene::with_sessions(SESSIONS);
    let _few = Strangers::start(50).unwrap();
    Trace::of(&scene, &["once"]);
    let cheapest = || (0..3).map(|_| calls(&Trace::of(&scene, &["once"]))).min().unwrap();
    let among_few = cheapest();
    let _many = Strangers::start(450).unwrap();
    let among_many = cheapest();
    println!("{among_few} calls among 50 strangers, {among_many} among 500");
    assert!(among_many <= among_few + 10, "{among_few} calls among 50 strangers, {among_many} among 500");
    // A single run asks of each candidate once in which PID namespace it is, and looks below eight workers, with all their threads.
    assert!(among_many <= 40 * CANDIDATES + 100, "{among_many} calls");
}

#[test]
fn a_steady_poll_makes_as_many_calls_among_many_strangers_as_among_few() {
    if !is_alone() {
        return;
    }
    let scene = Scene::with_sessions(SESSIONS);
    let _few = Strangers::start(50).unwrap();
    // By then each worker was looked below twice, and all are at rest.
    let poll = || calls(cheapest(&Trace::of_watch(&scene, "100ms", 14).polls()));
    let among_few = poll();
    let _many = Strangers::start(450).unwrap();
    let among_many = poll();
    println!("{among_few} calls among 50 strangers, {among_many} among 500");
    assert!(among_many <= among_few + 5, "{among_few} calls among 50 strangers, {among_many} among 500");
    // Four for each worker, below one of which the poll looks, with all its threads; the rest is for the gateway, its socket and memory.
    assert!(among_many <= 4 * CANDIDATES + 160, "{among_many} calls");
}

#[test]
fn a_resting_watch_reads_no_argv_again_connects_once_and_wakes_once_a_poll() {
    if !is_alone() {
        return;
    }
    let scene = Scene::with_sessions(SESSIONS);
    let waits = |poll: &Trace| poll.count(|call| call.starts_with("epoll_wait"));
    // On a busy machine an answer may come in pieces, each with a wait of its own: until there is a poll without that.
    let trace = Trace::of_watch_until(&scene, "100ms", |trace| {
        let polls = trace.polls();
        polls.len() >= 6 && waits(cheapest(&polls)) <= 8
    });
    let polls = trace.polls();
    let poll = cheapest(&polls);
    assert_eq!(poll.count(|call| call.contains("\"cmdline\"")), 0, "argv was read again: {poll:#?}");
    // A connection that is kept open would keep a gateway busy that serves one at a time.
    assert_eq!(poll.named(&["connect"]), 1, "{poll:#?}");
    assert_eq!(poll.count(|call| call.starts_with("socket(AF_INET")), 1, "{poll:#?}");
    let pauses =
        poll.count(|call| call.starts_with("epoll_wait") && call.ends_with("= 0") && !call.contains(", 0)"));
    // The clock of the wait is coarser than that of the pause, so its end may take a second, short one.
    assert!((1..=2).contains(&pauses), "{pauses} pauses in a poll: {poll:#?}");
    assert!(waits(poll) <= 8, "{} waits: {poll:#?}", waits(poll));
}

#[test]
fn a_watch_of_a_world_that_stays_the_same_writes_the_ledger_no_more() {
    if !is_alone() {
        return;
    }
    let scene = Scene::with_sessions(SESSIONS);
    let rests = |poll: &Trace| poll.count(is_ledger_write) == 0;
    // Where a busy machine kept the reaper from looking for two intervals, it writes down that this time counts for no grace. So it watches until
    // there are six polls in a row without that.
    let trace = Trace::of_watch_until(&scene, "300ms", |trace| {
        trace.polls().windows(6).any(|six| six.iter().all(rests))
    });
    assert!(trace.count(is_ledger_write) >= 1, "it was never written");
    // The next run is another process: when a session in use was last seen so is written for it, and nothing else.
    assert_eq!(Trace::of(&scene, &["once"]).count(is_ledger_write), 1);
}

#[test]
fn no_run_starts_a_thread_or_waits_for_a_disk() {
    if !is_alone() {
        return;
    }
    let scene = Scene::with_sessions(SESSIONS);
    for trace in
        [Trace::of(&scene, &["once"]), Trace::of(&scene, &["status"]), Trace::of_watch(&scene, "100ms", 4)]
    {
        assert_eq!(trace.named(&NEW_THREAD_OR_PROCESS), 0, "{trace:#?}");
        assert_eq!(trace.named(&SYNC), 0, "{trace:#?}");
    }
}

#[test]
fn a_gateway_that_is_gone_makes_watch_look_at_every_process_once_and_not_at_every_poll() {
    if !is_alone() {
        return;
    }
    let scene = Scene::with_sessions(SESSIONS);
    let _strangers = Strangers::start(100).unwrap();
    Trace::of(&scene, &["once"]);
    Pinned::new(scene.gateway.pid()).unwrap().signal(Signal::KILL).unwrap();
    let is_end_of_poll = |call: &str| call.starts_with("open") && call.contains("last_run.new");
    let trace = Trace::of_watch_until(&scene, "100ms", |trace| trace.count(is_end_of_poll) > 8);
    // A whole look reads `/proc/PID/stat` by that name; a near one opens the process's directory first.
    let read = trace.count(|call| call.contains("/stat\", O_RDONLY"));
    println!("{read} processes read by whole looks in 8 polls");
    assert!(read >= 100, "there was no whole look");
    assert!(read < 2 * processes(), "{read} processes were read");
}
