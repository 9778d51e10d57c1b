//! `hold`, `release`, `pause`, `resume`: by hand, nothing is done to one session or worker, or to any, for a while.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::args::{Args, HoldArgs, ReleaseArgs};
use super::exit::{Exit, Failure};
use super::look::look;
use super::memory::Unused;
use super::{environment, memory, output};
use crate::config::Config;
use crate::domain::ids::GatewayName;
use crate::domain::veto::Veto;
use crate::operate::events::{self, Event};
use crate::operate::explain::{NotOne, is_called, is_of, is_with, named_with_key};
use crate::operate::last_run::LastRun;
use crate::operate::seen::Seen;
use crate::operate::{acts, when};
use crate::report::Report;
use crate::report::json;
use crate::report::text::plain;
use crate::sources::clock;
use crate::state::audit;
use crate::state::holds::{self, Hold};

pub(super) async fn hold(args: &Args, wanted: &HoldArgs) -> Result<Exit, Failure> {
    let config = environment::config(args)?;
    let dir = memory::in_use(&config)?;
    let (Some(named), Some(span)) = (&wanted.id, wanted.span) else {
        return list(args, &config, &dir);
    };
    let report = look(&config).await?;
    let document = json::document(&report);
    let of: Option<GatewayName> = wanted.of.gateway.as_deref().map(Into::into);
    if let Some(name) = &of {
        environment::known_gateway(&config, name)?;
    }
    let gateways = document.gateways.iter().filter(|gateway| is_of(of.as_ref(), gateway.name));
    let entries =
        gateways.flat_map(|gateway| gateway.subjects.iter().map(move |entry| (gateway.name, entry)));
    let all: Vec<_> = entries.collect();
    let is_exact = |entry: &json::Entry<'_>| {
        entry.id == *named
            || entry.key == Some(&**named)
            || entry.worker_pid.is_some_and(|pid| pid.to_string() == *named)
    };
    let begins = |entry: &json::Entry<'_>| {
        entry.id.starts_with(named) || entry.key.is_some_and(|key| key.starts_with(named))
    };
    let mut found: Vec<_> = all.iter().filter(|(_, entry)| is_exact(entry)).collect();
    if found.is_empty() {
        // What isn't listed is known by its whole name alone.
        let besides = along(&report, &all, named).or_else(|| under_way(&dir, of.as_ref(), named));
        if let Some(subject) = besides {
            return hold_subject(args, &config, &dir, (wanted, span), subject);
        }
        // Its beginning may be that of another one: the session that had this very name is meant.
        if let Some(subject) = listed_before(&config, &dir, of.as_ref(), named)? {
            return hold_subject(args, &config, &dir, (wanted, span), subject);
        }
        found = all.iter().filter(|(_, entry)| begins(entry)).collect();
    }
    let (gateway, entry) = match found.as_slice() {
        [] => return Err(NotOne::Unknown(named.clone()).into()),
        [one] => *one,
        // A session and its idle worker have one name: what holds the session holds its worker.
        [session, worker] | [worker, session] if is_worker_of(session, worker) => *session,
        several => {
            let name = |entry: &json::Entry<'_>| named_with_key(entry.kind, &entry.id, entry.key);
            let names = several.iter().map(|(gateway, entry)| (*gateway, name(entry)));
            return Err(NotOne::several(named, names).into());
        }
    };
    let subject = Subject {
        gateway: (*gateway).to_owned(),
        kind: entry.kind.to_owned(),
        id: entry.id.clone(),
        key: entry.key.map(Into::into),
        pid: entry.worker_pid,
        besides: String::new(),
    };
    hold_subject(args, &config, &dir, (wanted, span), subject)
}

/// What is to be held.
struct Subject {
    gateway: String,
    kind: String,
    id: String,
    key: Option<String>,
    pid: Option<u32>,
    /// What else is to be said of it.
    besides: String,
}

fn hold_subject(
    args: &Args,
    config: &Config,
    dir: &Path,
    (wanted, span): (&HoldArgs, Duration),
    subject: Subject,
) -> Result<Exit, Failure> {
    let Subject { gateway, kind, id, key, pid, besides } = subject;
    let until = clock::writable(clock::wall_now() + span);
    let shown = humantime::format_rfc3339_seconds(until);
    let told = format!("{kind} {id} of {gateway} is held for {}, until {shown}{besides}", when::coarse(span));
    let (gateway, name) = (Some(gateway), Some(id));
    expect_runs(config, dir)?;
    add(dir, Hold { gateway, name, key, pid, until, why: wanted.why.clone() })?;
    said(args, &format!("{told}\n{}", holds_for(dir)))
}

/// A worker of this name that is judged with one of these, and so isn't listed.
fn along(report: &Report, all: &[(&str, &json::Entry<'_>)], named: &str) -> Option<Subject> {
    let along = report.along.iter().find(|along| is_called(along, named))?;
    let is_it = |(gateway, entry): &&(&str, &json::Entry<'_>)| {
        is_with(along, gateway, entry.kind, &entry.id, entry.worker_pid)
    };
    let (gateway, entry) = all.iter().find(is_it)?;
    let pid = along.worker.get();
    Some(Subject {
        gateway: (*gateway).to_owned(),
        kind: "worker".to_owned(),
        id: along.key.as_deref().map_or_else(|| pid.to_string(), Into::into),
        key: None,
        pid: Some(pid),
        besides: format!(
            "; it is judged with {} {}, which is kept with it",
            entry.kind,
            plain(&entry.id, 64)
        ),
    })
}

/// A session that an earlier run listed, by id or key: it may be gone, or its gateway's table can't be read just now.
fn listed_before(
    config: &Config,
    dir: &Path,
    of: Option<&GatewayName>,
    named: &str,
) -> Result<Option<Subject>, NotOne> {
    let is_configured = |name: &str| config.gateways.iter().any(|gateway| gateway.name.as_str() == name);
    let session = |gateway: &str, subject: &str, key: Option<&str>| {
        let id = subject.strip_prefix("session ")?;
        let is_it = (id == named || key == Some(named)) && is_configured(gateway) && is_of(of, gateway);
        is_it.then(|| ((gateway.to_owned(), id.to_owned()), key.map(str::to_owned)))
    };
    let of_event = |event: &Event| session(&event.gateway, &event.subject, event.key.as_deref());
    let events = events::read(dir, |event| of_event(event).is_some());
    let mut found: BTreeMap<(String, String), Option<String>> =
        events.lines.iter().filter_map(of_event).collect();
    for (gateway, seen) in &Seen::load(dir).gateways {
        let subjects = seen.subjects.iter();
        found.extend(subjects.filter_map(|(subject, it)| session(gateway, subject, it.key.as_deref())));
    }
    let is_exact = found.keys().any(|(_, id)| id == named);
    found.retain(|(_, id), _| id == named || !is_exact);
    if found.len() > 1 {
        let name = |id: &str, key: &Option<String>| named_with_key("session", id, key.as_deref());
        let names = found.iter().map(|((gateway, id), key)| (gateway.as_str(), name(id, key)));
        return Err(NotOne::several(named, names));
    }
    Ok(found.pop_first().map(|((gateway, id), key)| Subject {
        gateway,
        kind: "session".to_owned(),
        id,
        key,
        pid: None,
        besides: "; no table lists it now: it is kept if one does by then".to_owned(),
    }))
}

/// What the run that acts now is about to end: a session of this name may be closed already, and listed no more.
fn under_way(dir: &Path, of: Option<&GatewayName>, named: &str) -> Option<Subject> {
    let run = LastRun::load(dir)?.interrupted.run?;
    let mut acts = acts::of_lines(audit::read(dir, |entry| entry.run == run).lines).into_iter();
    let act = acts.find(|act| {
        act.outcome == acts::UNFINISHED
            && is_of(of, &act.gateway)
            && (act.id == named || act.key.as_deref() == Some(named))
    })?;
    let besides =
        "; its teardown is under way: what it has left is let be, but a session that is closed stays closed";
    Some(Subject {
        gateway: act.gateway,
        kind: act.kind,
        id: act.id,
        key: act.key,
        pid: act.worker_pid,
        besides: besides.to_owned(),
    })
}

/// Whether this is a session and that its own worker.
fn is_worker_of(session: &(&str, &json::Entry<'_>), worker: &(&str, &json::Entry<'_>)) -> bool {
    let ((of, session), (by, worker)) = (session, worker);
    of == by
        && (session.kind, worker.kind) == ("session", "worker")
        && session.worker_pid.is_some()
        && session.worker_pid == worker.worker_pid
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
