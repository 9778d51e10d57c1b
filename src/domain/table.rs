//! The session table: what a gateway says of its sessions, already validated whole.
//!
//! A field that is missing or not understood is told apart from one that is known, because only what is known
//! may condemn ([`Told`]).

use std::fmt;
use std::time::{Duration, SystemTime};

use super::ids::{Instance, Pid, SessionId, WorkerKey};
use super::outside::Outside;

/// What a table says of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<T> {
    /// It says this.
    Known(T),
    /// It says nothing.
    Absent,
    /// It says something that this version doesn't understand; the text, shortened, for the report.
    NotUnderstood(Box<str>),
}

impl<T> Told<T> {
    /// The known value, if there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::NotUnderstood(_) => None,
        }
    }

    /// What was not understood.
    pub fn odd(&self) -> Option<&str> {
        match self {
            Self::NotUnderstood(text) => Some(text),
            Self::Known(_) | Self::Absent => None,
        }
    }
}

/// Whether a client is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A client is connected.
    Attached,
    /// The client is gone; the session waits for it to come back.
    Detached,
}

/// What the session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// Nothing.
    Idle,
    /// In the middle of a turn.
    Running,
    /// Waiting on a person's answer.
    Waiting,
    /// Being built.
    Starting,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Unique id.
    pub id: SessionId,
    /// What the worker's argv carries for this session; `id` where the gateway gives none.
    pub key: Told<WorkerKey>,
    /// Attached or detached.
    pub transport: Told<Transport>,
    /// Mid-turn or not.
    pub turn: Told<Turn>,
    /// The gateway's own clock on how long the session has been detached. Values that can't be are dropped when the table is read.
    pub detached_for: Option<Duration>,
    /// The gateway's own clock on how long the session has been idle. Values that can't be are dropped when the table is read.
    pub idle_for: Option<Duration>,
    /// Opaque; changes whenever the session does anything.
    pub activity: Option<Box<str>>,
    /// The session asked to end with its transport.
    pub close_on_disconnect: Told<bool>,
    /// The gateway's reasons to keep it now. Known and empty means none.
    pub holds: Told<Vec<Box<str>>>,
    /// The worker process of this session; known and `None`: it has none now.
    pub worker: Told<Option<Pid>>,
    /// What else it says, for people.
    pub shown: Shown,
}

/// What a gateway says of a session for people: nothing is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown {
    /// How many clients it has.
    pub clients: Option<u32>,
    /// When it last did anything.
    pub last_active: Option<SystemTime>,
}

impl Session {
    /// The key that the worker's argv carries for this session.
    pub fn worker_key(&self) -> Option<&str> {
        match &self.key {
            Told::Known(key) => Some(key.as_str()),
            Told::Absent => Some(self.id.as_str()),
            Told::NotUnderstood(_) => None,
        }
    }

    /// The process that the row names as its worker.
    pub fn named_worker(&self) -> Option<Pid> {
        self.worker.known().copied().flatten()
    }

    /// By its row nothing runs in it, and nothing holds it.
    pub fn is_idle(&self) -> bool {
        self.turn == Told::Known(Turn::Idle)
            && self.holds.known().is_none_or(Vec::is_empty)
            && !matches!(self.holds, Told::NotUnderstood(_))
    }

    /// How long it has been an orphan by its gateway's clocks, which tell that only together: the smaller one counts.
    pub fn orphaned_for(&self) -> Option<Duration> {
        self.detached_for.zip(self.idle_for).map(|(detached, idle)| detached.min(idle))
    }

    /// By its row no client has it either.
    pub fn is_detached_and_idle(&self) -> bool {
        self.transport == Told::Known(Transport::Detached) && self.is_idle()
    }
}

/// A whole, valid session table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SessionTable {
    /// The gateway's process, in the reaper's own PID namespace.
    pub gateway_pid: Option<Pid>,
    /// Identity of this run of the gateway.
    pub instance: Option<Instance>,
    /// The sessions; ids are unique.
    pub sessions: Vec<Session>,
    /// What is known of who said all this.
    pub listener: Listener,
}

/// Which programs a gateway says that it is, for people: nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Software {
    /// The gateway's release.
    pub release: Option<Box<str>>,
    /// The version of the plugin that publishes its table.
    pub plugin: Option<Box<str>>,
}

/// What is known of who answered at a gateway's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Listener {
    /// A process of a user that the gateway may run as, looked up on the connection itself.
    Verified,
    /// It can't be known (another machine), or isn't to be asked (`listener_user = "any"`).
    #[default]
    Unverified,
}

/// What is known of a gateway's sessions in this run. An unreadable table is never an empty one.
#[derive(Debug, Clone, PartialEq)]
pub enum TableView {
    /// Read whole and valid, in this run.
    Current(SessionTable),
    /// There is none to rely on.
    Not(NoTable),
}

/// No current table, and what is known all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoTable {
    /// What happened, and what to do about it.
    pub why: Box<str>,
    /// Whether the gateway is there.
    pub answer: Answer,
    /// The sessions that it could still name. Nothing else is known of them.
    pub listed: Box<[SessionId]>,
    /// What a look from outside shows, where the kind can be looked at so.
    pub outside: Option<Outside>,
}

/// What came back instead of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// Nothing listens at the gateway's address: no run of it is there that could know of its sessions.
    NothingListens,
    /// No answer: the gateway may be there, and busy, stopped or hanging.
    Missing,
    /// An answer that is not to be trusted: a refusal, a page, half a table.
    Untrusted,
}

impl TableView {
    /// The gateway answered, with something that is not to be trusted.
    pub fn refused(why: impl Into<Box<str>>) -> Self {
        Self::not(why, Answer::Untrusted)
    }

    /// The gateway could not be asked; it may be there all the same.
    pub fn unreachable(why: impl Into<Box<str>>) -> Self {
        Self::not(why, Answer::Missing)
    }

    /// Nothing listens at the gateway's address.
    pub fn nothing_listens(why: impl Into<Box<str>>) -> Self {
        Self::not(why, Answer::NothingListens)
    }

    /// The gateway answered, publishes no table, and could still say which sessions there are.
    pub fn listed(sessions: impl Into<Box<[SessionId]>>, why: impl Into<Box<str>>) -> Self {
        Self::Not(NoTable {
            why: why.into(),
            answer: Answer::Untrusted,
            listed: sessions.into(),
            outside: None,
        })
    }

    fn not(why: impl Into<Box<str>>, answer: Answer) -> Self {
        Self::Not(NoTable { why: why.into(), answer, listed: Box::default(), outside: None })
    }

    /// The table, if it is current.
    pub fn current(&self) -> Option<&SessionTable> {
        match self {
            Self::Current(table) => Some(table),
            Self::Not(_) => None,
        }
    }

    /// Whether another question soon would cost time and tell nothing: the gateway may be there, and gave no table. That nothing listens costs
    /// nothing to ask, holds for that instant alone, and is what a worker is ended on.
    pub fn is_asked_once(&self) -> bool {
        self.missing().is_some_and(|missing| missing.answer != Answer::NothingListens)
    }

    /// What is known where there is no current table.
    pub fn missing(&self) -> Option<&NoTable> {
        match self {
            Self::Current(_) => None,
            Self::Not(missing) => Some(missing),
        }
    }
}

/// Why a gateway keeps a session that it was asked to close.
#[derive(Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Another run of the gateway answered than the one whose table was judged.
    OtherRun,
    /// In the gateway's word (`attached`, `mid-turn`, …).
    Word(Box<str>),
}

impl Refusal {
    /// The word for reports.
    pub fn as_str(&self) -> &str {
        match self {
            Self::OtherRun => "instance",
            Self::Word(word) => word,
        }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl<T: Into<Box<str>>> From<T> for Refusal {
    fn from(word: T) -> Self {
        Self::Word(word.into())
    }
}

/// What a gateway answered to the conditional reap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseAnswer {
    /// Closed through the gateway's one teardown path.
    Reaped,
    /// Already gone: a success.
    Gone,
    /// No longer an orphan: its grace starts again.
    Kept {
        /// The gateway's reason.
        reason: Refusal,
    },
    /// It wasn't asked: right before, the session was seen to be wanted.
    Unasked {
        /// What was seen.
        why: Box<str>,
    },
    /// Anything else, or no answer: nothing may be assumed.
    Failed {
        /// What happened.
        why: Box<str>,
    },
}
