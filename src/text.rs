//! Short, harmless pieces of what somebody else wrote, for messages: a gateway's text must neither flood nor steer a terminal.

use std::error::Error;
use std::fmt::Write;

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

/// At most `max` characters of the text on one line: runs of white space become one space, what can't be printed is escaped, and a
/// text that was cut ends in `…`.
pub(crate) fn excerpt(text: &str, max: usize) -> Box<str> {
    let mut out = String::new();
    let mut length = 0;
    let mut last_fit = 0;
    let mut after_space = true;
    for char in text.trim_end().chars() {
        if char.is_whitespace() {
            if !after_space {
                out.push(' ');
                length += 1;
            }
            after_space = true;
        } else {
            after_space = false;
            length += push_printable(&mut out, char);
        }
        if length > max {
            out.truncate(last_fit);
            out.push('…');
            break;
        }
        if length < max {
            last_fit = out.len();
        }
    }
    out.into()
}

/// Quotes and backslashes stay: an excerpt of JSON should look like it.
fn push_printable(out: &mut String, char: char) -> usize {
    if matches!(char, '"' | '\'' | '\\') {
        out.push(char);
        return 1;
    }
    let escaped = char.escape_debug();
    let length = escaped.len();
    out.extend(escaped);
    length
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn a_short_text_stays_as_it_is() {
        assert_eq!(&*excerpt("{\"a\": 'b\\n'} ünï", 60), "{\"a\": 'b\\n'} ünï");
        assert_eq!(&*excerpt("abcd", 4), "abcd");
        assert_eq!(&*excerpt("", 4), "");
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(&*excerpt("abcde", 4), "abc…");
        assert_eq!(excerpt(&"é".repeat(1000), 60).chars().count(), 60);
    }

    #[test]
    fn white_space_is_one_space_and_the_unprintable_is_escaped() {
        assert_eq!(&*excerpt(" a\r\n\t b\n", 60), "a b");
        assert_eq!(&*excerpt("\u{1b}[31m\u{202e}\u{9b}", 60), r"\u{1b}[31m\u{202e}\u{9b}");
    }

    #[test]
    fn an_escape_is_never_cut_in_two() {
        assert_eq!(&*excerpt("a\u{1b}b", 6), "a…");
        assert_eq!(&*excerpt("a\u{1b}b", 7), r"a…");
        assert_eq!(&*excerpt("a\u{1b}b", 8), r"a\u{1b}b");
    }
}
