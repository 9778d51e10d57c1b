//! Times as the files have them, and as a person says them.

use std::time::{Duration, SystemTime};

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

/// A span in its largest unit, and in the next one where the first alone would say too little.
pub(crate) fn coarse(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..600 => format!("{}m {}s", seconds / 60, seconds % 60).replace(" 0s", ""),
        600..3600 => format!("{}m", seconds / 60),
        3600..36_000 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60).replace(" 0m", ""),
        36_000..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
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
    fn spans_have_one_unit_or_two() {
        let said = |seconds| coarse(Duration::from_secs(seconds));
        let all = [1, 60, 61, 3599, 3600, 3700, 40_000, 200_000].map(said);
        assert_eq!(all, ["1s", "1m", "1m 1s", "59m", "1h", "1h 1m", "11h", "2d"]);
    }

    #[test]
    fn what_is_no_time_or_in_the_future_is_not_made_up() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        assert_eq!(ago("1970-01-01T00:00:10Z", now), "1m 30s ago");
        assert_eq!(ago("1970-01-01T00:01:39.500Z", now), "now");
        assert_eq!(ago("1970-01-01T01:00:00Z", now), "1970-01-01T01:00:00Z");
        assert_eq!(ago("yesterday", now), "?");
    }
}
