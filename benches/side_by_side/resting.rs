//! A resting `watch`, beside the floor: the CPU of one poll, read from the kernel's account of the process and of nothing else.

use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gateway_reaper::demo::pinned::Pinned;
use rustix::process::Signal;

use crate::floor::Floor;
use crate::scene::Scene;
use crate::stats::median;
use crate::{Effort, machine};

const INTERVAL: Duration = Duration::from_millis(200);
/// The default interval.
const REST: Duration = Duration::from_secs(5);
/// The account is read that often, so that one poll and the next are told apart by the rest between them.
const SAMPLE: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(crate) struct Resting {
    pub(crate) processes: usize,
    pub(crate) polls: usize,
    pub(crate) poll_ms: f64,
    pub(crate) floor_ms: f64,
    /// Of a core, at the default interval of 5 s.
    pub(crate) share: f64,
    /// The floor's, at the same interval: how much of it is the machine's, whose caches have grown cold and whose clock is slow after a rest.
    pub(crate) floor_share: f64,
    /// Times that it went to sleep, by polls: once for the table's answer, once until the next poll.
    pub(crate) sleeps: f64,
    pub(crate) peak_kb: u64,
}

pub(crate) fn measure(scene: &Scene, effort: Effort) -> Resting {
    let mut floor = Floor::new(scene.gateway.pid(), scene.gateway.address());
    let watch = Watch::start(scene, "200ms");
    sleep(Duration::from_secs(1));
    let (mut polls, mut floors) = (Vec::new(), Vec::new());
    let mut sleeps = 0;
    for _ in 0..effort.choose(2, 10) {
        let before = watch.sleeps();
        polls.extend(watch.polls(10));
        sleeps += watch.sleeps() - before;
        floors.extend((0..10).map(|_| floor.poll(INTERVAL)));
    }
    let peak_kb = watch.status("VmHWM:");
    drop(watch);
    Resting {
        processes: machine::processes(),
        polls: polls.len(),
        poll_ms: median(&polls),
        floor_ms: median(&floors),
        share: share(scene, effort),
        floor_share: floor_share(&mut floor, effort),
        // One poll more than was counted begins or ends in each round.
        sleeps: sleeps as f64 / polls.len() as f64,
        peak_kb,
    }
}

/// The share of a core at the default interval, where caches have grown cold between two polls.
fn share(scene: &Scene, effort: Effort) -> f64 {
    let watch = Watch::start(scene, &format!("{}s", REST.as_secs()));
    // The first two get to know the gateway.
    sleep(Duration::from_secs(7));
    let (started, before) = (Instant::now(), watch.cpu_ms());
    sleep(Duration::from_secs(effort.choose(10, 30)));
    (watch.cpu_ms() - before) / 1e3 / started.elapsed().as_secs_f64()
}

/// The same of the floor, alone.
fn floor_share(floor: &mut Floor, effort: Effort) -> f64 {
    let polls: Vec<f64> = (0..effort.choose(2, 6)).map(|_| floor.poll(REST)).collect();
    polls.iter().sum::<f64>() / 1e3 / (polls.len() as f64 * REST.as_secs_f64())
}

/// A running `watch`; ends when dropped.
pub(crate) struct Watch {
    child: Child,
    pinned: Pinned,
}

impl Watch {
    pub(crate) fn start(scene: &Scene, interval: &str) -> Self {
        let mut command = scene.reaper(&["watch", "--interval", interval]);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let pinned = Pinned::new(child.id()).unwrap();
        Self { child, pinned }
    }

    /// CPU time so far. The process has one thread, so its account is the process's.
    pub(crate) fn cpu_ms(&self) -> f64 {
        let account = fs::read_to_string(format!("/proc/{}/schedstat", self.pinned.pid())).unwrap();
        let nanos: f64 = account.split(' ').next().unwrap().parse().unwrap();
        nanos / 1e6
    }

    pub(crate) fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pinned.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_ascii_whitespace().next().unwrap().parse().unwrap()
    }

    fn sleeps(&self) -> u64 {
        self.status("voluntary_ctxt_switches:")
    }

    /// The CPU time of so many polls, each from rest to rest.
    fn polls(&self, number: usize) -> Vec<f64> {
        let mut polls = Vec::with_capacity(number);
        let (mut at_rest, mut last) = (self.cpu_ms(), self.cpu_ms());
        let mut in_a_poll = true;
        let mut synced = false;
        while polls.len() < number {
            sleep(SAMPLE);
            let now = self.cpu_ms();
            if now > last {
                in_a_poll = true;
            } else if in_a_poll {
                // The first may have been under way already.
                if std::mem::replace(&mut synced, true) && now > at_rest {
                    polls.push(now - at_rest);
                }
                (in_a_poll, at_rest) = (false, now);
            }
            last = now;
        }
        polls
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.pinned.signal(Signal::TERM);
        let _ = self.child.wait();
    }
}
