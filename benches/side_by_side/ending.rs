//! Ending stubborn workers, alone and with a tree each: all of them ignore SIGTERM, so each takes the whole term timeout; together they
//! should take no longer.

use std::time::{Duration, Instant};

use gateway_reaper::demo::flavour::Flavour;
use gateway_reaper::demo::gateway::Options;
use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::demo::protocol::{AtEndOfInput, CloseManner, NewSession, WorkerSpec};

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
        let stage = Stage::new(trees, flavour);
        let killed = stage.kill();
        floors.push(1.0 + killed.as_secs_f64() / TERM_TIMEOUT.as_secs_f64());
        let stage = Stage::new(trees, flavour);
        processes = stage.all.len();
        let cost = stage.end();
        ratios.push(cost.wall_ms / 1e3 / TERM_TIMEOUT.as_secs_f64());
        cpu_ms.push(cost.cpu_ms);
    }
    Ending { trees, processes, ratio: median(&ratios), floor: median(&floors), cpu_ms: median(&cpu_ms) }
}

/// Leaked sessions, each with its stubborn worker.
struct Stage {
    scene: Scene,
    all: Vec<Pinned>,
}

impl Stage {
    /// The gateway closes the sessions and leaves their workers alone, so that they fall to the reaper.
    fn new(trees: usize, flavour: Flavour) -> Self {
        let policy = format!(
            "grace = \"0s\"\nclose_timeout = \"0s\"\nterm_timeout = \"{}s\"\nmax_reaps = 1000\n",
            TERM_TIMEOUT.as_secs()
        );
        let mut scene = Scene::new(Options { close: CloseManner::Lazy, ..Options::default() }, &policy);
        let worker = WorkerSpec { flavour, at_end_of_input: AtEndOfInput::LiveOn, ..WorkerSpec::default() };
        for _ in 0..trees {
            scene.add_session(NewSession { worker, ..NewSession::default() }, None);
        }
        let families = scene.created.iter().map(|created| &created.worker);
        let all = families
            .flat_map(|worker| worker.family.iter().chain([&worker.pid]))
            .map(|&pid| Pinned::new(pid).unwrap())
            .collect();
        // Until the gateway has heard that the last client is gone.
        std::thread::sleep(Duration::from_millis(500));
        Self { scene, all }
    }

    /// What the kernel alone takes: SIGKILL through pidfds that are held already, until the last is gone.
    fn kill(self) -> Duration {
        let started = Instant::now();
        for process in &self.all {
            process.signal(Signal::KILL).unwrap();
        }
        while self.all.iter().any(Pinned::alive) {
            std::thread::sleep(Duration::from_millis(1));
        }
        started.elapsed()
    }

    fn end(self) -> run::Cost {
        let cost = run::cost(&mut self.scene.reaper(&["once"]));
        let left = self.all.iter().filter(|process| process.alive()).count();
        assert_eq!(left, 0, "of {} processes", self.all.len());
        cost
    }
}
