//! Why a program said nothing that counts.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use humantime::format_duration;
use thiserror::Error;

use crate::named_file::Refusal;

/// A program that was run, or was to be, and said nothing that counts.
#[derive(Debug, Error)]
pub struct CommandError {
    /// The program.
    pub program: PathBuf,
    /// What happened.
    #[source]
    pub problem: CommandProblem,
    /// The last line that it wrote to stderr.
    pub last_words: Option<Box<str>>,
}

/// Without the problem, which is its source; with what the program itself said, which isn't.
impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())?;
        match &self.last_words {
            Some(words) => write!(f, " (its last words: {words})"),
            None => Ok(()),
        }
    }
}

/// What happened.
#[derive(Debug, Error)]
pub enum CommandProblem {
    /// Another user could have written it, or it isn't there.
    #[error("the program isn't run")]
    Refused(#[source] Refusal),
    /// Its file is not executable.
    #[error("can't be run: chmod +x it")]
    NotExecutable,
    /// The system doesn't start it.
    #[error("can't be started")]
    NotStarted(#[source] io::Error),
    /// What it wrote, or how it ended, can't be read.
    #[error("can't be heard")]
    Unheard(#[source] io::Error),
    /// Its time was over.
    #[error("had not ended, with all that holds its output open, after {}, and was ended with its whole session", format_duration(*after))]
    TimedOut {
        /// The time that it had.
        after: Duration,
    },
    /// It printed too much.
    #[error("printed more than {limit} bytes, and was ended with its whole session")]
    TooLarge {
        /// The most that it may print.
        limit: usize,
    },
    /// It said itself that it failed, or was killed.
    #[error("{}", status(*.0))]
    Failed(ExitStatus),
}

fn status(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with {code}, so what it printed counts for nothing"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended in an unknown way".into(),
    }
}
