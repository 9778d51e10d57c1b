//! The keys that `reaper.toml` knows, by table.

use super::kinds;
use super::table::Table;

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
    keys: &["audit", "gateway", "keep", "metrics", "policy", "state"],
    of_kinds: &[],
    shared: &[],
};
pub(super) const POLICY: Table =
    Table { place: "in [policy]", keys: POLICY_KEYS, of_kinds: &[], shared: &[] };
pub(super) const STATE: Table = Table { place: "in [state]", keys: &["dir"], of_kinds: &[], shared: &[] };
pub(super) const METRICS: Table =
    Table { place: "in [metrics]", keys: &["textfile", "listen"], of_kinds: &[], shared: &[] };
pub(super) const AUDIT: Table =
    Table { place: "in [audit]", keys: &["max_bytes", "keep"], of_kinds: &[], shared: &[] };
pub(super) const KEEP: Table = Table {
    place: "in [[keep]]",
    keys: &["gateway", "session", "key", "until", "why"],
    of_kinds: &[],
    shared: &[],
};
pub(super) const GATEWAY: Table = Table {
    place: "in [[gateway]]",
    keys: &["name", "kind", "timeout", "max_table_bytes", "worker", "process"],
    of_kinds: &kinds::KEYS,
    shared: POLICY_KEYS,
};
pub(super) const WORKER: Table = Table {
    place: "in [gateway.worker]",
    keys: &["match", "user", "marker", "marker_names", "cgroup"],
    of_kinds: &[],
    shared: &[],
};
pub(super) const PROCESS: Table =
    Table { place: "in [gateway.process]", keys: &["match", "pid_file"], of_kinds: &[], shared: &[] };

pub(super) const TABLES: [&Table; 9] =
    [&ROOT, &POLICY, &STATE, &AUDIT, &METRICS, &KEEP, &GATEWAY, &WORKER, &PROCESS];

/// Every table's own keys, with its place.
#[cfg(test)]
pub(super) fn own_keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_tables = TABLES.iter().flat_map(|table| table.keys.iter().map(|key| (table.place, *key)));
    of_tables.chain(GATEWAY.of_kinds.iter().copied().flatten().map(|key| (GATEWAY.place, *key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::nearest::nearest;

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
