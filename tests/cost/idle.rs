//! What it costs to see that workers do nothing: of a dashboard with a session table, and of one without.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gateway_reaper::hermes::plugin::VERSION;
use tempfile::TempDir;

use crate::inside::is_alone;
use crate::scene::EXE;
use crate::strace::{Trace, Traceable};
use crate::system_calls::{calls, cheapest};

const WORKERS: usize = 10;
/// Of a worker with three threads and a server below it: how its main thread is, what the other two ran, and its children.
const PER_WORKER: usize = 6;
/// The connections, which are asked for once for all workers.
const FOR_ALL: usize = 20;
/// Who is connected to the dashboard.
const OF_THE_CLIENTS: usize = 140;
/// Whether it has a table by now, which is asked less and less often.
const FOR_A_TABLE: usize = 240;

/// A dashboard with workers at rest; it ends with its stdin, and they with theirs.
struct Dashboard {
    process: Child,
    dir: TempDir,
}

impl Dashboard {
    #[expect(clippy::disallowed_methods, reason = "a dashboard of the test's own")]
    fn start(version: Option<&str>, policy: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cost/dashboard.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(WORKERS.to_string()).args(version);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        let (port, pid) = said.trim().split_once(' ').unwrap();
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("token"), "t").unwrap();
        let config = format!(
            "[policy]\n{policy}\n[state]\ndir = \"state\"\n[[gateway]]\nname = \"dashboard\"\nkind = \"hermes\"\n\
             url = \"http://127.0.0.1:{port}\"\ntoken_file = \"token\"\n\
             [gateway.worker]\nmatch = '\\S*python\\S* -c [^-]*--cost-of={pid} --session-key=(?P<session>\\S+)'\n"
        );
        fs::write(dir.path().join("reaper.toml"), config).unwrap();
        Self { process, dir }
    }

    fn watched(&self) -> Vec<Trace> {
        Trace::of_watch(self, "100ms", 6).polls()
    }
}

/// At how many workers was looked: each time `status` is read again.
fn looks(poll: &Trace) -> usize {
    poll.count(|call| call.starts_with("pread64(") && call.contains("\"Name:"))
}

/// At how many workers was looked whole.
fn whole_looks(poll: &Trace) -> usize {
    poll.count(|call| call.contains("/status\", O_RDONLY") && call.contains("task/"))
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

impl Traceable for Dashboard {
    const REQUEST: &str = "GET /api/plugins/gateway-reaper/sessions";

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    #[expect(clippy::disallowed_methods, reason = "the program under test")]
    fn under(&self, prefix: &[&str], args: &[&str]) -> Command {
        let config: PathBuf = self.dir.path().join("reaper.toml");
        let mut words = prefix.iter().copied().chain([EXE]);
        let mut command = Command::new(words.next().unwrap_or(EXE));
        command.args(words).arg("--config").arg(config).args(args).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

#[test]
fn a_look_for_idle_workers_has_a_bound_for_each_worker() {
    if !is_alone() {
        return;
    }
    let (off, on) =
        (Dashboard::start(Some(VERSION), ""), Dashboard::start(Some(VERSION), "idle_worker = \"1h\""));
    let (off, on) = (off.watched(), on.watched());
    let (off, on) = (cheapest(&off), cheapest(&on));
    println!("{} calls of a poll without idle_worker, {} with it, {WORKERS} workers", calls(off), calls(on));
    // What each has at rest was learned at the first polls.
    assert_eq!((looks(off), looks(on), whole_looks(on)), (0, WORKERS, 0));
    assert!(calls(on) <= calls(off) + PER_WORKER * WORKERS + FOR_ALL, "{} and {}", calls(off), calls(on));
}

#[test]
fn a_look_beside_a_dashboard_without_a_table_has_a_bound_for_each_worker() {
    if !is_alone() {
        return;
    }
    let with_table = Dashboard::start(Some(VERSION), "").watched();
    let with_table = calls(cheapest(&with_table));
    for policy in ["", "without_table = \"workers\"\nworker_grace = \"1h\""] {
        let polls = Dashboard::start(None, policy).watched();
        // Once each worker is known. A dashboard that has no table isn't asked for it at every look, but the slower the machine is, the fewer
        // looks lie between.
        let of_all = |what: fn(&Trace) -> usize| polls.iter().skip(1).map(what).sum::<usize>();
        let (all, looks, whole) = (of_all(calls), of_all(looks) / WORKERS, of_all(whole_looks));
        assert!(looks > 1 && whole == 0, "{looks} looks, {whole} workers looked at whole");
        let of_evidence = of_all(|poll| poll.named(&["pread64"])) / looks;
        assert!(of_evidence <= PER_WORKER * WORKERS, "{of_evidence} for the workers with {policy:?}");
        let asked = polls.len() - 1;
        println!(
            "{all} calls of {looks} looks and {asked} questions with {policy:?}, {WORKERS} workers; {with_table} of a poll with a table"
        );
        let of_each = with_table + PER_WORKER * WORKERS + FOR_ALL + OF_THE_CLIENTS;
        assert!(all <= of_each * looks + FOR_A_TABLE * asked, "{all} of {looks} looks with {policy:?}");
    }
}
