//! How a gateway misbehaves: for tests that need it to. No release has it.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::sync::watch;

use crate::demo::protocol::ReapFault;
use crate::domain::ids::SessionId;

/// How a gateway misbehaves.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) reap: ReapFault,
    pub(super) frozen: watch::Sender<bool>,
    /// What the table itself says instead of the truth.
    pub(super) table: BTreeMap<String, Value>,
    /// What a session's row says instead of the truth.
    pub(super) rows: BTreeMap<SessionId, BTreeMap<String, Value>>,
}

impl Faults {
    /// Puts what was ordered in the place of the truth.
    pub(super) fn disguise(&self, table: &mut Value) {
        for row in table["sessions"].as_array_mut().into_iter().flatten() {
            let id = row["id"].as_str().map(SessionId::from);
            for (field, value) in id.and_then(|id| self.rows.get(&id)).into_iter().flatten() {
                row[field] = value.clone();
            }
        }
        for (field, value) in &self.table {
            table[field] = value.clone();
        }
    }
}
