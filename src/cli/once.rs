//! `once`: one run and out; with `--wait`, as long as something will be due within it.

use std::time::Duration;

use super::args::{Args, OnceArgs};
use super::exit::{Exit, Failure};
use super::{environment, output};
use crate::domain::policy::Mode;
use crate::operate::Runner;
use crate::sources::clock;
use crate::sweep::{Patience, Run, Store, Sweep};

/// Added to a due time, so that a look never comes a moment too early for the grace to be over.
pub(super) const A_MOMENT: Duration = Duration::from_millis(2);

pub(super) async fn run(args: &Args, once: &OnceArgs) -> Result<Exit, Failure> {
    let config = environment::config(args)?;
    let dir = environment::state_dir(&config)?;
    let mut sweep = Sweep::new(&config, Patience::None)?;
    let mode = if once.dry_run { Mode::DryRun } else { Mode::Enforce };
    let mut store = Store::open(&dir, sweep.boot(), clock::awake_now())?;

    store.run_by(&Runner::new("once", None, &config), config.audit);

    let deadline = once.wait.map(|wait| clock::awake_now() + wait);
    let Run { mut report, mut next_due } = run_once(&mut sweep, &mut store, mode).await?;
    while let (Some(deadline), Some(due)) = (deadline, next_due) {
        if clock::awake_now() + due > deadline {
            break;
        }
        tracing::info!(
            "staying: something is due in {}",
            humantime::format_duration(Duration::from_millis(
                u64::try_from(due.as_millis()).unwrap_or(u64::MAX)
            ))
        );
        tokio::time::sleep(due + A_MOMENT).await;
        let run = run_once(&mut sweep, &mut store, mode).await?;
        let earlier = std::mem::replace(&mut report, run.report);
        report.absorb(earlier);
        next_due = run.next_due;
    }
    output::print(args, &report)?;
    Ok(Exit::of(&report))
}

/// One run. One that could not be made is written down as well.
pub(super) async fn run_once(sweep: &mut Sweep, store: &mut Store, mode: Mode) -> Result<Run, Failure> {
    let run = sweep.run(store, mode).await.map_err(Failure::from);
    if let Err(failure) = &run {
        store.notes().failed(failure.to_string());
    }
    run
}
