//! `[[gateway]]`: a gateway that is watched.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::ids::GatewayName;
use crate::domain::policy::{Policy, WorkerMatch};

use super::kinds::{self, GatewayKind};
use super::marks::MarkConfig;
use super::process::{self, ProcessSource};
use super::section::Section;
use super::user::UserSpec;
use super::value::{quoted, shown};
use super::{defaults, keys, policy};

/// One gateway, with everything that holds for it.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Its name, unique in the file.
    pub name: GatewayName,
    /// How it is spoken to, with the settings of that kind.
    pub kind: GatewayKind,
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
    /// What says of a process that it is of this gateway when its parent is gone.
    pub marks: MarkConfig,
    /// How its own process is found where the table gives no PID.
    pub process: Option<ProcessSource>,
}

const EXPECTED_NAME: &str = "a name of up to 64 characters in quotes, such as \"dashboard\"";

/// Reads every gateway of the file; where one is silent, `policy` holds.
pub(super) fn read_all(root: &Section<'_>, policy: &Policy) -> Vec<GatewayConfig> {
    let sections = root.sections("gateway", &keys::GATEWAY);
    root.require("gateway", "at least one [[gateway]] with its name, kind and url");
    refuse_shared_names(&sections);
    let is_said_above = |key: &str| root.says("policy", key);
    let of_kind = |section: &Section<'_>| {
        let word = section.value("kind").and_then(|kind| kind.get_ref().as_str()).unwrap_or_default();
        policy::of_kind(word, policy, is_said_above)
    };
    sections.iter().filter_map(|section| read(section, &of_kind(section))).collect()
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
    let kind = kinds::read(section);
    let timeout = timeout(section);
    let max_table_bytes = section.count(
        "max_table_bytes",
        1024..=1024 * 1024 * 1024,
        "a whole number of bytes from 1024 to 1073741824 (1 GiB)",
    );
    let policy = policy::read(section, above);
    let is_of_processes = matches!(kind, Some((GatewayKind::Processes, _)));
    let presets: &[_] = if is_of_processes { &kinds::PRESETS } else { &[] };
    let workers = process::read_worker(section, presets);
    let process = process::read_process(section);

    if is_of_processes {
        check_processes(section);
    }

    let (kind, built_in_match) = kind?;
    policy::check(section, &policy, &kind);
    Some(GatewayConfig {
        name: name?,
        kind,
        timeout: timeout.unwrap_or(defaults::TIMEOUT),
        max_table_bytes: max_table_bytes.unwrap_or(defaults::MAX_TABLE_BYTES),
        policy,
        worker_match: workers.pattern.or(built_in_match),
        worker_user: workers.user,
        marks: workers.marks,
        process,
    })
}

/// Without a gateway there is no process of its, and nothing but `match` says what may be ended.
fn check_processes(section: &Section<'_>) {
    if section.value("process").is_some() {
        section
            .refuse("process", "kind = \"processes\" has no gateway, and so no process of it; take it out");
    }
    let workers = section.value("worker").and_then(|worker| worker.get_ref().as_table());
    if workers.is_none_or(|workers| !workers.contains_key("match")) {
        let words = kinds::PRESETS.map(|(word, _)| format!("{word:?}")).join(", ");
        let expected = format!("[gateway.worker] with match: {words}, or a regular expression in quotes");
        section.refuse("worker", format!("missing; expected {expected}"));
    }
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

fn timeout(section: &Section<'_>) -> Option<Duration> {
    let timeout = section.duration("timeout")?;
    if timeout.is_zero() {
        let found = section.value("timeout").map(|value| shown(value.get_ref())).unwrap_or_default();
        return section.mismatch("timeout", "more than nothing, or no gateway could ever answer", &found);
    }
    Some(timeout)
}
