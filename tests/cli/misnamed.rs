//! What names the wrong thing is said, and nothing is done by it: a thread for a worker, a user that no worker runs as, a pattern for the
//! gateway that fits two.

use std::fs;

use rustix::process::Signal;

use crate::cast::{gateway_of, pid, worker, worker_match, worker_program};
use crate::gateway::{Answer, Gateway, orphan, orphan_with, table, with};
use crate::place::Place;

/// A configuration without graces whose `[gateway.worker]` has this, too.
fn desk(gateway: &Gateway, more: &str) -> Place {
    let policy =
        "[policy]\ngrace = \"0s\"\nworker_grace = \"0s\"\nclose_timeout = \"0s\"\nterm_timeout = \"1s\"\n";
    Place::with(&format!("{policy}{}{}{more}", gateway.section("desk"), worker_match()))
}

#[test]
fn a_thread_that_a_row_names_keeps_the_session_and_its_worker() {
    let gateway = Gateway::start();
    let place = desk(&gateway, "");
    let family = gateway_of([worker("a")]).start(&["gateway", "a"]);
    let process = pid(&family, "a");
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let threads = threads.map(|thread| thread.unwrap().file_name().to_str().unwrap().parse().unwrap());
    let thread: u32 =
        threads.into_iter().find(|thread| *thread != process).expect("a stand-in has two threads");
    gateway.publish(&table(Some(pid(&family, "gateway")), &[orphan_with("a", thread)]));
    for _ in 0..2 {
        let ran = place.once(["--json"]);
        let subject = ran.subject("a");
        assert_eq!(
            (&subject["verdict"], &subject["reason"]),
            (&"keep".into(), &"protected".into()),
            "{ran:?}"
        );
        let why = format!(
            "{thread}, named as its worker, is a thread of process {process}: its gateway has to name"
        );
        assert!(place.status([]).out.contains(&why), "{:?}", place.status([]));
        assert_eq!(ran.json()["totals"]["reap"], 0, "{ran:?}");
    }
    assert!(gateway.reaps().is_empty() && !family.has_ended("a"));
}

#[test]
fn a_user_that_no_worker_runs_as_is_said_of_every_worker_that_is_left() {
    let gateway = Gateway::start();
    let place = desk(&gateway, "user = 61235\n");
    let family = gateway_of([worker("a"), worker("lost")]).start(&["gateway", "a", "lost"]);
    gateway.publish(&table(Some(pid(&family, "gateway")), &[orphan_with("a", pid(&family, "a"))]));
    let own = rustix::process::geteuid();
    for _ in 0..2 {
        let ran = place.once([]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for tag in ["a", "lost"] {
            let pid = pid(&family, tag);
            let why = format!("process {pid} runs as user {}, not as 61235 (see worker.user)", own.as_raw());
            assert!(ran.out.contains(&why), "{why}\n{}", ran.out);
        }
    }
    assert!(gateway.reaps().is_empty() && !family.has_ended("a") && !family.has_ended("lost"));

    let doctor = place.reaper(["doctor"]).run();
    let why = "desk: 2 that match worker.match run as user ";
    assert!(
        doctor.out.contains(why) && doctor.out.contains(", not as user 61235, and are never"),
        "{doctor:?}"
    );
    let place = desk(&gateway, "");
    assert!(!place.reaper(["doctor"]).run().out.contains(why));
}

/// Its workers are kept then, and nothing fails: the log is all that a service's operator reads.
#[test]
fn a_gateway_whose_table_names_another_process_than_the_configuration_is_in_the_log_once() {
    let gateway = Gateway::start();
    let family = gateway_of([worker("a")]).start(&["gateway", "a"]);
    let place = desk(&gateway, "[gateway.process]\npid_file = \"gateway.pid\"\n");
    place.write("gateway.pid", format!("{}\n", pid(&family, "gateway")));
    let names = |pid| table(Some(pid), &[with(orphan("a"), "transport", "attached".into())]);
    gateway.publish(&names(pid(&family, "a")));
    let says = "what its table says of processes isn't trusted: it says that its gateway is process";
    let ran = place.once(["-q"]);
    assert_eq!((ran.code, ran.err.matches(says).count()), (Some(0), 1), "{ran:?}");

    let running = place.reaper(["watch", "--interval", "100ms"]).start();
    let passes = |more: usize| {
        let until = gateway.looks() + more;
        running.eventually("it looks", || gateway.looks() > until);
    };
    passes(3);
    gateway.answer(Answer::Says(500, String::new()));
    passes(3);
    gateway.publish(&names(pid(&family, "a")));
    passes(3);
    assert_eq!(running.err().matches(says).count(), 1, "{}", running.err());
    gateway.publish(&names(pid(&family, "gateway")));
    passes(3);
    gateway.publish(&names(pid(&family, "a")));
    running.eventually("it says so again", || running.err().matches(says).count() == 2);
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn a_pattern_that_fits_two_gateways_finds_none_and_says_so_once() {
    let gateway = Gateway::start();
    let look_alike = format!("{}-gateway", worker_program());
    let place = desk(&gateway, &format!("[gateway.process]\nmatch = '{look_alike}'\n"));
    let gateways = [1, 2].map(|_| {
        let gateway = gateway_of([worker("a")]).argv([look_alike.as_str()]);
        gateway.start(&["gateway", "a"])
    });
    let named =
        table(None, &[with(orphan_with("a", pid(&gateways[0], "a")), "transport", "attached".into())]);
    gateway.publish(&named);
    let ran = place.once([]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let says = "gateway.process.match fits 2 processes (";
    assert_eq!(ran.err.matches(says).count(), 1, "{ran:?}");
    assert!(gateways.iter().all(|family| !family.has_ended("a")));
}
