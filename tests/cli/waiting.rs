//! Graces between one-shot runs, `--wait`, and `--dry-run`: the same memory, and no act.

use std::time::Duration;

use serde_json::json;

use crate::cast::{gateway_of, pid, worker, worker_match};
use crate::gateway::{Answer, Gateway, orphan, orphan_with, table, with, without_worker};
use crate::place::{Place, Ran};
use crate::support::family::{Family, Step};

fn desk(policy: &str) -> (Gateway, Place) {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("a")]));
    gateway.on_reap("a", Answer::reaped());
    let place = Place::with(&format!("[policy]\n{policy}\n{}", gateway.section("desk")));
    (gateway, place)
}

#[test]
fn a_session_is_reaped_by_the_first_run_after_its_grace_and_not_before() {
    let (gateway, place) = desk("grace = \"600ms\"");
    assert_eq!(place.once(["--json"]).subject("a")["verdict"], "wait");
    assert_eq!(gateway.reaps().len(), 0);
    let ran = place.once_until("it was reaped", |ran| ran.subject("a")["outcome"] == "reaped");
    assert!(ran.subject("a")["waited_s"].as_f64().unwrap() >= 0.6);
    assert_eq!(gateway.reaps(), ["a"]);
}

#[test]
fn whatever_restarts_a_grace_restarts_it_between_runs_too() {
    let restarts = [
        ("attached", with(orphan("a"), "transport", json!("attached"))),
        ("mid-turn", with(orphan("a"), "turn", json!("running"))),
        ("held", with(orphan("a"), "holds", json!(["x"]))),
        ("activity", with(orphan("a"), "activity", json!("2"))),
    ];
    for (what, row) in restarts {
        let (gateway, place) = desk("grace = \"1s\"");
        place.once([]);
        std::thread::sleep(Duration::from_millis(300));
        gateway.publish(&table(None, &[row]));
        place.once([]);
        gateway.publish(&table(None, &[orphan("a")]));
        let ran = place.once(["--json"]);
        let waited = ran.subject("a")["waited_s"].as_f64().unwrap();
        assert!(waited < 0.3, "{what}: waited {waited}");
    }
    let (gateway, place) = desk("grace = \"1s\"");
    place.once([]);
    std::thread::sleep(Duration::from_millis(300));
    gateway.publish(&with(table(None, &[orphan("a")]), "gateway", json!({ "instance": "run-2" })));
    assert!(place.once(["--json"]).subject("a")["waited_s"].as_f64().unwrap() < 0.3);
}

#[test]
fn a_run_that_could_not_read_the_table_does_not_reap_afterwards_what_it_did_not_see() {
    let (gateway, place) = desk("grace = \"300ms\"");
    place.once([]);
    gateway.answer(Answer::Nothing);
    assert_eq!(place.once([]).code, Some(3));
    std::thread::sleep(Duration::from_millis(400));
    gateway.publish(&table(None, &[orphan("a")]));
    let ran = place.once(["--json"]);
    // It was not seen orphaned at every poll.
    assert_eq!(ran.subject("a")["verdict"], "wait", "{}", ran.out);
}

#[test]
fn a_dry_run_has_the_same_memory_and_does_nothing() {
    let (gateway, place) = desk("grace = \"300ms\"");
    assert_eq!(place.once(["--dry-run", "--json"]).subject("a")["verdict"], "wait");
    std::thread::sleep(Duration::from_millis(350));
    let ran = place.once(["--dry-run", "--json"]);
    assert_eq!(ran.subject("a")["outcome"], "would-reap", "the first dry run started the grace");
    assert_eq!((ran.code, gateway.reaps().len(), place.audit().len()), (Some(0), 0, 0));
    assert_eq!(place.once(["--json"]).subject("a")["outcome"], "reaped", "and it counts for a run that acts");
}

#[test]
fn dry_run_in_the_configuration_is_the_same_and_may_be_one_gateways_alone() {
    let (spared, served) = (Gateway::start(), Gateway::start());
    for gateway in [&spared, &served] {
        gateway.publish(&table(None, &[orphan("a")]));
        gateway.on_reap("a", Answer::reaped());
    }
    let place = Place::with(&format!(
        "[policy]\ngrace = \"0s\"\n{}dry_run = true\n{}",
        spared.section("spared"),
        served.section("served")
    ));
    let report = place.once(["--json"]).json();
    assert_eq!(report["gateways"][0]["subjects"][0]["outcome"], "would-reap");
    assert_eq!(report["gateways"][1]["subjects"][0]["outcome"], "reaped");
    assert_eq!((spared.reaps().len(), served.reaps().len()), (0, 1));
}

#[test]
fn what_is_asked_of_a_gateway_on_trial_says_that_it_would_be_reaped_and_not_that_it_is() {
    let (spared, served) = (Gateway::start(), Gateway::start());
    spared.publish(&table(None, &[orphan("tried")]));
    served.publish(&table(None, &[orphan("due")]));
    let place = Place::with(&format!(
        "[policy]\ngrace = \"0s\"\n{}dry_run = true\n{}",
        spared.section("spared"),
        served.section("served")
    ));
    let line = |ran: &Ran, id: &str| {
        let line = ran.out.lines().find(|line| line.contains(&format!("session {id}")));
        line.unwrap_or_else(|| panic!("{ran:?}")).to_owned()
    };
    let status = place.status([]);
    assert!(line(&status, "tried").ends_with("; would be reaped"), "{status:?}");
    assert!(line(&status, "due").ends_with("; the next run reaps it"), "{status:?}");
    let status = place.status(["--json"]);
    assert_eq!(status.subject("tried")["outcome"], "would-reap");
    assert!(status.subject("due")["outcome"].is_null(), "{status:?}");
    let explain = |id| place.reaper(["explain", id]).run().out;
    assert!(explain("tried").contains("now: would be reaped: detached-session"), "{}", explain("tried"));
    assert!(explain("due").contains("now: reap: detached-session"), "{}", explain("due"));
}

#[test]
fn wait_stays_for_what_is_due_within_it_and_reports_once() {
    let (gateway, place) = desk("grace = \"400ms\"");
    let ran = place.once(["--wait", "30s", "--json"]);
    assert_eq!(ran.subject("a")["outcome"], "reaped");
    assert_eq!(
        (ran.code, gateway.looks(), gateway.reaps().len()),
        (Some(0), 3, 1),
        "two looks at first sight, one when it is due"
    );
    assert_eq!(ran.out.lines().count(), 1);
    assert!(ran.json()["took_s"].as_f64().unwrap() >= 0.4);
}

#[test]
fn wait_does_not_stay_for_what_is_due_later() {
    let (gateway, place) = desk("grace = \"1h\"");
    let ran = place.once(["--wait", "30m", "--json"]);
    assert_eq!((ran.subject("a")["verdict"].as_str(), ran.code), (Some("wait"), Some(0)));
    assert_eq!(gateway.reaps().len(), 0);
}

#[test]
fn wait_spares_who_comes_back_meanwhile() {
    let (gateway, place) = desk("grace = \"500ms\"");
    let running = place.reaper(["once", "--wait", "30s"]).start();
    running.await_err("staying");
    gateway.publish(&table(None, &[with(orphan("a"), "transport", json!("attached"))]));
    let ran = running.end();
    assert_eq!((ran.code, gateway.reaps().len()), (Some(0), 0));
    assert!(ran.out.contains("a client is attached"), "{}", ran.out);
}

#[test]
fn wait_with_a_dry_run_tells_what_would_be_due() {
    let (gateway, place) = desk("grace = \"300ms\"");
    let ran = place.once(["--wait", "30s", "--dry-run", "--json"]);
    assert_eq!((ran.subject("a")["outcome"].as_str(), ran.code), (Some("would-reap"), Some(0)));
    assert_eq!(gateway.reaps().len(), 0);
}

#[test]
fn the_report_of_wait_tells_of_all_its_looks() {
    let (gateway, place) = desk("grace = \"400ms\"");
    let now = |id| with(orphan(id), "close_on_disconnect", json!(true));
    gateway.publish(&table(None, &[now("first"), orphan("a")]));
    let hand = gateway.hand();
    gateway.when_reaping(move |id| {
        // Once it is closed, it is gone from the table.
        if id == "first" {
            hand.publish(&table(None, &[orphan("a")]));
        }
        Answer::reaped()
    });
    let ran = place.once(["--wait", "30s", "--json"]);
    assert_eq!(ran.subject("first")["outcome"], "reaped");
    assert_eq!(ran.subject("a")["outcome"], "reaped");
    assert_eq!(ran.json()["totals"]["reaped"], 2);
}

#[test]
fn a_signal_while_it_waits_ends_it_with_its_report() {
    let (gateway, place) = desk("grace = \"1h\"");
    let running = place.reaper(["once", "--wait", "2h", "--json"]).start();
    running.await_err("staying");
    running.signal(rustix::process::Signal::TERM);
    let ran = running.end();
    assert_eq!((ran.code, gateway.reaps().len()), (Some(0), 0), "{ran:?}");
    assert_eq!(ran.subject("a")["verdict"], "wait");
}

#[test]
fn a_run_for_gateways_that_are_all_dry_is_told_as_a_dry_run_and_nothing_is_overdue() {
    let (dry, served) = (Gateway::start(), Gateway::start());
    dry.publish(&table(None, &[orphan("a"), orphan("put-off")]));
    let metric = |place: &Place, name: &str| {
        let page = place.reaper(["metrics"]).run().out;
        let sample = page.lines().find_map(|line| line.strip_prefix(&format!("gateway_reaper_{name} ")));
        sample.unwrap().parse::<f64>().unwrap()
    };
    let place = Place::with(&format!(
        "[policy]\ngrace = \"0s\"\nmax_reaps = 1\ndry_run = true\n{}",
        dry.section("dry")
    ));
    for _ in 0..2 {
        assert_eq!(place.once(["--json"]).json()["dry_run"], true);
    }
    assert_eq!((metric(&place, "dry_run"), metric(&place, "longest_overdue_seconds")), (1.0, 0.0));
    let doctor = place.reaper(["doctor"]).run();
    assert!(doctor.out.contains("a dry run, which reaps nothing"), "{doctor:?}");

    // Another one is served: the run is none, and what is only told is still not overdue.
    let place = Place::with(&format!(
        "[policy]\ngrace = \"0s\"\nmax_reaps = 1\n{}dry_run = true\n{}",
        dry.section("dry"),
        served.section("served")
    ));
    for _ in 0..2 {
        let ran = place.once(["--json"]);
        assert_eq!(
            (&ran.json()["dry_run"], &ran.subject("a")["outcome"]),
            (&json!(false), &json!("would-reap"))
        );
    }
    assert_eq!((metric(&place, "dry_run"), metric(&place, "longest_overdue_seconds")), (0.0, 0.0));
    served.publish(&table(None, &[orphan("b")]));
    served.on_reap("b", Answer::Says(500, "no".into()));
    place.once([]);
    place.once([]);
    assert!(metric(&place, "longest_overdue_seconds") > 0.0, "what could not be reaped is");
}

/// Makes `once --wait` look twice at `first`, which is due at once, and answers how both looks ended it, and the exit code. `between`: its
/// row once its gateway was asked to close it. It gives these answers.
fn ended_twice(
    answers: [Answer; 2],
    between: serde_json::Value,
) -> (Vec<serde_json::Value>, crate::place::Ran) {
    let (gateway, place) = desk("grace = \"400ms\"");
    let first = with(orphan("first"), "close_on_disconnect", json!(true));
    gateway.publish(&table(None, &[first, orphan("a")]));
    let (hand, answers) = (gateway.hand(), std::sync::Mutex::new(answers.into_iter()));
    gateway.when_reaping(move |_| {
        hand.publish(&table(None, &[between.clone(), orphan("a")]));
        answers.lock().unwrap().next().unwrap()
    });
    let ran = place.once(["--wait", "30s", "--json"]);
    let report = ran.json();
    let subjects = report["gateways"][0]["subjects"].as_array().unwrap();
    let of_first: Vec<_> = subjects.iter().filter(|subject| subject["id"] == "first").cloned().collect();
    // The audit log has each under the run that the report says.
    for subject in of_first.iter().filter(|subject| subject["outcome"].is_string()) {
        let run = subject.get("run").unwrap_or(&report["run"]);
        let is_its = |line: &serde_json::Value| {
            line["run"] == *run && line["subject"]["id"] == "first" && line["outcome"] == subject["outcome"]
        };
        assert!(place.audit().iter().any(is_its), "{subject:#} {:#?}", place.audit());
    }
    assert_eq!(report["totals"]["sessions"], 2, "{report:#}");
    (of_first, ran)
}

#[test]
fn the_report_of_wait_has_every_ending_of_a_session_that_is_listed_again() {
    let outcomes = |subjects: &[serde_json::Value]| -> Vec<serde_json::Value> {
        subjects.iter().map(|subject| subject["outcome"].clone()).collect()
    };
    let no = || Answer::Says(500, "no".into());
    let due = || with(orphan("first"), "close_on_disconnect", json!(true));
    let attached = || with(due(), "transport", json!("attached"));

    let (subjects, ran) = ended_twice([Answer::reaped(), no()], attached());
    assert_eq!(outcomes(&subjects), [json!("reaped"), json!(null)], "{ran:?}");
    assert_eq!((&subjects[0]["steps"], &subjects[1]["reason"]), (&json!(["close"]), &json!("attached")));
    assert_eq!((ran.code, &ran.json()["totals"]["reaped"]), (Some(0), &json!(2)), "{ran:?}");

    let (subjects, ran) = ended_twice([no(), no()], due());
    assert_eq!(outcomes(&subjects), [json!("failed"), json!("failed")], "{ran:?}");
    assert_eq!((ran.code, &ran.json()["totals"]["failed"]), (Some(1), &json!(2)), "{ran:?}");

    let (subjects, ran) = ended_twice([no(), Answer::reaped()], due());
    assert_eq!(outcomes(&subjects), [json!("failed"), json!("reaped")], "{ran:?}");
    assert_eq!((ran.code, &ran.json()["totals"]["failed"]), (Some(0), &json!(1)), "all that was due is gone");

    let (subjects, ran) = ended_twice([Answer::reaped(), no()], due());
    assert_eq!(outcomes(&subjects), [json!("reaped"), json!("failed")], "{ran:?}");
    assert_eq!((ran.code, &ran.json()["totals"]["reaped"]), (Some(1), &json!(2)), "{ran:?}");
}

#[test]
fn the_report_of_wait_has_what_came_back_of_a_worker_whose_session_is_listed_again() {
    let family = gateway_of([worker("first")]).start(&["gateway", "first"]);
    let (gateway, of) = (Gateway::start(), pid(&family, "gateway"));
    let due = with(orphan_with("first", pid(&family, "first")), "close_on_disconnect", json!(true));
    gateway.publish(&table(Some(of), &[due.clone(), orphan("a")]));
    let hand = gateway.hand();
    gateway.when_reaping(move |_| {
        let listed_again = without_worker(with(due.clone(), "transport", json!("attached")));
        hand.publish(&table(Some(of), &[listed_again, orphan("a")]));
        Answer::reaped()
    });
    let place = Place::with(&format!(
        "[policy]\ngrace = \"400ms\"\nclose_timeout = \"100ms\"\n{}{}",
        gateway.section("desk"),
        worker_match()
    ));
    let ran = place.once(["--wait", "30s", "--json"]);
    let (first, totals) = (ran.subject("first"), &ran.json()["totals"]);
    assert_eq!(
        (&first["outcome"], &first["steps"]),
        (&json!("reaped"), &json!(["close", "SIGTERM"])),
        "{ran:?}"
    );
    assert!(first["reclaimed_bytes"].as_u64().unwrap() > 0, "{ran:?}");
    assert_eq!(
        (&totals["reclaimed_bytes"], &totals["workers"]),
        (&first["reclaimed_bytes"], &json!(1)),
        "{ran:?}"
    );
    assert!(family.has_ended("first") && !family.has_ended("gateway"));
}

#[test]
fn what_was_done_is_reported_also_where_a_later_look_is_ended_or_fails() {
    let due = || with(orphan("first"), "close_on_disconnect", json!(true));

    // A signal comes while the table is read that says what is due.
    let (gateway, place) = desk("grace = \"400ms\"");
    gateway.publish(&table(None, &[due(), orphan("a")]));
    gateway.on_reap("first", Answer::reaped());
    let running = place.reaper(["once", "--wait", "30s", "--json"]).start();
    running.await_err("staying");
    gateway.answer(Answer::Hangs);
    let looks = gateway.looks();
    running.eventually("it looks again", || gateway.looks() > looks);
    running.signal(rustix::process::Signal::TERM);
    let ran = running.end();
    assert_eq!((ran.code, &ran.subject("first")["outcome"]), (Some(0), &json!("reaped")), "{ran:?}");
    assert!(ran.err.contains("leaving before it is due"), "{ran:?}");

    // The state directory can't be written any more.
    let (gateway, place) = desk("grace = \"400ms\"");
    gateway.publish(&table(None, &[due(), orphan("a")]));
    gateway.on_reap("first", Answer::reaped());
    let running = place.reaper(["once", "--wait", "30s", "--json"]).start();
    running.await_err("staying");
    std::fs::rename(place.path("state"), place.path("elsewhere")).unwrap();
    place.write("state", "");
    let ran = running.end();
    assert_eq!((ran.code, &ran.subject("first")["outcome"]), (Some(1), &json!("reaped")), "{ran:?}");
    assert!(ran.err.contains("the look after those that are reported"), "{ran:?}");
    assert!(ran.err.contains("the state directory can't be written"), "{ran:?}");
    assert_eq!(gateway.reaps(), ["first"]);
}

/// `first` is due at once, and its worker takes two seconds to end. `a` becomes due a second after that.
fn with_a_stubborn_one() -> (Family, Gateway, Place) {
    let stubborn = worker("first").then(Step::Deaf);
    let family = gateway_of([stubborn]).start(&["gateway", "first"]);
    let (gateway, of) = (Gateway::start(), pid(&family, "gateway"));
    let first = with(orphan_with("first", pid(&family, "first")), "close_on_disconnect", json!(true));
    gateway.publish(&table(Some(of), &[first, orphan("a")]));
    let hand = gateway.hand();
    gateway.when_reaping(move |id| {
        let rows = if id == "first" { vec![orphan("a")] } else { Vec::new() };
        hand.publish(&table(Some(of), &rows));
        Answer::reaped()
    });
    let place = Place::with(&format!(
        "[policy]\ngrace = \"3s\"\nclose_timeout = \"1s\"\nterm_timeout = \"1s\"\n{}{}",
        gateway.section("desk"),
        worker_match()
    ));
    (family, gateway, place)
}

#[test]
fn the_time_that_a_teardown_takes_is_not_waited_for_again() {
    let (_family, gateway, place) = with_a_stubborn_one();
    let ran = place.once(["--json", "--wait", "4900ms"]);
    assert_eq!((ran.code, &ran.subject("a")["outcome"]), (Some(0), &json!("reaped")), "{ran:?}");
    assert_eq!(gateway.reaps(), ["first", "a"]);
}

#[test]
fn a_report_says_what_is_left_of_a_grace_when_it_is_made() {
    let (_family, _gateway, place) = with_a_stubborn_one();
    let ran = place.once(["--json"]);
    let (took, left) =
        (ran.json()["took_s"].as_f64().unwrap(), ran.subject("a")["remaining_s"].as_f64().unwrap());
    assert_eq!(ran.subject("first")["outcome"], "reaped", "{ran:?}");
    assert!(took >= 2.0 && left <= 3.0 - 1.9, "{ran:?}");
}

#[test]
fn watch_looks_when_it_is_due_however_long_a_teardown_took() {
    let (_family, gateway, place) = with_a_stubborn_one();
    let started = std::time::Instant::now();
    let running = place.reaper(["watch", "--interval", "60s"]).start();
    running.eventually("it was reaped", || gateway.reaps().len() == 2);
    let took = started.elapsed();
    running.signal(rustix::process::Signal::TERM);
    let ran = running.end();
    assert!(took < Duration::from_millis(4_900), "{took:?}: {ran:?}");
}
