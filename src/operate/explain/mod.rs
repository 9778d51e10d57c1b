//! `explain`: all that is known of one session or worker is put together here, from what is there now, the notes and the audit log; how it is
//! told is in `told`.

mod told;

use std::collections::BTreeMap;

use serde::Serialize;

use super::acts::{Act, UNFINISHED};
use super::events::Event;
use super::seen::{Seen, SubjectSeen};
use crate::domain::decide::{Along, With};
use crate::domain::ids::GatewayName;
use crate::report::json::{Document, Entry};
use crate::report::text::plain;

/// What there is to search in.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    /// What is there now, if it could be looked at.
    pub(crate) now: Option<Document<'a>>,
    /// Since when each verdict holds.
    pub(crate) seen: Seen,
    /// Changes of verdict, oldest first.
    pub(crate) events: Vec<Event>,
    /// Acts, oldest first.
    pub(crate) acts: Vec<Act>,
    /// The run that acts now.
    pub(crate) acting: Option<String>,
    /// Workers that are judged with what is there.
    pub(crate) along: &'a [Along],
}

/// All that is known of one subject.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Story<'a> {
    gateway: String,
    kind: String,
    id: String,
    key: Option<String>,
    worker_pid: Option<u32>,
    now: Option<Now<'a>>,
    /// What held before its gateway's table could not be read any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<SubjectSeen>,
    /// The run that acts now does so on it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_under_way: bool,
    /// It was asked for by this worker, which is judged with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_for_by: Option<Asked<'a>>,
    events: Vec<Event>,
    acts: Vec<Act>,
}

/// A worker that is judged with the subject.
#[derive(Debug, Serialize)]
struct Asked<'a> {
    worker_pid: u32,
    key: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Now<'a> {
    #[serde(flatten)]
    entry: Entry<'a>,
    since: Option<String>,
    looks: Option<u32>,
}

/// Several subjects, or none, begin with what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NotOne {
    /// None.
    #[error(
        "nothing is known of {0:?}; `gateway-reaper status` lists what is there, `gateway-reaper history` what was reaped"
    )]
    Unknown(String),
    /// A gateway.
    #[error(
        "process {pid} is the gateway {name}, which is never signalled; `gateway-reaper status --gateway {name}` tells of its sessions"
    )]
    Gateway {
        /// Its process.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// Several.
    #[error("{named:?} begins several names: {}; write more of the one that is meant", .names.join(", "))]
    Several {
        /// What was asked for.
        named: String,
        /// What begins so.
        names: Vec<String>,
    },
    /// Several, of more than one gateway.
    #[error(
        "{named:?} begins several names: {}; write more of the one that is meant, or name its gateway: --gateway NAME",
        .names.join(", ")
    )]
    OfSeveral {
        /// What was asked for.
        named: String,
        /// What begins so.
        names: Vec<String>,
    },
}

/// How many of several names are told.
const MOST_NAMES: usize = 10;

impl NotOne {
    /// Several, each with its gateway.
    pub(crate) fn several<'n>(named: &str, found: impl IntoIterator<Item = (&'n str, String)>) -> Self {
        let found: Vec<(&str, String)> = found.into_iter().collect();
        let named = named.to_owned();
        let is_one = found.windows(2).all(|pair| pair[0].0 == pair[1].0);
        let names = found.into_iter().take(MOST_NAMES);
        match is_one {
            true => Self::Several { named, names: names.map(|(_, name)| name).collect() },
            false => {
                let names = names.map(|(gateway, name)| format!("{name} of {}", plain(gateway, 64)));
                Self::OfSeveral { named, names: names.collect() }
            }
        }
    }
}

/// A subject where several are named: people know a conversation by its key.
pub(crate) fn named_with_key(kind: &str, id: &str, key: Option<&str>) -> String {
    let key = key.filter(|key| *key != id).map(|key| format!(" ({})", plain(key, 64))).unwrap_or_default();
    format!("{kind} {}{key}", plain(id, 64))
}

/// Whether this worker is called so.
pub(crate) fn is_called(along: &Along, named: &str) -> bool {
    along.worker.to_string() == named || along.key.as_deref() == Some(named)
}

/// Whether this is the subject that it is judged with.
pub(crate) fn is_with(along: &Along, gateway: &str, kind: &str, id: &str, worker: Option<u32>) -> bool {
    match &along.with {
        With::Session(of, session) => kind == "session" && (of.as_str(), session.as_str()) == (gateway, id),
        With::Worker(pid) => kind == "worker" && worker == Some(pid.get()),
    }
}

/// Whether this is of the gateway that is asked for.
pub(crate) fn is_of(wanted: Option<&GatewayName>, gateway: &str) -> bool {
    wanted.is_none_or(|wanted| wanted.stands_for(&gateway.into()))
}

/// Who a subject is: its gateway, kind, and id.
type Who = (String, String, String);

impl<'a> Sources<'a> {
    /// All that is known of the subject that this names: an id, a conversation key, the PID of a worker, or the unique beginning of one. `of`: which
    /// gateway.
    ///
    /// # Errors
    /// It names none, or the beginnings of several.
    pub(crate) fn find(self, named: &str, of: Option<&GatewayName>) -> Result<Vec<Story<'a>>, NotOne> {
        let gateways = self.now.iter().flat_map(|document| &document.gateways);
        let mut gateways = gateways.filter_map(|gateway| Some((gateway.pid?, gateway.name)));
        let gateway = gateways.find(|(pid, _)| pid.to_string() == named);
        let all_along = self.along;
        let mut stories = self.stories();
        stories.retain(|story| is_of(of, &story.gateway));
        let is_exact = |story: &Story<'_>| {
            story.id == named
                || story.key.as_deref() == Some(named)
                || story.worker_pid.is_some_and(|pid| pid.to_string() == named)
                || story.acts.iter().any(|act| act.worker_pid.is_some_and(|pid| pid.to_string() == named))
        };
        let begins = |story: &Story<'_>| {
            story.id.starts_with(named) || story.key.as_ref().is_some_and(|key| key.starts_with(named))
        };
        let is_listed = stories.iter().any(|story| story.now.is_some() && is_exact(story));
        let along = all_along.iter().find(|along| !is_listed && is_called(along, named));
        if let Some(along) = along {
            let is_it = |story: &Story<'_>| {
                is_with(along, &story.gateway, &story.kind, &story.id, story.worker_pid)
                    && story.now.is_some()
            };
            for story in stories.iter_mut().filter(|story| is_it(story)) {
                let (worker_pid, key) = (along.worker.get(), along.key.as_deref());
                story.asked_for_by = Some(Asked { worker_pid, key });
            }
        }
        let is_exact = |story: &Story<'_>| story.asked_for_by.is_some() || is_exact(story);
        if stories.iter().any(is_exact) {
            stories.retain(is_exact);
            return Ok(stories);
        }
        if let Some((pid, name)) = gateway {
            return Err(NotOne::Gateway { pid, name: name.to_owned() });
        }
        stories.retain(begins);
        match stories.as_slice() {
            [] => Err(NotOne::Unknown(named.to_owned())),
            [_] => Ok(stories),
            several => {
                let name = |story: &Story<'_>| named_with_key(&story.kind, &story.id, story.key.as_deref());
                Err(NotOne::several(named, several.iter().map(|story| (&*story.gateway, name(story)))))
            }
        }
    }

    fn stories(self) -> Vec<Story<'a>> {
        let mut stories: BTreeMap<Who, Story<'a>> = BTreeMap::new();
        for gateway in self.now.into_iter().flat_map(|document| document.gateways) {
            for entry in gateway.subjects {
                // What was noted last may be older than what was seen just now.
                let holds = self.seen.known(gateway.name, &entry);
                let story = story_of(&mut stories, gateway.name, entry.kind, &entry.id);
                story.key = entry.key.map(Into::into);
                story.worker_pid = entry.worker_pid;
                story.now = Some(Now {
                    since: holds.map(|known| known.since.clone()),
                    looks: holds.map(|known| known.looks).filter(|looks| *looks > 0),
                    entry,
                });
            }
        }
        let unread = self.seen.gateways.into_iter().filter(|(_, gateway)| gateway.table != "ok");
        for (gateway, seen) in unread {
            for (name, subject) in seen.subjects {
                let Some(id) = name.strip_prefix("session ") else { continue };
                let story = story_of(&mut stories, &gateway, "session", id);
                if story.now.is_none() {
                    story.key = subject.key.clone();
                    story.last_seen = Some(subject);
                }
            }
        }
        for act in self.acts {
            let story = story_of(&mut stories, &act.gateway, &act.kind, &act.id);
            story.key = story.key.take().or_else(|| act.key.clone());
            story.worker_pid = story.worker_pid.or(act.worker_pid);
            story.is_under_way = act.outcome == UNFINISHED && self.acting.as_ref() == Some(&act.run);
            story.acts.push(act);
        }
        for event in self.events {
            let Some((kind, name)) = event.subject.split_once(' ') else { continue };
            // A worker's name ends with its PID, because several may carry one key.
            let id = if kind == "worker" { name.rsplit_once(' ').map_or(name, |(id, _)| id) } else { name };
            let story = story_of(&mut stories, &event.gateway, kind, id);
            story.key = story.key.take().or_else(|| event.key.clone());
            story.worker_pid = story.worker_pid.or(event.worker_pid);
            story.events.push(event);
        }
        stories.into_values().collect()
    }
}

fn story_of<'s, 'a>(
    stories: &'s mut BTreeMap<Who, Story<'a>>,
    gateway: &str,
    kind: &str,
    id: &str,
) -> &'s mut Story<'a> {
    let who = (gateway.to_owned(), kind.to_owned(), id.to_owned());
    stories.entry(who).or_insert_with(|| Story {
        gateway: gateway.to_owned(),
        kind: kind.to_owned(),
        id: id.to_owned(),
        ..Story::default()
    })
}

#[cfg(test)]
mod tests;
