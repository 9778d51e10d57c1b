//! Why a plugin can't be installed or taken back, in words that name the place and the remedy.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Nothing was changed, or no more than the message says.
#[derive(Debug, Error)]
pub enum HermesError {
    /// Neither an option nor the environment says where the home is.
    #[error("no Hermes home: name it with --home DIR, or set $HERMES_HOME or $HOME")]
    NoHome,
    /// There is nothing at this place.
    #[error(
        "no Hermes home at {path}: name the right one with --home DIR; a new one is made by starting Hermes with it once \
         (HERMES_HOME={path} hermes config show)",
        path = .0.display()
    )]
    Missing(PathBuf),
    /// It has nothing that a Hermes home has.
    #[error(
        "Hermes has never used {path} as its home: name the right one with --home DIR; if it is to become one, start Hermes \
         with it once (HERMES_HOME={path} hermes config show), then run this again",
        path = .0.display()
    )]
    NeverUsed(PathBuf),
    /// It isn't a Hermes home.
    #[error(
        "{path} is not a Hermes home, which has {missing}: name the right one with --home DIR; if it is to become one, start \
         Hermes with it once (HERMES_HOME={path} hermes config show)",
        path = path.display(),
        missing = missing.join(", ")
    )]
    NotAHome {
        /// The place.
        path: PathBuf,
        /// What every Hermes home has and this one doesn't.
        missing: Vec<&'static str>,
    },
    /// It belongs to another user, whose gateway could not read what is put there.
    #[error(
        "{} belongs to user {owner}, not to {own}: run this as that user, or its gateway could not read the plugin",
        path.display()
    )]
    NotOurs {
        /// The home.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// Something else has the plugin's place.
    #[error(
        "{} {what}: it was not put there by gateway-reaper and stays as it is; move it away first",
        path.display()
    )]
    Foreign {
        /// Its folder.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A newer gateway-reaper installed the plugin.
    #[error("a newer gateway-reaper installed its plugin {version} there: use that one, or uninstall first")]
    Newer {
        /// The version that is there.
        version: String,
    },
    /// The system said no.
    #[error("can't {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
}
