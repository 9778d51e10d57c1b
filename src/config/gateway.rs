//! `[[gateway]]`: a gateway to watch over.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hyper::Uri;

use crate::domain::ids::GatewayName;
use crate::domain::policy::{Policy, WorkerMatch};

use super::process::{self, ProcessSource};
use super::section::Section;
use super::token::TokenSource;
use super::user::UserSpec;
use super::value::{quoted, shown};
use super::{defaults, keys, policy, url};

/// How a gateway is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayKind {
    /// It publishes the session table itself; the url is the table's.
    Http,
    /// A Hermes dashboard; the url is its base.
    Hermes,
}

impl GatewayKind {
    const ALL: [Self; 2] = [Self::Hermes, Self::Http];

    /// Words of the contract that other versions may serve.
    const RESERVED: [&'static str; 3] = ["jupyter", "file", "command"];

    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Hermes => "hermes",
        }
    }
}

impl fmt::Display for GatewayKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One gateway, with everything that holds for it.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Its name, unique in the file.
    pub name: GatewayName,
    /// How it is spoken to.
    pub kind: GatewayKind,
    /// Plain HTTP with a host; no user, no query. What it addresses depends on the kind.
    pub url: Uri,
    /// Where its token comes from.
    pub token: TokenSource,
    /// How long it has to answer. Never zero.
    pub timeout: Duration,
    /// The largest table that is read.
    pub max_table_bytes: usize,
    /// Graces, timeouts and the quota.
    pub policy: Policy,
    /// How its workers are recognised. `None`: no process of its is ever signalled.
    pub worker_match: Option<WorkerMatch>,
    /// The user its workers run as. `None`: the reaper's own.
    pub worker_user: Option<UserSpec>,
    /// How its own process is found where the table gives no PID.
    pub process: Option<ProcessSource>,
}

const EXPECTED_NAME: &str = "a name of up to 64 characters in quotes, such as \"dashboard\"";
const EXPECTED_URL: &str = "the gateway's address in quotes, such as \"http://127.0.0.1:9119\"";

/// Reads every gateway of the file; where one is silent, `policy` holds.
pub(super) fn read_all(root: &Section<'_>, policy: &Policy) -> Vec<GatewayConfig> {
    let sections = root.sections("gateway", &keys::GATEWAY);
    root.require("gateway", "at least one [[gateway]] with its name, kind and url");
    refuse_shared_names(&sections);
    sections.iter().filter_map(|section| read(section, policy)).collect()
}

fn refuse_shared_names(sections: &[Section<'_>]) {
    let mut taken = BTreeMap::new();
    for section in sections {
        let Some(name) = section.value("name").and_then(|name| name.get_ref().as_str()) else { continue };
        if let Some(line) = taken.insert(name, section.line()) {
            let message = format!(
                "{} is taken by the gateway at line {line}; every gateway needs its own",
                quoted(name)
            );
            section.refuse("name", message);
        }
    }
}

/// Reads everything before it gives up on anything, so that every mistake is told.
fn read(section: &Section<'_>, above: &Policy) -> Option<GatewayConfig> {
    section.refuse_unknown_keys();
    let name = name(section);
    let kind = kind(section);
    let url = address(section);
    let token = token(section);
    let timeout = timeout(section);
    let max_table_bytes = section.count(
        "max_table_bytes",
        1024..=1024 * 1024 * 1024,
        "a whole number of bytes from 1024 to 1073741824 (1 GiB)",
    );
    let policy = policy::read(section, above);
    let (worker_match, worker_user) = process::read_worker(section);
    let process = process::read_process(section);

    let kind = kind?;
    Some(GatewayConfig {
        name: name?,
        kind,
        url: url?,
        token,
        timeout: timeout.unwrap_or(defaults::TIMEOUT),
        max_table_bytes: max_table_bytes.unwrap_or(defaults::MAX_TABLE_BYTES),
        policy,
        worker_match: worker_match.or_else(|| built_in_match(kind)),
        worker_user,
        process,
    })
}

fn name(section: &Section<'_>) -> Option<GatewayName> {
    section.require("name", EXPECTED_NAME);
    let text = section.text("name", EXPECTED_NAME)?;
    let fits = !text.is_empty()
        && text.trim() == text
        && text.chars().count() <= 64
        && !text.chars().any(char::is_control);
    if fits { Some(text.into()) } else { section.mismatch("name", EXPECTED_NAME, &quoted(text)) }
}

fn kind(section: &Section<'_>) -> Option<GatewayKind> {
    const EXPECTED: &str = "\"hermes\" or \"http\"";
    section.require("kind", EXPECTED);
    let text = section.text("kind", EXPECTED)?;
    let known = GatewayKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    if known.is_none() {
        let found = quoted(text);
        let words = GatewayKind::ALL.into_iter().map(GatewayKind::as_str);
        section.refuse(
            "kind",
            if GatewayKind::RESERVED.contains(&text) {
                format!("{found} is not served by this version; it serves {EXPECTED}")
            } else if let Some(near) = keys::nearest(text, words) {
                format!("expected {EXPECTED}; found {found}; did you mean {near:?}?")
            } else {
                format!("expected {EXPECTED}; found {found}")
            },
        );
    }
    known
}

fn address(section: &Section<'_>) -> Option<Uri> {
    section.require("url", EXPECTED_URL);
    let text = section.discreet_text("url", EXPECTED_URL)?;
    url::parse(text).map_err(|message| section.refuse("url", message)).ok()
}

fn token(section: &Section<'_>) -> TokenSource {
    if section.value("token_env").is_some() && section.value("token_file").is_some() {
        section.refuse("token_file", "token_env stands here too; keep one of them");
    }
    let variable = variable(section).map(TokenSource::Env);
    let file = section.path("token_file").map(TokenSource::File);
    variable.or(file).unwrap_or(TokenSource::None)
}

/// Whoever puts the token itself here by mistake must not find it in a log.
fn variable(section: &Section<'_>) -> Option<String> {
    const EXPECTED: &str = "the name of an environment variable in quotes, such as \"GATEWAY_TOKEN\"";
    let text = section.discreet_text("token_env", EXPECTED)?;
    let fits = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits {
        return Some(text.to_owned());
    }
    section.mismatch(
        "token_env",
        EXPECTED,
        "something else (not repeated here: it might be the token itself)",
    )
}

fn timeout(section: &Section<'_>) -> Option<Duration> {
    let timeout = section.duration("timeout")?;
    if timeout.is_zero() {
        let found = section.value("timeout").map(|value| shown(value.get_ref())).unwrap_or_default();
        return section.mismatch("timeout", "more than nothing, or no gateway could ever answer", &found);
    }
    Some(timeout)
}

fn built_in_match(kind: GatewayKind) -> Option<WorkerMatch> {
    match kind {
        GatewayKind::Hermes => WorkerMatch::new(defaults::HERMES_WORKER_MATCH).ok(),
        GatewayKind::Http => None,
    }
}
