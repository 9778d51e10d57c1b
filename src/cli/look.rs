//! One look for the commands that change nothing: what is there now, with what an operator forbids.

use std::path::PathBuf;

use super::exit::Failure;
use super::memory;
use crate::config::Config;
use crate::domain::ledger::Ledger;
use crate::domain::veto::Vetoes;
use crate::report::Report;
use crate::sources::clock;
use crate::state::holds;
use crate::sweep::{Patience, Store, Sweep};

/// With the workers that are judged with others, for a person who asks for one.
pub(super) async fn look(config: &Config) -> Result<Report, Failure> {
    let mut sweep = Sweep::new(config, Patience::None)?;
    let (dir, memory, vetoes) = known(config, &sweep)?;
    let mut report = sweep.preview_with_all(&memory, vetoes).await?;
    report.made_with(&config.source, &dir);
    Ok(report)
}

/// For a report, which tells itself what can't be read.
pub(super) async fn look_for_a_report(config: &Config) -> Result<Report, Failure> {
    let mut sweep = Sweep::new(config, Patience::None)?;
    sweep.is_told_by_the_report();
    look_with(config, &mut sweep).await
}

/// The same with what an earlier look opened.
pub(super) async fn look_with(config: &Config, sweep: &mut Sweep) -> Result<Report, Failure> {
    let (dir, memory, vetoes) = known(config, sweep)?;
    let mut report = sweep.preview(&memory, vetoes).await?;
    report.made_with(&config.source, &dir);
    Ok(report)
}

/// The state directory, what is remembered there, and what an operator forbids.
fn known(config: &Config, sweep: &Sweep) -> Result<(PathBuf, Ledger, Vetoes), Failure> {
    let dir = memory::in_use(config)?;
    let gateways = config.gateways.iter().map(|gateway| gateway.name.clone()).collect();
    let memory = Store::peek(&dir, &gateways, sweep.boot(), clock::awake_now());
    let vetoes = holds::vetoes(&dir, clock::wall_now());
    Ok((dir, memory, vetoes))
}
