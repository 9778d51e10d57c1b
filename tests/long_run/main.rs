//! An hour of `watch` with sessions that come and go by the thousand: memory, descriptors and the CPU of a poll stay what they were.
//!
//! `cargo test --release --test long_run -- --ignored --nocapture`; `GATEWAY_REAPER_LONG_RUN=10m` makes it shorter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

#[path = "../support/scene.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod scene;

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gateway_reaper::demo::flavour::Flavour;
use gateway_reaper::demo::gateway::Options;
use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::demo::protocol::{NewSession, WorkerSpec};
use rustix::process::Signal;
use scene::Scene;

/// Sessions with a client, at any time.
const LIVE: usize = 25;
const EVERY: Duration = Duration::from_millis(100);
/// So long after its client has gone a session's worker is surely gone, on a busy machine as well: a grace of one second, and patience.
const SETTLED: Duration = Duration::from_secs(20);

/// A running `watch`, whose runs are counted by what it narrates; ends when dropped.
struct Watch {
    child: Child,
    pinned: Pinned,
    runs: Arc<AtomicU64>,
}

/// What it has and has used, at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    rss_kb: f64,
    descriptors: f64,
    /// Since the sample before.
    cpu_us_a_run: f64,
}

impl Watch {
    fn start(scene: &Scene) -> Self {
        let mut command = scene.reaper(&["-v", "watch", "--interval", "500ms"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let pinned = Pinned::new(child.id()).unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let runs = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&runs);
        thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if line.contains("run finished") {
                    counted.fetch_add(1, Ordering::Relaxed);
                } else if line.contains("ERROR") || line.contains("WARN") {
                    println!("{line}");
                }
            }
        });
        Self { child, pinned, runs }
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.pinned.pid())).expect("watch has ended")
    }

    fn cpu_ns(&self) -> f64 {
        self.read("schedstat").split(' ').next().unwrap().parse().unwrap()
    }

    fn rss_kb(&self) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_ascii_whitespace().next().unwrap().parse().unwrap()
    }

    fn descriptors(&self) -> f64 {
        fs::read_dir(format!("/proc/{}/fd", self.pinned.pid())).unwrap().count() as f64
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.pinned.signal(Signal::TERM);
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "how long it runs is the tester's choice")]
fn length() -> Duration {
    let text = std::env::var("GATEWAY_REAPER_LONG_RUN").unwrap_or_else(|_| "1h".into());
    humantime::parse_duration(&text).expect("GATEWAY_REAPER_LONG_RUN is a duration, like 10m")
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn a_worker(number: u64) -> WorkerSpec {
    let flavour = if number.is_multiple_of(10) { Flavour::Family } else { Flavour::Plain };
    WorkerSpec { flavour, ..WorkerSpec::default() }
}

#[test]
#[ignore = "takes an hour, or as long as GATEWAY_REAPER_LONG_RUN says"]
#[expect(clippy::disallowed_methods, reason = "it runs for a time")]
fn an_hour_of_sessions_that_come_and_go_leaves_watch_as_it_was() {
    let length = length();
    let mut scene = Scene::new(Options::default(), "grace = \"1s\"\n");
    let watch = Watch::start(&scene);
    let mut gone: VecDeque<(Instant, Pinned)> = VecDeque::new();
    let mut live: VecDeque<Pinned> = VecDeque::new();
    let mut samples = Vec::new();
    let (mut sessions, mut cpu, mut runs) = (0_u64, watch.cpu_ns(), 0);
    let started = Instant::now();
    let mut sampled = started;
    while started.elapsed() < length {
        scene.add_session(NewSession { worker: a_worker(sessions), ..NewSession::default() }, Some(false));
        live.push_back(Pinned::new(scene.created.pop().unwrap().worker.pid).unwrap());
        sessions += 1;
        if live.len() > LIVE {
            scene.drop_oldest_client();
            gone.extend(live.pop_front().map(|worker| (Instant::now(), worker)));
        }
        while gone.front().is_some_and(|(at, _)| at.elapsed() > SETTLED) {
            let Some((_, worker)) = gone.pop_front() else { break };
            assert!(!worker.alive(), "worker {worker} was left behind");
        }
        if let Some(dead) = live.iter().find(|worker| !worker.alive()) {
            panic!("worker {dead} had a client and was taken");
        }
        if sampled.elapsed() > length / 400 {
            sampled = Instant::now();
            let (cpu_now, runs_now) = (watch.cpu_ns(), watch.runs.load(Ordering::Relaxed));
            let cpu_us_a_run = (cpu_now - cpu) / 1e3 / (runs_now - runs).max(1) as f64;
            samples.push(Sample { rss_kb: watch.rss_kb(), descriptors: watch.descriptors(), cpu_us_a_run });
            (cpu, runs) = (cpu_now, runs_now);
        }
        thread::sleep(EVERY);
    }
    println!("{sessions} sessions in {length:?}, {runs} runs");
    let quarters: Vec<&[Sample]> = samples.chunks(samples.len().div_ceil(4)).collect();
    let figures: Vec<[f64; 3]> = quarters
        .iter()
        .map(|quarter| {
            let median = |of: fn(&Sample) -> f64| median(quarter, of);
            [median(|s| s.rss_kb), median(|s| s.descriptors), median(|s| s.cpu_us_a_run)]
        })
        .collect();
    for (number, [rss, descriptors, cpu]) in figures.iter().enumerate() {
        println!("quarter {}: {rss:.0} kB, {descriptors:.0} descriptors, {cpu:.0} µs a run", number + 1);
    }
    // In the first quarter buffers find their size.
    let ([rss, descriptors, cpu], [rss_then, descriptors_then, cpu_then]) = (figures[1], figures[3]);
    assert!(rss_then <= rss * 1.05, "memory grew from {rss} to {rss_then} kB");
    assert!(
        descriptors_then <= descriptors + 2.0,
        "descriptors grew from {descriptors} to {descriptors_then}"
    );
    assert!(cpu_then <= cpu * 1.5, "the CPU of a run grew from {cpu} to {cpu_then} µs");
}
