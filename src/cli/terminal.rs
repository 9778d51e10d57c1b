//! How wide the terminal is, where an output is one.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

use super::environment;

/// The columns of the terminal; `None` where stdout is a file or a pipe, which get whole lines. `$COLUMNS` wins, as everywhere.
pub(super) fn width() -> Option<usize> {
    width_of(&std::io::stdout())
}

/// The same of stderr.
pub(super) fn error_width() -> Option<usize> {
    width_of(&std::io::stderr())
}

fn width_of(output: &(impl IsTerminal + AsFd)) -> Option<usize> {
    if let Some(columns) = environment::columns() {
        return Some(columns);
    }
    if !output.is_terminal() {
        return None;
    }
    tcgetwinsize(output).ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
