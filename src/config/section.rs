//! One table of the file while it is read: typed look-ups that note what is wrong and carry on, so that one pass finds every mistake.

use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration;
use super::problems::Problems;
use super::table::Table;
use super::user::UserSpec;
use super::value::{kind, quoted, shown};

/// One table of the file.
pub(super) struct Section<'a> {
    entries: &'a DeTable<'a>,
    table: &'static Table,
    /// All tables that there are.
    tables: &'static [&'static Table],
    /// The path of its keys; empty at the top level.
    path: String,
    span: Range<usize>,
    problems: &'a Problems<'a>,
}

impl<'a> Section<'a> {
    pub(super) fn root(
        root: &'a Spanned<DeTable<'a>>,
        table: &'static Table,
        tables: &'static [&'static Table],
        problems: &'a Problems<'a>,
    ) -> Self {
        Self { entries: root.get_ref(), table, tables, path: String::new(), span: root.span(), problems }
    }

    /// The line of this table's header, or of its first mention.
    pub(super) fn line(&self) -> usize {
        self.problems.line(self.span.start)
    }

    pub(super) fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entries.get(key)
    }

    /// Whether this key stands in that table below it.
    pub(super) fn says(&self, table: &str, key: &str) -> bool {
        matches!(self.value(table).map(Spanned::get_ref), Some(DeValue::Table(entries)) if entries.contains_key(key))
    }

    /// Notes what is wrong with a key; where there is no such key, with the table that lacks it.
    pub(super) fn refuse(&self, key: &str, message: impl Into<String>) {
        let span = self.value(key).map_or(self.span.clone(), Spanned::span);
        self.problems.add(span.start, self.path_of(key), message.into());
    }

    fn path_of(&self, key: &str) -> String {
        let bare = (1..=64).contains(&key.len())
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        let key = if bare { key.to_owned() } else { quoted(key) };
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn refuse_unknown_keys(&self) {
        for (key, value) in self.entries.iter().filter(|(key, _)| !self.table.knows(key.get_ref())) {
            let message = self.table.about_unknown(key.get_ref(), value.get_ref(), self.tables);
            self.problems.add(key.span().start, self.path_of(key.get_ref()), message);
        }
    }

    /// A table under this one.
    pub(super) fn section(&self, key: &str, table: &'static Table) -> Option<Self> {
        let value = self.value(key)?;
        let DeValue::Table(entries) = value.get_ref() else {
            self.refuse(key, format!("expected a table; found {}", shown(value.get_ref())));
            return None;
        };
        Some(self.below(key, entries, value.span(), table))
    }

    fn below(&self, key: &str, entries: &'a DeTable<'a>, span: Range<usize>, table: &'static Table) -> Self {
        Self { entries, table, tables: self.tables, path: self.path_of(key), span, problems: self.problems }
    }

    /// The tables of an array of tables (`[[key]]`).
    pub(super) fn sections(&self, key: &str, table: &'static Table) -> Vec<Self> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let mistaken = |found: &DeValue<'_>| {
            let expected = format!("expected [[{key}]], in two pairs of brackets");
            self.refuse(key, format!("{expected}; found {}", shown(found)));
        };
        match value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .filter_map(|item| match item.get_ref() {
                    DeValue::Table(entries) => Some(self.below(key, entries, item.span(), table)),
                    other => {
                        mistaken(other);
                        None
                    }
                })
                .collect(),
            // Read all the same, so that its other mistakes are told as well.
            DeValue::Table(entries) => {
                mistaken(value.get_ref());
                vec![self.below(key, entries, value.span(), table)]
            }
            other => {
                mistaken(other);
                Vec::new()
            }
        }
    }

    /// A text, whatever is in it.
    pub(super) fn text(&self, key: &str, expected: &str) -> Option<&'a str> {
        let value = self.value(key)?.get_ref();
        value.as_str().or_else(|| self.mismatch(key, expected, &shown(value)))
    }

    /// An array of texts, with at least one in it. None of them is repeated: there might be a secret among them.
    pub(super) fn texts(&self, key: &str, expected: &str) -> Option<Vec<&'a str>> {
        let value = self.value(key)?.get_ref();
        let Some(items) = value.as_array() else { return self.mismatch(key, expected, kind(value)) };
        let texts: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
        match texts {
            Some(texts) if !texts.is_empty() => Some(texts),
            Some(_) => self.mismatch(key, expected, "an empty array"),
            None => self.mismatch(key, expected, "an array with something else in it than strings"),
        }
    }

    /// A text that might be a secret by mistake, and is therefore never repeated.
    pub(super) fn discreet_text(&self, key: &str, expected: &str) -> Option<&'a str> {
        let value = self.value(key)?.get_ref();
        value.as_str().or_else(|| self.mismatch(key, expected, kind(value)))
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let value = self.value(key)?.get_ref();
        value.as_bool().or_else(|| self.mismatch(key, "true or false", &shown(value)))
    }

    pub(super) fn count(&self, key: &str, range: RangeInclusive<usize>, expected: &str) -> Option<usize> {
        let value = self.value(key)?.get_ref();
        let number = value.as_integer().and_then(|n| usize::from_str_radix(n.as_str(), n.radix()).ok());
        number.filter(|n| range.contains(n)).or_else(|| self.mismatch(key, expected, &shown(value)))
    }

    pub(super) fn duration(&self, key: &str) -> Option<Duration> {
        const EXPECTED: &str = "a duration in quotes, such as \"20s\" or \"1m 30s\"";
        let text = self.text(key, EXPECTED)?;
        duration::parse(text)
            .map_err(|error| {
                self.refuse(key, format!("expected {EXPECTED}; found {}: {error}", quoted(text)))
            })
            .ok()
    }

    /// A user, by name or number.
    pub(super) fn user(&self, key: &str, expected: &str) -> Option<UserSpec> {
        let value = self.value(key)?.get_ref();
        let user = match value.as_integer() {
            Some(number) => {
                u32::from_str_radix(number.as_str(), number.radix()).ok().and_then(UserSpec::from_uid)
            }
            None => value.as_str().and_then(UserSpec::new),
        };
        user.or_else(|| self.mismatch(key, expected, &shown(value)))
    }

    /// A path; a relative one starts at the folder of the configuration file.
    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        const EXPECTED: &str = "a path in quotes";
        let text = self.text(key, EXPECTED)?;
        if text.is_empty() || text.contains('\0') {
            return self.mismatch(key, EXPECTED, &quoted(text));
        }
        if text.starts_with('~') || text.contains('$') {
            let expected = "a path in full (neither ~ nor variables are expanded here)";
            return self.mismatch(key, expected, &quoted(text));
        }
        Some(self.problems.file.parent().unwrap_or(Path::new("")).join(text))
    }

    /// Whether a mistake was found already.
    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Notes that a key holds something else than expected.
    pub(super) fn mismatch<T>(&self, key: &str, expected: &str, found: &str) -> Option<T> {
        self.refuse(key, format!("expected {expected}; found {found}"));
        None
    }

    /// Notes it if a key isn't there, or is an empty array.
    pub(super) fn require(&self, key: &str, expected: &str) {
        let empty =
            |value: &Spanned<DeValue<'_>>| value.get_ref().as_array().is_some_and(|items| items.is_empty());
        if self.value(key).is_none_or(empty) {
            self.refuse(key, format!("missing; expected {expected}"));
        }
    }
}
