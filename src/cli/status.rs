//! `status`: what is there now, the verdict on each, and why. Changes nothing, remembers nothing.

use super::args::Args;
use super::exit::{Exit, Failure};
use super::look::look;
use super::{environment, output};

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let report = look(&environment::config(args)?).await?;
    output::print(args, &report)?;
    Ok(Exit::of(&report))
}
