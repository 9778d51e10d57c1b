//! Figures in words.

use std::time::Duration;

pub(crate) use crate::text::plain;

/// A span as a person says it: tenths below ten seconds, whole seconds above.
pub(crate) fn span(span: Duration) -> String {
    let coarse = if span < Duration::from_secs(10) {
        Duration::from_millis(u64::try_from(span.as_millis() / 100 * 100).unwrap_or(u64::MAX))
    } else {
        Duration::from_secs(span.as_secs())
    };
    match coarse.as_millis() {
        0 => "0s".into(),
        millis if coarse < Duration::from_secs(10) && millis % 1000 != 0 => {
            format!("{:.1}s", coarse.as_secs_f64())
        }
        _ => humantime::format_duration(coarse).to_string().replace("days", "d").replace("day", "d"),
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

/// Bytes in the unit a person reads.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 10.0 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// `1 session`, `2 sessions`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_as_fine_as_a_person_reads_them() {
        let said = |millis| span(Duration::from_millis(millis));
        assert_eq!(said(0), "0s");
        assert_eq!(said(49), "0s");
        assert_eq!(said(1_250), "1.2s");
        assert_eq!(said(2_000), "2s");
        assert_eq!(said(12_900), "12s");
        assert_eq!(said(62_000), "1m 2s");
        assert_eq!((said(86_400_000).as_str(), said(176_400_000).as_str()), ("1d", "2d 1h"));
    }

    #[test]
    fn spans_have_one_unit_or_two() {
        let said = |seconds| coarse(Duration::from_secs(seconds));
        let all = [1, 60, 61, 3599, 3600, 3700, 40_000, 200_000].map(said);
        assert_eq!(all, ["1s", "1m", "1m 1s", "59m", "1h", "1h 1m", "11h", "2d"]);
    }

    #[test]
    fn bytes_have_two_figures() {
        assert_eq!(bytes(512), "0.5 KiB");
        assert_eq!(bytes(55_812_096), "53 MiB");
        assert_eq!(bytes(4_500_000_000), "4.2 GiB");
        assert_eq!(bytes(1024 * 1024), "1.0 MiB");
    }
}
