//! Which dashboards and backends of a home run, by Hermes' own record of its processes: `spawn-ledger.json`, since 0.21.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::error::HermesError;
use super::files;
use crate::domain::ids::Pid;
use crate::sources::processes::{Proc, ProcessesError};

const LEDGER: &str = "spawn-ledger.json";
/// Hermes keeps a start time that is counted from the boot by the wall clock, which may have been set since.
const SET_SINCE: Duration = Duration::from_secs(5);

/// A dashboard or a backend without pages that runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process.
    pub pid: Pid,
    /// `dashboard` or `serve`.
    pub command: Box<str>,
    /// Its base address.
    pub url: Box<str>,
    /// When its process started.
    pub started: SystemTime,
}

#[derive(Deserialize)]
struct Entry {
    pid: u64,
    create_time: Option<f64>,
    purpose: String,
    host: Option<String>,
    port: Option<u16>,
    hermes_home: Option<PathBuf>,
}

/// Those of this home. `None`: there is no such record, as before 0.21.
///
/// # Errors
/// The record can't be read, or the process tree can't.
pub fn running(home: &Path) -> Result<Option<Vec<Running>>, HermesError> {
    // The profiles of a home share one record.
    let above = home.parent().filter(|parent| parent.ends_with("profiles")).and_then(Path::parent);
    for place in [Some(home), above].into_iter().flatten() {
        let path = place.join(LEDGER);
        let Some(bytes) = files::read(&path)? else { continue };
        let entries: Vec<serde_json::Value> = serde_json::from_slice(&bytes).map_err(|error| {
            HermesError::Io { what: "understand", path: path.clone(), source: error.into() }
        })?;
        // One that isn't understood is of no help, and takes nothing from the others.
        let entries = entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok());
        let ours = entries.filter(|entry: &Entry| {
            let of = entry.hermes_home.as_deref().filter(|of| !of.as_os_str().is_empty());
            of.is_none_or(|of| of == home || fs::canonicalize(of).is_ok_and(|of| of == home))
        });
        let unseen = |error: ProcessesError| HermesError::Io {
            what: "look at the processes of",
            path: path.clone(),
            source: std::io::Error::other(error),
        };
        let mut proc = Proc::open().map_err(unseen)?;
        let mut found = Vec::new();
        for entry in ours {
            found.extend(alive(&mut proc, &entry).map_err(unseen)?);
        }
        return Ok(Some(found));
    }
    Ok(None)
}

/// The process of an entry, if it is still that one.
fn alive(proc: &mut Proc, entry: &Entry) -> Result<Option<Running>, ProcessesError> {
    let (Some(pid), Some(port)) = (Pid::new(entry.pid), entry.port.filter(|port| *port != 0)) else {
        return Ok(None);
    };
    if !["dashboard", "serve"].contains(&entry.purpose.as_str()) {
        return Ok(None);
    }
    let Some(dir) = proc.process(pid)? else { return Ok(None) };
    let Some((process, _)) = proc.describe(&dir)? else { return Ok(None) };
    let Some(started) = boot_time().map(|boot| boot + since_boot(process.identity.start_ticks)) else {
        return Ok(None);
    };
    let recorded = entry.create_time.and_then(|time| Duration::try_from_secs_f64(time).ok());
    let is_it = recorded.is_some_and(|time| difference(started, UNIX_EPOCH + time) < SET_SINCE);
    if process.zombie || !is_it {
        return Ok(None);
    }
    let host = entry.host.as_deref().unwrap_or_default();
    let url = format!("http://{}:{port}", reachable(host)).into();
    Ok(Some(Running { pid, command: entry.purpose.as_str().into(), url, started }))
}

/// From this machine: one that listens everywhere is on loopback, too.
fn reachable(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        Ok(ip) => ip.to_string(),
        Err(_) if host.is_empty() => Ipv4Addr::LOCALHOST.to_string(),
        Err(_) => host.to_owned(),
    }
}

fn boot_time() -> Option<SystemTime> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

fn since_boot(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_secs(ticks / per_second) + Duration::from_millis(ticks % per_second * 1000 / per_second)
}

fn difference(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|earlier| earlier.duration())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use serde_json::json;

    use super::*;

    fn own_start() -> f64 {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let ticks =
            stat.rsplit(')').next().unwrap().split_ascii_whitespace().nth(19).unwrap().parse().unwrap();
        (boot_time().unwrap() + since_boot(ticks)).duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
    }

    fn of(entries: &serde_json::Value) -> Option<Vec<Running>> {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(LEDGER), entries.to_string()).unwrap();
        running(home.path()).unwrap()
    }

    #[test]
    fn a_process_that_runs_is_found_with_its_address() {
        let pid = std::process::id();
        let entry = json!({ "pid": pid, "create_time": own_start(), "purpose": "serve", "host": "0.0.0.0", "port": 4711 });
        let found = of(&json!([entry, { "odd": 1 }, 7])).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].pid.get(), &*found[0].command, &*found[0].url),
            (pid, "serve", "http://127.0.0.1:4711")
        );
        assert!(fs::metadata("/proc/self").unwrap().uid() == rustix::process::geteuid().as_raw());
    }

    #[test]
    fn one_that_is_gone_or_another_or_of_another_home_is_not() {
        let pid = std::process::id();
        for entry in [
            json!({ "pid": pid, "create_time": own_start() - 100.0, "purpose": "serve", "port": 4711 }),
            json!({ "pid": pid, "create_time": null, "purpose": "serve", "port": 4711 }),
            json!({ "pid": 4_194_999, "create_time": own_start(), "purpose": "serve", "port": 4711 }),
            json!({ "pid": pid, "create_time": own_start(), "purpose": "cli", "port": 4711 }),
            json!({ "pid": pid, "create_time": own_start(), "purpose": "serve", "port": null }),
            json!({ "pid": pid, "create_time": own_start(), "purpose": "serve", "port": 1, "hermes_home": "/elsewhere" }),
        ] {
            assert_eq!(of(&json!([entry])), Some(Vec::new()), "{entry}");
        }
    }

    #[test]
    fn without_a_record_nothing_is_known_and_a_broken_one_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(running(home.path()).unwrap(), None);
        fs::write(home.path().join(LEDGER), "{").unwrap();
        assert!(running(home.path()).unwrap_err().to_string().contains(LEDGER));
    }

    #[test]
    fn profiles_share_the_record_of_their_home() {
        let root = tempfile::tempdir().unwrap();
        let profile = root.path().join("profiles/work");
        fs::create_dir_all(&profile).unwrap();
        let entry = json!({ "pid": std::process::id(), "create_time": own_start(), "purpose": "dashboard", "host": "::1",
            "port": 4711, "hermes_home": profile });
        fs::write(root.path().join(LEDGER), json!([entry]).to_string()).unwrap();
        assert_eq!(&*running(&profile).unwrap().unwrap()[0].url, "http://[::1]:4711");
        assert_eq!(running(root.path()).unwrap(), Some(Vec::new()));
    }
}
