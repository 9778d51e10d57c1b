//! Printing a report.

use std::io::Write;

use super::args::Args;
use super::exit::Failure;
use super::journal;
use super::terminal;
use crate::report::human::{self, Detail, Manner};
use crate::report::{Report, json, layout};

/// Prints a report on stdout, in one write.
pub(super) fn print(args: &Args, mut report: Report) -> Result<(), Failure> {
    leave_to_the_journal(args, &mut report);
    print_as(args, &report, if args.quiet { Detail::Acts } else { Detail::All }, args.verbose > 0)
}

pub(super) fn print_as(
    args: &Args,
    report: &Report,
    detail: Detail,
    one_by_one: bool,
) -> Result<(), Failure> {
    let text = if args.json {
        json::render(report)
            .map(|line| line + "\n")
            .map_err(|error| Failure::System("the report can't be written", error.into()))?
    } else {
        human::render(report, Manner { detail, width: terminal::width(), one_by_one })
    };
    print_raw(&text)
}

/// Prints a report in a loop of them: each line carries the time of the run, unless the journal adds its own.
pub(super) fn print_timed(args: &Args, mut report: Report, detail: Detail) -> Result<(), Failure> {
    leave_to_the_journal(args, &mut report);
    if args.json || journal::is_at(&std::io::stdout()) {
        return print_as(args, &report, detail, args.verbose > 0);
    }
    let columns = terminal::width();
    let mut time = format!("{}  ", humantime::format_rfc3339_seconds(report.begun.started_at));
    // A narrow terminal has no room for the date.
    if columns.is_some_and(|columns| columns < layout::NARROW)
        && let Some(at) = time.find('T')
    {
        time.drain(..=at);
    }
    let width = columns.map(|width| width.saturating_sub(time.len()).max(layout::NARROW / 3));
    let text = human::render(&report, Manner { detail, width, one_by_one: args.verbose > 0 });
    let lines: String = text.lines().map(|line| format!("{time}{line}\n")).collect();
    print_raw(&lines)
}

/// What was done is told to the journal with its fields, where stdout goes there, and then not once more in the report.
fn leave_to_the_journal(args: &Args, report: &mut Report) {
    if args.json || !journal::is_at(&std::io::stdout()) {
        return;
    }
    match journal::tell(report) {
        Ok(()) => report.tell_no_more(|_, line| line.ending().is_some()),
        Err(error) => tracing::debug!(%error, "the journal can't be told what was done; the report has it"),
    }
}

/// Prints text on stdout, so that it fits the terminal.
pub(super) fn print_text(args: &Args, text: &str) -> Result<(), Failure> {
    match terminal::width().filter(|_| !args.json) {
        Some(width) => print_raw(&layout::wrap(text, width)),
        None => print_raw(text),
    }
}

/// Prints text on stdout as it is, with its colours where they belong.
pub(super) fn print_raw(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let plain;
    let text = if anstream::AutoStream::choice(&stdout) == anstream::ColorChoice::Never {
        plain = anstream::adapter::strip_str(text).to_string();
        &plain
    } else {
        text
    };
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // The reader has closed its end: it wants no more.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Failure::System("the report can't be written", error)),
    }
}
