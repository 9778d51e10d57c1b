//! Narration: tracing on stderr, so that stdout is data alone.

use std::fmt;
use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::args::Verbosity;
use super::journal;

pub(super) fn begin(verbosity: Verbosity) {
    let level = match verbosity {
        Verbosity::Silent => LevelFilter::OFF,
        // A table that can't be read is a warning, and the one thing that cron's mail has to say about exit code 3.
        Verbosity::Quiet => LevelFilter::WARN,
        Verbosity::Normal => LevelFilter::INFO,
        Verbosity::Verbose => LevelFilter::DEBUG,
        Verbosity::Everything => LevelFilter::TRACE,
    };
    // Colour where a person looks, and never against their wish.
    let colour = std::io::stderr().is_terminal()
        && anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        // It would complain of a stderr that is gone on that same stderr, and panic.
        .log_internal_errors(false);
    // A second subscriber can only be there in a test.
    let _ = if journal::is_at(&std::io::stderr()) {
        tracing::subscriber::set_global_default(subscriber.with_ansi(false).event_format(Journal).finish())
    } else {
        tracing::subscriber::set_global_default(subscriber.finish())
    };
}

/// As the journal wants it: the severity as a number in front, and no time, because it has its own.
struct Journal;

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let severity = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{severity}>")?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
