//! Many sessions that wait or are kept for one reason, told in one line.

use std::collections::HashMap;

use super::Line;
use super::text::{bytes, count, span};
use crate::domain::verdict::{Subject, Verdict};

/// So few of one reason are told one by one.
const FEW: usize = 3;

/// So many of one gateway.
#[derive(Debug)]
pub(crate) struct Sum {
    /// The word of the verdict.
    pub(crate) word: &'static str,
    /// What each of them is, and why.
    pub(crate) reason: String,
    sessions: usize,
    workers: usize,
    bytes: u64,
    /// What is alike of all their stories, where something is.
    next_due: Option<std::time::Duration>,
}

impl Sum {
    pub(crate) fn told(&self) -> String {
        let sessions = (self.sessions > 0).then(|| count(self.sessions, "session"));
        let workers = (self.workers > 0).then(|| count(self.workers, "worker"));
        let who: Vec<String> = sessions.into_iter().chain(workers).collect();
        let size = if self.bytes > 0 { format!(", {}", bytes(self.bytes)) } else { String::new() };
        let due = self.next_due.map(|due| format!("; the first is due in {}", span(due))).unwrap_or_default();
        format!("{}{size}: {}{due}", who.join(" and "), self.reason)
    }
}

/// Takes those out that wait or are kept for a reason that several share, where there are more lines than a person reads.
pub(crate) fn take(lines: &mut Vec<&Line>, most: usize) -> Vec<Sum> {
    let word = |line: &Line| match line.judged.verdict {
        Verdict::Keep(_) => Some("keep"),
        Verdict::Wait { .. } => Some("wait"),
        _ => None,
    };
    if lines.iter().filter(|line| word(line).is_some()).count() <= most {
        return Vec::new();
    }
    let reason = |line: &Line| match &line.judged.verdict {
        Verdict::Wait { orphan, .. } => orphan.as_str(),
        _ => line.reason(),
    };
    let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
    for line in lines.iter() {
        *counts.entry((word(line).unwrap_or_default(), reason(line))).or_default() += 1;
    }
    let mut sums: Vec<Sum> = Vec::new();
    lines.retain(|line| {
        let Some(word) = word(line) else { return true };
        let reason = reason(line);
        // One held session among many attached ones is what is looked for.
        if counts.get(&(word, reason)).is_none_or(|count| *count <= FEW) {
            return true;
        }
        let known = sums.iter().position(|sum| sum.word == word && sum.reason == reason);
        let place = known.unwrap_or_else(|| {
            let empty =
                Sum { word, reason: reason.to_owned(), sessions: 0, workers: 0, bytes: 0, next_due: None };
            sums.push(empty);
            sums.len() - 1
        });
        let sum = &mut sums[place];
        match line.judged.subject {
            Subject::Session { .. } => sum.sessions += 1,
            Subject::Worker { .. } => sum.workers += 1,
        }
        sum.bytes += line.judged.rss_bytes.unwrap_or_default();
        if let Verdict::Wait { remaining, .. } = line.judged.verdict {
            sum.next_due = Some(sum.next_due.map_or(remaining, |due| due.min(remaining)));
        }
        false
    });
    sums
}
