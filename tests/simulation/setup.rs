//! What a world is made of before anything happens: the machine, the gateways and the operator's policy.

use std::time::Duration;

use gateway_reaper::config::defaults;
use gateway_reaper::domain::policy::{Policy, Rules, WorkerMatch};

/// The user the reaper and the workers run as.
pub(crate) const USER: u32 = 1000;

/// How Hermes starts its workers here. The pattern of `reaper.toml` is laxer, and half of the suite's time would be spent in it.
const MATCH: &str = r"/usr/bin/python3 -m tui_gateway\.slash_worker --session-key (?P<session>\S+)";

/// Which of its clocks a gateway publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clocks {
    None,
    Both,
    DetachedOnly,
    IdleOnly,
}

/// What a gateway's table tells.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field that a table has or lacks")]
pub(crate) struct Tells {
    pub(crate) pid: bool,
    pub(crate) instance: bool,
    pub(crate) worker_pids: bool,
    pub(crate) clocks: Clocks,
    pub(crate) activity: bool,
}

/// How a gateway starts its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Starts {
    /// As its children.
    Children,
    /// Forked twice: adopted from the beginning.
    Daemons,
    /// By a launcher that exits at once, as `nohup … &` in a shell does: adopted from the beginning, and a row names the launcher.
    Launched,
    /// In a shell that was started for it alone. Does a row name the shell?
    Wrapped(Names),
}

/// Which process a row names as its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    TheWorker,
    TheShell,
}

/// A gateway of the configuration.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "traits of a gateway, each independent of the others")]
pub(crate) struct GatewaySetup {
    pub(crate) tells: Tells,
    /// `[gateway.process]` finds it without its table.
    pub(crate) found_by_argv: bool,
    /// Workers share its process group (up to 0.16).
    pub(crate) shares_group: bool,
    /// Its workers poll getppid and exit when it dies (0.19).
    pub(crate) workers_watch: bool,
    pub(crate) starts: Starts,
    /// A session gets its worker with its first prompt.
    pub(crate) lazy: bool,
    /// Rows say nothing of keys, and what the argv carries is no id.
    pub(crate) hides_keys: bool,
    /// Its pattern takes no key from an argv.
    pub(crate) is_keyless: bool,
    /// A new run takes the sessions and workers of the last one back.
    pub(crate) takes_back: bool,
    /// A run of this kind may do so, as far as the reaper knows.
    pub(crate) may_take_back: bool,
    /// Its clocks go on while the machine sleeps.
    pub(crate) counts_sleep: bool,
    /// It closes a session whatever that does by then: the reaper itself asks once more right before.
    pub(crate) closes_blindly: bool,
    /// It runs in a container; the PIDs of its table are those of its own namespace.
    pub(crate) contained: bool,
    /// Its close leaves the worker to itself.
    pub(crate) leaks: bool,
    /// How long after a close a worker takes to exit.
    pub(crate) exit_ms: u64,
    /// It waits for its dead children so much later.
    pub(crate) waits_ms: u64,
    pub(crate) policy: Policy,
}

/// The world.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) pid_max: u32,
    pub(crate) pidfs: bool,
    /// PID 1 is init. Elsewhere (a container) it may be anything.
    pub(crate) init_is_init: bool,
    /// Whatever starts the gateways adopts what they leave.
    pub(crate) supervisor_adopts: bool,
    pub(crate) gateways: Vec<GatewaySetup>,
    pub(crate) foreign_gateway: bool,
    /// A container with a gateway that nobody configured, and workers that look like all others.
    pub(crate) container: bool,
    /// The reaper is root: the kernel refuses it nothing.
    pub(crate) as_root: bool,
    /// State directories, each with reapers of its own; nearly always one.
    pub(crate) reapers: Vec<Rhythm>,
    /// Out of a hundred looks at a living child, so many miss it.
    pub(crate) misses: u64,
    /// Out of a hundred tries to hold a process, so many fail (no descriptor is left).
    pub(crate) kernel_fails: u64,
    /// Out of a hundred calls about a process, so many come just after it crashed and its PID was used again.
    pub(crate) races: u64,
    /// Calls take no time, so that a story is the same however many of them there are.
    pub(crate) instant_calls: bool,
    /// The story says who is kept, and why.
    pub(crate) tells_keeps: bool,
    /// After this the world calms down: no new faults, no new clients.
    pub(crate) calm_at: u64,
}

impl Setup {
    /// Whether a gateway is in a container: the numbers in its table mean other processes here.
    pub(crate) fn has_contained(&self) -> bool {
        self.gateways.iter().any(|gateway| gateway.contained)
    }
}

/// When a reaper looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rhythm {
    /// Milliseconds between two looks.
    pub(crate) every: u64,
    /// A watcher looks at the next due time as well.
    pub(crate) watches: bool,
    /// Cron comes so much later at most.
    pub(crate) jitter: u64,
}

pub(crate) fn gateway_name(index: usize) -> String {
    format!("gateway {index}")
}

thread_local! {
    /// Compiled once; worlds are many.
    static PATTERN: Option<WorkerMatch> = WorkerMatch::new(MATCH).ok();
    static KEYLESS: Option<WorkerMatch> = WorkerMatch::new(&MATCH.replace("?P<session>", "?:")).ok();
}

/// The operator's rules for all gateways.
pub(crate) fn rules(setup: &Setup) -> Vec<Rules> {
    let rule = |(index, gateway): (usize, &GatewaySetup)| Rules {
        gateway: gateway_name(index).into(),
        policy: gateway.policy.clone(),
        worker_match: if gateway.is_keyless { &KEYLESS } else { &PATTERN }.with(Clone::clone),
        worker_uid: USER,
        takes_workers_back: gateway.may_take_back,
        describes_process: gateway.found_by_argv,
        workers: gateway_reaper::domain::policy::Workers::Matching,
    };
    setup.gateways.iter().enumerate().map(rule).collect()
}

/// The policy of `reaper.toml` as it comes.
pub(crate) fn default_policy() -> Policy {
    Policy {
        grace: Duration::from_secs(20),
        close_on_disconnect_grace: Duration::ZERO,
        worker_grace: Duration::from_mins(1),
        close_timeout: Duration::from_secs(10),
        term_timeout: Duration::from_secs(5),
        ..defaults::policy()
    }
}

pub(crate) fn default_gateway() -> GatewaySetup {
    GatewaySetup {
        tells: Tells { pid: true, instance: true, worker_pids: true, clocks: Clocks::Both, activity: true },
        found_by_argv: false,
        shares_group: false,
        workers_watch: false,
        starts: Starts::Children,
        lazy: false,
        hides_keys: false,
        is_keyless: false,
        takes_back: false,
        may_take_back: true,
        counts_sleep: false,
        closes_blindly: false,
        contained: false,
        leaks: false,
        exit_ms: 20,
        waits_ms: 0,
        policy: default_policy(),
    }
}

pub(crate) fn default_setup() -> Setup {
    Setup {
        pid_max: 200,
        pidfs: true,
        init_is_init: true,
        supervisor_adopts: false,
        gateways: vec![default_gateway()],
        foreign_gateway: false,
        container: false,
        as_root: false,
        reapers: Vec::new(),
        misses: 0,
        kernel_fails: 0,
        races: 0,
        instant_calls: false,
        tells_keeps: false,
        calm_at: u64::MAX,
    }
}
