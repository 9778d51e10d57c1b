//! `watch`: the same runs in a loop. Wakes at the interval and whenever something is due, and for nothing else.

use std::path::Path;
use std::time::Duration;

use super::args::{Args, WatchArgs};
use super::exit::{Exit, Failure};
use super::once::{A_MOMENT, run_once};
use super::service::Manager;
use super::signals::{Signals, Wake};
use super::{environment, output};
use crate::config::Config;
use crate::domain::policy::Mode;
use crate::operate::Runner;
use crate::operate::listen::Listener;
use crate::report::human::Detail;
use crate::sources::clock;
use crate::sweep::{Patience, Store, Sweep};

pub(super) async fn run(args: &Args, watch: &WatchArgs) -> Result<Exit, Failure> {
    let mut signals = Signals::new()?;
    let config = environment::config(args)?;
    let dir = environment::state_dir(&config)?;
    let patience = Patience::Growing(watch.interval);
    let mut sweep = Sweep::new(&config, patience)?;
    let mut store = Store::open(&dir, sweep.boot(), clock::awake_now())?;
    let runner = |config: &Config| Runner::new("watch", Some(watch.interval), config);
    store.run_by(&runner(&config), config.audit);
    let config_file = config.source.clone();
    let mut names = names_of(&config);
    tracing::info!(interval = %humantime::format_duration(watch.interval), config = %config.source.display(), "watching");

    let counters = store.notes().last_run().counters.clone();
    let listener =
        config.metrics.listen.map(|address| Listener::start(address, watch.interval, &counters)).transpose();
    let listener = listener
        .map_err(|error| Failure::System("[metrics] listen: the address can't be listened at", error))?;

    let manager = Manager::new();
    let mut first = true;
    // What would be reaped and what failed at the last look: told when it changes, not at every look.
    let (mut told, mut failed) = (Vec::new(), Vec::new());
    let mut trouble = None;
    loop {
        let stop = sweep.stop();
        let run = run_once(&mut sweep, &mut store, Mode::Enforce, &mut signals).await;
        let is_leaving = stop.is_told();
        let pause = match run {
            Ok(run) => {
                let would_reap = run.report.would_reap();
                let failures = run.report.failures();
                let is_news = run.report.has_deeds_but(&failed)
                    || would_reap.iter().any(|subject| !told.contains(subject));
                let before = std::mem::replace(&mut failed, failures);
                told = would_reap;
                if first || is_news {
                    let detail = if first && !args.quiet { Detail::All } else { Detail::Acts };
                    // Nothing is left unreaped because a log is full.
                    let mut report = run.report;
                    report.made_with(&config_file, &dir);
                    report.tell_no_more(|_, line| line.failed_as(&before));
                    if let Err(failure) = output::print_timed(args, report, detail) {
                        failure.tell();
                    }
                }
                trouble = None;
                let due = run.next_due.map(|due| due + A_MOMENT);
                due.into_iter().chain(run.next_look).fold(watch.interval, Duration::min)
            }
            Err(_) if is_leaving => watch.interval,
            Err(failure) => {
                let said = failure.to_string();
                if trouble.as_ref() != Some(&said) {
                    failure.tell();
                }
                trouble = Some(said);
                watch.interval
            }
        };
        if let Some(listener) = &listener {
            listener.publish(store.notes().last_run());
        }
        if first {
            manager.ready();
        }
        first = false;
        let wake = if is_leaving { Wake::Leave } else { signals.next(pause).await };
        match wake {
            Wake::Look => {}
            Wake::Leave => {
                manager.stopping();
                tracing::info!("leaving");
                return Ok(Exit::Done);
            }
            Wake::Reload => match reload(args, patience, &dir) {
                Ok((new, config)) => {
                    if config.metrics.listen != listener.as_ref().map(Listener::address) {
                        tracing::warn!("[metrics] listen stays as it was; restart to change it");
                    }
                    sweep = new;
                    store.run_by(&runner(&config), config.audit);
                    let known = std::mem::replace(&mut names, names_of(&config));
                    let new: Vec<&str> =
                        names.iter().filter(|name| !known.contains(name)).map(|name| &**name).collect();
                    match new.as_slice() {
                        [] => tracing::info!("configuration read again; every grace goes on"),
                        new => tracing::info!(
                            "configuration read again; every grace goes on, but for those of {}: under a new name they begin",
                            new.join(", ")
                        ),
                    }
                }
                Err(failure) => {
                    store.notes().config_was_read(false);
                    failure.tell();
                    tracing::error!("the configuration stays as it was");
                }
            },
        }
    }
}

fn names_of(config: &Config) -> Vec<String> {
    config.gateways.iter().map(|gateway| gateway.name.to_string()).collect()
}

fn reload(args: &Args, patience: Patience, dir: &Path) -> Result<(Sweep, Config), Failure> {
    let config = environment::config(args)?;
    let new_dir = environment::state_dir(&config)?;
    if new_dir != dir {
        tracing::warn!("the state directory stays {}; restart to use {}", dir.display(), new_dir.display());
    }
    Ok((Sweep::new(&config, patience)?, config))
}
