//! What a name on the command line means that is to be held.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::exit::Failure;
use crate::config::Config;
use crate::domain::ids::GatewayName;
use crate::operate::acts;
use crate::operate::events::{self, Event};
use crate::operate::explain::{NotOne, is_called, is_of, is_with, named_with_key};
use crate::operate::last_run::LastRun;
use crate::operate::seen::Seen;
use crate::report::Report;
use crate::report::json;
use crate::report::text::plain;
use crate::state::audit;

/// What is to be held.
pub(super) struct Subject {
    pub(super) gateway: String,
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) key: Option<String>,
    pub(super) pid: Option<u32>,
    /// What else is to be said of it.
    pub(super) besides: String,
}

/// The one of this name, of this gateway or of any: what the report lists, what is judged with that, what a run is about to end, or what was
/// listed before.
///
/// # Errors
/// None has this name, or several have.
pub(super) fn find(
    config: &Config,
    dir: &Path,
    report: &Report,
    of: Option<&GatewayName>,
    named: &str,
) -> Result<Subject, Failure> {
    let document = json::document(report);
    let gateways = document.gateways.iter().filter(|gateway| is_of(of, gateway.name));
    let entries =
        gateways.flat_map(|gateway| gateway.subjects.iter().map(move |entry| (gateway.name, entry)));
    let all: Vec<_> = entries.collect();
    let is_exact = |entry: &json::Entry<'_>| {
        entry.id == *named
            || entry.key == Some(named)
            || entry.worker_pid.is_some_and(|pid| pid.to_string() == *named)
    };
    let begins = |entry: &json::Entry<'_>| {
        entry.id.starts_with(named) || entry.key.is_some_and(|key| key.starts_with(named))
    };
    let mut found: Vec<_> = all.iter().filter(|(_, entry)| is_exact(entry)).collect();
    if found.is_empty() {
        // What isn't listed is known by its whole name alone.
        if let Some(subject) = along(report, &all, named).or_else(|| under_way(dir, of, named)) {
            return Ok(subject);
        }
        // Its beginning may be that of another one: the session that had this very name is meant.
        if let Some(subject) = listed_before(config, dir, of, named)? {
            return Ok(subject);
        }
        found = all.iter().filter(|(_, entry)| begins(entry)).collect();
    }
    let (gateway, entry) = match found.as_slice() {
        [] => return Err(NotOne::Unknown(named.to_owned()).into()),
        [one] => *one,
        // A session and its idle worker have one name: what holds the session holds its worker.
        [session, worker] | [worker, session] if is_worker_of(session, worker) => *session,
        several => {
            let name = |entry: &json::Entry<'_>| named_with_key(entry.kind, &entry.id, entry.key);
            let names = several.iter().map(|(gateway, entry)| (*gateway, name(entry)));
            return Err(NotOne::several(named, names).into());
        }
    };
    Ok(Subject {
        gateway: (*gateway).to_owned(),
        kind: entry.kind.to_owned(),
        id: entry.id.clone(),
        key: entry.key.map(Into::into),
        pid: entry.worker_pid,
        besides: String::new(),
    })
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
