//! Why a session table was refused.

use thiserror::Error;

use crate::sources::gateway::json::Raw;
use crate::text::excerpt;

/// Characters of a value that a message shows.
pub(super) const VALUE_SHOWN: usize = 60;
/// Characters of an id that a message shows: enough to find the row, and ids are mostly shorter.
pub(super) const ID_SHOWN: usize = 24;
/// Characters of the JSON reader's own message, which may quote the document.
const READER_SHOWN: usize = 120;

/// Why a session table was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TableError {
    /// Not UTF-8.
    #[error("not a session table: byte {at} is not UTF-8")]
    NotUtf8 {
        /// The first byte that isn't.
        at: usize,
    },
    /// Not JSON, or not of a table's shape.
    #[error("not a session table: {problem}")]
    NotATable {
        /// The JSON reader's own words, with line and column.
        problem: Box<str>,
    },
    /// A field that the whole table depends on is missing or not understood.
    #[error("{field}: {}, expected {expected}", .found.as_deref().map_or("missing".into(), |found| format!("found {found}")))]
    Field {
        /// Which, and of which row.
        field: Box<str>,
        /// The value, shortened; `None`: missing.
        found: Option<Box<str>>,
        /// What would have been right.
        expected: &'static str,
    },
    /// More rows than are read.
    #[error("more than {most} sessions")]
    TooManyRows {
        /// Most that were allowed.
        most: usize,
    },
    /// Two rows have one id.
    #[error("sessions[{row}] (\"{id}\").id: duplicate of sessions[{first}]")]
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
