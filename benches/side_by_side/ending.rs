//! Ending stubborn workers, alone and with a tree each: all of them ignore SIGTERM, so each takes the whole term timeout; together they
//! should take no longer.

use std::time::{Duration, Instant};

use gateway_reaper::demo::flavour::Flavour;
use gateway_reaper::demo::pinned::Pinned;
use rustix::process::Signal;

use crate::Effort;
use crate::run;
use crate::scene::Scene;
use crate::stats::median;

const TERM_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) trees: usize,
    pub(crate) processes: usize,
    /// By the term timeout.
    pub(crate) ratio: f64,
    /// The least that it can take, by the term timeout.
    pub(crate) floor: f64,
    pub(crate) cpu_ms: f64,
}

pub(crate) fn measure(trees: usize, flavour: Flavour, effort: Effort) -> Ending {
    let rounds = effort.choose(1, 3);
    let (mut ratios, mut floors, mut cpu_ms, mut processes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        let (scene, all) = Scene::stubborn(trees, flavour, TERM_TIMEOUT);
        floors.push(1.0 + kill(&all).as_secs_f64() / TERM_TIMEOUT.as_secs_f64());
        drop(scene);
        let (scene, all) = Scene::stubborn(trees, flavour, TERM_TIMEOUT);
        processes = all.len();
        let cost = run::cost(&mut scene.reaper(&["once"]));
        let left = all.iter().filter(|process| process.alive()).count();
        assert_eq!(left, 0, "of {processes} processes");
        ratios.push(cost.wall_ms / 1e3 / TERM_TIMEOUT.as_secs_f64());
        cpu_ms.push(cost.cpu_ms);
    }
    Ending { trees, processes, ratio: median(&ratios), floor: median(&floors), cpu_ms: median(&cpu_ms) }
}

/// What the kernel alone takes: SIGKILL through pidfds that are held already, until the last is gone.
fn kill(all: &[Pinned]) -> Duration {
    let started = Instant::now();
    for process in all {
        process.signal(Signal::KILL).unwrap();
    }
    while all.iter().any(Pinned::alive) {
        std::thread::sleep(Duration::from_millis(1));
    }
    started.elapsed()
}
