//! What can be wrong with a configuration, as messages that name the place and the remedy.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

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

/// More is some other file, named by mistake, and would only scroll away.
const MOST_SHOWN: usize = 50;

/// Every mistake in one configuration file, in the order of its lines. Displayed one per line.
#[derive(Debug, Clone, PartialEq, Eq)]
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

impl Error for ConfigErrors {}
