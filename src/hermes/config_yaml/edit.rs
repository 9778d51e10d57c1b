//! One change of a text, and its way back.

use serde::{Deserialize, Serialize};

/// At one place of a text something is removed and something else put in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    at: usize,
    removed: String,
    inserted: String,
}

impl Edit {
    pub(super) fn insert(at: usize, inserted: impl Into<String>) -> Self {
        Self { at, removed: String::new(), inserted: inserted.into() }
    }

    /// `None` where the range isn't one of the text's.
    pub(super) fn replace(
        text: &str,
        range: std::ops::Range<usize>,
        inserted: impl Into<String>,
    ) -> Option<Self> {
        Some(Self { at: range.start, removed: text.get(range)?.to_owned(), inserted: inserted.into() })
    }

    /// `None` if the text isn't the one that the edit was made for.
    pub(super) fn apply(&self, text: &str) -> Option<String> {
        swap(text, self.at, &self.removed, &self.inserted)
    }

    fn undo(&self, text: &str) -> Option<String> {
        swap(text, self.at, &self.inserted, &self.removed)
    }
}

fn swap(text: &str, at: usize, out: &str, new: &str) -> Option<String> {
    let (before, rest) = text.split_at_checked(at)?;
    let after = rest.strip_prefix(out)?;
    Some([before, new, after].concat())
}

/// The text as it was before the edits. `None`: something else was changed where they were made.
pub fn revert(text: &str, edits: &[Edit]) -> Option<String> {
    edits.iter().rev().try_fold(text.to_owned(), |text, edit| edit.undo(&text))
}
