//! Times as the files have them, and as a person says them.

use std::time::{Duration, SystemTime};

pub(crate) use crate::report::text::coarse;

/// How long ago, in one or two units; `?` where the time can't be read.
pub(crate) fn ago(time: &str, now: SystemTime) -> String {
    let Some(then) = parse(time) else { return "?".to_owned() };
    match now.duration_since(then) {
        Ok(span) if span < Duration::from_secs(1) => "now".to_owned(),
        Ok(span) => format!("{} ago", coarse(span)),
        // The clock was put back since, or another machine wrote it.
        Err(_) => time.to_owned(),
    }
}

pub(crate) fn parse(time: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(time).ok()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn what_is_no_time_or_in_the_future_is_not_made_up() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        assert_eq!(ago("1970-01-01T00:00:10Z", now), "1m 30s ago");
        assert_eq!(ago("1970-01-01T00:01:39.500Z", now), "now");
        assert_eq!(ago("1970-01-01T01:00:00Z", now), "1970-01-01T01:00:00Z");
        assert_eq!(ago("yesterday", now), "?");
    }
}
