//! Text from outside for people: short, on one line, and nothing in it that isn't plainly printable.

use super::is_printable;

/// A text on one line, as it is: what isn't plainly printable is shown as an escape, and no more than `most` characters are shown.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    for char in text.chars() {
        let before = out.len();
        length += push_printable(&mut out, char);
        if length > most {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    out
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
    if is_printable(char) {
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
    use super::{excerpt, plain};

    #[test]
    fn a_plain_text_is_what_it_was_and_steers_nothing() {
        assert_eq!(plain("a  b é日", 60), "a  b é日");
        assert_eq!(
            plain("a\u{1b}[2J\n\u{7f}\u{85}\u{202e}\u{200b}\u{2028}\u{feff}b", 90),
            r"a\u{1b}[2J\n\u{7f}\u{85}\u{202e}\u{200b}\u{2028}\u{feff}b"
        );
        assert_eq!(plain("abcd", 4), "abcd");
        assert_eq!(plain("abcde", 4), "abcd…");
        assert_eq!(plain("abc\u{1b}", 4), "abc…");
    }

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
