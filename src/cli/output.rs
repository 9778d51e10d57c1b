//! Printing a report.

use std::io::Write;

use super::args::Args;
use super::exit::Failure;
use crate::report::human::{self, Detail};
use crate::report::{Report, json};

/// Prints a report on stdout, in one write.
pub(super) fn print(args: &Args, report: &Report) -> Result<(), Failure> {
    let detail = if args.quiet { Detail::Acts } else { Detail::All };
    print_as(args, report, detail)
}

pub(super) fn print_as(args: &Args, report: &Report, detail: Detail) -> Result<(), Failure> {
    let text = if args.json {
        json::render(report)
            .map(|line| line + "\n")
            .map_err(|error| Failure::System("the report can't be written", error.into()))?
    } else {
        human::render(report, detail)
    };
    print_text(&text)
}

/// Prints text on stdout, with its colours where they belong.
pub(super) fn print_text(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let plain;
    let text = if anstream::AutoStream::choice(&stdout) == anstream::ColorChoice::Never {
        plain = anstream::adapter::strip_str(text).to_string();
        &plain
    } else {
        text
    };
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // Whoever read it has heard enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Failure::System("the report can't be written", error)),
    }
}
