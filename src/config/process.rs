//! `[gateway.worker]` and `[gateway.process]`: which processes are a gateway's workers, and which one is the gateway.

use std::path::PathBuf;

use crate::domain::policy::WorkerMatch;

use super::keys;
use super::marks::{self, MarkConfig};
use super::section::Section;
use super::user::UserSpec;
use super::value::quoted;

/// How the gateway's own process is found where its table gives no PID. At least one of both is there.
#[derive(Debug, Clone)]
pub struct ProcessSource {
    /// A pattern for the gateway's argv, tried like that of a worker.
    pub match_: Option<WorkerMatch>,
    /// A file that holds its PID.
    pub pid_file: Option<PathBuf>,
}

/// Reads `[gateway.process]`.
pub(super) fn read_process(gateway: &Section<'_>) -> Option<ProcessSource> {
    let section = gateway.section("process", &keys::PROCESS)?;
    section.refuse_unknown_keys();
    let mentioned = ["match", "pid_file"].iter().any(|key| section.value(key).is_some());
    if !mentioned {
        gateway.refuse("process", "expected match, pid_file or both; found neither");
    }
    Some(ProcessSource { match_: pattern(&section, "match"), pid_file: section.path("pid_file") })
}

/// What `[gateway.worker]` says.
#[derive(Debug, Default)]
pub(super) struct Workers {
    /// How they are recognised.
    pub(super) pattern: Option<WorkerMatch>,
    /// The user they run as.
    pub(super) user: Option<UserSpec>,
    /// What they inherit.
    pub(super) marks: MarkConfig,
}

/// Reads `[gateway.worker]`: how a worker is recognised and whose process it is.
/// `presets`: words that stand for a pattern.
pub(super) fn read_worker(gateway: &Section<'_>, presets: &[(&str, &'static str)]) -> Workers {
    let Some(section) = gateway.section("worker", &keys::WORKER) else { return Workers::default() };
    section.refuse_unknown_keys();
    let preset = section.value("match").and_then(|value| value.get_ref().as_str());
    let preset = preset.and_then(|word| presets.iter().find(|(preset, _)| *preset == word));
    let pattern = match preset {
        Some((_, text)) => WorkerMatch::new(text).ok(),
        None => pattern(&section, "match"),
    };
    let user = section.user("user", "a user's name in quotes, or a user id");
    Workers { pattern, user, marks: marks::read(&section) }
}

fn pattern(section: &Section<'_>, key: &str) -> Option<WorkerMatch> {
    let expected = "a regular expression in quotes";
    let text = section.text(key, expected)?;
    let pattern = match WorkerMatch::new(text) {
        Ok(pattern) => pattern,
        Err(why) => {
            let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
            return section.mismatch(key, expected, &format!("{}: {why}", quoted(text)));
        }
    };
    // What is at home in these matches every process there is, and every match may be signalled.
    if ["", "a", "/a"].iter().any(|argv| pattern.matches(argv).is_some()) {
        let expected = "a pattern that fits these processes and no others";
        return section.mismatch(key, expected, &format!("{}, which fits any process", quoted(text)));
    }
    Some(pattern)
}
