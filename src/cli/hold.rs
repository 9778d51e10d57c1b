//! `hold`, `release`, `pause`, `resume`: by hand, nothing is done to one session or worker, or to any, for a while.

use std::path::Path;
use std::time::Duration;

use super::args::{Args, HoldArgs};
use super::exit::{Exit, Failure};
use super::look::look;
use super::{environment, output};
use crate::operate::explain::NotOne;
use crate::report::json;
use crate::sources::clock;
use crate::state::holds::{self, Hold};

pub(super) async fn hold(args: &Args, wanted: &HoldArgs) -> Result<Exit, Failure> {
    let config = environment::config(args)?;
    let dir = environment::state_dir(&config)?;
    let report = look(&config).await?;
    let document = json::document(&report);
    let entries = document
        .gateways
        .iter()
        .flat_map(|gateway| gateway.subjects.iter().map(move |entry| (gateway.name, entry)));
    let all: Vec<_> = entries.collect();
    let is_exact = |entry: &json::Entry<'_>| {
        entry.id == wanted.id
            || entry.key == Some(&*wanted.id)
            || entry.worker_pid.is_some_and(|pid| pid.to_string() == wanted.id)
    };
    let begins = |entry: &json::Entry<'_>| {
        entry.id.starts_with(&wanted.id) || entry.key.is_some_and(|key| key.starts_with(&wanted.id))
    };
    let mut found: Vec<_> = all.iter().filter(|(_, entry)| is_exact(entry)).collect();
    if found.is_empty() {
        found = all.iter().filter(|(_, entry)| begins(entry)).collect();
    }
    let (gateway, entry) = match found.as_slice() {
        [] => return Err(NotOne::Unknown(wanted.id.clone()).into()),
        [one] => *one,
        several => {
            let names = several.iter().take(10).map(|(_, entry)| format!("{} {}", entry.kind, entry.id));
            return Err(NotOne::Several { named: wanted.id.clone(), names: names.collect() }.into());
        }
    };
    let (gateway, name) = (Some((*gateway).to_owned()), Some(entry.id.clone()));
    add(
        &dir,
        Hold {
            gateway,
            name,
            until: clock::writable(clock::wall_now() + wanted.span),
            why: wanted.why.clone(),
        },
    )?;
    said(
        args,
        &format!(
            "{} {} of {} is held for {}",
            entry.kind,
            entry.id,
            found[0].0,
            humantime::format_duration(wanted.span)
        ),
    )
}

pub(super) fn release(args: &Args, name: &str) -> Result<Exit, Failure> {
    let is_it = |hold: &Hold| hold.name.as_deref().is_some_and(|held| held.starts_with(name));
    remove(args, is_it, "nothing is held by that name")
}

pub(super) fn pause(args: &Args, span: Duration) -> Result<Exit, Failure> {
    let dir = environment::state_dir(&environment::config(args)?)?;
    add(
        &dir,
        Hold { gateway: None, name: None, until: clock::writable(clock::wall_now() + span), why: None },
    )?;
    said(
        args,
        &format!(
            "nothing is reaped for {}; `gateway-reaper resume` ends that",
            humantime::format_duration(span)
        ),
    )
}

pub(super) fn resume(args: &Args) -> Result<Exit, Failure> {
    remove(args, |hold| hold.name.is_none(), "nothing is paused")
}

/// Puts one in the place of an earlier one for the same.
fn add(dir: &Path, hold: Hold) -> Result<(), Failure> {
    crate::state::open(dir, rustix::process::geteuid().as_raw())?;
    let mut all = load(dir)?;
    all.retain(|known| (&known.gateway, &known.name) != (&hold.gateway, &hold.name));
    all.push(hold);
    save(dir, all)
}

fn remove(args: &Args, is_it: impl Fn(&Hold) -> bool, none: &str) -> Result<Exit, Failure> {
    let dir = environment::state_dir(&environment::config(args)?)?;
    let all = load(&dir)?;
    let (ended, left): (Vec<_>, Vec<_>) = all.into_iter().partition(is_it);
    if ended.is_empty() {
        return said(args, none);
    }
    save(&dir, left)?;
    said(args, "done; the next run decides as before")
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
