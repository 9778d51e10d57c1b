//! The environment, read here and nowhere else (a token's variable apart).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::Args;
use super::exit::Failure;
use crate::config::{self, Config, Environment};
use crate::domain::ids::GatewayName;
use crate::hermes::{self, Named};

const PROGRAM: &str = "gateway-reaper";

#[expect(clippy::disallowed_methods, reason = "the edge at which the environment is read")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

pub(super) fn config(args: &Args) -> Result<Config, Failure> {
    let environment = Environment {
        gateway_reaper_config: variable("GATEWAY_REAPER_CONFIG"),
        xdg_config_home: variable("XDG_CONFIG_HOME"),
        home: variable("HOME"),
        working_directory: std::env::current_dir().ok(),
    };
    let located = config::locate(args.config.as_deref(), &environment)?;
    Ok(config::load(&located)?)
}

/// The configuration, where one is named, by an option or a variable; for a command that needs none.
pub(super) fn named_config(args: &Args) -> Result<Option<Config>, Failure> {
    let is_named = args.config.is_some() || variable("GATEWAY_REAPER_CONFIG").is_some();
    is_named.then(|| config(args)).transpose()
}

/// Whether there is a gateway of this name, or one by which it may have been found.
pub(super) fn known_gateway(config: &Config, name: &GatewayName) -> Result<(), Failure> {
    if config.gateways.iter().any(|known| known.name.stands_for(name)) {
        return Ok(());
    }
    let known: Vec<&str> = config.gateways.iter().map(|known| known.name.as_str()).collect();
    Err(Failure::Asked(format!(
        "there is no gateway {:?}; {} has {}",
        name.as_str(),
        config.source.display(),
        known.join(", ")
    )))
}

/// Which Hermes home is meant.
pub(super) fn hermes_home(option: Option<&Path>) -> Result<(PathBuf, Named), Failure> {
    Ok(hermes::choose(option, variable("HERMES_HOME"), variable("HOME"))?)
}

/// Where the memory of the runs of this command line is: as configured, else where systemd says, else the XDG state directory.
pub(super) fn state_dir(config: &Config) -> Result<PathBuf, Failure> {
    if let Some(dir) = named_state_dir(config) {
        return Ok(dir);
    }
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/state")))
        .map(|state| state.join(PROGRAM))
        .ok_or(Failure::NoStateDir)
}

/// The same, where it is named: as configured, else where systemd says.
pub(super) fn named_state_dir(config: &Config) -> Option<PathBuf> {
    // systemd may list several, separated by colons; the first is ours.
    let first = |dirs: OsString| std::env::split_paths(&dirs).next();
    config.state_dir.clone().or_else(|| variable("STATE_DIRECTORY").and_then(first))
}

/// Where temporary files go.
pub(super) fn temporary() -> PathBuf {
    std::env::temp_dir()
}

/// The program that a shell would run by this name.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&variable("PATH")?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(is_program)
}

/// The columns that `$COLUMNS` says a line has.
pub(super) fn columns() -> Option<usize> {
    variable("COLUMNS")?.to_str()?.parse().ok().filter(|columns| *columns > 0)
}

/// Where a state directory usually is, for a service and for a user.
pub(super) fn usual_state_dirs() -> Vec<PathBuf> {
    let home = variable("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let states = [Some(PathBuf::from("/var/lib")), variable("XDG_STATE_HOME").map(PathBuf::from), home];
    states.into_iter().flatten().filter(|path| path.is_absolute()).map(|state| state.join(PROGRAM)).collect()
}

/// Where the service manager listens, if it wants to be told.
pub(super) fn notify_socket() -> Option<OsString> {
    variable("NOTIFY_SOCKET")
}

/// How long the service manager waits for a sign of life, if it does.
pub(super) fn watchdog() -> Option<Duration> {
    // The variables are inherited, and another process may be meant.
    if variable("WATCHDOG_PID").is_some_and(|pid| *pid != *std::process::id().to_string()) {
        return None;
    }
    let microseconds = variable("WATCHDOG_USEC")?;
    microseconds.to_str()?.parse().ok().filter(|micros| *micros > 0).map(Duration::from_micros)
}

/// Which file stderr is, where systemd's journal reads it: device and inode.
pub(super) fn journal_stream() -> Option<(u64, u64)> {
    let stream = variable("JOURNAL_STREAM")?;
    let (device, inode) = stream.to_str()?.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}
