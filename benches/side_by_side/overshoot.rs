//! How late a session's worker is gone: from the moment its grace is over, in `watch`, with a gateway that does as it is asked.

use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use gateway_reaper::demo::gateway::Options;
use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::demo::protocol::NewSession;

use crate::Effort;
use crate::resting::Watch;
use crate::scene::Scene;
use crate::stats::quantile;

const GRACE: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct Overshoot {
    pub(crate) sessions: usize,
    pub(crate) median_ms: f64,
    pub(crate) worst_ms: f64,
}

pub(crate) fn measure(effort: Effort) -> Overshoot {
    let policy = format!("grace = \"{}s\"\n", GRACE.as_secs());
    let mut scene = Scene::new(Options::default(), &policy);
    let watch = Watch::start(&scene, "1s");
    sleep(Duration::from_secs(1));
    // The gateway hears of it a moment after the client has gone; that moment is counted against the reaper.
    let mut going = Vec::new();
    for _ in 0..effort.choose(5, 40) {
        scene.add_session(NewSession::default(), None);
        let due = Instant::now() + GRACE;
        let worker = Pinned::new(scene.created.last().unwrap().worker.pid).unwrap();
        going.push(thread::spawn(move || gone_after(&worker, due)));
        sleep(Duration::from_millis(130));
    }
    let late: Vec<f64> = going.into_iter().map(|one| one.join().unwrap()).collect();
    drop(watch);
    Overshoot { sessions: late.len(), median_ms: quantile(&late, 0.5), worst_ms: quantile(&late, 1.0) }
}

fn gone_after(worker: &Pinned, due: Instant) -> f64 {
    while worker.alive() {
        assert!(Instant::now() < due + GRACE, "worker {worker} was not reaped");
        sleep(Duration::from_micros(500));
    }
    (Instant::now() - due).as_secs_f64() * 1e3
}
