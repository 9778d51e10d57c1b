//! Why a plugin can't be installed or taken back, in words that name the place and the remedy.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::home::LAYOUT;

/// Nothing was changed, or no more than the message says.
#[derive(Debug)]
pub enum HermesError {
    /// Neither an option nor the environment says where the home is.
    NoHome,
    /// There is nothing at this place.
    Missing(PathBuf),
    /// It isn't a Hermes home.
    NotAHome {
        /// The place.
        path: PathBuf,
        /// What every Hermes home has and this one doesn't.
        missing: Vec<&'static str>,
    },
    /// It belongs to another user, whose gateway could not read what is put there.
    NotOurs {
        /// The home.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// Something else has the plugin's place.
    Foreign {
        /// Its folder.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A newer gateway-reaper installed the plugin.
    Newer {
        /// The version that is there.
        version: String,
    },
    /// The system said no.
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
}

impl fmt::Display for HermesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome => {
                f.write_str("no Hermes home: name it with --home DIR, or set $HERMES_HOME or $HOME")
            }
            Self::Missing(path) => write!(
                f,
                "no Hermes home at {0}: name the right one with --home DIR; a new one is made by starting Hermes with it once \
                 (HERMES_HOME={0} hermes config show)",
                path.display()
            ),
            Self::NotAHome { path, missing } if missing.len() == LAYOUT.len() => write!(
                f,
                "Hermes has never used {0} as its home: name the right one with --home DIR; if it is to become one, start Hermes \
                 with it once (HERMES_HOME={0} hermes config show), then run this again",
                path.display()
            ),
            Self::NotAHome { path, missing } => write!(
                f,
                "{0} is not a Hermes home, which has {1}: name the right one with --home DIR; if it is to become one, start \
                 Hermes with it once (HERMES_HOME={0} hermes config show)",
                path.display(),
                missing.join(", ")
            ),
            Self::NotOurs { path, owner, own } => write!(
                f,
                "{} belongs to user {owner}, not to {own}: run this as that user, or its gateway could not read the plugin",
                path.display()
            ),
            Self::Foreign { path, what } => write!(
                f,
                "{} {what}: it was not put there by gateway-reaper and stays as it is; move it away first",
                path.display()
            ),
            Self::Newer { version } => write!(
                f,
                "a newer gateway-reaper installed its plugin {version} there: use that one, or uninstall first"
            ),
            Self::Io { what, path, .. } => write!(f, "can't {what} {}", path.display()),
        }
    }
}

impl Error for HermesError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
