//! The state directory, and whether cron, a timer or a service makes the runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Check, State};
use crate::cli::memory::{LATE, Unused};
use crate::cli::{environment, memory};
use crate::config::Config;
use crate::operate::last_run::LastRun;
use crate::operate::when;
use crate::report::text::plain;
use crate::sources::clock;
use crate::state::holds;

pub(super) fn check(config: &Config, checks: &mut Vec<Check>) {
    let dir = match memory::in_use(config) {
        Ok(dir) => dir,
        Err(failure) => {
            let fix = "set dir under [state]";
            return checks.push(Check::failure("state", failure.to_string(), fix));
        }
    };
    let state = state(&dir);
    let is_unwritable = state.state == State::Failure;
    checks.push(state);
    let last_run = match LastRun::read(&dir) {
        Ok(last_run) => last_run,
        Err(error) => {
            let told = format!("when the last run was can't be read: {error}");
            return checks.push(Check::failure("runner", told, holds::UNREAD_REMEDY));
        }
    };
    checks.extend(elsewhere(&dir, last_run.as_ref()).or_else(|| service_elsewhere(&dir)));
    let mut runner = runner(last_run);
    // Why and the remedy are told with the state directory.
    if is_unwritable && runner.state == State::Ok {
        runner.detail += " in it; how a later one ended can't have been written down";
    }
    checks.push(runner);
}

fn state(dir: &Path) -> Check {
    let shown = dir.display();
    if !dir.exists() {
        return Check::ok("state", format!("{shown} will be made by the first run"));
    }
    match crate::state::examine(dir, rustix::process::geteuid().as_raw()) {
        Ok(()) => match room(dir) {
            Ok(()) => Check::ok("state", shown.to_string()),
            Err((why, fix)) => Check::failure("state", format!("{shown} {why}: nothing is reaped"), fix),
        },
        Err(error) => Check::failure("state", error.to_string(), error.remedy()),
    }
}

/// Whether a run could write there, without writing.
fn room(dir: &Path) -> Result<(), (String, &'static str)> {
    let unwritable = |error: rustix::io::Errno| (format!("can't be written ({error})"), "make it writable");
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
        .map_err(unwritable)?;
    let room = rustix::fs::statvfs(dir).map_err(unwritable)?;
    // Some file systems count nothing.
    let has = |all: u64, free: u64| all == 0 || free > 0;
    let is_root = rustix::process::geteuid().is_root();
    let (blocks, files) = if is_root { (room.f_bfree, room.f_ffree) } else { (room.f_bavail, room.f_favail) };
    if has(room.f_blocks, blocks) && has(room.f_files, files) {
        return Ok(());
    }
    Err(("is on a full file system".into(), "make room on it"))
}

/// Another state directory that was used later: then the service and this shell have two memories.
fn elsewhere(dir: &Path, ours: Option<&LastRun>) -> Option<Check> {
    let places = environment::usual_state_dirs();
    let others = places.into_iter().filter(|place| place != dir);
    let later = |(_, run): &(PathBuf, LastRun)| ours.and_then(memory::ended) < memory::ended(run);
    let (other, run) =
        others.filter_map(|place| LastRun::load(&place).map(|run| (place, run))).find(later)?;
    Some(Check::warning(
        "state",
        format!(
            "{} was used {} ({}), this shell uses {}",
            other.display(),
            when::ago(&run.ended_at, clock::wall_now()),
            run.runner,
            dir.display()
        ),
        format!("set dir = \"{}\" under [state], so that there is one memory", other.display()),
    ))
}

/// A service has its memory in another directory, and none was ever used here.
fn service_elsewhere(dir: &Path) -> Option<Check> {
    let unused = Unused::of(dir).filter(Unused::is_used_elsewhere)?;
    Some(Check::warning("state", unused.to_string(), unused.remedy()))
}

/// A clock that is put right is set back by less.
const AHEAD: Duration = Duration::from_secs(60);

/// Why nothing can be told from the time of the last run, and what to do about it.
fn is_no_past(run: &LastRun, now: SystemTime) -> Option<Check> {
    let Some(ended) = when::parse(&run.ended_at) else {
        let told = format!(
            "{}, but the time of the last run, {:?}, can't be understood: whether it is late can't be known",
            run.runner,
            plain(&run.ended_at, 40)
        );
        return Some(Check::warning(
            "runner",
            told,
            "`gateway-reaper once` writes it anew, and so does `watch`",
        ));
    };
    ended.duration_since(now).is_ok_and(|ahead| ahead > AHEAD).then(|| {
        let told = format!(
            "{}, last run {}, which is in the future: whether it is late can't be known",
            run.runner, run.ended_at
        );
        let fix = "set the clock of this machine (`timedatectl`) if it is wrong; if it is right, the next run writes the time anew: \
                   `gateway-reaper once` makes one";
        Check::warning("runner", told, fix)
    })
}

fn runner(last_run: Option<LastRun>) -> Check {
    let Some(run) = last_run.filter(|run| !run.ended_at.is_empty()) else {
        return Check::warning(
            "runner",
            "no run has ended yet",
            "start `gateway-reaper watch` as a service, or `once` from a timer or cron",
        );
    };
    let now = clock::wall_now();
    let age = when::parse(&run.ended_at).and_then(|ended| now.duration_since(ended).ok());
    let told = format!("{}, last run {}", run.runner, when::ago(&run.ended_at, now));
    let late = match run.interval_s {
        Some(interval) => {
            Duration::try_from_secs_f64(interval * 3.0).unwrap_or(LATE).max(Duration::from_secs(60))
        }
        None => LATE,
    };
    if let Some(error) = &run.error {
        return Check::failure("runner", format!("{told}: no run could be made: {error}"), "what it says");
    }
    if age.is_some_and(|age| age > late) {
        let fix =
            "see why it stopped: `systemctl status gateway-reaper`, or cron's mail; then start it again";
        return Check::failure("runner", told, fix);
    }
    if run.result == "failed" {
        let told = format!("{told}: something due could not be reaped");
        return Check::failure("runner", told, "`gateway-reaper history` says what and why");
    }
    if let Some(check) = is_no_past(&run, now) {
        return check;
    }
    match (run.result.as_str(), run.dry_run) {
        ("distrust", _) => Check::warning(
            "runner",
            format!("{told}: a session table could not be read or trusted"),
            "see the gateway above",
        ),
        (_, true) => Check::warning(
            "runner",
            format!("{told}: a dry run, which reaps nothing"),
            "take out --dry-run or dry_run once you trust it",
        ),
        _ => Check::ok("runner", format!("{told}, nothing failed")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn told(ended_at: &str, result: &str) -> Check {
        let run = LastRun {
            runner: "once".into(),
            result: result.into(),
            ended_at: ended_at.into(),
            ..LastRun::default()
        };
        runner(Some(run))
    }

    #[test]
    fn a_last_run_in_the_future_or_at_no_time_is_a_warning_with_its_remedy() {
        for (ended_at, says) in [
            ("9000-01-01T00:00:00.000Z", "last run 9000-01-01T00:00:00.000Z, which is in the future"),
            ("yesterday", "the time of the last run, \"yesterday\", can't be understood"),
        ] {
            let check = told(ended_at, "ok");
            assert!(check.state == State::Warning && check.detail.contains(says), "{check:?}");
            assert!(
                check.fix.as_deref().is_some_and(|fix| fix.contains("`gateway-reaper once`")),
                "{check:?}"
            );
            assert_eq!(told(ended_at, "failed").state, State::Failure, "that comes first");
        }
        let at = |span: Duration| humantime::format_rfc3339_millis(clock::wall_now() + span).to_string();
        assert_eq!(told(&at(Duration::from_secs(5)), "ok").state, State::Ok, "the clock was put right");
    }

    #[test]
    fn what_is_wrong_with_the_state_directory_has_the_one_remedy_that_helps() {
        let dir = tempfile::tempdir().unwrap();
        let set = |mode| std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        set(0o777);
        let check = state(dir.path());
        assert_eq!(check.fix, Some(format!("chmod go-w {}", dir.path().display())), "{check:?}");
        set(0o755);
        assert_eq!(state(dir.path()).state, State::Ok);
    }
}
