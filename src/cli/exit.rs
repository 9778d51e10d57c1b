//! Exit codes, and which failure has which. They are part of the interface.

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use serde_json::json;

use super::terminal;
use crate::config::ConfigError;
use crate::hermes::HermesError;
use crate::operate::explain::NotOne;
use crate::report::{Report, layout};
use crate::state::StateError;
use crate::sweep::{SetupError, SweepError};
use crate::text::in_full;

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    /// Nothing was due, or all that was due is gone.
    Done,
    /// Something due could not be reaped.
    NotReaped,
    /// Usage or configuration.
    Usage,
    /// A session table could not be read or trusted.
    Distrust,
    /// Another run holds the lock.
    Busy,
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NotReaped => 1,
            Self::Usage => 2,
            Self::Distrust => 3,
            Self::Busy => 4,
        }
    }

    /// Of a run that was made: the largest of what applies.
    pub(super) fn of(report: &Report) -> Self {
        let failed = if report.has_failures() { Self::NotReaped } else { Self::Done };
        let distrust = if report.has_distrust() { Self::Distrust } else { Self::Done };
        failed.max(distrust)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why the command could not do its work.
#[derive(Debug)]
pub(super) enum Failure {
    Config(ConfigError),
    Setup(SetupError),
    State(StateError),
    Sweep(SweepError),
    /// A look that `--wait` stayed for. What earlier ones did is reported.
    InALaterLook(Box<Self>),
    /// The plugin can't be installed or taken back.
    Hermes(HermesError),
    /// No subject, or several, are meant.
    Subject(NotOne),
    /// The home of the state directory can't be told.
    NoStateDir,
    System(&'static str, std::io::Error),
    /// What was asked for can't be.
    Asked(String),
    /// It is not a terminal that it was asked to draw on.
    Terminal(&'static str),
    /// The demo, or one of its processes.
    Demo(Box<dyn Error>),
}

impl Failure {
    pub(super) fn demo(error: impl Error + 'static) -> Self {
        Self::Demo(Box::new(error))
    }

    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::State(StateError::Busy { .. }) => Exit::Busy,
            Self::Hermes(HermesError::Io { .. }) => Exit::NotReaped,
            Self::InALaterLook(failure) => failure.exit(),
            Self::Config(_)
            | Self::Hermes(_)
            | Self::Setup(_)
            | Self::State(_)
            | Self::Subject(_)
            | Self::Terminal(_)
            | Self::Asked(_)
            | Self::NoStateDir => Exit::Usage,
            Self::Sweep(_) | Self::System(..) | Self::Demo(_) => Exit::NotReaped,
        }
    }

    /// Says it in the form that was asked for.
    pub(super) fn tell_in(&self, json: bool) {
        if json {
            self.tell_as_json();
        } else {
            self.tell();
        }
    }

    /// Says it on stderr, once, with its causes.
    pub(super) fn tell(&self) {
        say(&self.to_string());
    }

    /// The same for a program. On stderr: stdout has a report or nothing.
    pub(super) fn tell_as_json(&self) {
        let error = json!({ "version": 1, "error": self.to_string(), "exit_code": self.exit().code() });
        let _ = writeln!(anstream::stderr(), "{error}");
    }
}

/// A panic is a mistake in this program. It ends with an exit code of the interface and one line that says where, not with a signal and a
/// core file: what was begun is written down, and the next run finishes it.
pub(super) fn tell_panics(restore_terminal: fn()) {
    std::panic::set_hook(Box::new(move |panic| {
        restore_terminal();
        let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
        let what = panic.payload_as_str().unwrap_or("without a message");
        say(&format!("a mistake in this program{}: {what}; please report it", place.unwrap_or_default()));
        std::process::exit(Exit::NotReaped.code().into());
    }));
}

impl fmt::Display for Failure {
    /// With its causes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error: &dyn Error = match self {
            Self::Config(error) => error,
            Self::Setup(error) => error,
            Self::State(error) => error,
            Self::Sweep(error) => error,
            Self::Hermes(error) => error,
            Self::Subject(error) => error,
            Self::Demo(error) => error.as_ref(),
            Self::InALaterLook(failure) => {
                return write!(f, "the look after those that are reported: {failure}");
            }
            Self::Asked(what) => return f.write_str(what),
            Self::Terminal(what) => return f.write_str(what),
            Self::System(what, error) => return write!(f, "{what}: {error}"),
            Self::NoStateDir => {
                return f.write_str(
                    "nowhere to keep the memory: set [state] dir in the configuration, or $STATE_DIRECTORY, $XDG_STATE_HOME or \
                     $HOME",
                );
            }
        };
        f.write_str(&in_full(error))
    }
}

/// What was not understood on the command line, or the help that was asked for.
pub(super) fn tell_usage(error: &clap::Error) {
    let mut text = error.render().ansi().to_string();
    let is_error = error.use_stderr();
    if let Some(width) = if is_error { terminal::error_width() } else { terminal::width() } {
        text = layout::wrap(&text, width);
    }
    let _ = match is_error {
        true => anstream::stderr().write_all(text.as_bytes()),
        false => anstream::stdout().write_all(text.as_bytes()),
    };
}

/// Says it on stderr. `eprintln!` would panic where stderr is closed, and the exit code has to be right even then.
fn say(text: &str) {
    let text = format!("gateway-reaper: {text}\n");
    let text = match terminal::error_width() {
        Some(width) => layout::wrap(&text, width),
        None => text,
    };
    let _ = anstream::stderr().write_all(text.as_bytes());
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<NotOne> for Failure {
    fn from(error: NotOne) -> Self {
        Self::Subject(error)
    }
}

impl From<HermesError> for Failure {
    fn from(error: HermesError) -> Self {
        Self::Hermes(error)
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<SweepError> for Failure {
    fn from(error: SweepError) -> Self {
        Self::Sweep(error)
    }
}
