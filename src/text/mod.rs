//! Making text safe to show; nothing else of the program does that. Text from outside, from a gateway above all, must not fill a terminal,
//! control it, or look like another text. For people everything that isn't plainly printable is shown as an escape: control characters,
//! marks that change the direction of writing, characters of no width, line separators. In JSON the text stays exact, and the same
//! characters are escaped.

mod json;
mod shown;

use std::error::Error;
use std::fmt::Write;

pub(crate) use self::json::to_json;
pub(crate) use self::shown::{excerpt, plain};

/// An error with its causes, on one line.
pub(crate) fn in_full(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

/// Whether a character shows as itself, wherever it stands.
fn is_printable(char: char) -> bool {
    matches!(char, '"' | '\'' | '\\') || char.escape_debug().len() == 1
}
