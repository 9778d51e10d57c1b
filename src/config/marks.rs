//! `marker`, `marker_names` and `cgroup` of `[gateway.worker]`: what says of a process whose it is when its parent is gone.

use super::kinds::is_variable_name;
use super::section::Section;
use super::value::quoted;

/// The marks that a gateway gives its workers and that everything below them inherits.
#[derive(Debug, Clone, Default)]
pub struct MarkConfig {
    /// An environment variable, and what its value names.
    pub variable: Option<(String, Names)>,
    /// Where a cgroup's path says the session.
    pub cgroup: Option<CgroupMatch>,
}

/// What the value of a mark names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// A session, by its key or id.
    Session,
    /// The gateway, by its PID.
    Gateway,
}

/// A pattern for the path of a cgroup, with a group `session`; it may fit anywhere in the path.
#[derive(Debug, Clone)]
pub struct CgroupMatch(regex_lite::Regex);

impl MarkConfig {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.variable.is_none() && self.cgroup.is_none()
    }
}

impl CgroupMatch {
    /// The session that this path says.
    pub fn session_of<'a>(&self, path: &'a str) -> Option<&'a str> {
        let session = self.0.captures(path)?.name("session")?.as_str();
        (!session.is_empty()).then_some(session)
    }
}

pub(super) fn read(section: &Section<'_>) -> MarkConfig {
    let names = names(section);
    let variable = variable(section);
    if section.value("marker_names").is_some() && section.value("marker").is_none() {
        section.refuse("marker_names", "says what the value of marker names, and there is no marker");
    }
    let variable = variable.map(|name| (name, names.unwrap_or(Names::Session)));
    MarkConfig { variable, cgroup: cgroup(section) }
}

fn names(section: &Section<'_>) -> Option<Names> {
    const EXPECTED: &str = "\"session\" or \"gateway\"";
    match section.text("marker_names", EXPECTED)? {
        "session" => Some(Names::Session),
        "gateway" => Some(Names::Gateway),
        other => section.mismatch("marker_names", EXPECTED, &quoted(other)),
    }
}

fn variable(section: &Section<'_>) -> Option<String> {
    const EXPECTED: &str = "the name of an environment variable in quotes, such as \"HERMES_SESSION_KEY\"";
    let text = section.text("marker", EXPECTED)?;
    if is_variable_name(text) {
        Some(text.into())
    } else {
        section.mismatch("marker", EXPECTED, &quoted(text))
    }
}

fn cgroup(section: &Section<'_>) -> Option<CgroupMatch> {
    const EXPECTED: &str = "a regular expression in quotes with a group (?P<session>…)";
    let text = section.text("cgroup", EXPECTED)?;
    match regex_lite::Regex::new(text) {
        Ok(pattern) if pattern.capture_names().flatten().any(|name| name == "session") => {
            Some(CgroupMatch(pattern))
        }
        Ok(_) => section.mismatch("cgroup", EXPECTED, &format!("{}, which has none", quoted(text))),
        Err(error) => section.mismatch("cgroup", EXPECTED, &format!("{}: {error}", quoted(text))),
    }
}
