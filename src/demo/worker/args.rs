//! The argv of a worker and of its children.

use std::time::Duration;

use crate::demo::argv::name_of;
use crate::demo::flavour::{Flavour, Leads};
use crate::demo::protocol::AtEndOfInput;
use crate::domain::ids::WorkerKey;

/// `demo-worker …`
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Args {
    /// Whose it is.
    #[command(flatten)]
    pub whose: Whose,
    /// Its behaviour and its family.
    #[arg(long, value_enum, default_value_t)]
    pub flavour: Flavour,
    /// What it leads.
    #[arg(long, value_enum, default_value_t)]
    pub leads: Leads,
    /// Megabytes of memory to hold.
    #[arg(long, default_value_t)]
    pub memory_mb: usize,
    /// What the end of stdin means.
    #[arg(long, value_enum, default_value_t)]
    pub at_end_of_input: AtEndOfInput,
    /// The inherited descriptor of the lifeline; when its other end closes, the process exits whatever its flavour.
    #[arg(long)]
    pub lifeline: Option<i32>,
    /// How long it lives on once its parent is gone, counted from its own start.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "2m")]
    pub max_lifetime: Duration,
}

/// A worker says whose session it serves; its children don't, so that they are no workers.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Whose {
    /// The session that this worker serves.
    #[arg(long)]
    pub session_key: Option<String>,
    /// The session whose worker's descendant this is.
    #[arg(long)]
    pub child_of: Option<String>,
}

impl Whose {
    /// A session's worker.
    pub fn worker_of(key: &WorkerKey) -> Self {
        Self { session_key: Some(key.as_str().to_owned()), child_of: None }
    }

    /// A descendant of the same worker.
    pub(super) fn descendant(&self) -> Self {
        let key = self.session_key.as_ref().or(self.child_of.as_ref());
        Self { session_key: None, child_of: key.cloned() }
    }
}

impl Args {
    /// The arguments that parse to this again. The key comes first, because that is where a worker's pattern looks for it.
    pub(in crate::demo) fn argv(&self) -> Vec<String> {
        let mut argv = Vec::new();
        let mut put = |name: &str, value: String| argv.extend([name.to_owned(), value]);
        if let Some(key) = &self.whose.session_key {
            put("--session-key", key.clone());
        }
        if let Some(key) = &self.whose.child_of {
            put("--child-of", key.clone());
        }
        put("--flavour", name_of(self.flavour));
        put("--leads", name_of(self.leads));
        put("--memory-mb", self.memory_mb.to_string());
        put("--at-end-of-input", name_of(self.at_end_of_input));
        if let Some(descriptor) = self.lifeline {
            put("--lifeline", descriptor.to_string());
        }
        put("--max-lifetime", humantime::format_duration(self.max_lifetime).to_string());
        argv
    }
}

#[cfg(test)]
mod tests {
    use clap::{Parser, ValueEnum};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn what_is_written_reads_back_for_every_flavour() {
        for flavour in Flavour::value_variants() {
            let args = Args {
                whose: Whose::worker_of(&WorkerKey::from("20261123_005036_2bdafa")),
                flavour: *flavour,
                leads: Leads::Session,
                memory_mb: 40,
                at_end_of_input: AtEndOfInput::LiveOn,
                lifeline: Some(7),
                max_lifetime: Duration::from_millis(90_500),
            };
            let child = Args { whose: args.whose.descendant(), ..args.clone() };
            for args in [args, child] {
                let argv = std::iter::once("demo-worker".to_owned()).chain(args.argv());
                assert_eq!(Line::try_parse_from(argv).unwrap().args, args);
            }
        }
    }
}
