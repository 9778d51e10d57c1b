//! `once`: one run and out; with `--wait`, as long as something will be due within it.

use std::time::Duration;

use super::adopted;
use super::args::{Args, OnceArgs};
use super::exit::{Exit, Failure};
use super::signals::Signals;
use super::{environment, leftovers, output};
use crate::domain::policy::Mode;
use crate::operate::Runner;
use crate::operate::last_run::Failed;
use crate::report::json;
use crate::sources::clock;
use crate::sweep::{Patience, Run, Store, Sweep, SweepError};

/// Added to a due time, so that a look never comes a moment too early for the grace to be over.
pub(super) const A_MOMENT: Duration = Duration::from_millis(2);

pub(super) async fn run(args: &Args, once: &OnceArgs) -> Result<Exit, Failure> {
    let leftovers = &once.leftovers;
    let (config, dir) = match &leftovers.pattern {
        Some(pattern) => leftovers::config(args, pattern)?,
        None => {
            let config = environment::config(args)?;
            let dir = environment::state_dir(&config)?;
            (config, dir)
        }
    };
    let mut sweep = Sweep::new(&config, Patience::None)?;
    let is_dry = once.dry_run || leftovers.kind.is_some() && !leftovers.reap;
    let mode = if is_dry { Mode::DryRun } else { Mode::Enforce };
    let mut store = Store::open(&dir, sweep.boot(), clock::awake_now())?;

    store.run_by(&Runner::new("once", None, &config), config.audit);

    let failed_before = store.notes().last_run().failures.clone();
    if args.quiet {
        let gateways = config.gateways.iter().map(|gateway| gateway.name.as_str());
        let known: Vec<&str> = gateways.filter(|name| !store.notes().is_to_be_told_when_down(name)).collect();
        known.into_iter().for_each(|gateway| sweep.is_known_to_be_down(gateway));
    }

    let mut signals = Signals::new()?;
    let deadline = once.wait.map(|wait| clock::awake_now() + wait);
    let Run { mut report, mut next_due, mut next_look } =
        run_once(&mut sweep, &mut store, mode, &mut signals).await?;
    let mut failure = None;
    while let (Some(deadline), Some(due)) = (deadline, next_due) {
        if clock::awake_now() + due > deadline || sweep.stop().is_told() {
            break;
        }
        tracing::info!(
            "staying: something is due in {}",
            humantime::format_duration(Duration::from_millis(
                u64::try_from(due.as_millis()).unwrap_or(u64::MAX)
            ))
        );
        let pause = next_look.map_or(due, |look| due.min(look));
        // What was done until then is reported; what waits is the next run's.
        if !signals.sleep(pause + A_MOMENT).await {
            tracing::info!("leaving before it is due");
            break;
        }
        // So it is where this look is told to leave, or fails.
        let run = match run_once(&mut sweep, &mut store, mode, &mut signals).await {
            Ok(run) => run,
            Err(Failure::Sweep(SweepError::Stopped)) => {
                tracing::info!("leaving before it is due");
                break;
            }
            Err(of_this_look) => {
                failure = Some(Failure::InALaterLook(Box::new(of_this_look)));
                break;
            }
        };
        let earlier = std::mem::replace(&mut report, run.report);
        report.absorb(earlier);
        (next_due, next_look) = (run.next_due, run.next_look);
    }
    report.made_with(&config.source, &dir);
    let exit = Exit::of(&report);
    // Cron sends a mail for each run that says something.
    if args.quiet {
        report.tell_no_more(|gateway, line| {
            Failed::of(gateway.as_str(), &json::entry(line))
                .is_some_and(|failed| failed_before.contains(&failed))
        });
    }
    output::print(args, report)?;
    let Some(failure) = failure else { return Ok(exit) };
    failure.tell_in(args.json);
    Ok(exit.max(failure.exit()))
}

/// One run. One that could not be made is written down as well. A run that is under way when a signal comes begins nothing more, and has
/// `term_timeout` and a second to end what it began.
pub(super) async fn run_once(
    sweep: &mut Sweep,
    store: &mut Store,
    mode: Mode,
    signals: &mut Signals,
) -> Result<Run, Failure> {
    let stop = sweep.stop();
    let run = {
        let run = sweep.run(store, mode);
        tokio::pin!(run);
        tokio::select! {
            run = &mut run => run,
            () = signals.leave() => {
                stop.tell();
                run.await
            }
        }
    };
    adopted::wait_for_the_dead();
    let run = run.map_err(Failure::from);
    if let Err(failure) = &run
        && !stop.is_told()
    {
        store.notes().failed(failure.to_string());
    }
    run
}
