//! The rows of a gateway's current table, indexed by what leads from a worker to its row. None unless the table is current.

use std::collections::HashMap;

use crate::domain::ids::Pid;
use crate::domain::observation::GatewayObservation;
use crate::domain::table::{Session, Told};

/// An index of the rows.
#[derive(Default)]
pub(super) struct Rows<'a> {
    /// In the order of the table.
    pub(super) all: &'a [Session],
    /// How many rows leave their worker to be found by this key.
    found_by_key: HashMap<&'a str, usize>,
    /// The workers that rows with this key name.
    named_by_key: HashMap<&'a str, Vec<Pid>>,
    /// The workers that rows name whose key is not understood.
    pub(super) named_without_key: Vec<Pid>,
    /// A row's worker is not understood: it may be any.
    pub(super) has_obscure_worker: bool,
    /// A row without a worker's PID has a key that is not understood: any worker may carry it.
    pub(super) has_obscure_key: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn new(gateway: &'a GatewayObservation) -> Self {
        let all = gateway.table.current().map(|table| &table.sessions[..]).unwrap_or_default();
        let mut rows = Self { all, ..Self::default() };
        for session in all {
            match (&session.worker, session.worker_key()) {
                (Told::Absent, Some(key)) => *rows.found_by_key.entry(key).or_default() += 1,
                (Told::Absent, None) => rows.has_obscure_key = true,
                (Told::Known(Some(pid)), Some(key)) => rows.named_by_key.entry(key).or_default().push(*pid),
                (Told::Known(Some(pid)), None) => rows.named_without_key.push(*pid),
                (Told::Known(None), _) => {}
                (Told::NotUnderstood(_), _) => rows.has_obscure_worker = true,
            }
        }
        rows
    }

    /// The workers that rows name, each with the row's key.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'a str, &[Pid])> {
        self.named_by_key.iter().map(|(key, pids)| (*key, pids.as_slice()))
    }

    /// Whether nobody can tell which worker one of the rows has.
    pub(super) fn has_obscure(&self) -> bool {
        self.has_obscure_worker || self.has_obscure_key
    }

    /// Whether any row leaves its worker to be found by key.
    pub(super) fn find_by_key(&self) -> bool {
        self.has_obscure_key || !self.found_by_key.is_empty()
    }

    /// Whether a row leaves its worker to be found by this key.
    pub(super) fn find_by(&self, key: &str) -> bool {
        self.found_by_key.contains_key(key)
    }

    /// How many rows carry this key, with or without a worker's PID.
    pub(super) fn with_key(&self, key: &str) -> usize {
        self.found_by_key.get(key).copied().unwrap_or_default()
            + self.named_by_key.get(key).map_or(0, Vec::len)
    }
}
