//! The report for people: what was kept and why, what was reaped and how, how much memory came back.

use std::fmt::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::layout::{self, NARROW};
use super::sums;
pub(crate) use super::text::span;
use super::text::{bytes, coarse, count, plain};
use super::{End, GatewayReport, Line, Report, TableState};
use crate::domain::orphan::OrphanKind;
use crate::domain::verdict::{Judged, Keep, Subject, Verdict};
use crate::reap::outcome::{Ending, Outcome, Step, Survivor};

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// All that was considered.
    All,
    /// The same, with sizes, sums and where it was found, and what is due next first.
    Status,
    /// Only what was due, and only if something was.
    Acts,
}

/// How it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// What is to be told.
    pub detail: Detail,
    /// The columns of the terminal. `None`: a file or a pipe, which get whole lines.
    pub width: Option<usize>,
    /// Many sessions that are kept for one reason are told one by one, and not as a sum.
    pub one_by_one: bool,
}

/// So many lines of one gateway are read by a person; more that wait or are kept are told as sums.
const MOST_LINES: usize = 20;

/// That something is kept for less is no news.
const SOME_TIME: Duration = Duration::from_secs(60);

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const SOON: Style = AnsiColor::Yellow.on_default();
const QUIET: Style = Style::new().dimmed();
const HEAD: Style = Style::new().bold();

/// The report as text, with colours; they are taken out where it is printed to something else than a terminal.
pub fn render(report: &Report, manner: Manner) -> String {
    let mut text = String::new();
    if manner.detail == Detail::Acts && !report.has_acts() {
        return text;
    }
    let is_narrow = manner.width.is_some_and(|width| width < NARROW);
    if let (Detail::Status, Some(made_with), false) = (manner.detail, &report.made_with, is_narrow) {
        let (config, dir) = (made_with.config.display(), made_with.state_dir.display());
        let _ = writeln!(text, "{QUIET}configuration {config}, state {dir}{QUIET:#}");
    }
    if let Some(words) = &report.paused {
        let _ = writeln!(text, "{SOON}nothing is reaped{SOON:#}: {}", plain(words, 200));
    }
    let is_asked_for = |gateway: &&GatewayReport| {
        let mut lines = gateway.subjects.iter();
        let has_lines = match manner.detail {
            Detail::Acts => lines.any(Line::is_act),
            _ => report.left_out.is_none() || lines.next().is_some(),
        };
        has_lines || gateway.error.is_some()
    };
    for gateway in report.gateways.iter().filter(is_asked_for) {
        render_gateway(&mut text, gateway, report.paused.as_deref(), manner);
    }
    let _ = writeln!(text, "{}", summary(report));
    if manner.detail == Detail::Status {
        text.push_str(&by_reason(report));
    }
    match manner.width {
        Some(width) => layout::wrap(&text, width),
        None => text,
    }
}

fn render_gateway(text: &mut String, gateway: &GatewayReport, paused: Option<&str>, manner: Manner) {
    let process = gateway.pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
    let name = plain(gateway.name.as_str(), 64);
    let _ = write!(text, "{HEAD}{name}{HEAD:#}{process}: ");
    let is_a_worker =
        |line: &&Line| matches!(line.judged.subject, Subject::Worker { .. }) && !line.is_listed_again;
    let sessions = gateway.subjects.iter().filter(|line| line.is_a_session()).count();
    let others = gateway.subjects.iter().filter(is_a_worker).count();
    match gateway.table {
        TableState::Ok => {
            let _ = write!(text, "{}", count(sessions, "session"));
            if others > 0 {
                let _ = write!(text, ", {}", count(others, "other worker"));
            }
            if let Some(why) = &gateway.error {
                let _ = write!(
                    text,
                    "; {BAD}what its table says of processes isn't trusted{BAD:#}: {}",
                    plain(why, 300)
                );
            }
        }
        state => {
            let why = gateway.error.as_deref().unwrap_or("no answer");
            let _ = write!(text, "{BAD}table {}{BAD:#}: {}", state.as_str(), plain(why, 300));
        }
    }
    text.push('\n');
    if let Some(beside) = gateway.beside.as_deref().filter(|_| manner.detail != Detail::Acts) {
        let _ = writeln!(text, "  beside it: {}", plain(beside, 400));
    }
    let is_shown = |line: &&Line| if manner.detail == Detail::Acts { line.is_act() } else { !line.is_told };
    let mut lines: Vec<&Line> = gateway.subjects.iter().filter(is_shown).collect();
    if manner.detail == Detail::Status {
        lines.sort_by_key(|line| line.due());
    }
    let sums = match manner.one_by_one {
        true => Vec::new(),
        false => sums::take(&mut lines, MOST_LINES),
    };
    // A file gets columns that don't move from run to run.
    let longest = lines.iter().map(|line| layout::columns(&plain(&line.judged.subject.id(), 24))).max();
    let ids = if manner.width.is_some() { longest.unwrap_or_default() } else { 24 };
    let said = Said { error: gateway.error.as_deref(), paused };
    for line in lines {
        render_line(text, said, line, ids, manner);
    }
    for sum in sums {
        let _ = writeln!(text, "  {QUIET}{:<8}{QUIET:#} {}", sum.word, sum.told());
    }
}

/// What lines above have said.
#[derive(Clone, Copy)]
struct Said<'a> {
    error: Option<&'a str>,
    paused: Option<&'a str>,
}

fn render_line(text: &mut String, said: Said<'_>, line: &Line, ids: usize, manner: Manner) {
    let (style, word, mut story) = story(line);
    match &line.judged.verdict {
        Verdict::Keep(Keep::TableNotTrusted(why)) if said.error == Some(&**why) => {
            story = "its gateway's table can't be trusted now".to_owned();
        }
        Verdict::Keep(Keep::ByHand(why)) if said.paused == Some(&**why) => {
            let is_pause = why.starts_with("paused");
            story = if is_pause { "paused by hand" } else { "kept as long as nothing is reaped" }.to_owned();
        }
        _ => {}
    }
    if manner.detail == Detail::Status {
        story = with_more(line, &story);
    }
    let id = plain(&line.judged.subject.id(), 24);
    if let Some(width) = manner.width.filter(|width| *width < NARROW) {
        // What is cut off is the rest of why, and not when.
        if let Verdict::Wait { orphan, waited, remaining } = line.judged.verdict {
            story = format!("due in {}; {}", span(remaining), being(orphan, waited));
        } else if let Some(End::Of(ending)) = &line.end {
            story = ended(ending, matches!(line.judged.subject, Subject::Session { .. })).2;
        }
        // As much of the id as `explain` and `hold` need.
        let id = plain(&id, 14);
        let mut told = format!("{id}  {story}");
        // Why something could not be reaped is told whole.
        if !line.has_failed() {
            told = layout::cut(&told, width.saturating_sub(11));
        }
        let _ = writeln!(text, "  {style}{word:<8}{style:#} {told}");
        return;
    }
    let kind = match &line.judged.subject {
        Subject::Session { .. } => "session",
        Subject::Worker { .. } => "worker",
    };
    let pid = line.judged.subject.worker_pid().map(|pid| pid.to_string()).unwrap_or_else(|| "-".into());
    let size = match (manner.detail, line.judged.rss_bytes) {
        (Detail::Status, Some(size)) => format!("{:>8}  ", bytes(size)),
        (Detail::Status, None) => format!("{:>8}  ", "-"),
        _ => String::new(),
    };
    let _ = writeln!(text, "  {style}{word:<8}{style:#} {kind:<7} {id:<ids$} {pid:>7}  {size}{story}");
}

/// Of what is kept: by how many clients, for how long, and when it last did anything.
fn with_more(line: &Line, story: &str) -> String {
    let Verdict::Keep(keep) = &line.judged.verdict else { return story.to_owned() };
    let mut parts = vec![attached_by(story, keep.reason(), line.judged.about.clients)];
    let since = line.since.as_ref().filter(|since| since.ago >= SOME_TIME);
    parts.extend(since.map(|since| format!("kept for {}", coarse(since.ago))));
    parts.extend(line.active_ago.map(last_active));
    parts.join("; ")
}

/// The same words with the number of clients, where it is known.
pub(crate) fn attached_by(words: &str, reason: &str, clients: Option<u32>) -> String {
    let counted = match clients {
        Some(1) => "1 client is attached".to_owned(),
        Some(clients @ 2..) => format!("{clients} clients are attached"),
        Some(0) | None => return words.to_owned(),
    };
    match Keep::Attached {
        attached if attached.reason() == reason => words.replacen(&attached.to_string(), &counted, 1),
        _ => words.to_owned(),
    }
}

pub(crate) fn last_active(ago: Duration) -> String {
    format!("last active {} ago", coarse(ago))
}

/// How many are there for each reason, and how large their workers are.
fn by_reason(report: &Report) -> String {
    let mut sums: Vec<(&'static str, usize, u64)> = Vec::new();
    for line in report.gateways.iter().flat_map(|gateway| &gateway.subjects) {
        let reason = line.reason();
        let size = line.judged.rss_bytes.unwrap_or_default();
        match sums.iter_mut().find(|(known, ..)| *known == reason) {
            Some((_, number, sum)) => (*number, *sum) = (*number + 1, *sum + size),
            None => sums.push((reason, 1, size)),
        }
    }
    sums.sort_by_key(|(_, number, size)| std::cmp::Reverse((*size, *number)));
    let told = sums.iter().map(|(reason, number, size)| match size {
        0 => format!("{number} {reason}"),
        size => format!("{number} {reason} ({})", bytes(*size)),
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { String::new() } else { format!("by reason: {}\n", told.join(", ")) }
}

/// What became of a subject, in words without colours.
pub(crate) fn in_words(line: &Line) -> String {
    let (_, word, story) = story(line);
    format!("{word}; {story}")
}

fn story(line: &Line) -> (Style, &'static str, String) {
    let Judged { subject, verdict, by_hand, .. } = &line.judged;
    match (verdict, &line.end) {
        (Verdict::Keep(keep), _) => {
            let by_hand = match (by_hand, keep) {
                (None, _) | (_, Keep::ByHand(_)) => String::new(),
                (Some(words), _) => format!("; and by hand: {}", plain(words, 200)),
            };
            (QUIET, "keep", plain(&keep.to_string(), 200) + &by_hand)
        }
        (Verdict::Wait { orphan, waited, remaining }, _) => {
            (SOON, "wait", format!("{}; due in {}", being(*orphan, *waited), span(*remaining)))
        }
        (Verdict::Deferred { orphan, waited }, _) => {
            (SOON, "deferred", format!("{}; over max_reaps, a later run takes it", being(*orphan, *waited)))
        }
        (Verdict::Reap { warrant, waited }, end) => {
            let being = being(warrant.orphan(), *waited);
            match end {
                None if warrant.is_told() => (GOOD, "due", format!("{being}; would be reaped")),
                None => match warrant.failures() {
                    0 => (GOOD, "due", format!("{being}; the next run reaps it")),
                    // The audit log has why, which a look doesn't read.
                    failed => (
                        BAD,
                        "due",
                        format!(
                            "{being}; {} already, `explain` says why; the next run tries again",
                            failed_so_often(failed)
                        ),
                    ),
                },
                Some(End::Told) => (GOOD, "due", format!("{being}; would be reaped")),
                Some(End::Of(ending)) => {
                    let is_session = matches!(subject, Subject::Session { .. });
                    let (style, word, what) = ended(ending, is_session);
                    (style, word, format!("{being}; {what}"))
                }
            }
        }
    }
}

fn failed_so_often(failures: u32) -> String {
    if failures == 1 { "failed once".to_owned() } else { format!("failed {failures} times") }
}

fn ended(ending: &Ending, is_session: bool) -> (Style, &'static str, String) {
    let how: Vec<&str> = ending
        .steps
        .iter()
        .map(|step| match step {
            Step::Close => "closed by its gateway",
            step => step.as_str(),
        })
        .collect();
    let note = ending.note.as_ref().map(|note| format!(" ({})", plain(note, 200))).unwrap_or_default();
    let note = format!("{note}{}", left_alive(&ending.survivors));
    match &ending.outcome {
        Outcome::Reaped => {
            let back = match ending.reclaimed_bytes {
                0 => String::new(),
                freed => format!("; {} back", bytes(freed)),
            };
            (GOOD, "reaped", format!("{}{back}{note}", how.join(", ")))
        }
        Outcome::Gone => {
            let what = if is_session { "its gateway says that it is gone" } else { "it was gone already" };
            (GOOD, "gone", format!("{what}{note}"))
        }
        Outcome::Kept { reason } => {
            (QUIET, "kept", format!("its gateway keeps it: {}", plain(reason.as_str(), 100)))
        }
        Outcome::Spared { why } => (QUIET, "kept", format!("{}{note}", plain(why, 300))),
        Outcome::Failed { why } => {
            let alive = left_alive(&ending.survivors);
            (BAD, "FAILED", format!("{}; tried again on the next run{alive}", plain(why, 300)))
        }
    }
}

/// The processes that live on, at most so many of them by name.
fn left_alive(survivors: &[Survivor]) -> String {
    const NAMED: usize = 3;
    if survivors.is_empty() {
        return String::new();
    }
    let named =
        survivors.iter().take(NAMED).map(|left| format!("{}, {}", left.process.pid, plain(&left.why, 100)));
    let mut named: Vec<String> = named.collect();
    named.extend(
        survivors.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| format!("and {more} more")),
    );
    format!("; left alive: {}", named.join("; "))
}

pub(crate) fn being(orphan: OrphanKind, waited: Duration) -> String {
    let what = match orphan {
        OrphanKind::DetachedSession => "detached and idle",
        OrphanKind::OwnerlessWorker => "of no session",
        OrphanKind::SupersededWorker => "superseded by a younger worker",
        OrphanKind::ParentlessWorker => "no gateway above it",
        OrphanKind::IdleWorker => "its session stays, and it did nothing",
        OrphanKind::UnattendedWorker => "no client is connected, and it did nothing",
        OrphanKind::Leftover => "its host and the other end of its stdin are gone",
    };
    match &*span(waited) {
        "0s" => what.into(),
        waited => format!("{what} for {waited}"),
    }
}

fn summary(report: &Report) -> String {
    let totals = report.totals();
    let mut parts = Vec::new();
    let mut part = |number: usize, what: &str| {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    };
    let undone = totals.reap - totals.reaped - totals.gone - totals.kept - totals.failed;
    part(totals.reaped, "reaped");
    part(totals.gone, "gone already");
    part(totals.failed, "FAILED");
    part(totals.kept, "kept after all");
    part(undone, "due");
    part(totals.deferred, "deferred");
    part(totals.wait, "inside the grace");
    part(totals.keep, "left alone");
    let mut line = match parts.is_empty() {
        false => parts.join(", "),
        // A table that can't be read is not an empty one.
        true if report.has_distrust() => "nothing touched".to_owned(),
        true => match report.left_out {
            Some(others) if others > 0 => format!("nothing of that; {others} others are there"),
            _ => "nothing there".to_owned(),
        },
    };
    if totals.reclaimed_bytes > 0 {
        let _ = write!(line, "; {} of memory came back", bytes(totals.reclaimed_bytes));
    }
    line
}

#[cfg(test)]
#[path = "human_tests.rs"]
mod tests;
