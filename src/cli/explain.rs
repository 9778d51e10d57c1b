//! `explain`: everything about one session, worker or PID. Changes nothing.

use serde_json::json;

use super::args::{Args, ExplainArgs};
use super::exit::{Exit, Failure};
use super::history::tell_damage;
use super::look::look;
use super::{environment, memory, output};
use crate::domain::ids::GatewayName;
use crate::operate::explain::Sources;
use crate::operate::last_run::LastRun;
use crate::operate::seen::Seen;
use crate::operate::{acts, events};
use crate::report::json;
use crate::sources::clock;
use crate::state::audit;

pub(super) async fn run(args: &Args, wanted: &ExplainArgs) -> Result<Exit, Failure> {
    let config = environment::config(args)?;
    let gateway: Option<GatewayName> = wanted.of.gateway.as_deref().map(Into::into);
    let dir = memory::in_use(&config)?;
    let report = match look(&config).await {
        Ok(report) => Some(report),
        Err(failure) => {
            // The past can be told all the same.
            failure.tell();
            None
        }
    };
    let lines = audit::read(&dir, |_| true);
    let events = events::read(&dir, |_| true);
    tell_damage(&lines);
    tell_damage(&events);
    let sources = Sources {
        now: report.as_ref().map(json::document),
        seen: Seen::load(&dir),
        events: events.lines,
        acts: acts::of_lines(lines.lines),
        acting: LastRun::load(&dir).and_then(|run| run.interrupted.run),
        along: report.as_ref().map(|report| &*report.along).unwrap_or_default(),
    };
    let stories = sources.find(&wanted.id, gateway.as_ref())?;
    let now = clock::wall_now();
    let text = if args.json {
        format!("{}\n", json!({ "version": 1, "subjects": stories }))
    } else {
        stories.iter().map(|story| story.render(now)).collect()
    };
    output::print_text(args, &text)?;
    Ok(Exit::Done)
}
