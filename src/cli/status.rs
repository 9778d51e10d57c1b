//! `status`: what is there now, the verdict on each, and why. Changes nothing, remembers nothing.

use super::args::Args;
use super::exit::{Exit, Failure};
use super::{environment, output};
use crate::sources::clock;
use crate::state::holds;
use crate::sweep::{Patience, Store, Sweep};

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let config = environment::config(args)?;
    let dir = environment::state_dir(&config)?;
    let mut sweep = Sweep::new(&config, Patience::None)?;
    let memory = Store::peek(&dir, sweep.boot(), clock::awake_now());
    let mut report = sweep.preview(&memory).await?;
    report.heed(&holds::vetoes(&dir, clock::wall_now()), clock::wall_now());
    output::print(args, &report)?;
    Ok(Exit::of(&report))
}
