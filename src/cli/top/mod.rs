//! `top`: what `status` tells, live, with countdowns. Changes nothing, remembers nothing.

mod frame;
mod screen;

use std::time::Duration;

use super::args::Args;
use super::exit::{Exit, Failure};
use super::look::look_with;
use super::{environment, memory, signals::Signals};
use crate::operate::last_run::LastRun;
use crate::operate::when;
use crate::report::Report;
use crate::sources::clock;
use crate::sweep::{Patience, Sweep};

use frame::{Order, View};
use screen::{Key, Resizes, Screen};

pub(super) use screen::restore;

/// Often enough to follow, and a tenth of what a person notices as work on the machine.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// The countdowns are in whole seconds.
const BETWEEN_FRAMES: Duration = Duration::from_secs(1);

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    if args.json {
        return Err(Failure::Terminal(
            "top is for people; `gateway-reaper status --json` is the same for programs",
        ));
    }
    let config = environment::config(args)?;
    let dir = memory::in_use(&config)?;
    let mut sweep = Sweep::new(&config, Patience::None)?;
    let mut signals = Signals::new()?;
    let mut resizes = Resizes::new()?;
    let screen = Screen::enter()?;
    let mut order = Order::Due;
    let mut report: Option<Report> = None;
    loop {
        let mut keys = Vec::new();
        // A gateway that is slow to answer must not make the keys slow.
        let looked = {
            let look = look_with(&config, &mut sweep);
            tokio::pin!(look);
            loop {
                tokio::select! {
                    looked = &mut look => break Some(looked),
                    () = signals.end() => break None,
                    key = screen.key() => match key {
                        Key::Quit => break None,
                        key => keys.push(key),
                    },
                }
            }
        };
        let trouble = match looked {
            None => return Ok(Exit::Done),
            Some(Ok(new)) => {
                report = Some(new);
                None
            }
            // What was seen before stays in view, with what is wrong now.
            Some(Err(failure)) => Some(failure.to_string()),
        };
        keys.iter().for_each(|key| order = order.after(*key));
        let last_run = LastRun::load(&dir).filter(|run| !run.ended_at.is_empty());
        let runner = last_run
            .map(|run| format!("{}, last run {}", run.runner, when::ago(&run.ended_at, clock::wall_now())));
        let looked_at = clock::awake_now();
        loop {
            let since = clock::awake_now().since(looked_at);
            if since >= BETWEEN_LOOKS {
                break;
            }
            let (columns, rows) = screen.size();
            let view = View {
                report: report.as_ref(),
                since,
                trouble: trouble.as_deref(),
                runner: runner.as_deref(),
                order,
                columns,
                rows,
            };
            screen.draw(&frame::compose(&view))?;
            tokio::select! {
                () = signals.end() => return Ok(Exit::Done),
                key = screen.key() => match key {
                    Key::Quit => return Ok(Exit::Done),
                    key => order = order.after(key),
                },
                () = resizes.next() => {}
                () = tokio::time::sleep(BETWEEN_FRAMES.min(BETWEEN_LOOKS - since)) => {}
            }
        }
    }
}
