//! The shape of one table of the configuration: which keys it has, and what to say about one that it hasn't.

use toml::de::DeValue;

use super::nearest::{nearest, normal};

/// A table of the configuration and its keys.
#[derive(Debug)]
pub(super) struct Table {
    /// Where it is, as a user writes it.
    pub(super) place: &'static str,
    /// Its own keys.
    pub(super) keys: &'static [&'static str],
    /// Keys that the kinds of gateways add, by kind.
    pub(super) of_kinds: &'static [&'static [&'static str]],
    /// Keys of `[policy]` that it takes over.
    pub(super) shared: &'static [&'static str],
}

impl Table {
    pub(super) fn all(&self) -> impl Iterator<Item = &'static str> {
        let of_kinds = self.of_kinds.iter().copied().flatten();
        self.keys.iter().chain(of_kinds).chain(self.shared).copied()
    }

    pub(super) fn knows(&self, key: &str) -> bool {
        self.all().any(|known| known == key)
    }

    /// What to say about a key that this table doesn't know; `tables` are all that there are.
    pub(super) fn about_unknown(&self, key: &str, value: &DeValue<'_>, tables: &[&Self]) -> String {
        let what = if matches!(value, DeValue::Table(_)) { "table" } else { "key" };
        if !self.shared.is_empty() && key == "policy" {
            return "unknown table; the keys of [policy] stand directly under [[gateway]] to win there"
                .to_owned();
        }
        if ["token", "password", "secret"].contains(&normal(key).as_str()) {
            return "a secret never stands in this file; name the variable that holds the gateway's token \
                    (token_env = \"NAME\"), or the file (token_file = \"/path\")"
                .to_owned();
        }
        let homes: Vec<&str> =
            tables.iter().filter(|table| table.knows(key)).map(|table| table.place).collect();
        if !homes.is_empty() {
            return format!("belongs {}, not {}", homes.join(" or "), self.place);
        }
        if let Some(near) = nearest(key, self.all()) {
            return format!("unknown {what}; did you mean {near:?}?");
        }
        let elsewhere = tables.iter().find_map(|table| Some((nearest(key, table.all())?, table.place)));
        if let Some((near, place)) = elsewhere {
            return format!("unknown {what}; did you mean {near:?}, which belongs {place}?");
        }
        let mut known: Vec<&str> = Vec::new();
        self.all().for_each(|key| known.extend((!known.contains(&key)).then_some(key)));
        format!("unknown {what}; known {} are {}", self.place, known.join(", "))
    }
}
