//! Ending stubborn workers, alone and with a tree each: all of them ignore SIGTERM, so each takes the whole term timeout; together they
//! should take no longer.

use std::time::Duration;

use gateway_reaper::demo::flavour::Flavour;
use gateway_reaper::demo::gateway::Options;
use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::demo::protocol::{AtEndOfInput, CloseManner, NewSession, WorkerSpec};

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
    pub(crate) cpu_ms: f64,
}

pub(crate) fn measure(trees: usize, flavour: Flavour, effort: Effort) -> Ending {
    let rounds = effort.choose(1, 3);
    let runs: Vec<(usize, run::Cost)> = (0..rounds).map(|_| end(trees, flavour)).collect();
    let ratios: Vec<f64> =
        runs.iter().map(|(_, cost)| cost.wall_ms / 1e3 / TERM_TIMEOUT.as_secs_f64()).collect();
    Ending {
        trees,
        processes: runs[0].0,
        ratio: median(&ratios),
        cpu_ms: median(&runs.iter().map(|(_, cost)| cost.cpu_ms).collect::<Vec<_>>()),
    }
}

/// The gateway closes the sessions and leaves their workers alone, so that they fall to the reaper.
fn end(trees: usize, flavour: Flavour) -> (usize, run::Cost) {
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
    let all: Vec<Pinned> = families
        .flat_map(|worker| worker.family.iter().chain([&worker.pid]))
        .map(|&pid| Pinned::new(pid).unwrap())
        .collect();
    // Until the gateway has heard that the last client is gone.
    std::thread::sleep(Duration::from_millis(500));
    let cost = run::cost(&mut scene.reaper(&["once"]));
    let left = all.iter().filter(|process| process.alive()).count();
    assert_eq!(left, 0, "of {} processes", all.len());
    (all.len(), cost)
}
