//! How wide the terminal is, where stdout is one.

use std::io::IsTerminal;

use rustix::termios::tcgetwinsize;

use super::environment;

/// The columns of the terminal; `None` where stdout is a file or a pipe, which get whole lines. `$COLUMNS` wins, as everywhere.
pub(super) fn width() -> Option<usize> {
    if let Some(columns) = environment::columns() {
        return Some(columns);
    }
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
