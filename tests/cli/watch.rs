//! `watch`: wakes at its interval and at due times, reloads, leaves in order, and says what is new once.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::{Answer, Gateway, orphan, table, with};
use crate::place::Place;

fn desk(policy: &str) -> (Gateway, Place) {
    let gateway = Gateway::start();
    let place = Place::with(&format!("[policy]\n{policy}\n{}", gateway.section("desk")));
    (gateway, place)
}

#[test]
fn it_wakes_when_something_is_due_long_before_its_interval_and_for_nothing_else() {
    let (gateway, place) = desk("grace = \"500ms\"");
    gateway.publish(&table(None, &[orphan("a")]));
    let hand = gateway.hand();
    gateway.when_reaping(move |_| {
        hand.publish(&table(None, &[]));
        Answer::reaped()
    });
    let running = place.reaper(["watch", "--interval", "1h"]).start();
    running.eventually("it was reaped", || running.out().contains("1 reaped"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(gateway.looks(), 3, "two at first sight, one when it was due, and none afterwards");
    running.signal(Signal::TERM);
    let ran = running.end();
    assert_eq!(ran.code, Some(0));
    assert_eq!(gateway.reaps(), ["a"]);
}

#[test]
fn sigterm_and_sigint_finish_the_reap_in_hand_and_exit_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let (gateway, place) = desk("grace = \"0s\"");
        gateway.publish(&table(None, &[orphan("a")]));
        gateway.on_reap("a", Answer::After(Duration::from_millis(600), Box::new(Answer::reaped())));
        let running = place.reaper(["watch", "--interval", "1h"]).start();
        running.eventually("the reap is under way", || !gateway.reaps().is_empty());
        running.signal(signal);
        let ran = running.end();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.contains("1 reaped"), "{ran:?}");
        assert_eq!(place.audit().last().unwrap()["outcome"], "reaped");
    }
}

#[test]
fn sighup_reads_the_configuration_again_and_every_grace_goes_on() {
    let (gateway, place) = desk("grace = \"1h\"");
    gateway.publish(&table(None, &[orphan("a")]));
    gateway.on_reap("a", Answer::reaped());
    let running = place.reaper(["watch", "--interval", "1h"]).start();
    running.eventually("it has looked", || running.out().contains("inside the grace"));
    std::thread::sleep(Duration::from_millis(400));

    place.write("reaper.toml", "[polcy]\n");
    running.signal(Signal::HUP);
    running.await_err("the configuration stays as it was");
    assert!(running.err().contains("reaper.toml:1"), "{}", running.err());

    // Due at once if the grace went on, in 400 ms if it started again.
    place.write("reaper.toml", format!("[policy]\ngrace = \"400ms\"\n{}", gateway.section("desk")));
    running.signal(Signal::HUP);
    running.eventually("it was reaped", || running.out().contains("1 reaped"));
    running.signal(Signal::TERM);
    let ran = running.end();
    let waited = &place.audit()[0]["evidence"]["waited_s"];
    assert!(waited.as_f64().unwrap() >= 0.4, "{waited}");
    assert!(!ran.err.contains("staying"));
    assert_eq!(
        (ran.code, gateway.looks()),
        (Some(0), 4),
        "two at first sight, one after each SIGHUP: {}",
        ran.err
    );
}

#[test]
fn sighup_says_that_graces_begin_under_a_new_name_of_a_gateway() {
    let (gateway, place) = desk("grace = \"1h\"");
    let running = place.reaper(["watch", "--interval", "1h"]).start();
    running.eventually("it has looked", || !running.out().is_empty());
    running.signal(Signal::HUP);
    running.await_err("every grace goes on\n");
    place.write("reaper.toml", format!("[policy]\ngrace = \"1h\"\n{}", gateway.section("table")));
    running.signal(Signal::HUP);
    running.await_err("every grace goes on, but for those of table: under a new name they begin");
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn a_reload_that_moves_the_state_directory_is_not_passed_over_in_silence() {
    let (gateway, place) = desk("grace = \"1h\"");
    let running = place.reaper(["watch", "--interval", "1h"]).start();
    running.eventually("it has looked", || !running.out().is_empty());
    place.write("reaper.toml", format!("[state]\ndir = \"elsewhere\"\n{}", gateway.section("desk")));
    running.signal(Signal::HUP);
    running.await_err("elsewhere");
    running.await_err("restart");
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, Some(0));
    assert!(!place.path("elsewhere").exists());
}

#[test]
fn a_gateway_that_is_down_is_said_once_and_again_when_it_is_back() {
    let (gateway, place) = desk("grace = \"0s\"");
    let running = place.reaper(["watch", "--interval", "100ms"]).start();
    running.eventually("it has looked", || gateway.looks() > 2);
    gateway.go_down();
    running.await_err("nothing listens at");
    std::thread::sleep(Duration::from_millis(500));
    gateway.publish(&table(None, &[orphan("a")]));
    gateway.on_reap("a", Answer::reaped());
    gateway.come_back();
    running.await_err("can be read again");
    running.eventually("it was reaped", || running.out().contains("1 reaped"));
    running.signal(Signal::TERM);
    let ran = running.end();
    assert_eq!(ran.err.matches("nothing listens at").count(), 1, "{}", ran.err);
    assert_eq!(ran.err.matches("can be read again").count(), 1, "{}", ran.err);
    assert!(!ran.out.contains("nothing listens"), "only the first report tells of everything: {}", ran.out);
    assert_eq!(ran.code, Some(0));
}

#[test]
fn a_gateway_that_is_down_is_asked_less_and_less_often() {
    let (gateway, place) = desk("grace = \"0s\"");
    gateway.answer(Answer::Says(500, String::new()));
    let running = place.reaper(["watch", "--interval", "100ms"]).start();
    std::thread::sleep(Duration::from_millis(2500));
    // Every interval would be 25 times.
    let looks = gateway.looks();
    assert!((2..=10).contains(&looks), "asked {looks} times");
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn a_second_run_on_the_same_memory_does_nothing_and_exits_4() {
    let (gateway, place) = desk("grace = \"0s\"");
    let running = place.reaper(["watch", "--interval", "1h"]).start();
    running.eventually("it has looked", || !running.out().is_empty());
    gateway.publish(&table(None, &[orphan("a")]));
    let looks = gateway.looks();
    for command in [&["once"][..], &["once", "--dry-run"], &["watch"]] {
        let ran = place.reaper(command.iter().copied()).run();
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(4)), "{ran:?}");
        let holder = format!(
            "gateway-reaper: another run holds {}: process {} ({} watch --interval 1h) since 20",
            place.state("lock").display(),
            running.pid(),
            crate::place::EXE
        );
        assert!(ran.err.starts_with(&holder) && ran.err.ends_with("Z; nothing was done\n"), "{ran:?}");
    }
    assert_eq!((gateway.looks(), gateway.reaps().len()), (looks, 0));
    assert_eq!(place.status([]).code, Some(0), "who only looks needs no lock");
    running.signal(Signal::KILL);
    assert_eq!(running.end().code, None);
    assert_eq!(place.once([]).code, Some(0), "a run that was killed holds no lock");
}

#[test]
fn a_watch_told_to_leave_while_it_waits_leaves_at_once() {
    let (_gateway, place) = desk("grace = \"1h\"");
    let running = place.reaper(["watch", "--interval", "1h"]).start();
    running.eventually("it has looked", || !running.out().is_empty());
    running.signal(Signal::INT);
    let ran = running.end();
    assert_eq!(ran.code, Some(0));
    assert!(ran.err.ends_with("leaving\n"), "{}", ran.err);
}

#[test]
fn the_same_lines_are_json_documents_when_asked_for() {
    let (gateway, place) = desk("grace = \"0s\"");
    gateway.publish(&table(None, &[orphan("a")]));
    let hand = gateway.hand();
    gateway.when_reaping(move |_| {
        hand.publish(&table(None, &[with(orphan("b"), "turn", json!("running"))]));
        Answer::reaped()
    });
    let running = place.reaper(["watch", "--json", "--interval", "100ms"]).start();
    running.eventually("a few looks were made", || gateway.looks() > 4);
    running.signal(Signal::TERM);
    let ran = running.end();
    let documents: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), 1, "a document for every look that was news: {}", ran.out);
    assert_eq!(documents[0]["totals"]["reaped"], 1);
}

#[test]
fn what_a_dry_run_would_reap_is_said_once_and_again_when_there_is_more() {
    let (gateway, place) = desk("grace = \"0s\"\ndry_run = true");
    gateway.publish(&table(None, &[orphan("a")]));
    let running = place.reaper(["watch", "--interval", "100ms"]).start();
    running.eventually("a few looks were made", || gateway.looks() > 6);
    gateway.publish(&table(None, &[orphan("a"), orphan("b")]));
    running.eventually("the other was told of", || running.out().contains("session b"));
    let looks = gateway.looks();
    running.eventually("a few more were made", || gateway.looks() > looks + 4);
    running.signal(Signal::TERM);
    let ran = running.end();
    assert_eq!(ran.out.matches("session a").count(), 2, "at first and beside the other: {}", ran.out);
    assert_eq!(ran.out.matches("session b").count(), 1, "{}", ran.out);
    assert!(gateway.reaps().is_empty());
}

#[test]
fn a_new_token_in_the_token_file_is_used_without_a_restart() {
    let (gateway, place) = desk("grace = \"0s\"");
    place.write("token", "one\n");
    place.write("reaper.toml", gateway.section("desk") + "token_file = \"token\"\n");
    gateway.ask_for("one");
    let running = place.reaper(["watch", "--interval", "100ms"]).start();
    running.eventually("it has looked", || gateway.looks() > 2);
    place.write("token", "two\n");
    gateway.ask_for("two");
    running
        .eventually("the new one was used", || gateway.asked().last().unwrap().head.contains("Bearer two"));
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn each_line_carries_the_time_and_a_failure_is_told_once_until_it_changes() {
    let (gateway, place) = desk("grace = \"0s\"");
    gateway.publish(&table(None, &[orphan("a")]));
    gateway.on_reap("a", Answer::Says(500, "no".into()));
    let running = place.reaper(["watch", "--interval", "100ms"]).start();
    running.eventually("it was tried a few times", || gateway.reaps().len() > 4);
    gateway.on_reap("a", Answer::Says(503, "no".into()));
    running.eventually("the other failure is told", || running.out().contains("503"));
    running.signal(Signal::TERM);
    let ran = running.end();
    assert_eq!((ran.out.matches(" 500 ").count(), ran.out.matches(" 503 ").count()), (1, 1), "{}", ran.out);
    for line in ran.out.lines() {
        let time = line.split("  ").next().unwrap();
        assert!(time.len() == 20 && time.ends_with('Z') && time.starts_with("20"), "{line}");
    }
}

#[test]
fn what_is_done_beside_a_failure_tells_the_failure_no_second_time() {
    let (gateway, place) = desk("grace = \"0s\"");
    gateway.publish(&table(None, &[orphan("stuck-1")]));
    gateway.on_reap("stuck-1", Answer::Says(500, "no".into()));
    let running = place.reaper(["watch", "--interval", "100ms"]).start();
    running.eventually("it was tried", || gateway.reaps().len() > 2);
    let hand = gateway.hand();
    gateway.on_reap("stuck-1", Answer::Says(500, "no".into()));
    gateway.when_reaping(move |_| {
        hand.publish(&table(None, &[orphan("stuck-1")]));
        Answer::reaped()
    });
    gateway.publish(&table(None, &[orphan("stuck-1"), orphan("other-1")]));
    running.eventually("the other is reaped", || running.out().contains("1 reaped"));
    running.signal(Signal::TERM);
    let ran = running.end();
    assert_eq!(ran.out.matches("stuck-1").count(), 1, "{}", ran.out);
    assert_eq!(ran.out.matches("other-1").count(), 1, "{}", ran.out);
}

#[test]
fn sigusr1_is_a_wish_for_a_look_and_ends_nothing() {
    let gateway = Gateway::start();
    let place = Place::with(&gateway.section("desk"));
    let running = place.reaper(["watch", "--interval", "1h"]).start();
    running.eventually("it has looked", || running.out().contains("desk"));
    let looks = gateway.looks();
    running.signal(Signal::USR1);
    running.eventually("it looks again", || gateway.looks() > looks);
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn a_failure_is_json_where_json_is_asked_for_and_a_busy_memory_is_no_news_where_it_is_quiet() {
    let gateway = Gateway::start();
    let place = Place::with(&gateway.section("desk"));
    let running = place.reaper(["watch", "--interval", "1h"]).start();
    running.eventually("it has looked", || running.out().contains("desk"));
    let busy = place.once(["--json"]);
    let error: serde_json::Value = serde_json::from_str(&busy.err).unwrap();
    assert_eq!((busy.code, busy.out.as_str(), &error["exit_code"]), (Some(4), "", &serde_json::json!(4)));
    let quiet = place.once(["-q"]);
    assert_eq!((quiet.code, quiet.out + &quiet.err), (Some(4), String::new()));
}

#[test]
fn what_is_held_is_held_also_where_the_state_directory_is_removed_under_a_watch() {
    let (gateway, place) = desk("grace = \"0s\"");
    gateway.on_reap("a", Answer::Says(500, String::new()));
    gateway.publish(&table(None, &[orphan("a")]));
    let running = place.reaper(["watch", "--interval", "100ms"]).start();
    running.eventually("it has tried", || !gateway.reaps().is_empty());
    assert_eq!(place.reaper(["hold", "a", "--for", "1h"]).run().code, Some(0));
    let looks = || gateway.looks();
    let passes = |more: usize| {
        let until = looks() + more;
        running.eventually("it looks", || looks() > until);
    };
    passes(2);
    let before = gateway.reaps().len();
    place.forget();
    passes(5);
    assert_eq!(gateway.reaps().len(), before, "{}", running.err());
    assert!(place.state("holds.json").exists());
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn a_state_directory_that_is_removed_under_a_watch_is_made_again_and_keeps_others_out() {
    let (gateway, place) = desk("grace = \"0s\"");
    gateway.on_reap("a", Answer::Says(500, String::new()));
    gateway.publish(&table(None, &[orphan("a")]));
    let running = place.reaper(["watch", "--interval", "100ms"]).start();
    running.eventually("it has tried", || gateway.reaps().len() > 1);
    place.forget();
    running.eventually("it remembers again", || place.state("ledger.json").exists());
    // What it says is read beside the test, and may come later than the file.
    let says = "was removed and is made again";
    running.eventually("it says so", || running.err().contains(says));
    assert_eq!(running.err().matches(says).count(), 1, "{}", running.err());
    let ran = place.once([]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    gateway.on_reap("a", Answer::reaped());
    running.eventually("it reaps on", || running.out().contains("reaped"));
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, Some(0));
}
