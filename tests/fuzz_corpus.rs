//! The bytes that the fuzzers are started with, those that once broke something, and those that they found worth keeping, on every run of
//! the tests and without a fuzzer. The long test has the fuzzers themselves go on from there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

use std::path::{Path, PathBuf};

#[path = "../fuzz/invariants/mod.rs"]
mod invariants;

const TARGETS: [&str; 7] =
    ["table", "config", "ledger", "journal", "worker_match", "http_answer", "hermes_page"];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Every file of a folder. Its name is printed, and shown if the test fails.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.unwrap().path();
        println!("{}", path.display());
        std::fs::read(path).unwrap()
    };
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(read).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

/// Checks all that is kept for a target.
fn replay(target: &str, check: fn(&[u8])) {
    assert!(TARGETS.contains(&target));
    for bytes in files(&fuzz().join("seeds").join(target)) {
        check(&bytes);
        // What a fuzzer does first.
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
            check(&bytes[..end]);
        }
    }
    for bytes in files(&fuzz().join("corpus").join(target)) {
        check(&bytes);
    }
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

#[test]
#[ignore = "each target runs for a minute, or for as many seconds as GATEWAY_REAPER_FUZZ_SECONDS says, under cargo-fuzz"]
#[expect(clippy::disallowed_methods, reason = "the fuzzers are programs of their own")]
fn each_fuzzer_finds_nothing_in_a_minute() {
    let seconds = std::env::var("GATEWAY_REAPER_FUZZ_SECONDS").unwrap_or_else(|_| "60".into());
    let cargo_fuzz = |arguments: &[&str]| {
        let mut command = std::process::Command::new("cargo");
        // Those of the stable compiler that runs this test.
        for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(name);
        }
        command.args(["+nightly", "fuzz"]).args(arguments).current_dir(fuzz());
        command.status().is_ok_and(|status| status.success())
    };
    assert!(
        cargo_fuzz(&["--version"]),
        "cargo-fuzz or a nightly compiler is missing: `rustup toolchain install nightly` and `cargo install cargo-fuzz --locked`"
    );
    for target in TARGETS {
        // What it finds worth keeping goes there, and into the corpus only by hand.
        let found = fuzz().join("found").join(target);
        std::fs::create_dir_all(&found).unwrap();
        let [corpus, seeds] = ["corpus", "seeds"].map(|folder| format!("{folder}/{target}"));
        let time = format!("-max_total_time={seconds}");
        let arguments =
            ["run", target, found.to_str().unwrap(), &corpus, &seeds, "--", &time, "-max_len=4096"];
        assert!(cargo_fuzz(&arguments), "{target}: what broke it is in fuzz/artifacts/{target}");
    }
}
