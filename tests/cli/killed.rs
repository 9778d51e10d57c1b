//! The reaper killed at any moment with reaps in hand: the next runs finish them. Nothing is leaked, nothing live is taken, and nothing
//! stays in hand.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cast::{gateway_of, pid, worker, worker_match};
use crate::gateway::{Answer, Gateway, orphan, orphan_with, table, with};
use crate::place::{EXE, Place};
use crate::privileges::left_out;
use crate::running::eventually;
use crate::support::family::{Family, Step, part};

/// A session with a worker and its descendants, an ownerless worker, and a bystander with a session in use; and their gateway.
struct Scene {
    family: Arc<Family>,
    gateway: Gateway,
    place: Place,
}

const ORPHANS: [&str; 5] = ["w", "child", "far", "lost", "lost-child"];
const EVERYBODY: [&str; 7] = ["w", "child", "far", "lost", "lost-child", "gateway", "bystander"];

fn row(family: &Family, tag: &str) -> Value {
    with(orphan_with(&format!("session-{tag}"), pid(family, tag)), "key", json!(tag))
}

fn rows(family: &Family, with_orphan: bool) -> Value {
    let bystander = with(row(family, "bystander"), "transport", json!("attached"));
    let mut rows = vec![bystander];
    rows.extend(with_orphan.then(|| row(family, "w")));
    table(Some(pid(family, "gateway")), &rows)
}

impl Scene {
    /// `close`: how the gateway closes the session, once it has dropped it from its table.
    fn set(
        worker_is: impl FnOnce(crate::support::family::Part) -> crate::support::family::Part,
        close: impl Fn(&Family) + Send + Sync + 'static,
    ) -> Self {
        let w = worker_is(worker("w").child(part("child")).child(part("far").then(Step::NewSession)));
        let lost = worker("lost").child(part("lost-child").then(Step::NewSession));
        let family = Arc::new(gateway_of([w, lost, worker("bystander")]).start(&EVERYBODY));
        let gateway = Gateway::start();
        gateway.publish(&rows(&family, true));
        let gateway_side = gateway.hand();
        let closing = Arc::clone(&family);
        gateway.when_reaping(move |id| {
            if id != "session-w" {
                return Answer::kept("attached");
            }
            gateway_side.publish(&rows(&closing, false));
            close(&closing);
            Answer::reaped()
        });
        let place = Place::with(&format!(
            "[policy]\ngrace = \"0s\"\nworker_grace = \"0s\"\nclose_timeout = \"100ms\"\nterm_timeout = \"200ms\"\n{}{}",
            gateway.section("desk"),
            worker_match()
        ));
        Self { family, gateway, place }
    }

    /// Runs it until nothing is left to do, and looks who is there.
    fn finish(&self, what: &str) {
        let gone = |tag: &&str| self.family.has_ended(tag);
        let mut last = None;
        for _ in 0..20 {
            let ran = self.place.once(["--json"]);
            assert!(ran.code == Some(0), "{what}: {ran:#?}");
            let done = ORPHANS.iter().all(gone) && self.place.in_hand().is_empty();
            last = Some(ran);
            if done {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let left: Vec<_> = ORPHANS.iter().filter(|tag| !gone(tag)).collect();
        assert!(
            left.is_empty(),
            "{what}: leaked {left:?}; in hand: {:?}; the last run: {last:#?}",
            self.place.in_hand()
        );
        assert_eq!(self.place.in_hand(), "", "{what}");
        for tag in ["gateway", "bystander"] {
            assert!(!self.family.has_ended(tag), "{what}: took {tag}");
        }
        // Each of the two orphans is counted once, whichever run ended it, and whichever was killed.
        let audit = self.place.read("state/audit.jsonl");
        assert_eq!(counted_reaps(&self.place), 2, "{what}: {}\n{audit}", metrics(&self.place));
        let told = self.place.reaper(["--json", "history"]).run().json()["totals"].clone();
        let reaped = told["reaped"].as_u64().unwrap() + told["gone"].as_u64().unwrap();
        assert_eq!(reaped, 2, "{what}: {told}\n{audit}");
    }
}

/// How many orphans are gone by the reaper's doing, or were gone already, as the metrics have it.
fn counted_reaps(place: &Place) -> u64 {
    let metrics = metrics(place);
    let reaps = metrics.lines().filter(|line| line.starts_with("gateway_reaper_reaps_total{"));
    let gone = reaps.filter(|line| line.contains("\"reaped\"") || line.contains("\"gone\""));
    gone.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

fn kill_when(scene: &Scene, what: &str, mut when: impl FnMut() -> bool) {
    kill_once(scene, what, &mut when);
    scene.finish(what);
}

fn kill_once(scene: &Scene, what: &str, when: &mut dyn FnMut() -> bool) {
    let mut running = scene.place.reaper(["once"]).start();
    eventually(what, || when() || running.has_ended(), || scene.place.read("state/audit.jsonl"));
    running.signal(Signal::KILL);
    assert_eq!(running.end().code, None, "{what}: it was over before it could be killed");
}

fn told(place: &Place, step: &str, id: &str) -> bool {
    place
        .read("state/audit.jsonl")
        .lines()
        .any(|line| line.contains(&format!("\"step\":\"{step}\"")) && line.contains(id))
}

#[test]
fn while_the_gateway_has_not_closed_the_session_yet() {
    let scene = Scene::set(|worker| worker, |_| ());
    scene.gateway.on_reap("session-w", Answer::Hangs);
    kill_once(&scene, "asked", &mut || !scene.gateway.reaps().is_empty());
    scene.gateway.forget_answer("session-w");
    scene.finish("asked");
}

#[test]
fn after_the_gateway_closed_the_session_and_before_it_said_so() {
    let scene = Scene::set(
        |worker| worker,
        |family| {
            family.kill("w");
            std::thread::sleep(Duration::from_secs(3));
        },
    );
    kill_when(&scene, "closed", || scene.family.has_ended("w"));
}

#[test]
fn while_a_worker_that_will_not_go_has_its_time_after_sigterm() {
    let scene = Scene::set(|worker| worker.then(Step::Deaf), |_| ());
    let text = scene.place.read("reaper.toml");
    scene.place.write("reaper.toml", text.replace("term_timeout = \"200ms\"", "term_timeout = \"5s\""));
    let mut running = scene.place.reaper(["once"]).start();
    running.eventually("it was asked to end", || told(&scene.place, "SIGTERM", "session-w"));
    assert!(!running.has_ended());
    running.signal(Signal::KILL);
    assert_eq!(running.end().code, None);
    assert!(!scene.place.in_hand().is_empty());
    scene.place.write("reaper.toml", text);
    scene.finish("after SIGTERM");
}

/// A gateway that closes one session at once, and of the other one never says whether it did.
fn desk_with_one_that_hangs() -> (Gateway, Place) {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("gone-1"), orphan("hangs-1")]));
    gateway.on_reap("gone-1", Answer::reaped());
    gateway.on_reap("hangs-1", Answer::Hangs);
    let place = Place::with(&format!(
        "[policy]\ngrace = \"0s\"\nclose_timeout = \"30s\"\n{}",
        gateway.section("desk").replace("2s", "60s")
    ));
    (gateway, place)
}

fn metrics(place: &Place) -> String {
    place.reaper(["metrics"]).run().out
}

#[test]
fn right_after_a_reap_which_the_next_run_counts_once() {
    let (gateway, place) = desk_with_one_that_hangs();
    let running = place.reaper(["once"]).start();
    running.eventually("one is closed", || gateway.reaps().len() == 2);
    gateway.publish(&table(None, &[orphan("hangs-1")]));
    running.signal(Signal::KILL);
    assert_eq!(running.end().code, None);
    assert_eq!(counted_reaps(&place), 0, "the run has no end yet");
    // A run that only looks counts it as well, and no later one does so again.
    for _ in 0..2 {
        assert_eq!(place.once(["--dry-run"]).code, Some(0));
        let metrics = metrics(&place);
        for line in [
            "gateway_reaper_reaps_total{orphan=\"detached-session\",outcome=\"reaped\"} 1",
            "gateway_reaper_runs_total{result=\"interrupted\"} 1",
            "gateway_reaper_steps_total{step=\"close\"} 2",
        ] {
            assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
        }
    }
    // The other one's end is counted by the run that sees it.
    gateway.on_reap("hangs-1", Answer::reaped());
    assert_eq!(place.once([]).code, Some(0));
    assert_eq!(counted_reaps(&place), 2, "{}", metrics(&place));
}

#[test]
fn while_its_gateway_closes_a_session_that_the_next_run_finds_gone() {
    let (gateway, place) = desk_with_one_that_hangs();
    gateway.publish(&table(None, &[orphan("hangs-1")]));
    let running = place.reaper(["once"]).start();
    running.eventually("it is asked", || gateway.reaps() == ["hangs-1"]);
    running.signal(Signal::KILL);
    assert_eq!(running.end().code, None);
    // Whether it was closed only its table can say.
    gateway.go_down();
    assert_eq!(place.once([]).code, Some(3));
    assert_eq!(counted_reaps(&place), 0);
    gateway.come_back();
    gateway.publish(&table(None, &[]));
    for _ in 0..2 {
        assert_eq!(place.once([]).code, Some(0));
        assert_eq!(counted_reaps(&place), 1, "{}", metrics(&place));
    }
    let told = place.reaper(["explain", "hangs-1"]).run().out;
    assert!(told.contains("-> reaped: its run was killed, and the next one found it gone; how much memory came back isn't known (run "), "{told}");
}

#[test]
fn right_after_a_signal() {
    let scene = Scene::set(|worker| worker, |family| family.kill("w"));
    assert_eq!(scene.place.once(["--dry-run"]).code, Some(0));
    let running = scene.place.reaper(["once"]).start();
    running.eventually("it was asked to end", || told(&scene.place, "SIGTERM", "\"key\":\"lost\""));
    running.signal(Signal::KILL);
    running.end();
    scene.finish("signalled");
    let worker = scene.family.pid("lost").to_string();
    let story = scene.place.reaper(["explain", &worker]).run().out;
    assert!(story.contains("-> reaped"), "{story}");
}

#[test]
fn while_the_worker_is_gone_and_its_descendants_are_not() {
    let deaf = |tag: &str| part(tag).then(Step::NewSession).then(Step::Deaf);
    let w = worker("w").child(deaf("far")).child(part("child"));
    let family = gateway_of([w]).start(&["gateway", "w", "far", "child"]);
    let gateway = Gateway::start();
    gateway.publish(&table(Some(pid(&family, "gateway")), &[]));
    let config = format!(
        "[policy]\nworker_grace = \"0s\"\nterm_timeout = \"5s\"\n{}{}",
        gateway.section("desk"),
        worker_match()
    );
    let place = Place::with(&config);
    let running = place.reaper(["once"]).start();
    running.eventually("the worker is gone", || family.has_ended("w"));
    running.signal(Signal::KILL);
    assert_eq!(running.end().code, None);
    assert!(!family.has_ended("far"));
    place.write("reaper.toml", config.replace("5s", "100ms"));
    let ran = place.once(["--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(family.has_ended("far") && family.has_ended("child") && !family.has_ended("gateway"));
    assert_eq!(place.once([]).code, Some(0));
    assert_eq!(place.in_hand(), "");
}

/// The calls by which the reaper changes anything, or hears of a change.
const CALLS: &str = "write,pwrite64,openat,rename,renameat2,unlink,pidfd_open,pidfd_send_signal,sendto,recvfrom,epoll_wait,epoll_pwait";

fn strace(place: &Place, options: &[&str]) -> crate::place::Reaper {
    let mut reaper = place.program("strace", ["-f", "-qq"]);
    reaper.command.args(options).args(["--", EXE, "once"]);
    reaper
}

/// How often each call is made by a whole run, and how often of these before the table was read for the last time.
fn counted(trace: &Path) -> BTreeMap<String, (usize, usize)> {
    let text = std::fs::read_to_string(trace).unwrap();
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for line in text.lines() {
        let call = line.split_once(' ').map_or(line, |(_, rest)| rest).trim();
        let Some((name, rest)) = call.split_once('(') else { continue };
        if rest.contains("GET /sessions") {
            counts.values_mut().for_each(|count| count.1 = count.0);
        }
        counts.entry(name.to_owned()).or_default().0 += 1;
    }
    counts
}

fn deaf_scene() -> Scene {
    let scene = Scene::set(|worker| worker.then(Step::Deaf), |family| family.kill("child"));
    // So that there is something to lose.
    assert_eq!(scene.place.once(["--dry-run"]).code, Some(0));
    scene
}

/// How many runs the metrics tell of. What they are kept in is whole at any moment.
fn counted_runs(place: &Place) -> u64 {
    let run: serde_json::Value = serde_json::from_str(&place.read("state/last_run.json")).expect("whole");
    run["counters"]["runs"]["ok"].as_u64().expect("a count")
}

fn can_trace() -> bool {
    let tried = std::process::Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    tried.is_ok_and(|ran| ran.status.success())
}

/// Kills it at every `stride`th call that it makes after it has read the table.
fn at_calls(test: &str, stride: usize) {
    if !can_trace() {
        return left_out(test, "strace");
    }
    let scene = deaf_scene();
    let trace = scene.place.path("trace");
    let whole = strace(&scene.place, &["-e", &format!("trace={CALLS}"), "-o", trace.to_str().unwrap()]).run();
    assert_eq!(whole.code, Some(0), "{whole:?}");
    scene.finish("nobody killed it");
    let points = counted(&trace)
        .into_iter()
        .flat_map(|(call, (all, before))| (before + 1..=all).map(move |nth| (call.clone(), nth)));
    let points: Vec<_> = points.step_by(stride).collect();
    assert!(points.len() > 3, "{points:?}");
    let killed = AtomicUsize::new(0);
    let next = AtomicUsize::new(0);
    let take_points = || {
        while let Some((call, nth)) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
            let scene = deaf_scene();
            let inject = format!("inject={call}:signal=KILL:when={nth}");
            let ran =
                strace(&scene.place, &["-e", &format!("trace={call}"), "-e", &inject, "-o", "/dev/null"])
                    .run();
            killed.fetch_add(usize::from(ran.code.is_none()), Ordering::Relaxed);
            let runs = counted_runs(&scene.place);
            assert!((1..=2).contains(&runs), "killed at {call} {nth}: {runs} runs are counted");
            scene.finish(&format!("killed at {call} {nth}"));
            assert!(counted_runs(&scene.place) > runs, "killed at {call} {nth}: the counters don't go on");
        }
    };
    // Most of it is waiting for deaf workers.
    std::thread::scope(|scope| (0..6).for_each(|_| drop(scope.spawn(take_points))));
    let killed = killed.into_inner();
    // Waits and what they see differ from run to run, so some points may not come again.
    assert!(killed * 2 > points.len(), "only {killed} of {} were reached", points.len());
}

#[test]
fn at_some_calls_that_it_makes() {
    at_calls("at_some_calls_that_it_makes", 20);
}

#[test]
#[ignore = "long: kills at every call that it makes"]
fn at_every_call_that_it_makes() {
    at_calls("at_every_call_that_it_makes", 1);
}
