//! `history`: what was reaped, kept by its gateway or failed, from the audit log.

use std::time::SystemTime;

use serde_json::json;

use super::args::{Args, HistoryArgs};
use super::exit::{Exit, Failure};
use super::{environment, memory, output, terminal};
use crate::domain::ids::GatewayName;
use crate::operate::{acts, history, when};
use crate::sources::clock;
use crate::state::audit::{self, Entry};
use crate::state::log::Lines;

pub(super) fn run(args: &Args, wanted: &HistoryArgs) -> Result<Exit, Failure> {
    let config = environment::config(args)?;
    let dir = memory::in_use(&config)?;
    let now = clock::wall_now();
    let since = wanted.since.and_then(|since| now.checked_sub(since)).map(clock::writable);
    let gateway: Option<GatewayName> = wanted.gateway.as_deref().map(Into::into);
    let lines = audit::read(&dir, |entry| is_wanted(entry, since, gateway.as_ref()));
    tell_damage(&lines);
    let mut unreadable = lines.unreadable;
    if lines.lines.is_empty()
        && let Some((_, error)) = unreadable.pop()
    {
        return Err(Failure::System("the audit log can't be read", error));
    }
    if let Some(name) = gateway.filter(|_| lines.lines.is_empty()) {
        // What is in the log may be of a gateway that isn't configured any more.
        environment::known_gateway(&config, &name)?;
    }
    let acts = acts::of_lines(lines.lines);
    let acts = acts::folded(acts);
    let text = if args.json {
        let sums = history::sums(&acts);
        let since = since.map(|since| humantime::format_rfc3339_seconds(since).to_string());
        let document = json!({
            "version": 1, "since": since, "acts": acts, "totals": sums, "damaged_lines": lines.damaged,
        });
        format!("{document}\n")
    } else if args.quiet {
        history::in_words(&history::sums(&acts)) + "\n"
    } else {
        history::render(&acts, now, terminal::width())
    };
    output::print_text(args, &text)?;
    Ok(if unreadable.is_empty() { Exit::Done } else { Exit::NotReaped })
}

fn is_wanted(entry: &Entry, since: Option<SystemTime>, gateway: Option<&GatewayName>) -> bool {
    gateway.is_none_or(|gateway| gateway.stands_for(&entry.gateway.as_str().into()))
        && since.is_none_or(|since| when::parse(&entry.time).is_some_and(|time| time >= since))
}

/// What could not be read of the log is told, and the rest is used.
pub(super) fn tell_damage<T>(lines: &Lines<T>) {
    if lines.damaged > 0 {
        tracing::warn!("{} damaged lines of a log are passed over", lines.damaged);
    }
    for (path, error) in &lines.unreadable {
        tracing::warn!(path = %path.display(), %error, "a log can't be read");
    }
}
