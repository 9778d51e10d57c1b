//! A cold one-shot: a new process that reads the configuration, the table and the processes, decides, remembers and reports.

use std::fs;
use std::process::Command;

use crate::peers::Peer;
use crate::run::{self, Cost};
use crate::scene::Scene;
use crate::stats::median;
use crate::{Effort, machine};

/// One program among so many processes.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) cpu_ms: f64,
    pub(crate) wall_ms: f64,
    /// CPU of the program by that of `once`, run by run, in the middle.
    pub(crate) ratio: f64,
    pub(crate) calls: Option<u64>,
    pub(crate) peak_kb: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct OneShot {
    pub(crate) processes: usize,
    pub(crate) rows: Vec<Row>,
}

/// How a program is made ready to run.
type Make<'a> = Box<dyn Fn() -> Command + 'a>;

pub(crate) fn measure(scene: &Scene, peers: &[Peer], effort: Effort) -> OneShot {
    let forget = || drop(fs::remove_dir_all(scene.dir().join("state")));
    let mut programs: Vec<(String, Make<'_>)> = vec![
        ("`once`, as from cron".into(), Box::new(|| scene.reaper(&["--json", "once"]))),
        (
            "`once`, the very first".into(),
            Box::new(move || {
                forget();
                scene.reaper(&["--json", "once"])
            }),
        ),
    ];
    for peer in peers.iter().filter(|peer| peer.version.is_ok()) {
        programs.push((format!("`{}`", peer.name), Box::new(|| peer.command())));
    }
    // The first of all knows nothing yet and is not counted.
    run::cost(&mut scene.reaper(&["once"]));
    let rounds = effort.choose(5, 15);
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); programs.len()];
    for _ in 0..rounds {
        for ((_, make), costs) in programs.iter().zip(&mut costs) {
            costs.push(run::cost(&mut make()));
        }
    }
    let processes = machine::processes();
    let rows = programs.iter().zip(&costs).map(|((name, make), own)| Row {
        name: name.clone(),
        cpu_ms: median(&own.iter().map(|cost| cost.cpu_ms).collect::<Vec<_>>()),
        wall_ms: median(&own.iter().map(|cost| cost.wall_ms).collect::<Vec<_>>()),
        ratio: median(
            &own.iter().zip(&costs[0]).map(|(own, ours)| own.cpu_ms / ours.cpu_ms).collect::<Vec<_>>(),
        ),
        calls: run::system_calls(&make()),
        peak_kb: run::peak_kb(&make()),
    });
    OneShot { processes, rows: rows.collect() }
}
