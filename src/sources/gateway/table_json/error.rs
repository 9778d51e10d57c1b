//! Why a session table was refused.

use std::fmt;

use crate::sources::gateway::json::Raw;
use crate::text::excerpt;

/// Characters of a value that a message shows.
pub(super) const VALUE_SHOWN: usize = 60;
/// Characters of an id that a message shows: enough to find the row, and ids are mostly shorter.
pub(super) const ID_SHOWN: usize = 24;
/// Characters of the JSON reader's own message, which may quote the document.
const READER_SHOWN: usize = 120;

/// Why a session table was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableError {
    /// Not UTF-8.
    NotUtf8 {
        /// The first byte that isn't.
        at: usize,
    },
    /// Not JSON, or not of a table's shape.
    NotATable {
        /// The JSON reader's own words, with line and column.
        problem: Box<str>,
    },
    /// A field that the whole table depends on is missing or not understood.
    Field {
        /// Which, and of which row.
        field: Box<str>,
        /// The value, shortened; `None`: missing.
        found: Option<Box<str>>,
        /// What would have been right.
        expected: &'static str,
    },
    /// More rows than are read.
    TooManyRows {
        /// Most that were allowed.
        most: usize,
    },
    /// Two rows have one id.
    DuplicateId {
        /// The second of them.
        row: usize,
        /// The id, shortened.
        id: Box<str>,
        /// The first.
        first: usize,
    },
}

impl TableError {
    pub(super) fn field(field: impl Into<Box<str>>, found: Raw<'_>, expected: &'static str) -> Self {
        let found = found.map(|raw| excerpt(raw.get(), VALUE_SHOWN));
        Self::Field { field: field.into(), found, expected }
    }
}

impl From<serde_json::Error> for TableError {
    fn from(error: serde_json::Error) -> Self {
        let position = format!(" at line {} column {}", error.line(), error.column());
        let message = error.to_string();
        let message = message.strip_suffix(&position).unwrap_or(&message);
        Self::NotATable { problem: format!("{}{position}", excerpt(message, READER_SHOWN)).into() }
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 { at } => write!(f, "not a session table: byte {at} is not UTF-8"),
            Self::NotATable { problem } => write!(f, "not a session table: {problem}"),
            Self::Field { field, found: Some(found), expected } => {
                write!(f, "{field}: found {found}, expected {expected}")
            }
            Self::Field { field, found: None, expected } => {
                write!(f, "{field}: missing, expected {expected}")
            }
            Self::TooManyRows { most } => write!(f, "more than {most} sessions"),
            Self::DuplicateId { row, id, first } => {
                write!(f, "sessions[{row}] (\"{id}\").id: duplicate of sessions[{first}]")
            }
        }
    }
}

impl std::error::Error for TableError {}
