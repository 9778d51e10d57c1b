//! `kind = "command"`: programs of the operator print the session table, and close a session.

use std::path::PathBuf;

use super::endpoint::is_variable_name;
use super::{GatewayKind, Kind};
use crate::config::section::Section;

/// A gateway whose table is printed by a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandGateway {
    /// Prints the session table.
    pub table: CommandLine,
    /// Closes the session whose id it gets, if that is still an orphan. `None`: no session is ever closed.
    pub reap: Option<CommandLine>,
    /// The variables that both get of the reaper's own environment, besides those that they always get.
    pub environment: Vec<String>,
}

/// A program with its arguments. No shell reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// Its path in full.
    pub program: PathBuf,
    /// What stands in its argv after its name.
    pub arguments: Vec<String>,
}

pub(super) const KIND: Kind =
    Kind { word: "command", keys: &["table", "reap", "environment"], read, worker_match: None, policy: &[] };

const EXPECTED: &str =
    "a program's path in full and its arguments, such as [\"/usr/local/bin/sessions\", \"--json\"]";

fn read(section: &Section<'_>) -> Option<GatewayKind> {
    section.require("table", EXPECTED);
    let (table, reap) = (command_line(section, "table"), command_line(section, "reap"));
    let environment = environment(section);
    Some(GatewayKind::Command(CommandGateway { table: table?, reap, environment }))
}

fn command_line(section: &Section<'_>, key: &str) -> Option<CommandLine> {
    let mut words = section.texts(key, EXPECTED)?.into_iter();
    // What is missing is told already.
    let program = words.next()?;
    if !program.starts_with('/') || program.contains('\0') {
        return section.mismatch(
            key,
            EXPECTED,
            "a first word that is no path in full (no shell looks for it)",
        );
    }
    Some(CommandLine { program: program.into(), arguments: words.map(Into::into).collect() })
}

/// A value that was put here by mistake may be a secret, and is not repeated.
fn environment(section: &Section<'_>) -> Vec<String> {
    const KEY: &str = "environment";
    const EXPECTED: &str = "the names of environment variables in quotes, such as [\"TMUX_TMPDIR\"]";
    let names = section.texts(KEY, EXPECTED).unwrap_or_default();
    if !names.iter().all(|name| is_variable_name(name)) {
        section.refuse(KEY, format!("expected {EXPECTED}; found something else (not repeated here)"));
    }
    names.into_iter().map(Into::into).collect()
}
