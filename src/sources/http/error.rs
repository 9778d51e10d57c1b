//! Why a gateway gave no answer, with the likely cause.

use std::fmt;
use std::io;
use std::time::Duration;

use humantime::format_duration;

use super::listener::Unwelcome;

/// A request without an answer. Written by hand: the place stands within each sentence, where a problem arises the place isn't known, and the
/// cause depends on the problem, none of which `thiserror` can say.
#[derive(Debug)]
pub struct HttpError {
    /// Host and port, as the configuration has them.
    pub at: Box<str>,
    /// What happened.
    pub problem: HttpProblem,
}

/// What happened instead of an answer.
#[derive(Debug)]
pub enum HttpProblem {
    /// The name has no address.
    Unresolved(io::Error),
    /// The name can't be looked up, because no thread can be started.
    NoResolver(io::Error),
    /// No connection.
    Connect(io::Error),
    /// Another user's process listens there, or its user can't be known.
    Unwelcome(Unwelcome),
    /// The deadline passed.
    TimedOut {
        /// In which part of the exchange.
        phase: Phase,
        /// The whole span that was allowed.
        after: Duration,
    },
    /// The connection ended before an answer's head was whole.
    Closed,
    /// The path can't stand in a request.
    Unaskable,
    /// Not an HTTP/1 answer; the part that isn't.
    Malformed(Box<str>),
    /// A cache answered with what was.
    Stale {
        /// The seconds that it gives as the answer's age.
        age: Box<str>,
    },
    /// The body ended early, or its framing was broken.
    CutShort {
        /// Bytes that came.
        got: usize,
    },
    /// The body is larger than allowed.
    TooLarge {
        /// Most bytes that were allowed.
        limit: usize,
    },
}

/// The part of an exchange that took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Looking up the name and connecting.
    Connect,
    /// Until the answer's head.
    Answer,
    /// From the head to the last byte.
    Body,
}

impl HttpError {
    /// The message with its causes, on one line.
    pub fn in_full(&self) -> String {
        crate::text::in_full(self)
    }

    /// The machine that was asked says that nothing listens there.
    pub fn nothing_listens(&self) -> bool {
        matches!(&self.problem, HttpProblem::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// The gateway was reached, and what it sent can't be used: its table is refused, not unreachable.
    pub fn reached(&self) -> bool {
        match self.problem {
            HttpProblem::Unwelcome(_)
            | HttpProblem::Malformed(_)
            | HttpProblem::Stale { .. }
            | HttpProblem::CutShort { .. }
            | HttpProblem::TooLarge { .. } => true,
            HttpProblem::Unresolved(_)
            | HttpProblem::NoResolver(_)
            | HttpProblem::Connect(_)
            | HttpProblem::Unaskable
            | HttpProblem::TimedOut { .. }
            | HttpProblem::Closed => false,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = &self.at;
        match &self.problem {
            HttpProblem::Unresolved(_) => write!(f, "{at} has no address: check the name in url"),
            HttpProblem::NoResolver(_) => write!(
                f,
                "{at} is a name, and no thread can be started to look it up: put the address into url, or raise the limit on processes"
            ),
            HttpProblem::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                write!(f, "nothing listens at {at}: is the gateway running, and is this its address?")
            }
            HttpProblem::Connect(_) => write!(f, "no connection to {at}"),
            HttpProblem::Unwelcome(why) => write!(f, "{at}: {why}"),
            HttpProblem::TimedOut { phase, after } => {
                let after = format_duration(*after);
                match phase {
                    Phase::Connect => write!(f, "no connection to {at} within {after}"),
                    Phase::Answer => {
                        write!(f, "no answer from {at} within {after}: it is busy, stopped or hanging")
                    }
                    Phase::Body => write!(f, "the answer from {at} was not complete within {after}"),
                }
            }
            HttpProblem::Unaskable => {
                write!(f, "no request to {at} can carry this path: it is too long, or none")
            }
            HttpProblem::Closed => write!(f, "{at} closed the connection without an answer"),
            HttpProblem::Malformed(what) => write!(f, "{at} does not speak HTTP/1.1: {what}"),
            HttpProblem::Stale { age } => write!(
                f,
                "a cache before {at} answered with what was {age} s ago: have it pass these requests on, or put the gateway's own address into url"
            ),
            HttpProblem::CutShort { got } => {
                write!(f, "the answer from {at} was cut short after {got} bytes")
            }
            HttpProblem::TooLarge { limit } => {
                write!(f, "the answer from {at} is larger than {limit} bytes")
            }
        }
    }
}

impl std::error::Error for HttpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            HttpProblem::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused => None,
            HttpProblem::Unresolved(error) | HttpProblem::NoResolver(error) | HttpProblem::Connect(error) => {
                Some(error)
            }
            HttpProblem::Unwelcome(why) => std::error::Error::source(why),
            _ => None,
        }
    }
}
