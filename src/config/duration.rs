//! Durations as people write them: `"20s"`, `"1m 30s"`.

use std::time::Duration;

use thiserror::Error;

/// What is longer is a mistake in the unit. Ten of humantime's years.
pub const LONGEST: Duration = Duration::from_secs(10 * 31_557_600);

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DurationError {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// It starts with a minus.
    #[error("it is negative")]
    Negative,
    /// A number alone.
    #[error("its unit is missing")]
    NoUnit,
    /// More than [`LONGEST`].
    #[error("it is longer than 10 years")]
    TooLong,
    /// Anything else.
    #[error(
        "write numbers with units: ms, s, m (or min), h, d, w; larger ones first, nothing between them but spaces"
    )]
    NotUnderstood,
}

/// Reads a humantime duration of at most [`LONGEST`].
///
/// # Errors
/// The text is no such duration.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text.starts_with('-') {
        return Err(DurationError::Negative);
    }
    // humantime panics where seconds and nanoseconds together overflow; nothing within these bounds adds up to that.
    if text.len() > 64 || text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 10) {
        return Err(DurationError::TooLong);
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) | Err(humantime::DurationError::NumberOverflow) => Err(DurationError::TooLong),
        Err(humantime::DurationError::UnknownUnit { unit, .. }) if unit.is_empty() => {
            Err(DurationError::NoUnit)
        }
        Err(_) => Err(DurationError::NotUnderstood),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in
            [("20s", 20_000), ("1m 30s", 90_000), ("0s", 0), ("0", 0), ("1.5s", 1_500), (" 2min ", 120_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", DurationError::Empty),
            ("  ", DurationError::Empty),
            ("20", DurationError::NoUnit),
            ("1m 30", DurationError::NoUnit),
            ("-5s", DurationError::Negative),
            ("20 parsecs", DurationError::NotUnderstood),
            ("soon", DurationError::NotUnderstood),
            ("20s, 3ms", DurationError::NotUnderstood),
            ("11 years", DurationError::TooLong),
            ("999999999999999999999s", DurationError::TooLong),
            ("18446744073709551615s 1000000000ns", DurationError::TooLong),
        ] {
            assert_eq!(parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn ten_years_are_the_longest_that_is_believed() {
        assert_eq!(parse("10 years"), Ok(LONGEST));
        assert_eq!(parse("10 years 1ns"), Err(DurationError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([0-9]{1,20}(\\.[0-9]{0,20})? ?(ns|us|µs|ms|s|m|h|d|w|M|y|x)? ?){0,12}") {
            let _ = parse(&text);
        }
    }
}
