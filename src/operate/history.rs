//! `history`: what was done, a line for each act, with sums.

use std::fmt::Write;
use std::time::SystemTime;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::acts::Act;
use super::when;
use crate::report::text::{bytes, plain};

/// Sums over acts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Gone by the reaper's doing.
    pub reaped: u64,
    /// Gone already.
    pub gone: u64,
    /// Kept by their gateway.
    pub kept: u64,
    /// Could not be reaped.
    pub failed: u64,
    /// Begun, and no end is known.
    pub unfinished: u64,
    /// Memory that came back.
    pub reclaimed_bytes: u64,
}

/// Adds up.
pub fn sums(acts: &[Act]) -> Sums {
    let mut sums = Sums::default();
    for act in acts {
        let sum = match act.outcome.as_str() {
            "reaped" => &mut sums.reaped,
            "gone" => &mut sums.gone,
            "kept" => &mut sums.kept,
            "failed" => &mut sums.failed,
            _ => &mut sums.unfinished,
        };
        *sum += u64::from(act.times);
        sums.reclaimed_bytes = sums.reclaimed_bytes.saturating_add(act.reclaimed_bytes);
    }
    sums
}

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const QUIET: Style = Style::new().dimmed();

pub(crate) fn word(outcome: &str) -> (Style, &str) {
    match outcome {
        "reaped" | "gone" => (GOOD, outcome),
        "failed" => (BAD, "FAILED"),
        "unfinished" => (BAD, outcome),
        _ => (QUIET, outcome),
    }
}

/// One line each, and the sums. `width`: of the terminal; what doesn't fit is cut, what is written to a file is whole.
pub fn render(acts: &[Act], now: SystemTime, width: Option<usize>) -> String {
    let mut text = String::new();
    let narrow = width.is_some_and(|width| width < 60);
    for act in acts {
        let (style, word) = word(&act.outcome);
        let ago = when::ago(&act.time, now);
        let id = plain(&act.id, 20);
        let head = if narrow { format!("{ago:<10} ") } else { format!("{ago:<11} ") };
        let who = match narrow {
            true => format!(" {}", plain(&act.id, 12)),
            false => format!(" {:<7} {id:<20} {}", act.kind, plain(&act.gateway, 16)),
        };
        let told = if narrow { String::new() } else { format!("  {}", story(act, now)) };
        let rest = fit(&format!("{who}{told}"), width.map(|width| width.saturating_sub(head.len() + 10)));
        let _ = writeln!(text, "{head}{style}{word:<10}{style:#}{rest}");
    }
    let mut total = in_words(&sums(acts));
    if width.is_some_and(|width| total.chars().count() > width) {
        total = total.replace(", ", ",\n").replace("; ", ";\n");
    }
    text + &total + "\n"
}

fn story(act: &Act, now: SystemTime) -> String {
    let mut parts = Vec::new();
    if act.waited_s >= 1.0 {
        parts.push(format!(
            "after {}",
            when::coarse(std::time::Duration::from_secs_f64(act.waited_s.min(1e9)))
        ));
    }
    if !act.steps.is_empty() {
        parts.push(act.steps.join(","));
    }
    parts.extend(act.why.as_deref().map(|why| plain(why, 200)));
    if act.reclaimed_bytes > 0 {
        parts.push(bytes(act.reclaimed_bytes));
    }
    if !act.survivors.is_empty() {
        parts.push(format!("{} left alive", act.survivors.len()));
    }
    parts.join("  ") + &repeated(act, now)
}

/// How often the same happened, and until when.
pub(crate) fn repeated(act: &Act, now: SystemTime) -> String {
    let until =
        act.until.as_deref().map(|until| format!(" until {}", when::ago(until, now))).unwrap_or_default();
    if act.times > 1 { format!(" (x{}{until})", act.times) } else { String::new() }
}

/// The sums in words.
pub fn in_words(sums: &Sums) -> String {
    let parts = [
        (sums.reaped, "reaped"),
        (sums.gone, "gone already"),
        (sums.failed, "failed"),
        (sums.kept, "kept after all"),
        (sums.unfinished, "unfinished"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let mut text = if parts.is_empty() { "nothing was done".to_owned() } else { parts.join(", ") };
    if sums.reclaimed_bytes > 0 {
        let _ = write!(text, "; {} back", bytes(sums.reclaimed_bytes));
    }
    text
}

/// Cuts a line to the width that is there.
pub(crate) fn fit(line: &str, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| line.chars().count() > *width) else { return line.to_owned() };
    let mut cut: String = line.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::operate::acts::tests::{LOG, entries};
    use crate::operate::acts::{folded, of_lines};

    #[test]
    fn acts_are_added_up() {
        let acts = folded(of_lines(entries(LOG)));
        let expected =
            Sums { reaped: 1, failed: 2, unfinished: 1, reclaimed_bytes: 55_812_096, ..Sums::default() };
        assert_eq!(sums(&acts), expected);
    }

    #[test]
    fn it_fits_80_and_40_columns_and_is_whole_in_a_file() {
        let acts = folded(of_lines(entries(LOG)));
        let now = UNIX_EPOCH + Duration::from_secs(3 * 3600);
        let plain = |width| anstream::adapter::strip_str(&render(&acts, now, width)).to_string();
        for width in [40, 80] {
            let text = plain(Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
        }
        insta::assert_snapshot!(format!("{}\n{}\n{}", plain(None), plain(Some(80)), plain(Some(40))));
    }

    #[test]
    fn nothing_is_said_in_words() {
        assert_eq!(render(&[], UNIX_EPOCH, None), "nothing was done\n");
    }
}
