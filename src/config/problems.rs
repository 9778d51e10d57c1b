//! The mistakes found so far in one text, and the lines they are on.

use std::cell::RefCell;
use std::path::Path;

use super::errors::{ConfigErrors, Problem};

/// The mistakes found so far in one text.
pub(super) struct Problems<'a> {
    text: &'a str,
    pub(super) file: &'a Path,
    /// Where each line begins.
    lines: Vec<usize>,
    found: RefCell<Vec<Found>>,
}

struct Found {
    offset: usize,
    /// `None`: the text is not TOML here.
    key: Option<String>,
    message: String,
}

impl<'a> Problems<'a> {
    pub(super) fn new(text: &'a str, file: &'a Path) -> Self {
        let lines = [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, file, lines, found: RefCell::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// The line of a place in the text, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    fn column(&self, offset: usize) -> Option<usize> {
        let start = self.lines.get(self.line(offset) - 1)?;
        Some(1 + self.text.get(*start..offset)?.chars().count())
    }

    /// Notes a key that is not in order.
    pub(super) fn add(&self, offset: usize, key: String, message: String) {
        self.found.borrow_mut().push(Found { offset, key: Some(key), message });
    }

    /// Notes a place where the text is not TOML.
    pub(super) fn add_syntax(&self, offset: usize, message: String) {
        self.found.borrow_mut().push(Found { offset, key: None, message });
    }

    pub(super) fn into_errors(self) -> ConfigErrors {
        let mut found = self.found.take();
        found.sort_by_key(|found| found.offset);
        // What breaks a line breaks the rest of it, too.
        found.dedup_by(|later, earlier| {
            later.key.is_none() && self.line(later.offset) == self.line(earlier.offset)
        });
        let problem = |Found { offset, key, message }| {
            let column = if key.is_none() { self.column(offset) } else { None };
            Problem { line: self.line(offset), column, key, message }
        };
        ConfigErrors { file: self.file.to_owned(), problems: found.into_iter().map(problem).collect() }
    }
}
