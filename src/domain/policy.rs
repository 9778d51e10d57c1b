//! What the operator wants, as values that are already checked.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::ids::GatewayName;
use super::table::{Session, Told};

/// All that an operator decided for one gateway.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Which gateway.
    pub gateway: GatewayName,
    /// Graces, timeouts and the quota.
    pub policy: Policy,
    /// How its workers are recognised; without it no process is one, and none is ever signalled.
    pub worker_match: Option<WorkerMatch>,
    /// The user its workers run as; another user's process is never signalled.
    pub worker_uid: u32,
    /// A run of this kind of gateway may take back the workers of an earlier one.
    pub takes_workers_back: bool,
    /// `[gateway.process]` says which process the gateway has. Otherwise any that nothing is known of may be one.
    pub describes_process: bool,
    /// What of all that matches is a worker, and when it is an orphan without a row.
    pub workers: Workers,
}

/// What of the processes that match `worker.match` is a worker, and when one that no table lists is an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// Each. Where it stands tells whether it is an orphan.
    Matching,
    /// What leads a session of its own (`setsid`), and what has the same argv: a fork of it. An editor of its file is none. One that no
    /// table lists may be another program's, so it is an orphan only if it carries the mark of a gateway that is gone.
    LeadersOfGone,
    /// Each, of no gateway: a server that talks over stdin is an orphan if the other end of that is gone, and so is its parent.
    Leftovers,
}

/// Graces, timeouts and the quota of one gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long a detached session is left alone.
    pub grace: Duration,
    /// The same for sessions that asked to end with their transport.
    pub close_on_disconnect_grace: Duration,
    /// How long an ownerless, superseded or parentless worker is left alone.
    pub worker_grace: Duration,
    /// How long a closed session's worker has to exit by itself.
    pub close_timeout: Duration,
    /// How long a process has between SIGTERM and SIGKILL.
    pub term_timeout: Duration,
    /// Most reaps in one run; the rest is deferred.
    pub max_reaps: usize,
    /// Most sessions that the gateway is asked to close at once. Zero: it can't be asked at all, and its sessions are only told of.
    pub closes_at_once: usize,
    /// How long a worker does nothing before it is ended while its session stays. `None`: that is never a reason.
    pub idle_worker: Option<Duration>,
    /// How much processor time shows that a worker is at work. `None`: where the kind knows no better, nothing shows it.
    pub busy_cpu: Option<CpuShare>,
    /// What to do with the workers of a gateway that publishes no table.
    pub without_table: WithoutTable,
    /// How long a session to which no client ever connected counts as being built, where its gateway calls it so for ever.
    pub start_timeout: Duration,
    /// Decide and tell, but do nothing.
    pub dry_run: bool,
}

impl Policy {
    /// How long this session is left alone.
    pub fn grace_of(&self, session: &Session) -> Duration {
        match session.close_on_disconnect {
            Told::Known(true) => self.close_on_disconnect_grace,
            _ => self.grace,
        }
    }

    /// Whether its gateway can be asked to close a session.
    pub fn closes_sessions(&self) -> bool {
        self.closes_at_once > 0
    }
}

/// A part of one processor core, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuShare(u32);

impl CpuShare {
    /// So many hundredths of a percent of one core.
    pub const fn of_ten_thousand(share: u32) -> Self {
        Self(share)
    }

    /// The processor time that this is of a span.
    pub fn of(self, span: Duration) -> Duration {
        span.mul_f64(f64::from(self.0) / 10_000.0)
    }
}

/// What to do with the workers of a gateway that publishes no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutTable {
    /// Tell of them.
    Report,
    /// End those that do nothing while no client at all is connected.
    Workers,
}

/// Whether a run acts on what it decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Enforce,
    /// It decides and tells, with the same memory, and does nothing.
    DryRun,
}

/// How a worker is recognised by its argv.
#[derive(Debug, Clone)]
pub struct WorkerMatch {
    /// Shared: a clone of a pattern of its own would compile its caches again, for every warrant.
    pattern: Arc<Pattern>,
}

struct Pattern {
    regex: regex_lite::Regex,
    /// Each argv is tried several times in every poll, which cost more than the rest of a decision.
    tried: Mutex<HashMap<Box<str>, Tried>>,
}

/// What was tried doesn't show: two patterns with the same text are the same.
impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.regex.fmt(f)
    }
}

/// What came of trying an argv.
#[derive(Debug, Clone)]
enum Tried {
    Other,
    Worker { key: Option<Range<usize>> },
}

/// So many argv, each at most so long in bytes, are remembered.
const MOST_TRIED: usize = 4_000;
const LONGEST_TRIED: usize = 1_024;

/// What a matching argv says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchedWorker<'a> {
    /// The session's key, where the pattern has a group `session` and the argv carries one.
    pub key: Option<&'a str>,
}

impl WorkerMatch {
    /// Compiles a pattern, in which `.` is any character, an end of line too. It is tried from argv's first character on, so that an editor or a
    /// `tail` that merely names a worker in an argument is not one.
    ///
    /// # Errors
    /// The pattern is not a regular expression.
    pub fn new(pattern: &str) -> Result<Self, String> {
        // The bare pattern first, so that a message points into what the user wrote.
        regex_lite::Regex::new(pattern).map_err(|error| error.to_string())?;
        // Limits a little above those that it was held to: what is put around it is no reason to refuse it.
        let build = |text: &str| {
            let mut builder = regex_lite::RegexBuilder::new(text);
            // An argument may have several lines, a prompt say: what says `.*` means to pass over it.
            builder.dot_matches_new_line(true).nest_limit(52).size_limit(11 << 20).build()
        };
        let anchored = build(&format!("^(?:{pattern})"));
        // With `(?x)` a comment at its end goes to the end of the line.
        let anchored = anchored.or_else(|_| build(&format!("^(?:{pattern}\n)")));
        let pattern = anchored.map_err(|error| error.to_string())?;
        Ok(Self { pattern: Arc::new(Pattern { regex: pattern, tried: Mutex::default() }) })
    }

    /// Tries argv, joined by single spaces.
    pub fn matches<'a>(&self, argv: &'a str) -> Option<MatchedWorker<'a>> {
        match self.pattern.try_once(argv) {
            Tried::Other => None,
            Tried::Worker { key } => Some(MatchedWorker { key: key.and_then(|key| argv.get(key)) }),
        }
    }
}

impl Pattern {
    fn try_once(&self, argv: &str) -> Tried {
        if argv.len() > LONGEST_TRIED {
            return self.try_now(argv);
        }
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tried.get(argv) {
            return known.clone();
        }
        if tried.len() >= MOST_TRIED {
            tried.clear();
        }
        let now = self.try_now(argv);
        tried.insert(argv.into(), now.clone());
        now
    }

    fn try_now(&self, argv: &str) -> Tried {
        match self.regex.captures(argv) {
            None => Tried::Other,
            Some(captures) => Tried::Worker { key: captures.name("session").map(|key| key.range()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched<'a>(pattern: &str, argv: &'a str) -> Option<MatchedWorker<'a>> {
        WorkerMatch::new(pattern).unwrap().matches(argv)
    }

    fn with<'a>(key: impl Into<Option<&'a str>>) -> Option<MatchedWorker<'a>> {
        Some(MatchedWorker { key: key.into() })
    }

    #[test]
    fn a_pattern_passes_over_an_argument_of_several_lines() {
        let pattern = r"worker .*?--session-key (?P<session>\S+)";
        assert_eq!(matched(pattern, "worker --prompt You are\nan agent --session-key a"), with("a"));
        assert_eq!(matched(r"worker (?-s:.*?)--session-key \S+", "worker a\nb --session-key a"), None);
    }

    #[test]
    fn a_pattern_is_tried_from_the_first_character_on_in_all_its_alternatives() {
        assert_eq!(matched(r"worker (?P<session>\S+)", "worker a b"), with("a"));
        assert_eq!(matched(r"worker (?P<session>\S+)", "vi worker a"), None);
        assert_eq!(matched("vi|worker", "tail worker"), None);
        assert_eq!(matched("worker(?: (?P<session>.))?", "worker"), with(None));
    }

    #[test]
    fn an_argv_that_was_tried_before_says_the_same_again_however_many_others_were() {
        let pattern = WorkerMatch::new(r"worker(?: (?P<session>\S+))?").unwrap();
        let long = format!("worker {}", "k".repeat(LONGEST_TRIED));
        for _ in 0..2 {
            assert_eq!(pattern.matches("worker a b"), with("a"));
            assert_eq!(pattern.matches("worker"), with(None));
            assert_eq!(pattern.matches("vi worker"), None);
            assert_eq!(pattern.matches(&long), with(&long["worker ".len()..]));
            for other in 0..MOST_TRIED {
                let argv = format!("worker {other}");
                assert_eq!(pattern.matches(&argv), with(other.to_string().as_str()));
            }
        }
        assert!(pattern.pattern.tried.lock().unwrap().len() <= MOST_TRIED);
    }

    #[test]
    fn a_pattern_may_end_in_a_comment() {
        assert_eq!(matched(r"(?x) worker\ (?P<session>\S+)  # and its key", "worker a"), with("a"));
    }

    #[test]
    fn a_pattern_that_is_as_deep_as_patterns_may_be_is_not_refused_for_what_is_put_around_it() {
        assert_eq!(matched(&format!("y{}", "*".repeat(50)), "y"), with(None));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert!(WorkerMatch::new("a)|(?:b").is_err());
        assert!(WorkerMatch::new("(").is_err());
    }
}
