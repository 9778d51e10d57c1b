//! Whether deciding is linear: a hundred thousand sessions with their workers, and ten times as many.

use std::time::Instant;

use gateway_reaper::domain::decide::decide;

use crate::Effort;
use crate::crowd::Crowd;
use crate::stats::median;

#[derive(Debug)]
pub(crate) struct Linear {
    pub(crate) some: usize,
    pub(crate) some_ms: f64,
    pub(crate) many: usize,
    pub(crate) many_ms: f64,
}

pub(crate) fn measure(effort: Effort) -> Linear {
    let (some, many) = (100_000, 1_000_000);
    let rounds = effort.choose(3, 9);
    let (few_crowd, many_crowd) = (Crowd::of(some), Crowd::of(many));
    let time = |crowd: &Crowd| {
        let started = Instant::now();
        let decision = decide(&crowd.seen, &crowd.memory, &crowd.rules, crowd.now);
        let took = started.elapsed().as_secs_f64() * 1e3;
        drop(decision);
        took
    };
    let (few_ms, many_ms): (Vec<_>, Vec<_>) =
        (0..rounds).map(|_| (time(&few_crowd), time(&many_crowd))).unzip();
    Linear { some, some_ms: median(&few_ms), many, many_ms: median(&many_ms) }
}
