//! JSON that is safe on a terminal and in a log that is read line by line. It means exactly the same.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::is_printable;

/// One line of JSON.
pub(crate) fn to_json(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(256);
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Harmless))?;
    Ok(bytes)
}

/// Compact, with everything escaped that isn't plainly printable.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|char: char| !(' '..='~').contains(&char) && !is_printable(char)) {
            let (before, from) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut chars = from.chars();
            for unit in chars.next().unwrap_or_default().encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> String {
        String::from_utf8(to_json(&text).unwrap()).unwrap()
    }

    #[test]
    fn what_is_not_plainly_printable_is_escaped() {
        assert_eq!(
            json("aé\"\\\n\u{7f}\u{9b}\u{202e}\u{200b}\u{2028}\u{feff}日"),
            r#""aé\"\\\n\u007f\u009b\u202e\u200b\u2028\ufeff日""#
        );
        assert_eq!(json("\u{e0041}"), r#""\udb40\udc41""#);
    }

    proptest! {
        #[test]
        fn it_says_exactly_the_same_in_harmless_characters(text in any::<String>()) {
            let json = json(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            prop_assert!(json.chars().all(is_printable), "{}", json);
        }
    }
}
