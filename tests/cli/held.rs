//! What comes while a run is under way, whose closes wait for their turn: no session is closed that was held meanwhile, or works.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;

use crate::cast::{gateway_of, pid, species, worker, worker_match};
use crate::gateway::{Answer, Gateway, orphan, orphan_with, table, with};
use crate::place::{Place, Ran};
use crate::support::family::{Family, Step, eventually, part};

/// Two sessions are due, and closed one after the other. Does `meanwhile` with the name of the second while the first is closed.
fn run_of_two(place: &Place, gateway: &Gateway, meanwhile: impl Fn(&str) + Send + Sync + 'static) -> Ran {
    let first = Arc::new(Mutex::new(None));
    gateway.when_reaping(move |id| {
        if first.lock().unwrap().get_or_insert_with(|| id.to_owned()) == id {
            meanwhile(if id == "one" { "two" } else { "one" });
        }
        Answer::reaped()
    });
    place.once_until("one was kept", |ran| {
        ["one", "two"].iter().any(|id| ran.subject(id)["outcome"] == "kept")
    })
}

fn policy(more: &str) -> String {
    format!("[policy]\ngrace = \"0s\"\ncloses_at_once = 1\n{more}")
}

/// 1 % of a core for 10 s is the least that counts as work.
fn has_worked(family: &Family, tag: &str) {
    let stat = format!("/proc/{}/stat", pid(family, tag));
    eventually("it has worked", || {
        let stat = std::fs::read_to_string(&stat).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11].parse::<u64>().unwrap() > 30
    });
}

#[test]
fn a_session_that_is_held_while_a_run_is_under_way_is_not_closed() {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("one"), orphan("two")]));
    let place = Arc::new(Place::with(&format!("{}{}", policy(""), gateway.section("desk"))));
    for command in ["hold", "pause"] {
        let asking = Arc::clone(&place);
        let ran = run_of_two(&place, &gateway, move |other| {
            let args =
                if command == "hold" { vec!["hold", other, "--for", "1h"] } else { vec!["pause", "1h"] };
            assert_eq!(asking.reaper(args).run().code, Some(0));
        });
        let kept = ["one", "two"].into_iter().find(|id| ran.subject(id)["outcome"] == "kept").unwrap();
        let why = ran.subject(kept)["detail"].clone();
        assert!(why.as_str().unwrap().starts_with("by hand: "), "{ran:?}");
        assert!(!gateway.reaps().iter().any(|id| id == kept), "{:?}", gateway.reaps());
        let end = if command == "hold" { vec!["release", kept] } else { vec!["resume"] };
        assert_eq!(place.reaper(end).run().code, Some(0));
    }
}

#[test]
fn a_session_whose_worker_begins_to_work_while_a_run_is_under_way_is_not_closed() {
    let waits = |key: &str| worker(key).then(Step::ComputeWhenTold);
    let family = Arc::new(gateway_of([waits("one"), waits("two")]).start(&["gateway", "one", "two"]));
    let gateway = Gateway::start();
    let rows = ["one", "two"].map(|id| orphan_with(id, pid(&family, id)));
    gateway.publish(&table(Some(pid(&family, "gateway")), &rows));
    let place = Place::with(&format!(
        "{}{}{}",
        policy("busy_cpu = \"1%\"\nclose_timeout = \"100ms\"\nterm_timeout = \"1s\"\n"),
        // The first close is answered once the other one's worker has worked, however busy the machine is.
        gateway.section("desk").replace("timeout = \"2s\"", "timeout = \"20s\""),
        worker_match()
    ));
    let working = Arc::clone(&family);
    let ran = run_of_two(&place, &gateway, move |other| {
        working.signal(other, Signal::USR1);
        has_worked(&working, other);
    });
    let kept = ["one", "two"].into_iter().find(|id| ran.subject(id)["outcome"] == "kept").unwrap();
    assert_eq!(ran.subject(kept)["detail"], "held by what was seen: worker-busy", "{ran:?}");
    assert!(!gateway.reaps().iter().any(|id| id == kept), "{:?}", gateway.reaps());
    assert!(!family.has_ended(kept) && !family.has_ended("gateway"));
}

/// Three sessions are due, and closed one after the other. The worker of the first stays, so that it is looked at again before it is signalled:
/// after the close of the second, in which the third begins to work, and before that of the third. `meanwhile` happens before that look.
fn seen_between_two_closes(meanwhile: impl Fn(&Gateway) + Send + Sync + 'static) {
    let ids = ["one", "two", "three"];
    let parts = ids.map(|id| worker(id).then(Step::Deaf).then(Step::ComputeWhenTold));
    let family = Arc::new(gateway_of(parts).start(&["gateway", "one", "two", "three"]));
    let gateway = Arc::new(Gateway::start());
    let row = |id: &str| orphan_with(id, pid(&family, id));
    gateway.publish(&table(Some(pid(&family, "gateway")), &ids.map(row)));
    let place = Place::with(&format!(
        "{}{}{}",
        policy("busy_cpu = \"1%\"\nclose_timeout = \"2100ms\"\nterm_timeout = \"1s\"\n"),
        gateway.section("desk").replace("timeout = \"2s\"", "timeout = \"20s\""),
        worker_match()
    ));
    let asked = Arc::new(Mutex::new(Vec::<String>::new()));
    let (working, closing, order) = (Arc::clone(&family), Arc::downgrade(&gateway), Arc::clone(&asked));
    gateway.when_reaping(move |id| {
        let mut asked = order.lock().unwrap();
        asked.push(id.to_owned());
        if asked.len() == 2
            && let (Some(third), Some(gateway)) =
                (ids.iter().find(|id| !asked.iter().any(|it| it == *id)), closing.upgrade())
        {
            working.signal(third, Signal::USR1);
            has_worked(&working, third);
            meanwhile(&gateway);
            // By then the first is to be looked at.
            return Answer::After(Duration::from_millis(2600), Box::new(Answer::reaped()));
        }
        Answer::reaped()
    });
    let ran = place.once_until("something was done", |ran| {
        ids.iter().any(|id| ran.out.contains(*id) && ran.subject(id)["outcome"].is_string())
    });
    let asked = asked.lock().unwrap();
    let third = ids.into_iter().find(|id| !asked[..2].iter().any(|it| it == id)).unwrap();
    assert_eq!(asked.len(), 2, "{third} works: {ran:?}");
    assert_eq!(ran.subject(third)["detail"], "held by what was seen: worker-busy", "{ran:?}");
    assert!(!family.has_ended(third) && !family.has_ended("gateway"));
}

#[test]
fn a_worker_that_another_look_saw_at_work_while_a_run_is_under_way_keeps_its_session() {
    seen_between_two_closes(|_| ());
}

#[test]
fn a_worker_at_work_keeps_its_session_also_where_another_look_could_read_no_table() {
    seen_between_two_closes(|gateway| gateway.answer(Answer::Says(500, String::new())));
}

/// A session whose daemon only its mark ties to it: adopted before any look, and in no group or session of the worker's.
fn with_a_daemon(computes: Step, policy: &str) -> (Family, Gateway, Place) {
    let mark = format!("{}_SESSION", species());
    let daemon = part("daemon").then(Step::NewSession).then(computes);
    let gone = part("gone").child(daemon).then(Step::Exit);
    let marked = worker("one").variable(&mark, "one").child(gone);
    let family = gateway_of([marked]).start(&["gateway", "one", "daemon"]);
    let gateway = Gateway::start();
    gateway.publish(&table(Some(pid(&family, "gateway")), &[orphan_with("one", pid(&family, "one"))]));
    gateway.on_reap("one", Answer::reaped());
    let place = Place::with(&format!(
        "{policy}busy_cpu = \"1%\"\n{}{}marker = \"{mark}\"\n",
        gateway.section("desk"),
        worker_match()
    ));
    (family, gateway, place)
}

#[test]
fn what_only_a_mark_ties_to_a_session_keeps_it_by_its_work() {
    let quick = policy("close_timeout = \"100ms\"\nterm_timeout = \"1s\"\n");
    let (family, gateway, place) = with_a_daemon(Step::Compute, &quick);
    for _ in 0..3 {
        let ran = place.once(["--json"]);
        assert_eq!(ran.subject("one")["detail"], "held by what was seen: worker-busy", "{ran:?}");
    }
    assert!(gateway.reaps().is_empty() && !family.has_ended("daemon"));
}

/// Every look looks at workers; for marks all processes are searched only at the first one and before an act.
#[test]
fn what_was_found_by_its_mark_is_measured_from_then_on() {
    let (family, gateway, place) = with_a_daemon(Step::ComputeWhenTold, "[policy]\ngrace = \"1h\"\n");
    let running = place.reaper(["watch", "--interval", "100ms"]).start();
    running.eventually("it has looked", || gateway.looks() > 5);
    family.signal("daemon", Signal::USR1);
    has_worked(&family, "daemon");
    let looks = gateway.looks();
    running.eventually("it has looked again", || gateway.looks() > looks + 3);
    running.signal(Signal::TERM);
    let ran = running.end();
    let ledger: serde_json::Value = serde_json::from_str(&place.read("state/ledger.json")).unwrap();
    let spent = ledger["ledger"]["spent"].as_array().unwrap();
    let of_daemon = spent.iter().find(|spent| spent[0]["pid"] == pid(&family, "daemon"));
    assert!(of_daemon.is_some_and(|spent| spent[1]["worked"].is_number()), "{ledger:#} {ran:?}");
}

#[test]
fn what_is_left_of_a_closed_session_is_not_signalled_once_an_operator_said_no() {
    for command in [&["hold", "a", "--for", "1h"][..], &["pause", "1h"]] {
        let family = gateway_of([worker("a")]).start(&["gateway", "a"]);
        let gateway = Gateway::start();
        let rows = [orphan_with("a", pid(&family, "a"))];
        gateway.publish(&table(Some(pid(&family, "gateway")), &rows));
        // Longer than a table is good for.
        let place = Arc::new(Place::with(&format!(
            "[policy]\ngrace = \"0s\"\nclose_timeout = \"2500ms\"\nterm_timeout = \"1s\"\n{}{}",
            gateway.section("desk"),
            worker_match()
        )));
        let (asking, hand, of) = (Arc::clone(&place), gateway.hand(), pid(&family, "gateway"));
        gateway.when_reaping(move |_| {
            assert_eq!(asking.reaper(command.iter().copied()).run().code, Some(0));
            hand.publish(&table(Some(of), &[]));
            Answer::reaped()
        });
        let ran = place.once_until("it was closed", |ran| ran.subject("a")["outcome"] == "reaped");
        let subject = ran.subject("a");
        assert!(subject["detail"].as_str().unwrap().starts_with("by hand: "), "{subject}");
        assert_eq!(subject["survivors"][0]["pid"], pid(&family, "a"), "{subject}");
        assert!(!family.has_ended("a"), "{command:?}: {subject}");
    }
}

/// A table that takes longer than a signal may be old says nothing of other gateways' sessions.
#[test]
fn a_gateway_that_is_slow_with_its_table_holds_up_nobody_elses_reaps() {
    let family = gateway_of([worker("one").then(Step::Deaf)]).start(&["gateway", "one"]);
    let (gateway, slow) = (Gateway::start(), Gateway::start());
    gateway.publish(&table(Some(pid(&family, "gateway")), &[orphan_with("one", pid(&family, "one"))]));
    gateway.on_reap("one", Answer::reaped());
    let empty = Answer::json(&table(None, &[]));
    slow.answer(Answer::After(Duration::from_millis(2300), Box::new(empty)));
    let place = Place::with(&format!(
        "{}{}{}{}",
        policy("close_timeout = \"100ms\"\nterm_timeout = \"100ms\"\n"),
        slow.section("slow").replace("timeout = \"2s\"", "timeout = \"20s\""),
        gateway.section("desk"),
        worker_match()
    ));
    let ran = place.once_until("it was tried", |ran| ran.subject("one")["outcome"].is_string());
    assert_eq!(ran.subject("one")["outcome"], "reaped", "{ran:?}");
    assert!(family.has_ended("one") && !family.has_ended("gateway"));
}

#[test]
fn of_holds_that_are_made_at_the_same_time_none_is_lost() {
    let gateway = Gateway::start();
    let ids = ["one", "two", "three", "four", "five", "six"];
    gateway.publish(&table(None, &ids.map(orphan)));
    let place = Place::with(&gateway.section("desk"));
    for _ in 0..8 {
        let holding = ids.map(|id| place.reaper(["hold", id, "--for", "1h"]).start());
        holding.into_iter().for_each(|running| assert_eq!(running.end().code, Some(0)));
        let held = place.reaper(["--json", "hold"]).run().json();
        assert_eq!(held["holds"].as_array().unwrap().len(), ids.len(), "{held:#}");
        let releasing = ids.map(|id| place.reaper(["release", id]).start());
        releasing.into_iter().for_each(|running| assert_eq!(running.end().code, Some(0)));
        assert_eq!(place.reaper(["--json", "hold"]).run().json()["holds"], serde_json::json!([]));
    }
}

/// The worker of a session that is closed has `close_timeout` to exit. Its gateway lists it no more.
#[test]
fn a_session_that_is_closed_and_whose_worker_is_still_to_be_ended_is_known_by_its_name() {
    let family = gateway_of([worker("talk-1")]).start(&["gateway", "talk-1"]);
    let gateway = Gateway::start();
    let hand = gateway.hand();
    let process = pid(&family, "gateway");
    let row = with(orphan_with("s1", pid(&family, "talk-1")), "key", "talk-1".into());
    gateway.publish(&table(Some(process), &[row]));
    gateway.when_reaping(move |_| {
        hand.publish(&table(Some(process), &[]));
        Answer::reaped()
    });
    let policy = "[policy]\ngrace = \"0s\"\nclose_timeout = \"4s\"\n";
    let place = Place::with(&format!("{policy}{}{}", gateway.section("desk"), worker_match()));
    let running = place.reaper(["once", "--json"]).start();
    running.eventually("it is closed", || !gateway.reaps().is_empty() && place.in_hand().contains("take"));
    let told = place.reaper(["explain", "s1"]).run();
    assert!(
        told.out.contains("session s1 of desk, key talk-1")
            && told.out.contains("now: its teardown is under way"),
        "{told:?}"
    );
    let held = place.reaper(["hold", "s1", "--for", "1h"]).run();
    assert!(held.code == Some(0) && held.out.starts_with("session s1 of desk is held for 1h"), "{held:?}");
    assert!(held.out.contains("its teardown is under way"), "{held:?}");
    let ran = running.end();
    assert!(ran.out.contains("by hand: held until"), "{ran:?}");
    assert!(!family.has_ended("talk-1"));
    // It is held by that name from then on, and once the run is over nothing is under way.
    assert!(place.once([]).out.contains("by hand: held until"));
    assert!(place.reaper(["explain", "s1"]).run().out.contains("now: not there"));
}

/// A run each minute, and a grace that is over at the first look without a client: by its gateway's own clocks the session is due, and nothing
/// tells yet what its worker did in that time.
#[test]
fn a_session_that_is_due_by_its_gateways_clocks_is_held_until_its_worker_was_looked_at_twice() {
    let gateway = Gateway::start();
    let due = |name: &'static str, more: &str| {
        let family = gateway_of([worker(name)]).start(&["gateway", name]);
        let row = with(orphan_with(name, pid(&family, name)), "detached_for_s", 100.into());
        gateway.publish(&table(Some(pid(&family, "gateway")), &[with(row, "idle_for_s", 100.into())]));
        gateway.on_reap(name, Answer::reaped());
        let quick = "[policy]\ngrace = \"300ms\"\nclose_timeout = \"100ms\"\nterm_timeout = \"1s\"\n";
        (family, Place::with(&format!("{quick}{more}{}{}", gateway.section("desk"), worker_match())))
    };
    let (family, place) = due("one", "busy_cpu = \"5%\"\n");
    let ran = place.once(["--json"]);
    assert_eq!(ran.subject("one")["detail"], "held by what was seen: unknown-worker-busy", "{ran:?}");
    assert!(gateway.reaps().is_empty());
    let ran = place.once_until("it was seen to rest", |ran| ran.subject("one")["outcome"] == "reaped");
    assert!(family.has_ended("one"), "{ran:?}");
    // Without that key nothing is measured, and nothing waits for it.
    let (_family, place) = due("two", "");
    let ran = place.once(["--json"]);
    assert_eq!(ran.subject("two")["outcome"], "reaped", "{ran:?}");
}

/// One that ends with its client may be due at the first look without that: what its worker does is measured before.
#[test]
fn a_worker_that_computed_while_its_client_was_there_keeps_a_session_that_ends_with_that() {
    let family = gateway_of([worker("one").then(Step::Compute)]).start(&["gateway", "one"]);
    let gateway = Gateway::start();
    let row = with(orphan_with("one", pid(&family, "one")), "close_on_disconnect", true.into());
    let publish = |row| gateway.publish(&table(Some(pid(&family, "gateway")), &[row]));
    publish(with(row.clone(), "transport", "attached".into()));
    let more = format!("{}{}", gateway.section("desk"), worker_match());
    let place = Place::with(&format!("[policy]\nbusy_cpu = \"1%\"\n{more}"));
    assert_eq!(place.once(["--json"]).subject("one")["reason"], "attached");
    let ledger: serde_json::Value = serde_json::from_str(&place.read("state/ledger.json")).unwrap();
    let spent = ledger["ledger"]["spent"].as_array().unwrap();
    assert!(spent.iter().any(|spent| spent[0]["pid"] == pid(&family, "one")), "{ledger:#}");
    publish(row);
    let ran = place.once(["--json"]);
    assert_eq!(ran.subject("one")["detail"], "held by what was seen: worker-busy", "{ran:?}");
}
