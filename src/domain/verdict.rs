//! What the decision says of each session and worker, and why.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::ids::{Pid, SessionId, WorkerKey};
use super::orphan::OrphanKind;
use super::process::ProcessIdentity;
pub use super::protection::Protection;
use super::warrant::Warrant;

/// Who is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A session of the table, with its worker.
    Session {
        /// Its id.
        id: SessionId,
        /// The worker as the table names it or the key finds it.
        worker: Option<Pid>,
    },
    /// A worker that is judged with no listed session.
    Worker {
        /// What its argv says of its session.
        key: Option<WorkerKey>,
        /// The process.
        identity: ProcessIdentity,
    },
}

impl Subject {
    /// The id of the report: a session's id, a worker's key, else its PID.
    pub fn id(&self) -> String {
        match self {
            Self::Session { id, .. } => id.to_string(),
            Self::Worker { key: Some(key), .. } => key.to_string(),
            Self::Worker { key: None, identity } => identity.pid.to_string(),
        }
    }

    /// The worker process.
    pub fn worker_pid(&self) -> Option<Pid> {
        match self {
            Self::Session { worker, .. } => *worker,
            Self::Worker { identity, .. } => Some(identity.pid),
        }
    }
}

/// A hold that the reaper gives: a worker is at work.
pub const WORKER_BUSY: &str = "worker-busy";
/// The same: whether it is can't be told.
pub const UNKNOWN_WORKER_BUSY: &str = "unknown-worker-busy";
/// The same: a client is connected to it.
pub const CLIENT: &str = "client";

/// Why a subject is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// A client is there.
    Attached,
    /// In the middle of a turn.
    MidTurn,
    /// Waiting on a person's answer.
    Waiting,
    /// Being built.
    Starting,
    /// The gateway's reasons to keep it, or what the reaper saw.
    Held(Vec<Box<str>>),
    /// An operator forbade it by hand.
    ByHand(Box<str>),
    /// Something that would have to be known isn't.
    UnknownState(Box<str>),
    /// A process that is never signalled.
    Protected(Protection),
    /// The table it depends on could not be read or trusted in this run.
    TableNotTrusted(Box<str>),
}

impl Keep {
    /// The word of the report.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::MidTurn => "mid-turn",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Held(_) | Self::ByHand(_) => "held",
            Self::UnknownState(_) => "unknown-state",
            Self::Protected(_) => "protected",
            Self::TableNotTrusted(_) => "table-not-trusted",
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attached => f.write_str("a client is attached"),
            Self::MidTurn => f.write_str("in the middle of a turn"),
            Self::Waiting => f.write_str("waiting on a person's answer"),
            Self::Starting => f.write_str("being built"),
            Self::ByHand(words) => write!(f, "by hand: {words}"),
            Self::Held(holds) if holds.is_empty() => f.write_str("held by its gateway"),
            Self::Held(holds) => {
                let is_seen = |hold: &str| [WORKER_BUSY, UNKNOWN_WORKER_BUSY, CLIENT].contains(&hold);
                let by = if holds.iter().all(|hold| is_seen(hold)) { "what was seen" } else { "its gateway" };
                write!(f, "held by {by}: {}", holds.join(", "))
            }
            Self::UnknownState(what) => write!(f, "unknown state: {what}"),
            Self::Protected(protection) => write!(f, "protected: {protection}"),
            Self::TableNotTrusted(why) => write!(f, "its gateway's table can't be trusted: {why}"),
        }
    }
}

/// What is to become of a subject.
#[derive(Debug)]
pub enum Verdict {
    /// Left alone.
    Keep(Keep),
    /// An orphan inside its grace.
    Wait {
        /// Which kind of orphan.
        orphan: OrphanKind,
        /// Awake time it has looked like one.
        waited: Duration,
        /// Awake time until it is due.
        remaining: Duration,
    },
    /// An orphan whose grace is over.
    Reap {
        /// The permission to end it; nothing else gives one.
        warrant: Box<Warrant>,
        /// Awake time it has looked like an orphan.
        waited: Duration,
    },
    /// Due, but over the quota of this run.
    Deferred {
        /// Which kind of orphan.
        orphan: OrphanKind,
        /// Awake time it has looked like one.
        waited: Duration,
    },
}

/// What is known of a session for people: nothing is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct About {
    /// How many clients it has.
    pub clients: Option<u32>,
    /// When it last did anything, in its gateway's word.
    pub last_active: Option<LastActive>,
    /// Its grace, once it looks like an orphan.
    pub grace: Option<Duration>,
    /// That only an operator keeps it.
    pub held_back: Option<HeldBack>,
}

/// What an operator keeps that would be due, or go on with its grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldBack {
    /// What is left of its grace, which goes on.
    pub remaining: Duration,
    /// Until when; `None`: for good.
    pub until: Option<SystemTime>,
}

/// When a session last did anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastActive {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(SystemTime),
}

impl LastActive {
    /// How long ago that is; `None`: the clocks disagree.
    pub fn ago(self, now: SystemTime) -> Option<Duration> {
        match self {
            Self::Ago(span) => Some(span),
            Self::At(then) => now.duration_since(then).ok(),
        }
    }
}

/// One subject with its verdict.
#[derive(Debug)]
pub struct Judged {
    /// Who.
    pub subject: Subject,
    /// The conversation key of a session, where it isn't its id.
    pub key: Option<Box<str>>,
    /// How often its gateway said that this session is closed or gone, which it lists all the same.
    pub closes_without_effect: u32,
    /// That an operator keeps it, until when and why; whatever else keeps it.
    pub by_hand: Option<Box<str>>,
    /// What is known of it for people.
    pub about: About,
    /// Resident memory of its worker, in bytes, where it was read.
    pub rss_bytes: Option<u64>,
    /// What is to become of it.
    pub verdict: Verdict,
}

impl Judged {
    /// Judged so, with nothing else to say of it.
    pub(super) fn new(subject: Subject, rss_bytes: Option<u64>, verdict: Verdict) -> Self {
        let about = About::default();
        Self { subject, key: None, closes_without_effect: 0, by_hand: None, about, rss_bytes, verdict }
    }

    /// Left alone.
    pub(super) fn keep(subject: Subject, rss_bytes: Option<u64>, keep: Keep) -> Self {
        Self::new(subject, rss_bytes, Verdict::Keep(keep))
    }
}
