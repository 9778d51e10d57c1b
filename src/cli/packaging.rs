//! `completions` and `man`: for packagers and people.

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::Args;
use super::exit::{Exit, Failure};
use super::output;

/// The page that `tests/packaging` generates from the command line and keeps up to date.
const PAGE: &str = include_str!("../../deploy/man/gateway-reaper.1");

pub(super) fn completions(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "gateway-reaper", &mut script);
    output::print_raw(&String::from_utf8_lossy(&script)).map(|()| Exit::Done)
}

pub(super) fn man() -> Result<Exit, Failure> {
    output::print_raw(PAGE).map(|()| Exit::Done)
}
