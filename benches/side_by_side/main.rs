//! The reaper beside what else could look at processes: `ps`, `pgrep`, psutil and proc-janitor, in one run on one machine.
//!
//! `cargo bench --bench side_by_side` prints the tables and writes them to `BENCHMARKS.md`; with `-- --quick` it prints them, from fewer
//! runs. What is compared runs in turns, so that a busy neighbour slows all of it; medians of many, and ratios rather than times.
#![allow(missing_docs, reason = "a benchmark")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a benchmark reads clocks, starts processes, and stops when it can't be set up"
)]

mod ending;
mod floor;
mod linear;
mod machine;
mod one_shot;
mod overshoot;
mod page;
mod peers;
mod resting;
mod run;
mod stats;

#[path = "../../tests/support/crowd.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod crowd;
#[path = "../../tests/support/scene.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod scene;
#[path = "../../tests/support/strangers.rs"]
mod strangers;

use gateway_reaper::demo::flavour::Flavour;
use page::Page;
use scene::Scene;
use strangers::Strangers;

/// Sessions of the gateway, each with its worker.
pub(crate) const SESSIONS: usize = 25;
/// Processes on the machine, the gateway and its workers among them.
const PROCESSES: [usize; 3] = [200, 1_000, 5_000];

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    Quick,
    Full,
}

impl Effort {
    pub(crate) fn choose<T>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let effort = if words.iter().any(|word| word == "--quick") { Effort::Quick } else { Effort::Full };
    // Single parts by name, for a person who works on one.
    let parts: Vec<&String> = words.iter().filter(|word| !word.starts_with("--")).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|name| *name == part);

    // Here and in all that is started from here: a thousand trees are held by a descriptor for each process.
    gateway_reaper::reap::linux::raise_descriptor_limit().unwrap();
    let peers = peers::find();
    let mut page = Page::begin(&peers, effort);
    if wanted("looking") {
        let scene = Scene::with_sessions(SESSIONS);
        let mut strangers: Vec<Strangers> = Vec::new();
        for processes in PROCESSES {
            let more = processes.saturating_sub(machine::processes());
            strangers.push(Strangers::start(more).unwrap());
            eprintln!("among {processes} processes: one shot");
            page.one_shot(processes, &one_shot::measure(&scene, &peers, effort));
            eprintln!("among {processes} processes: watch");
            page.resting(processes, &resting::measure(&scene, effort));
        }
    }
    if wanted("linear") {
        eprintln!("deciding");
        page.linear(&linear::measure(effort));
    }
    if wanted("ending") {
        for flavour in [Flavour::Stubborn, Flavour::StubbornFamily] {
            for trees in [1, 100, 1_000] {
                eprintln!("ending {trees} stubborn workers, {flavour:?}");
                page.ending(&ending::measure(trees, flavour, effort));
            }
        }
    }
    if wanted("overshoot") {
        eprintln!("overshoot after the grace");
        page.overshoot(&overshoot::measure(effort));
    }
    page.end(effort == Effort::Full && parts.is_empty());
}
