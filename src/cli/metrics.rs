//! `metrics`: what the last run left, as Prometheus text.

use super::args::Args;
use super::exit::{Exit, Failure};
use super::{environment, memory, output};
use crate::operate::last_run::LastRun;
use crate::operate::metrics;

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let config = environment::config(args)?;
    let dir = memory::in_use(&config)?;
    // Before the first run there is nothing but the version, and counters that stand at nothing.
    let last_run = LastRun::load(&dir).unwrap_or_default();
    output::print_raw(&metrics::render(&last_run)).map(|()| Exit::Done)
}
