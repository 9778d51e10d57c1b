//! Narration: tracing on stderr, so that stdout is data alone.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;

use super::args::Verbosity;

pub(super) fn begin(verbosity: Verbosity) {
    let level = match verbosity {
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
        .log_internal_errors(false)
        .finish();
    // A second subscriber can only be there in a test.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
