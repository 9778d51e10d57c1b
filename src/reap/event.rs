//! What a teardown is told, and what it answers: the whole of what its driver has to know.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::GatewayName;
use crate::domain::process::ProcessIdentity;
use crate::domain::table::CloseAnswer;
use crate::domain::time::Awake;
use crate::domain::warrant::{Claimed, CloseOrder};

/// One process of a teardown: which victim's, and its place in that victim's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Whose.
    pub victim: usize,
    /// Which process of its tree.
    pub member: usize,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It is time for the next victim. One per iteration of the driver, so that running ones stay responsive.
    Begin,
    /// A gateway answered the close of this victim's session.
    Answered {
        /// Whose session.
        victim: usize,
        /// The answer.
        answer: CloseAnswer,
    },
    /// Processes of these victims have exited. Many at once, because the exits of a thousand often come together.
    Exited {
        /// Whose.
        victims: Vec<usize>,
    },
    /// The run is to end: nothing new is begun, and what is under way has `term_timeout` and half a second left.
    Stop,
    /// A deadline may have come.
    Tick,
    /// The tables and processes were looked at again, as [`Next::recheck`] asked for.
    Rechecked {
        /// For which victim.
        victim: usize,
        /// What was found.
        verdict: Recheck,
    },
}

/// What another look says of a victim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recheck {
    /// It still is the same orphan, and due.
    Stands {
        /// Until when that is good.
        until: Awake,
        /// Whose processes are by now, besides what the warrant knows.
        claimed: Arc<Claimed>,
    },
    /// It isn't an orphan any more, or that can't be known.
    Lapsed {
        /// Why.
        why: Box<str>,
    },
    /// Its gateway said that the session is closed, and its table goes on with it.
    Wanted {
        /// Why it is wanted.
        why: Box<str>,
    },
    /// The table is current and its session is not in it.
    Gone,
    /// Its session is closed, and whose what is left of it is can't be known: the next run goes on.
    Unknown {
        /// Why.
        why: Box<str>,
    },
}

/// What to do next.
#[derive(Debug)]
pub struct Next {
    /// A session that its gateway is to be asked to close.
    pub close: Option<CloseRequest>,
    /// Processes whose exit is to be waited for, in addition to those named before.
    pub wait_for: Vec<Place>,
    /// What is to be looked at and judged again before anything is done to it.
    pub recheck: Vec<Question>,
    /// When to tell of a [`Event::Tick`] at the latest.
    pub deadline: Option<Awake>,
    /// How to go on.
    pub then: Then,
}

/// For which victim the tables and processes are to be looked at again, and what that is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Which one.
    pub victim: usize,
    /// Of a session that is closed, and of what was signalled: the processes that are to be ended now, if none of them is another session's.
    /// `None`: whether the warrant stands.
    pub under_way: Option<Vec<ProcessIdentity>>,
    /// Something has begun there since the tables were read: the table of any gateway may tell of it.
    pub has_news: bool,
}

/// How a driver goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// A victim waits for [`Event::Begin`]; whatever has happened until then is told first.
    Begin,
    /// Wait for what happens.
    Wait,
    /// All of it is over.
    Done,
}

/// A session that a gateway is to be asked to close.
#[derive(Debug, Clone)]
pub struct CloseRequest {
    /// Whose answer it will be.
    pub victim: usize,
    /// Which gateway.
    pub gateway: GatewayName,
    /// Which session.
    pub order: CloseOrder,
    /// How long the gateway may take.
    pub within: Duration,
}
