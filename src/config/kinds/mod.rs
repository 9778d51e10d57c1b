//! The kinds of gateways, each with its own keys and settings. A new kind adds a file here with its [`Kind`], and one line to each of
//! the two lists below.

mod command;
mod endpoint;
mod hermes;
mod http;
mod jupyter;
mod processes;

use std::collections::BTreeSet;
use std::fmt;

use super::nearest::nearest;
use super::section::Section;
use super::value::quoted;
use crate::domain::policy::{WorkerMatch, Workers};

pub use command::{CommandGateway, CommandLine};
pub(super) use endpoint::is_variable_name;
pub use endpoint::{Endpoint, ListenerUser};
pub use hermes::HermesHome;
pub use jupyter::JupyterRuntime;
pub(super) use processes::PRESETS;

/// How a gateway is spoken to, with the settings of that kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayKind {
    /// It publishes the session table itself; the address is the table's.
    Http(Endpoint),
    /// A Hermes dashboard; the address is its base.
    Hermes(Endpoint),
    /// A Hermes dashboard, found by the records of its home.
    HermesHome(HermesHome),
    /// A Jupyter Server or a Kernel Gateway; the address is its base.
    Jupyter(Endpoint),
    /// The Jupyter Servers of a user, found by their own files.
    JupyterRuntime(JupyterRuntime),
    /// Its table is printed by a program.
    Command(CommandGateway),
    /// There is none: leftovers are found by themselves.
    Processes,
}

const KINDS: [&Kind; 5] = [&hermes::KIND, &http::KIND, &jupyter::KIND, &command::KIND, &processes::KIND];

/// Words of the contract that other versions may serve.
const RESERVED: [&str; 1] = ["file"];

/// What a kind adds to the configuration.
pub(super) struct Kind {
    /// Its word.
    word: &'static str,
    /// Its own keys under `[[gateway]]`.
    pub(super) keys: &'static [&'static str],
    /// Reads them. `None`: something is wrong with them, and was noted.
    read: fn(&Section<'_>) -> Option<GatewayKind>,
    /// How its workers are recognised where the configuration doesn't say.
    worker_match: Option<&'static str>,
    /// What holds for it where neither it nor `[policy]` says anything: keys with their values, as the file would write them.
    policy: &'static [(&'static str, &'static str)],
}

impl GatewayKind {
    /// The word in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Http(_) => http::KIND.word,
            Self::Hermes(_) | Self::HermesHome(_) => hermes::KIND.word,
            Self::Jupyter(_) | Self::JupyterRuntime(_) => jupyter::KIND.word,
            Self::Command(_) => command::KIND.word,
            Self::Processes => processes::KIND.word,
        }
    }

    /// Whether a run of this kind may take back the workers of an earlier one. A Hermes that was started again never does.
    pub fn takes_workers_back(&self) -> bool {
        !matches!(self, Self::Hermes(_) | Self::HermesHome(_))
    }

    /// What of the processes that match is a worker of it.
    pub fn workers(&self) -> Workers {
        match self {
            Self::Jupyter(_) | Self::JupyterRuntime(_) => Workers::LeadersOfGone,
            Self::Processes => Workers::Leftovers,
            Self::Http(_) | Self::Hermes(_) | Self::HermesHome(_) | Self::Command(_) => Workers::Matching,
        }
    }

    /// Whether it is known what one of its workers at rest looks like.
    pub fn knows_rest(&self) -> bool {
        matches!(self, Self::Hermes(_) | Self::HermesHome(_))
    }

    /// Whether a worker that takes the place of another one has nothing of what that one had.
    pub fn starts_workers_empty(&self) -> bool {
        matches!(self, Self::Jupyter(_) | Self::JupyterRuntime(_))
    }

    /// Whether its workers have sessions that stay without them.
    pub fn has_sessions(&self) -> bool {
        !matches!(self, Self::Processes)
    }

    /// Whether it can be asked to close a session.
    pub fn closes_sessions(&self) -> bool {
        match self {
            Self::Command(program) => program.reap.is_some(),
            kind => kind.has_sessions(),
        }
    }

    /// Whether anything can be known of it without its table.
    pub fn is_looked_at_from_outside(&self) -> bool {
        matches!(self, Self::Hermes(_) | Self::HermesHome(_))
    }

    /// Where it is asked, for a kind that is spoken to over HTTP.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Http(endpoint) | Self::Hermes(endpoint) | Self::Jupyter(endpoint) => Some(endpoint),
            Self::HermesHome(_) | Self::JupyterRuntime(_) | Self::Command(_) | Self::Processes => None,
        }
    }
}

impl fmt::Display for GatewayKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the workers of a kind are recognised where the configuration doesn't say.
pub(super) fn built_in_match(word: &str) -> Option<&'static str> {
    KINDS.iter().find(|kind| kind.word == word)?.worker_match
}

/// The keys of all kinds, by kind.
pub(super) const KEYS: [&[&str]; KINDS.len()] = {
    let mut keys: [&[&str]; KINDS.len()] = [&[]; KINDS.len()];
    let mut at = 0;
    while at < KINDS.len() {
        keys[at] = KINDS[at].keys;
        at += 1;
    }
    keys
};

/// What holds for a kind where neither the gateway nor `[policy]` says anything, as the file would say it.
pub(super) fn built_in_policy(word: &str) -> &'static [(&'static str, &'static str)] {
    KINDS.iter().find(|kind| kind.word == word).map_or(&[], |kind| kind.policy)
}

/// Reads the kind that a gateway names. Without one the keys of every kind are taken, so that its other mistakes are told as well.
pub(super) fn read(section: &Section<'_>) -> Option<(GatewayKind, Option<WorkerMatch>)> {
    let Some(kind) = named(section) else {
        endpoint::read(section);
        return None;
    };
    // Several kinds may have one key.
    let others: BTreeSet<&str> = KEYS.iter().flat_map(|keys| keys.iter().copied()).collect();
    for key in others.into_iter().filter(|key| !kind.keys.contains(key) && section.value(key).is_some()) {
        section.refuse(key, format!("kind = {:?} has no {key}; take it out", kind.word));
    }
    let built_in = kind.worker_match.and_then(|pattern| WorkerMatch::new(pattern).ok());
    Some(((kind.read)(section)?, built_in))
}

fn named(section: &Section<'_>) -> Option<&'static Kind> {
    let words = || KINDS.iter().map(|kind| kind.word);
    let expected = words().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" or ");
    section.require("kind", &expected);
    let text = section.text("kind", &expected)?;
    let known = KINDS.into_iter().find(|kind| kind.word == text);
    if known.is_none() {
        let found = quoted(text);
        section.refuse(
            "kind",
            if RESERVED.contains(&text) {
                format!("{found} is not served by this version; it serves {expected}")
            } else if let Some(near) = nearest(text, words()) {
                format!("expected {expected}; found {found}; did you mean {near:?}?")
            } else {
                format!("expected {expected}; found {found}")
            },
        );
    }
    known
}
