//! The bytes that the fuzzers are started with, and those that once broke something, on every run of the tests and without a fuzzer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

use std::path::Path;

#[path = "../fuzz/invariants/mod.rs"]
mod invariants;

/// Checks every file of a target, and prints its name, which is shown if it fails.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut checked = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        println!("{}", path.display());
        let bytes = std::fs::read(&path).unwrap();
        check(&bytes);
        // What a fuzzer does first.
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
            check(&bytes[..end]);
        }
        checked += 1;
    }
    assert!(checked > 0, "{} is empty", folder.display());
}

#[test]
fn session_tables() {
    replay("table", invariants::table::check);
}

#[test]
fn configurations() {
    replay("config", invariants::config::check);
}

#[test]
fn ledgers() {
    replay("ledger", invariants::ledger::check);
}

#[test]
fn journals() {
    replay("journal", invariants::journal::check);
}

#[test]
fn worker_matches() {
    replay("worker_match", invariants::worker_match::check);
}

#[test]
fn http_answers() {
    replay("http_answer", invariants::http_answer::check);
}

#[test]
fn hermes_pages() {
    replay("hermes_page", invariants::hermes_page::check);
}
