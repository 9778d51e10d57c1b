//! Which state directory the runs use. The service of the package has one of its own, `/var/lib/gateway-reaper/USER`; a shell has another one,
//! unless the configuration names one for both. What is asked, held or paused in a shell is for that in which the runs are made.

use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::environment;
use super::exit::Failure;
use crate::config::Config;
use crate::operate::last_run::LastRun;
use crate::operate::when;
use crate::sources::clock;
use crate::users;

/// A timer or cron makes a run every minute or so; what is older than this is forgotten, not late.
pub(super) const LATE: Duration = Duration::from_secs(3600);

/// Where the units of the package keep the memory of each user's service.
const SERVICES: &str = "/var/lib/gateway-reaper";

/// Where the memory is for a command that makes no run: as named, else where a service of this user made the last run, else where a run of
/// this command line would have it.
pub(super) fn in_use(config: &Config) -> Result<PathBuf, Failure> {
    if let Some(dir) = environment::named_state_dir(config) {
        return Ok(dir);
    }
    let own = environment::state_dir(config);
    // A dry run is for trying it.
    let last_run = |dir: &PathBuf| {
        let run = LastRun::load(dir);
        let ended = run.as_ref().and_then(ended);
        (ended.filter(|_| run.as_ref().is_some_and(acts)), ended)
    };
    let uid = rustix::process::geteuid().as_raw();
    let service = services().into_iter().find(|dir| crate::state::examine(dir, uid).is_ok());
    let last_of_own = own.as_ref().map(last_run).unwrap_or_default();
    match service.filter(|service| last_run(service) > last_of_own) {
        Some(service) => Ok(service),
        None => own,
    }
}

/// Whether something was ever done by the runs of this memory, or would have been.
fn acts(run: &LastRun) -> bool {
    !run.dry_run || run.counters.has_acts()
}

/// The last run of a memory whose runs act.
fn acting(dir: &Path) -> Option<LastRun> {
    LastRun::load(dir).filter(acts)
}

/// When a run was over.
pub(super) fn ended(run: &LastRun) -> Option<SystemTime> {
    when::parse(&run.ended_at)
}

/// The directories of services, also those of other users that can't be looked into.
pub(super) fn services() -> Vec<PathBuf> {
    let found = std::fs::read_dir(SERVICES).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        found.map(|entry| entry.path()).filter(|path| user_of(path).is_some()).collect();
    found.sort();
    found
}

/// Other directories with which runs are made at this time.
pub(super) fn used_lately(dir: &Path) -> Vec<PathBuf> {
    let places: BTreeSet<PathBuf> = services().into_iter().chain(environment::usual_state_dirs()).collect();
    let is_recent =
        |run: LastRun| clock::wall_now().duration_since(ended(&run)?).ok().filter(|age| *age < LATE);
    let is_used = |place: &PathBuf| acting(place).and_then(is_recent).is_some();
    places.into_iter().filter(|place| place != dir && is_used(place)).collect()
}

/// The user whose service uses this directory.
fn user_of(dir: &Path) -> Option<&str> {
    let name = dir.strip_prefix(SERVICES).ok()?.to_str()?;
    let owner = std::fs::metadata(dir).ok().filter(std::fs::Metadata::is_dir)?.uid();
    users::uid_of(name).is_ok_and(|uid| uid == Some(owner)).then_some(name)
}

/// That no run but dry ones was ever made with this directory, so that what is held or paused there holds for nothing, and what to do about it.
#[derive(Debug)]
pub(super) struct Unused {
    dir: PathBuf,
    /// There were dry ones.
    is_tried: bool,
    /// Where runs are made, or a service has its memory.
    elsewhere: Option<PathBuf>,
}

impl Unused {
    /// `None`: it was used, if only to try it where no other is, or that can't be known.
    pub(super) fn of(dir: &Path) -> Option<Self> {
        // Where that can't be read there may have been one.
        let last = LastRun::read(dir).ok()?;
        if last.as_ref().is_some_and(acts) {
            return None;
        }
        let usual = environment::usual_state_dirs().into_iter().filter(|place| acting(place).is_some());
        let elsewhere = services().into_iter().chain(usual).find(|place| place != dir);
        let is_tried = last.is_some();
        (elsewhere.is_some() || !is_tried).then(|| Self { dir: dir.to_owned(), is_tried, elsewhere })
    }

    /// Whether runs are made with another directory.
    pub(super) fn is_used_elsewhere(&self) -> bool {
        self.elsewhere.is_some()
    }

    /// What to do about it.
    pub(super) fn remedy(&self) -> String {
        let both = "so that the runs and this shell use one directory";
        let Some(place) = &self.elsewhere else {
            return format!(
                "`gateway-reaper once --dry-run` makes one here; where a service makes the runs, set dir under [state], {both}"
            );
        };
        let shown = place.display();
        let set = format!("set dir = \"{shown}\" under [state], {both}");
        match user_of(place) {
            Some(user) => {
                format!("the service of {user} uses {shown}: `sudo -u {user} gateway-reaper …`, or {set}")
            }
            None => format!("{shown} was used: {set}"),
        }
    }
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dir, but) = (self.dir.display(), if self.is_tried { " but dry ones" } else { "" });
        write!(
            f,
            "no run{but} was ever made with {dir}: until one is, what is held or paused there holds for nothing"
        )
    }
}
