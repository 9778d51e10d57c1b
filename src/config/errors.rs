//! What can be wrong with a configuration, as messages that name the place and the remedy.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::named_file::Refusal;

/// The smallest file that works, shown where there is none.
pub(super) const SMALLEST: &str = r#"  [[gateway]]
  name = "dashboard"
  kind = "hermes"
  url = "http://127.0.0.1:9119"
"#;

/// One mistake in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1; only where the syntax is broken.
    pub column: Option<usize>,
    /// The full path of the key, e.g. `policy.grace`.
    pub key: Option<String>,
    /// What is wrong, and what was expected. One line.
    pub message: String,
}

/// A file with more mistakes is no configuration; the first ones show that.
const MOST_SHOWN: usize = 50;

/// Every mistake in one configuration file, in the order of its lines. Displayed one per line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigErrors {
    pub(super) file: PathBuf,
    pub(super) problems: Vec<Problem>,
}

impl ConfigErrors {
    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The mistakes; never none.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(MOST_SHOWN).enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{}:{}:", self.file.display(), problem.line)?;
            if let Some(column) = problem.column {
                write!(f, "{column}:")?;
            }
            if let Some(key) = &problem.key {
                write!(f, " {key}:")?;
            }
            write!(f, " {}", problem.message)?;
        }
        match self.problems.len().saturating_sub(MOST_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{}: {more} more mistakes", self.file.display()),
        }
    }
}

/// What named a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// `--config`.
    Option,
    /// `$GATEWAY_REAPER_CONFIG`.
    Variable,
}

impl fmt::Display for NamedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Option => "--config",
            Self::Variable => "$GATEWAY_REAPER_CONFIG",
        })
    }
}

/// There is no configuration to run on.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file was named and isn't there.
    #[error("{}: no such file, although {named_by} names it; correct the path or create the file", path.display())]
    NamedFileMissing {
        /// The file.
        path: PathBuf,
        /// What named it.
        named_by: NamedBy,
    },
    /// No file was named, and none lies in the usual places.
    #[error("{}", not_found(looked_for))]
    NotFound {
        /// The usual places.
        looked_for: Vec<PathBuf>,
    },
    /// The file is there and can't be read, or isn't to be trusted.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        refusal: Refusal,
    },
    /// The file was not named, lies where the command was run, and isn't to be trusted.
    #[error("{}, which was found, not named (--config names one)", path.display())]
    Found {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        refusal: Refusal,
    },
    /// A directory lies where the file was expected.
    #[error("{}: is a directory; expected a configuration file, such as reaper.toml in it", .0.display())]
    Directory(PathBuf),
    /// No configuration is this large.
    #[error("{}: larger than {} MiB; expected a configuration file", path.display(), limit / (1024 * 1024))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: u64,
    },
    /// The file isn't text.
    #[error("{}:{line}: not UTF-8 text; save the file as UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line of the first byte that isn't text, from 1.
        line: usize,
    },
    /// The file was read, and says something that can't be meant.
    #[error(transparent)]
    Invalid(#[from] ConfigErrors),
}

fn not_found(looked_for: &[PathBuf]) -> String {
    let places: String = looked_for.iter().map(|path| format!("  {}\n", path.display())).collect();
    format!(
        "no reaper.toml found; looked for\n{places}`gateway-reaper default-config` prints one to put there, annotated; this is the \
         smallest that works:\n{SMALLEST}or name another place with --config FILE or $GATEWAY_REAPER_CONFIG"
    )
}
