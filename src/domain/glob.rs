//! A pattern of an operator for ids and keys: `*` stands for any characters, `?` for one. Everything else stands for itself.

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Box<str>);

impl From<&str> for Glob {
    fn from(pattern: &str) -> Self {
        Self(pattern.into())
    }
}

impl Glob {
    /// Whether the whole text is like the pattern. At most as many steps as both are long, multiplied.
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut text) = (self.0.chars(), text.chars());
        // Where to go on after the last `*`: it takes one more character each time the rest doesn't fit.
        let mut again = None;
        loop {
            let left = text.clone();
            match (pattern.next(), text.next()) {
                (Some('*'), _) => {
                    text = left;
                    again = Some((pattern.clone(), text.clone()));
                    if pattern.as_str().is_empty() {
                        return true;
                    }
                }
                (None, None) => return true,
                (Some(one), Some(other)) if one == '?' || one == other => {}
                _ => {
                    let Some((after, mut from)) = again.take() else { return false };
                    if from.next().is_none() {
                        return false;
                    }
                    (pattern, text) = (after.clone(), from.clone());
                    again = Some((after, from));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, written down without a thought of speed.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|taken| naive(rest, &text[taken..])),
            (['?', rest @ ..], [_, left @ ..]) => naive(rest, left),
            ([one, rest @ ..], [other, left @ ..]) => one == other && naive(rest, left),
            _ => false,
        }
    }

    #[test]
    fn a_star_is_any_characters_and_a_question_mark_is_one() {
        for (pattern, text, fits) in [
            ("talk-*", "talk-1", true),
            ("talk-*", "talk-", true),
            ("talk-?", "talk-", false),
            ("*-1", "talk-1-1", true),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyybz", false),
            ("*", "", true),
            ("", "x", false),
            ("caf?", "café", true),
            ("[ab]", "a", false),
        ] {
            assert_eq!(Glob::from(pattern).matches(text), fits, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(pattern in "[ab?*é]{0,7}", text in "[abé]{0,9}") {
            let (one, other): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(Glob::from(pattern.as_str()).matches(&text), naive(&one, &other));
        }
    }
}
