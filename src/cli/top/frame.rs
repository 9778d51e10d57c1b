//! What is on the screen: pure, from a report and how long ago it was made.

use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::screen::Key;
use crate::domain::verdict::{Subject, Verdict};
use crate::report::human::{being, in_words};
use crate::report::layout::NARROW;
use crate::report::text::{bytes, count, plain, span};
use crate::report::{Line, Report, TableState};

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Due,
    Memory,
}

impl Order {
    pub(super) fn after(self, key: Key) -> Self {
        match key {
            Key::ByDue => Self::Due,
            Key::ByMemory => Self::Memory,
            Key::Quit | Key::Other => self,
        }
    }
}

/// What there is to show, and where.
pub(super) struct View<'a> {
    pub(super) report: Option<&'a Report>,
    /// Since the report was made.
    pub(super) since: Duration,
    /// Why there is no newer one.
    pub(super) trouble: Option<&'a str>,
    /// Who makes the runs, and when the last one was.
    pub(super) runner: Option<&'a str>,
    pub(super) order: Order,
    pub(super) columns: usize,
    pub(super) rows: usize,
}

const HEAD: Style = Style::new().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOW: Style = AnsiColor::Green.on_default().bold();
const SOON: Style = AnsiColor::Yellow.on_default();
const QUIET: Style = Style::new().dimmed();

/// One line that never gets wider than the screen.
struct Row {
    text: String,
    left: usize,
}

impl Row {
    fn new(columns: usize) -> Self {
        Self { text: String::new(), left: columns }
    }

    fn add(mut self, style: Style, text: &str) -> Self {
        let length = text.chars().count();
        if length <= self.left {
            self.text.push_str(&format!("{style}{text}{style:#}"));
            self.left -= length;
        } else if self.left > 0 {
            let cut: String = text.chars().take(self.left - 1).collect();
            self.text.push_str(&format!("{style}{cut}…{style:#}"));
            self.left = 0;
        }
        self
    }

    fn plain(self, text: &str) -> Self {
        self.add(Style::new(), text)
    }
}

/// A screen full of lines.
pub(super) fn compose(view: &View<'_>) -> Vec<String> {
    let is_narrow = view.columns < NARROW;
    let row = || Row::new(view.columns);
    let mut top = vec![row().add(HEAD, &summary(view)).text];
    top.push(row().add(QUIET, view.runner.unwrap_or("no run was ever made here")).text);
    if let Some(trouble) = view.trouble {
        top.push(row().add(BAD, &plain(trouble, 300)).text);
    }
    let Some(report) = view.report else { return top };
    if let Some(words) = &report.paused {
        top.push(row().add(SOON, "nothing is reaped").plain(&format!(": {}", plain(words, 200))).text);
    }
    for gateway in report.gateways.iter().filter(|gateway| gateway.table != TableState::Ok) {
        let why = plain(gateway.error.as_deref().unwrap_or("no answer"), 300);
        let name = plain(gateway.name.as_str(), 24);
        let state = format!("{name}: table {}", gateway.table.as_str());
        top.push(row().add(BAD, &state).plain(&format!(": {why}")).text);
    }
    let mut lines: Vec<(&str, &Line)> = report
        .gateways
        .iter()
        .flat_map(|gateway| gateway.subjects.iter().map(|line| (gateway.name.as_str(), line)))
        .collect();
    let memory = |line: &Line| std::cmp::Reverse(line.judged.rss_bytes.unwrap_or_default());
    match view.order {
        Order::Due => lines.sort_by_key(|(_, line)| (line.due(), memory(line))),
        Order::Memory => lines.sort_by_key(|(_, line)| (memory(line), line.due())),
    }
    let widest = |words: &mut dyn Iterator<Item = usize>, title: usize, most: usize| {
        words.chain([title]).max().unwrap_or_default().min(most)
    };
    let gateways = widest(&mut lines.iter().map(|(gateway, _)| plain(gateway, 12).chars().count()), 7, 12);
    let ids = widest(&mut lines.iter().map(|(_, line)| name(line).chars().count()), 7, 22);
    let title = match is_narrow {
        true => format!("{:<7} {:>8}  SESSION", "DUE", "MEMORY"),
        false => format!("{:<7} {:>8}  {:<gateways$}  {:<ids$}  WHY", "DUE", "MEMORY", "GATEWAY", "SESSION"),
    };
    top.push(row().add(QUIET, &title).text);
    let room = view.rows.saturating_sub(top.len());
    let shown = if lines.len() > room { room.saturating_sub(1) } else { lines.len() };
    for (gateway, line) in &lines[..shown] {
        let (style, when) = when(line, view.since);
        let memory = line.judged.rss_bytes.map(bytes).unwrap_or_else(|| "-".to_owned());
        let row = row().add(style, &format!("{when:<7}")).plain(&format!(" {memory:>8}  "));
        top.push(match is_narrow {
            true => row.plain(&name(line)).text,
            false => {
                let who = format!("{:<gateways$}  {:<ids$}  ", cut(gateway, gateways), cut(&name(line), ids));
                row.plain(&who).plain(&why(line, view.since)).text
            }
        });
    }
    if shown < lines.len() {
        top.push(row().add(QUIET, &format!("{} more", lines.len() - shown)).text);
    }
    top.truncate(view.rows);
    top
}

fn summary(view: &View<'_>) -> String {
    let keys = match view.order {
        Order::Due => "by due time (d); m: memory, q: quit",
        Order::Memory => "by memory (m); d: due time, q: quit",
    };
    let Some(report) = view.report else { return format!("looking; {keys}") };
    let totals = report.totals();
    let due = totals.reap + totals.deferred;
    let parts = [(due, "due"), (totals.wait, "soon")].into_iter().filter(|(number, _)| *number > 0);
    let what: String = parts.map(|(number, what)| format!(", {number} {what}")).collect();
    let sessions = count(totals.sessions, "session");
    match view.columns < NARROW {
        true => format!("{sessions}{what}; d m q"),
        false => format!("{sessions}, {}{what}; {keys}", count(totals.workers, "worker")),
    }
}

fn when(line: &Line, since: Duration) -> (Style, String) {
    match line.due() {
        Duration::MAX => (QUIET, "-".to_owned()),
        due if due <= since => (NOW, "now".to_owned()),
        due => {
            let left = (due - since).as_secs_f64().ceil();
            let left = span(Duration::from_secs_f64(left));
            // As many units as there is room for, the largest first.
            let mut words = String::new();
            for word in left.split(' ') {
                if words.len() + word.len() > 7 {
                    break;
                }
                words.push_str(word);
            }
            (SOON, words)
        }
    }
}

fn why(line: &Line, since: Duration) -> String {
    match (&line.judged.verdict, line.ending()) {
        (Verdict::Wait { orphan, waited, .. } | Verdict::Deferred { orphan, waited }, None) => {
            being(*orphan, *waited + since)
        }
        (Verdict::Reap { warrant, waited }, None) => being(warrant.orphan(), *waited + since),
        (Verdict::Keep(_), _) | (_, Some(_)) => {
            let words = in_words(line);
            words.strip_prefix("keep; ").unwrap_or(&words).to_owned()
        }
    }
}

/// A worker without a session is marked.
fn name(line: &Line) -> String {
    let id = plain(&line.judged.subject.id(), 40);
    match line.judged.subject {
        Subject::Session { .. } => id,
        Subject::Worker { .. } => format!("{id} (worker)"),
    }
}

fn cut(text: &str, width: usize) -> String {
    crate::report::layout::cut(text, width)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::domain::ids::Pid;
    use crate::domain::orphan::OrphanKind;
    use crate::domain::policy::Mode;
    use crate::domain::time::Awake;
    use crate::domain::verdict::{About, Judged, Keep};
    use crate::report::{Begun, GatewayReport};

    fn line(id: &str, rss: u64, verdict: Verdict) -> Line {
        let judged = Judged {
            // Each has one of its own.
            subject: Subject::Session { id: id.into(), worker: Pid::new(rss) },
            key: None,
            rss_bytes: Some(rss << 20),
            closes_without_effect: 0,
            by_hand: None,
            about: About::default(),
            verdict,
        };
        Line::of(judged, UNIX_EPOCH)
    }

    fn report() -> Report {
        let orphan = OrphanKind::DetachedSession;
        let secs = Duration::from_secs;
        let subjects = vec![
            line("attached-one-with-a-long-name", 900, Verdict::Keep(Keep::Attached)),
            line("soon", 44, Verdict::Wait { orphan, waited: secs(12), remaining: secs(8) }),
            line("later", 95, Verdict::Wait { orphan, waited: secs(1), remaining: secs(200_000) }),
            line("due", 53, Verdict::Deferred { orphan, waited: secs(75) }),
        ];
        let gateways = vec![
            GatewayReport {
                name: "desk".into(),
                table: TableState::Ok,
                error: None,
                beside: None,
                pid: None,
                software: crate::domain::table::Software::default(),
                subjects,
            },
            GatewayReport {
                name: "other".into(),
                table: TableState::Unreachable,
                error: Some(
                    "nothing listens at 127.0.0.1:9119; what depends on its table is left alone".into(),
                ),
                beside: None,
                pid: None,
                software: crate::domain::table::Software::default(),
                subjects: Vec::new(),
            },
        ];
        let begun = Begun::new(Mode::DryRun, UNIX_EPOCH, Awake::from_nanos(0));
        Report {
            begun,
            took: Duration::ZERO,
            gateways,
            paused: None,
            made_with: None,
            left_out: None,
            along: Vec::new(),
        }
    }

    fn shown(columns: usize, rows: usize, order: Order, since: u64) -> String {
        let report = report();
        let view = View {
            report: Some(&report),
            since: Duration::from_secs(since),
            trouble: None,
            runner: Some("watch, last run 1s ago"),
            order,
            columns,
            rows,
        };
        let lines: Vec<String> =
            compose(&view).iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert!(lines.len() <= rows, "{lines:#?}");
        for line in &lines {
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
        lines.join("\n")
    }

    #[test]
    fn it_counts_down_and_fits_80_and_40_columns() {
        let all = [
            (80, 24, Order::Due, 0),
            (80, 24, Order::Memory, 3),
            (40, 24, Order::Due, 9),
            (40, 7, Order::Memory, 0),
        ];
        let screens = all.map(|(columns, rows, order, since)| {
            format!("{columns}x{rows} {order:?} after {since}s\n{}", shown(columns, rows, order, since))
        });
        insta::assert_snapshot!(screens.join("\n\n"));
    }

    #[test]
    fn no_size_is_too_small() {
        for columns in 1..90 {
            for rows in 1..9 {
                shown(columns, rows, Order::Due, 1);
            }
        }
    }
}
