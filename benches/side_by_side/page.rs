//! The figures as tables: printed, and written to `BENCHMARKS.md`.

use std::fmt::Write;
use std::path::Path;

use crate::ending::Ending;
use crate::linear::Linear;
use crate::machine;
use crate::one_shot::OneShot;
use crate::overshoot::Overshoot;
use crate::peers::Peer;
use crate::resting::Resting;
use crate::{Effort, SESSIONS};

const METHOD: &str = "\
Made by `cargo bench --bench side_by_side`, in one run on one machine; nothing here is written by hand. What is compared ran in turns, each
figure is the median of many runs, and a ratio is the median of the ratios of neighbouring runs. CPU is user and system time as the kernel
counted it for that process. Absolute times move from machine to machine, and with what else the machine is doing (see the load below);
ratios move less, and system calls and bytes hardly at all. The gateway is the demo gateway, each of whose workers is a real process; the
other processes are idle.
";

pub(crate) struct Page {
    text: String,
}

impl Page {
    pub(crate) fn begin(peers: &[Peer], effort: Effort) -> Self {
        let mut page = Self { text: String::new() };
        page.say(&format!("# Benchmarks\n\n{METHOD}"));
        page.say("| what | version |\n| --- | --- |");
        page.row(&["gateway-reaper", concat!(env!("CARGO_PKG_VERSION"), ", release profile")]);
        page.row(&["rustc", &machine::version("rustc", &["--version"]).unwrap_or_else(|| "unknown".into())]);
        page.row(&["Linux", &machine::kernel()]);
        page.row(&["cores", &machine::cores().to_string()]);
        page.row(&["load average at the start", &machine::load()]);
        for peer in peers {
            match &peer.version {
                Ok(version) => page.row(&[&format!("`{}`", peer.name), version]),
                Err(why) => page.row(&[&format!("`{}`", peer.name), &format!("not measured: {why}")]),
            }
        }
        if effort == Effort::Quick {
            page.say("\nA quick run: few rounds, so take the times with a grain of salt.");
        }
        page
    }

    pub(crate) fn one_shot(&mut self, asked: usize, one_shot: &OneShot) {
        self.say(&format!(
            "\n## A cold one-shot among {asked} processes\n\n\
             {SESSIONS} sessions, each with a worker. `once` reads its configuration, the table and the processes, decides, remembers and \
             reports; as from cron it remembers the run before, the very first time it looks at every process. {} processes at the end.\n\n\
             | program | CPU, ms | wall, ms | CPU by that of `once` | system calls | peak memory, kB |\n\
             | --- | ---: | ---: | ---: | ---: | ---: |",
            one_shot.processes
        ));
        let count = |count: Option<u64>| count.map_or("–".into(), |count| count.to_string());
        for row in &one_shot.rows {
            self.row(&[
                &row.name,
                &format!("{:.2}", row.cpu_ms),
                &format!("{:.2}", row.wall_ms),
                &format!("{:.1}", row.ratio),
                &count(row.calls),
                &count(row.peak_kb),
            ]);
        }
    }

    pub(crate) fn resting(&mut self, asked: usize, resting: &Resting) {
        self.say(&format!(
            "\n## A resting `watch` among {asked} processes\n\n\
             The floor is the least that a look can cost: the gateway's subtree read raw, with the argv of each, and one request for the \
             table; on the same gateway, in turns with `watch`, with the same pauses. {} polls, {} processes at the end.\n\n\
             | what | |\n| --- | ---: |",
            resting.polls, resting.processes
        ));
        self.row(&["CPU of one poll, ms", &format!("{:.3}", resting.poll_ms)]);
        self.row(&["CPU of the floor, ms", &format!("{:.3}", resting.floor_ms)]);
        self.row(&["poll by floor", &format!("{:.2}", resting.poll_ms / resting.floor_ms)]);
        self.row(&["of a core, at an interval of 5 s", &format!("{:.3} %", resting.share * 100.0)]);
        self.row(&["the floor, at the same", &format!("{:.3} %", resting.floor_share * 100.0)]);
        self.row(&["goes to sleep, times a poll", &format!("{:.1}", resting.sleeps)]);
        self.row(&["peak memory, kB", &resting.peak_kb.to_string()]);
    }

    pub(crate) fn linear(&mut self, linear: &Linear) {
        let (few, many) = (linear.some_ms, linear.many_ms);
        self.say("\n## Deciding\n\nA tenth of the sessions has a worker.\n\n| sessions | ms | µs each |\n| ---: | ---: | ---: |");
        for (sessions, ms) in [(linear.some, few), (linear.many, many)] {
            self.row(&[
                &sessions.to_string(),
                &format!("{ms:.0}"),
                &format!("{:.2}", ms * 1e3 / sessions as f64),
            ]);
        }
        self.say(&format!("\nTen times as many take {:.1} times as long.", many / few));
    }

    pub(crate) fn ending(&mut self, ending: &Ending) {
        if !self.text.contains("## Ending") {
            self.say(
                "\n## Ending stubborn workers\n\n\
                 None of them heeds SIGTERM. Each is alone, or has two descendants, one of them in a session of its own. One `once`, from \
                 start to exit; the term timeout is 5 s. The floor is that timeout and what the kernel takes for SIGKILL alone, sent to \
                 as many of the same processes at once.\n\n\
                 | workers | processes | time by term timeout | floor | CPU, ms |\n| ---: | ---: | ---: | ---: | ---: |",
            );
        }
        self.row(&[
            &ending.trees.to_string(),
            &ending.processes.to_string(),
            &format!("{:.3}", ending.ratio),
            &format!("{:.3}", ending.floor),
            &format!("{:.0}", ending.cpu_ms),
        ]);
    }

    pub(crate) fn overshoot(&mut self, overshoot: &Overshoot) {
        self.say(&format!(
            "\n## Overshoot after the grace\n\n\
             From the moment a detached session's grace is over until its worker is gone, the gateway's own close included; `watch`, {} \
             sessions one after another.\n\n| | ms |\n| --- | ---: |",
            overshoot.sessions
        ));
        self.row(&["median", &format!("{:.1}", overshoot.median_ms)]);
        self.row(&["worst", &format!("{:.1}", overshoot.worst_ms)]);
    }

    /// Prints it, and keeps it if it is whole.
    pub(crate) fn end(self, is_whole: bool) {
        println!("{}", self.text);
        if is_whole {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("BENCHMARKS.md");
            std::fs::write(&path, self.text).unwrap();
            eprintln!("written to {}", path.display());
        }
    }

    fn say(&mut self, text: &str) {
        let _ = writeln!(self.text, "{text}");
    }

    fn row(&mut self, cells: &[&str]) {
        self.say(&format!("| {} |", cells.join(" | ")));
    }
}
