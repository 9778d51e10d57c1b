//! The keys that `reaper.toml` knows, by table, and what to say about one that it doesn't.

use strsim::osa_distance;
use toml::de::DeValue;

use super::kinds;

/// A table of the configuration and its keys.
#[derive(Debug)]
pub(super) struct Table {
    /// Where it is, as a user writes it.
    place: &'static str,
    /// Its own keys.
    keys: &'static [&'static str],
    /// Keys that it takes over from another table.
    shared: &'static [&'static str],
}

pub(super) const POLICY_KEYS: &[&str] = &[
    "grace",
    "close_on_disconnect_grace",
    "worker_grace",
    "close_timeout",
    "term_timeout",
    "max_reaps",
    "closes_at_once",
    "idle_worker",
    "busy_cpu",
    "without_table",
    "start_timeout",
    "dry_run",
];

pub(super) const ROOT: Table = Table {
    place: "at the top level",
    keys: &["audit", "gateway", "metrics", "policy", "state"],
    shared: &[],
};
pub(super) const POLICY: Table = Table { place: "in [policy]", keys: POLICY_KEYS, shared: &[] };
pub(super) const STATE: Table = Table { place: "in [state]", keys: &["dir"], shared: &[] };
pub(super) const METRICS: Table = Table { place: "in [metrics]", keys: &["textfile", "listen"], shared: &[] };
pub(super) const AUDIT: Table = Table { place: "in [audit]", keys: &["max_bytes", "keep"], shared: &[] };
pub(super) const GATEWAY: Table = Table {
    place: "in [[gateway]]",
    keys: &["name", "kind", "timeout", "max_table_bytes", "worker", "process"],
    shared: POLICY_KEYS,
};
pub(super) const WORKER: Table =
    Table { place: "in [gateway.worker]", keys: &["match", "user"], shared: &[] };
pub(super) const PROCESS: Table =
    Table { place: "in [gateway.process]", keys: &["match", "pid_file"], shared: &[] };

const TABLES: [&Table; 8] = [&ROOT, &POLICY, &STATE, &AUDIT, &METRICS, &GATEWAY, &WORKER, &PROCESS];

impl Table {
    fn all(&self) -> impl Iterator<Item = &'static str> {
        let of_kinds = (self.place == GATEWAY.place).then(kinds::keys);
        self.keys.iter().copied().chain(of_kinds.into_iter().flatten()).chain(self.shared.iter().copied())
    }

    pub(super) fn knows(&self, key: &str) -> bool {
        self.all().any(|known| known == key)
    }

    /// What to say about a key that this table doesn't know.
    pub(super) fn about_unknown(&self, key: &str, value: &DeValue<'_>) -> String {
        let what = if matches!(value, DeValue::Table(_)) { "table" } else { "key" };
        if self.place == GATEWAY.place && key == "policy" {
            return "unknown table; the keys of [policy] stand directly under [[gateway]] to win there"
                .to_owned();
        }
        if ["token", "password", "secret"].contains(&normal(key).as_str()) {
            return "a secret never stands in this file; name the variable that holds the gateway's token \
                    (token_env = \"NAME\"), or the file (token_file = \"/path\")"
                .to_owned();
        }
        let homes: Vec<&str> =
            TABLES.iter().filter(|table| table.knows(key)).map(|table| table.place).collect();
        if !homes.is_empty() {
            return format!("belongs {}, not {}", homes.join(" or "), self.place);
        }
        if let Some(near) = nearest(key, self.all()) {
            return format!("unknown {what}; did you mean {near:?}?");
        }
        let elsewhere = TABLES.iter().find_map(|table| Some((nearest(key, table.all())?, table.place)));
        if let Some((near, place)) = elsewhere {
            return format!("unknown {what}; did you mean {near:?}, which belongs {place}?");
        }
        let mut known: Vec<&str> = Vec::new();
        self.all().for_each(|key| known.extend((!known.contains(&key)).then_some(key)));
        format!("unknown {what}; known {} are {}", self.place, known.join(", "))
    }
}

/// The known word that is at most a third of its letters away.
pub(super) fn nearest(word: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if word.len() > 64 {
        return None;
    }
    let word = normal(word);
    let (distance, near) =
        known.map(|known| (osa_distance(&word, known), known)).min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= near.len()).then_some(near)
}

fn normal(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

/// Every table's own keys, with its place.
#[cfg(test)]
pub(super) fn own_keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_tables = TABLES.iter().flat_map(|table| table.keys.iter().map(|key| (table.place, *key)));
    of_tables.chain(kinds::keys().map(|key| (GATEWAY.place, key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_found_through_typos_case_and_dashes() {
        for (typed, meant) in [
            ("grce", "grace"),
            ("Max-Reaps", "max_reaps"),
            ("close_timout", "close_timeout"),
            ("max_table_size", "max_table_bytes"),
        ] {
            assert_eq!(nearest(typed, GATEWAY.all()), Some(meant), "{typed}");
        }
        assert_eq!(nearest("colour", GATEWAY.all()), None);
    }
}
