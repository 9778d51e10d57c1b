//! What can be said on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::config::duration;
use crate::demo;
use crate::sources::gateway::command;

/// Reaps sessions that are detached from their transport and not mid-turn, with their workers, after a grace.
#[derive(Debug, Parser)]
#[command(
    name = "gateway-reaper",
    version = VERSION,
    after_help = EXAMPLES,
    after_long_help = LONG_HELP
)]
pub(super) struct Args {
    /// The configuration file [default: $GATEWAY_REAPER_CONFIG, ./reaper.toml, $XDG_CONFIG_HOME/gateway-reaper/reaper.toml,
    /// /etc/gateway-reaper/reaper.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Report as one JSON document on stdout
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// Narrate more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(super) verbose: u8,

    /// Report only what was due, and narrate only what went wrong
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,

    #[command(subcommand)]
    pub(super) command: Command,
}

/// With the commit where it is known: a report of a mistake has to say which program made it.
const VERSION: &str = env!("GATEWAY_REAPER_VERSION");

/// The words of the report.
const REASONS: [&str; 9] = [
    "attached",
    "mid-turn",
    "waiting",
    "starting",
    "held",
    "unknown-state",
    "protected",
    "table-not-trusted",
    "orphaned",
];

pub(super) const EXAMPLES: &str = "Examples:
  gateway-reaper once --dry-run   what would be reaped now, and why the rest is kept
  gateway-reaper watch            reap from now on, until it is told to stop";

pub(super) const LONG_HELP: &str = "Examples:
  gateway-reaper once --dry-run   what would be reaped now, and why the rest is kept
  gateway-reaper watch            reap from now on, until it is told to stop
  gateway-reaper explain 360e     all about the session whose id begins so
  gateway-reaper doctor           whether everything fits together here

Exit codes:
  0  done: nothing was due, or all that was due is gone
  1  something due could not be reaped
  2  usage or configuration
  3  a session table could not be read or trusted; nothing that depends on it was touched
  4  another run holds the state directory's lock; nothing was done";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// One run and out, for cron or a systemd timer
    Once(OnceArgs),
    /// The same runs in a loop, waking at the interval and whenever something is due
    Watch(WatchArgs),
    /// What is there now, the verdict on each session and worker, and why; changes nothing
    Status(StatusArgs),
    /// The same, live, with countdowns; d and m sort by due time and memory, q leaves
    Top,
    /// Read the configuration and show every key with its value and where it comes from; asks no gateway
    Check,
    /// See whether everything fits together here: configuration, gateways, processes, state, the last run
    Doctor,
    /// All about one session or worker: what holds now and since when, and what was ever done to it
    Explain(ExplainArgs),
    /// What was reaped, kept by its gateway or failed, with sums
    History(HistoryArgs),
    /// Do nothing to one session or worker for a while, and every report says so; alone: list what is held
    Hold(HoldArgs),
    /// End a hold
    Release(ReleaseArgs),
    /// Reap nothing at all for a while; every report says so
    Pause {
        /// How long, such as "1h"
        #[arg(value_name = "DURATION", value_parser = some_time)]
        span: Duration,
    },
    /// End a pause
    Resume,
    /// Print the metrics of the last run as Prometheus text, with counters since the state directory was made
    Metrics,
    /// Put the plugin that publishes the session table into a Hermes home, or take it out
    #[command(subcommand)]
    Hermes(HermesCommand),
    /// Print the annotated default configuration: every key, what it means and what holds without it
    DefaultConfig,
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
    /// A small real gateway with real worker processes, and the reaper at work beside it
    Demo {
        /// On a Jupyter Server of its own, if `jupyter` is on this machine
        #[arg(long)]
        jupyter: bool,
    },
    /// The gateway of the demo
    #[command(hide = true)]
    DemoGateway(demo::gateway::Options),
    /// A mistake in this program, for the test of what happens then; not in a release
    #[cfg(debug_assertions)]
    #[command(hide = true)]
    DemoPanic,
    /// A worker of the demo's gateway
    #[command(hide = true)]
    DemoWorker(demo::worker::Args),
    /// A program of a gateway of kind "command", in a session of its own
    #[command(name = command::SUBCOMMAND, hide = true)]
    ProgramChild {
        /// The program and its arguments
        #[arg(last = true, required = true)]
        words: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct OnceArgs {
    /// The same run with the same memory, and no act
    #[arg(long)]
    pub(super) dry_run: bool,

    /// If something inside its grace will be due within this time, stay, look again when it is, and reap it
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(super) wait: Option<Duration>,

    #[command(flatten)]
    pub(super) leftovers: LeftoversArgs,
}

/// What is left over on this machine, without a configuration file.
#[derive(Debug, clap::Args)]
pub(super) struct LeftoversArgs {
    /// Without a configuration file: only servers that talk over stdin and lost their host; dry unless --reap is given
    #[arg(long, value_name = "KIND", value_parser = ["processes"], requires = "pattern")]
    pub(super) kind: Option<String>,

    /// Which processes: "mcp", "acp", or a regular expression that is tried from argv's first character on
    #[arg(long = "match", value_name = "MATCH", requires = "kind", id = "pattern")]
    pub(super) pattern: Option<String>,

    /// End them, once they have looked like that for worker_grace (60 s)
    #[arg(long, requires = "kind", conflicts_with = "dry_run")]
    pub(super) reap: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    /// Only what is due, or will be within this time
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "0s", value_parser = duration::parse)]
    pub(super) due: Option<Duration>,

    /// Only this gateway; may be repeated
    #[arg(long = "gateway", value_name = "NAME")]
    pub(super) gateways: Vec<String>,

    /// Only what is kept or due for this reason; may be repeated
    #[arg(long = "reason", value_name = "REASON", value_parser = REASONS)]
    pub(super) reasons: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct HoldArgs {
    /// A session's id, a conversation key, the PID of a worker, or the unique beginning of an id or key; without it all that is
    /// held, paused or kept is listed
    #[arg(requires = "span")]
    pub(super) id: Option<String>,

    /// How long, such as "2d"
    #[arg(long = "for", value_name = "DURATION", value_parser = some_time, requires = "id", id = "span")]
    pub(super) span: Option<Duration>,

    /// Why, for the reports
    #[arg(long, value_name = "TEXT", requires = "id")]
    pub(super) why: Option<String>,

    #[command(flatten)]
    pub(super) of: OfGateway,
}

/// Where sessions of several gateways have one name.
#[derive(Debug, clap::Args)]
pub(super) struct OfGateway {
    /// The gateway, where several have one of that name
    #[arg(long, value_name = "NAME", requires = "id")]
    pub(super) gateway: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ReleaseArgs {
    /// What is held: its id, or the beginning of it
    pub(super) id: String,

    #[command(flatten)]
    pub(super) of: OfGateway,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// A session's id, a conversation key, the PID of a worker, or the unique beginning of an id or key
    pub(super) id: String,

    #[command(flatten)]
    pub(super) of: OfGateway,
}

#[derive(Debug, clap::Args)]
pub(super) struct HistoryArgs {
    /// Only what happened within this time, such as "7d"
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(super) since: Option<Duration>,

    /// Only what happened to this gateway
    #[arg(long, value_name = "NAME")]
    pub(super) gateway: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct WatchArgs {
    /// The longest pause between two looks
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = interval)]
    pub(super) interval: Duration,
}

#[derive(Debug, Subcommand)]
pub(super) enum HermesCommand {
    /// Install the plugin and enable it; safe to repeat
    Install(HomeArgs),
    /// Take the plugin out, and config.yaml back to what it was
    Uninstall(HomeArgs),
    /// Which plugin is in a Hermes home, whether Hermes will load it, and what is left to do; changes nothing
    Status(HomeArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct HomeArgs {
    /// The Hermes home [default: $HERMES_HOME, else ~/.hermes]
    #[arg(long, value_name = "DIR")]
    pub(super) home: Option<PathBuf>,
}

fn some_time(text: &str) -> Result<Duration, String> {
    let span = duration::parse(text).map_err(|error| error.to_string())?;
    if span < Duration::from_secs(1) {
        return Err("expected at least 1s; `release` ends a hold, `resume` a pause".into());
    }
    Ok(span)
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration::parse(text).map_err(|error| error.to_string())?;
    if interval < Duration::from_millis(100) {
        return Err("expected at least 100ms: a shorter interval keeps the machine awake for nothing".into());
    }
    Ok(interval)
}

/// How much is narrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verbosity {
    /// The screen has what there is to say.
    Silent,
    Quiet,
    Normal,
    Verbose,
    Everything,
}

impl Args {
    pub(super) fn verbosity(&self) -> Verbosity {
        if let Command::Top = self.command {
            return Verbosity::Silent;
        }
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Verbose,
            (false, _) => Verbosity::Everything,
        }
    }
}
