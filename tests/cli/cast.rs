//! Gateways and workers that are real processes, for the tables that tests make up.

use crate::support::family::{Family, Part, part};

/// A word of this test's own. Tests run at the same time, and no test's reaper may take another test's workers for its own.
pub(crate) fn species() -> String {
    let thread: String =
        format!("{:?}", std::thread::current().id()).chars().filter(char::is_ascii_digit).collect();
    format!("cast{}x{thread}", std::process::id())
}

/// What the workers of this test's cast are called.
pub(crate) fn worker_program() -> String {
    format!("{}-worker", species())
}

/// `worker.match` for the workers of this test's cast.
pub(crate) fn worker_match() -> String {
    format!("[gateway.worker]\nmatch = '{} --session-key (?P<session>\\S+)'\n", worker_program())
}

/// A worker that carries this key.
pub(crate) fn worker(key: &str) -> Part {
    worker_called(key, key)
}

/// The same, called something else in the test.
pub(crate) fn worker_called(tag: &str, key: &str) -> Part {
    part(tag).argv([worker_program().as_str(), "--session-key", key])
}

/// A gateway's process with these workers, all in one process group, as leaky gateways have it.
pub(crate) fn gateway_of(workers: impl IntoIterator<Item = Part>) -> Part {
    workers.into_iter().fold(part("gateway"), Part::child)
}

/// PIDs as the table has them.
pub(crate) fn pid(family: &Family, tag: &str) -> u32 {
    family.pid(tag).get()
}
