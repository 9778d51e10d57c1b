//! `hold`, `release`, `pause`, `resume`: by hand, nothing is done to one session or worker, or to any, for a while.

mod subject;

use std::fmt::Write;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use self::subject::Subject;
use super::args::{Args, HoldArgs, ReleaseArgs};
use super::exit::{Exit, Failure};
use super::look::look;
use super::memory::Unused;
use super::{environment, memory, output};
use crate::config::Config;
use crate::domain::ids::GatewayName;
use crate::domain::veto::Veto;
use crate::operate::explain::{NotOne, is_of};
use crate::operate::when;
use crate::report::text::plain;
use crate::sources::clock;
use crate::state::holds::{self, Hold};

pub(super) async fn hold(args: &Args, wanted: &HoldArgs) -> Result<Exit, Failure> {
    let config = environment::config(args)?;
    let dir = memory::in_use(&config)?;
    let (Some(named), Some(span)) = (&wanted.id, wanted.span) else {
        return list(args, &config, &dir);
    };
    let of: Option<GatewayName> = wanted.of.gateway.as_deref().map(Into::into);
    if let Some(name) = &of {
        environment::known_gateway(&config, name)?;
    }
    let report = look(&config).await?;
    let subject = subject::find(&config, &dir, &report, of.as_ref(), named)?;
    let until = clock::writable(clock::wall_now() + span);
    let Subject { gateway, kind, id, key, pid, besides } = subject;
    let shown = humantime::format_rfc3339_seconds(until);
    let told = format!("{kind} {id} of {gateway} is held for {}, until {shown}{besides}", when::coarse(span));
    let (gateway, name) = (Some(gateway), Some(id));
    expect_runs(&config, &dir)?;
    add(&dir, Hold { gateway, name, key, pid, until, why: wanted.why.clone() })?;
    said(args, &format!("{told}\n{}", holds_for(&dir)))
}

pub(super) fn release(args: &Args, wanted: &ReleaseArgs) -> Result<Exit, Failure> {
    let named = wanted.id.as_str();
    let of: Option<GatewayName> = wanted.of.gateway.as_deref().map(Into::into);
    let config = environment::config(args)?;
    let dir = memory::in_use(&config)?;
    let _lock = lock(&dir)?;
    let all = load(&dir)?;
    if all.is_empty() {
        expect_runs(&config, &dir)?;
    }
    let is_of_it = |hold: &Hold| hold.gateway.as_deref().is_some_and(|gateway| is_of(of.as_ref(), gateway));
    let fits = |hold: &Hold, fits: &dyn Fn(&str) -> bool| {
        is_of_it(hold) && [&hold.name, &hold.key].into_iter().flatten().any(|name| fits(name))
    };
    let is_pid = |hold: &Hold| is_of_it(hold) && hold.pid.is_some_and(|pid| pid.to_string() == named);
    let is_exact = |hold: &Hold| fits(hold, &|name| name == named) || is_pid(hold);
    let begins = |hold: &Hold| fits(hold, &|name| name.starts_with(named));
    let any_exact = all.iter().any(is_exact);
    let (ended, left): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|hold| if any_exact { is_exact(hold) } else { begins(hold) });
    let names =
        |holds: &[Hold]| -> Vec<String> { holds.iter().filter_map(|hold| hold.name.clone()).collect() };
    match ended.as_slice() {
        [] => {
            let held = match names(&left).as_slice() {
                [] => "nothing else is held".to_owned(),
                names => format!("held: {}", names.join(", ")),
            };
            Err(Failure::Asked(format!("nothing is held by the name {named:?} in {}; {held}", dir.display())))
        }
        [_, _, ..] if !any_exact => {
            let name = |hold: &Hold| hold.name.clone().unwrap_or_default();
            let ended = ended.iter().map(|hold| (hold.gateway.as_deref().unwrap_or_default(), name(hold)));
            Err(NotOne::several(named, ended).into())
        }
        ended => {
            let told = format!("{} is held no more; the next run decides as before", names(ended).join(", "));
            save(&dir, left)?;
            said(args, &format!("{told}\n{}", holds_for(&dir)))
        }
    }
}

pub(super) fn pause(args: &Args, span: Duration) -> Result<Exit, Failure> {
    let config = environment::config(args)?;
    let dir = memory::in_use(&config)?;
    expect_runs(&config, &dir)?;
    let until = clock::writable(clock::wall_now() + span);
    add(&dir, Hold { gateway: None, name: None, key: None, pid: None, until, why: None })?;
    let (span, until) = (when::coarse(span), humantime::format_rfc3339_seconds(until));
    let told = format!("nothing is reaped for {span}, until {until}; `gateway-reaper resume` ends that");
    said(args, &format!("{told}\n{}", holds_for(&dir)))
}

pub(super) fn resume(args: &Args) -> Result<Exit, Failure> {
    let config = environment::config(args)?;
    let dir = memory::in_use(&config)?;
    let _lock = lock(&dir)?;
    let (ended, left): (Vec<_>, Vec<_>) = load(&dir)?.into_iter().partition(|hold| hold.name.is_none());
    if ended.is_empty() {
        expect_runs(&config, &dir)?;
        return said(args, &format!("nothing is paused\n{}", holds_for(&dir)));
    }
    save(&dir, left)?;
    said(args, &format!("done; the next run decides as before\n{}", holds_for(&dir)))
}

/// Refuses to write into a directory with which no run was ever made, where runs are made with another one and none is named. Else the runs to
/// come may use it, and that there is none yet is a warning. So is that another directory is used besides.
fn expect_runs(config: &Config, dir: &Path) -> Result<(), Failure> {
    if let Some(unused) = Unused::of(dir) {
        let told = format!("{unused}; {}", unused.remedy());
        if environment::named_state_dir(config).is_none() && unused.is_used_elsewhere() {
            return Err(Failure::Asked(told));
        }
        tracing::warn!("{told}");
    }
    for other in memory::used_lately(dir) {
        tracing::warn!("runs are made with {} too, and for these it doesn't hold", other.display());
    }
    Ok(())
}

/// For which runs it holds what is forbidden by hand.
fn holds_for(dir: &Path) -> String {
    format!("for the runs whose memory is in {}", dir.display())
}

/// All that an operator forbids now: by hand, and in the configuration.
fn list(args: &Args, config: &Config, dir: &Path) -> Result<Exit, Failure> {
    let now = clock::wall_now();
    let holds = load(dir)?;
    let keeps: Vec<&Veto> =
        config.keeps.iter().map(|keep| &keep.veto).filter(|veto| !veto.is_over(now)).collect();
    let text = if args.json {
        let keeps: Vec<_> = keeps.iter().map(|veto| &veto.words).collect();
        format!("{}\n", serde_json::json!({ "version": 1, "holds": holds, "keeps": keeps }))
    } else {
        listed(&holds, &keeps, now)
    };
    output::print_text(args, &text)?;
    Ok(Exit::Done)
}

fn listed(holds: &[Hold], keeps: &[&Veto], now: SystemTime) -> String {
    let mut text = String::new();
    for hold in holds {
        let what = match (&hold.name, &hold.gateway) {
            (Some(name), Some(gateway)) => {
                let key = hold.key.as_deref().map(|key| format!(" ({})", plain(key, 64))).unwrap_or_default();
                format!("held    {}{key} of {}", plain(name, 64), plain(gateway, 64))
            }
            _ => "paused  everything".to_owned(),
        };
        let left = when::coarse(hold.until.duration_since(now).unwrap_or_default());
        let until = humantime::format_rfc3339_seconds(hold.until);
        let why = hold.why.as_deref().map(|why| format!(": {}", plain(why, 200))).unwrap_or_default();
        let _ = writeln!(text, "{what}  for {left} more, until {until}{why}");
    }
    for veto in keeps {
        let _ = writeln!(text, "kept    {}", plain(&veto.words, 300));
    }
    if text.is_empty() { "nothing is held, paused or kept by hand\n".to_owned() } else { text }
}

/// Puts one in the place of an earlier one for the same.
fn add(dir: &Path, hold: Hold) -> Result<(), Failure> {
    crate::state::open(dir, rustix::process::geteuid().as_raw())?;
    let _lock = lock(dir)?;
    let mut all = load(dir)?;
    all.retain(|known| (&known.gateway, &known.name) != (&hold.gateway, &hold.name));
    all.push(hold);
    save(dir, all)
}

/// Held until what was read is written.
fn lock(dir: &Path) -> Result<Option<File>, Failure> {
    // What root makes there would keep its user out.
    if dir.exists() {
        crate::state::examine(dir, rustix::process::geteuid().as_raw())?;
    }
    holds::lock(dir).map_err(|error| Failure::System("holds.lock can't be used", error))
}

fn load(dir: &Path) -> Result<Vec<Hold>, Failure> {
    holds::load(dir, clock::wall_now()).map_err(|error| Failure::System("holds.json can't be read", error))
}

fn save(dir: &Path, holds: Vec<Hold>) -> Result<(), Failure> {
    holds::save(dir, holds).map_err(|error| Failure::System("holds.json can't be written", error))
}

fn said(args: &Args, text: &str) -> Result<Exit, Failure> {
    output::print_text(args, &format!("{text}\n")).map(|()| Exit::Done)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::domain::veto::Scope;
    use crate::report::layout;

    #[test]
    fn the_list_says_what_is_held_for_how_long_and_why_at_80_and_40_columns() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let hold = |name: Option<&str>, until, why: Option<&str>| Hold {
            gateway: name.map(|_| "dashboard".into()),
            name: name.map(Into::into),
            key: name.map(|_| "talk-1".into()),
            pid: None,
            until: at(until),
            why: why.map(Into::into),
        };
        let holds = [
            hold(None, 3600, None),
            hold(Some("20261123_005036_2bdafa"), 172_800, Some("a demo for the people of the third floor")),
        ];
        let keep =
            Veto { scope: Scope::All, until: None, words: "[[keep]] in line 12: the boss's own".into() };
        let text = listed(&holds, &[&keep], at(60));
        let shown = |width| layout::wrap(&text, width);
        for width in [80, 40] {
            assert!(shown(width).lines().all(|line| line.chars().count() <= width));
        }
        insta::assert_snapshot!(format!("{text}\n{}\n{}\n{}", shown(80), shown(40), listed(&[], &[], at(0))));
    }
}
